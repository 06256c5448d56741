# SPDX-License-Identifier: Apache-2.0
# What Python uses of the compiled module (walker.h, card.h).

from typing import overload

from plx9x5x.plane._mappings import Mappings
from plx9x5x.plane._serving import Line, Part, Pointer, Values, Watch

class Places:
    mode: int
    pci_address: int
    local_address: int
    size: int
    pointer: int
    upper_address: int
    command: int

class LastAccess:
    address: int
    is_new: bool

class Walk:
    bus: Mappings
    local: Mappings
    at: Places
    price: int
    size_stored: int
    big_endian_place: int
    big_endian: int
    count_to_pci: bool
    idle: bool
    lent: bool
    touched: bool
    interrupt: bool
    state: int
    next: int
    next_in_pci: bool
    terminal_count_pending: bool
    mode: int
    pci: int
    upper: int
    local_address: int
    count: int
    moved: int
    pointer: int
    size_word: int
    size_word_in_pci: bool
    chained: bool
    fetched: bool
    empty_told: bool
    wrap_told: bool
    empty: int
    transfers: int
    chains: int
    descriptors: int
    to_pci: int
    to_local: int
    raised: int
    acknowledged: int
    stop: int

class CardPlaces:
    intcsr: int
    outbound_status: int
    outbound_mask: int

class Card:
    watch: Watch
    channels: list[Walk]
    at: CardPlaces
    last: LastAccess
    news: bool
    inta_due: bool
    spent: int
    on: bool
    may_start: bool
    may_master: bool
    powered: bool
    rises: int
    command_offset: int
    command_known: int

class _Ffi:
    NULL: Mappings
    def new(self, kind: str) -> object: ...
    @overload
    def addressof(self, card: Card, field: str, index: int) -> Walk: ...
    @overload
    def addressof(self, card: Walk, field: str) -> Pointer: ...

class _Lib:
    WALK_FETCH: int
    WALK_MOVE: int
    WALK_RETIRE: int
    WALK_IDLE: int
    WALK_BUDGET: int
    WALK_DONE: int
    WALK_LATCH: int
    WALK_LOCAL: int
    WALK_BUS: int
    WALK_MODE: int
    WALK_ODD: int
    WALK_ENDLESS: int
    WORK_NONE: int
    WORK_MORE: int
    WORK_ASK: int
    CARD_INTA_DUE: int
    def walk_at(
        self, channel: Walk, state: int, next_: int, next_in_pci: bool, terminal_count_pending: bool, /
    ) -> None: ...
    def walk_with(
        self, channel: Walk, pci: int, upper: int, local_address: int, count: int, moved: int, pointer: int,
        size_word: int, size_word_in_pci: bool, chained: bool, writes_count: bool, /,
    ) -> None: ...  # fmt: skip
    def walk(self, channel: Walk, budget: int, /) -> int: ...
    def card_begin(self, card: Card, values: Values, line: Line | Mappings, /) -> None: ...
    def card_part(self, card: Card, /) -> Part: ...
    def card_command(self, card: Card, channel: int, written: int, /) -> bool: ...
    def card_work(self, card: Card, budget: int, /) -> int: ...

ffi: _Ffi
lib: _Lib
