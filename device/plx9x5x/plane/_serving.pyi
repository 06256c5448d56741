# SPDX-License-Identifier: Apache-2.0
# What Python uses of the compiled module (serving.h).

class Pointer: ...

class Values:
    def __getitem__(self, index: int) -> int: ...
    def __setitem__(self, index: int, value: int) -> None: ...

class PlainDword:
    read: int
    write: int
    stored: int
    known: int

class Page:
    values: Values
    dwords: list[PlainDword]
    bytes: int
    open: int

class Serving:
    context: Pointer
    take: Pointer
    client_fd: int
    wake_fd: int
    batch: int
    code: int
    restless: int
    had_a_say: int
    pages: list[Page]
    device: list[Pointer]

class _Ffi:
    NULL: Pointer
    def new(self, kind: str, init: object = ...) -> object: ...
    def cast(self, kind: str, value: object) -> Pointer: ...
    def from_buffer(self, kind: str, data: bytearray) -> Pointer: ...

class _Lib:
    DEVICE_HAD_A_SAY: int
    NOTHING_CAME: int
    WOKEN: int
    TAKING_FAILED: int
    def serving_of_context(self, how: Pointer) -> None: ...
    def region_access(self, bar: int) -> Pointer: ...
    def serve_messages(self, serving: Serving, wait_ns: int) -> int: ...
    def page_access(self, page: Page, buffer: Pointer, count: int, offset: int, is_write: bool) -> bool: ...

ffi: _Ffi
lib: _Lib
