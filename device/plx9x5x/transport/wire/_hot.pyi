# SPDX-License-Identifier: Apache-2.0
# What Python uses of the compiled module (hot.h).

from plx9x5x.plane._serving import Pointer, Serving

class Wire:
    fd: int
    edge_fd: int
    buffer: Pointer
    room: int
    begin: int
    received: int
    aio_context: int
    aio_fd: int
    end: int
    most: int
    fds: list[int]
    fd_count: int
    spare: list[int]
    spare_count: int
    fds_end: int
    torn: int
    ours: int
    blocked: int
    unsent: Pointer
    unsent_count: int
    sizes: list[int]
    ask: Pointer
    serving: Serving

class _Ffi:
    def new(self, kind: str, init: object = ...) -> object: ...
    def cast(self, kind: str, value: object) -> Pointer: ...
    def buffer(self, data: Pointer, size: int) -> memoryview: ...

class _Lib:
    def wire_fill(self, wire: Wire) -> int: ...
    def wire_whole(self, wire: Wire) -> int: ...
    def wire_taker(self) -> Pointer: ...
    def wire_edger(self) -> Pointer: ...

ffi: _Ffi
lib: _Lib
