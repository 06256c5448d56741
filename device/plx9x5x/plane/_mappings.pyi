# SPDX-License-Identifier: Apache-2.0
# What Python uses of the compiled module (mappings.h).

class Pointer: ...

class Mapping:
    start: int
    last: int
    host: Pointer
    owner: int
    writable: bool

class Mappings:
    at: list[Mapping]
    count: int
    def __bool__(self) -> bool: ...

class Moved:
    bytes: int
    why: int

class _Ffi:
    NULL: Pointer
    def from_buffer(self, kind: str, view: memoryview, require_writable: bool = ...) -> Pointer: ...
    def release(self, pointer: Pointer) -> None: ...
    def gc(self, table: Mappings, free: object) -> Mappings: ...

class _Lib:
    MAPPED: int
    NOTHING_MAPPED: int
    READ_ONLY: int
    NO_MEMORY: int
    def mappings_new(self) -> Mappings: ...
    def mappings_free(self, table: Mappings) -> None: ...
    def mappings_map(
        self, table: Mappings, start: int, last: int, host: Pointer, writable: bool, owner: int
    ) -> bool: ...
    def mappings_unmap(self, table: Mappings, start: int, last: int) -> bool: ...
    def mappings_clear(self, table: Mappings) -> None: ...
    def mappings_upto(self, table: Mappings, address: int) -> int: ...
    def mappings_read(self, table: Mappings, address: int, into: Pointer, length: int) -> Moved: ...
    def mappings_write(self, table: Mappings, address: int, data: Pointer, length: int) -> Moved: ...

ffi: _Ffi
lib: _Lib
