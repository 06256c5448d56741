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
    watched: int
    idle: Pointer

class Part:
    def work(self, part: Part, budget: int) -> int: ...

class Line:
    level: bool
    masked: bool
    trigger: Pointer
    context: Pointer
    sent: int
    changes: int

class StatusBytes:
    offset: int
    bytes: int
    shows: Pointer

class Watch:
    offset: int
    value: int
    same: int
    status: int
    since_ns: int
    late: bool
    news: int
    line: Line
    tells: list[StatusBytes]

class Page:
    values: Values
    dwords: list[PlainDword]
    bytes: int
    open: int
    part: Part
    watch: Watch

class Serving:
    context: Pointer
    take: Pointer
    client_fd: int
    wake_fd: int
    batch: int
    budget: int
    code: int
    had_a_say: int
    pages: list[Page]
    device: list[Pointer]
    part: Part
    line: Line

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
    NEWS_SPIN: int
    NEWS_STUCK: int
    NEWS_LATE: int
    PAGE_SPIN: int
    PAGE_RUN: int
    PAGE_FEW: int
    PAGE_LONG_NS: int
    def serving_of_context(self, how: Pointer) -> None: ...
    def region_access(self, bar: int) -> Pointer: ...
    def serve_messages(self, serving: Serving, wait_ns: int) -> int: ...
    def page_access(self, page: Page, buffer: Pointer, count: int, offset: int, is_write: bool) -> bool: ...
    def page_read(self, page: Page, offset: int, count: int, /) -> int: ...
    def page_write(self, page: Page, offset: int, count: int, value: int, /) -> bool: ...
    def line_callback(self) -> Pointer: ...
    def line_set(self, line: Line, level: bool) -> None: ...
    def line_due(self, line: Line) -> bool: ...
    def line_retry(self, line: Line) -> None: ...

ffi: _Ffi
lib: _Lib
