# SPDX-License-Identifier: Apache-2.0
# What Python uses of the compiled module (walker.h).

from plx9x5x.plane._mappings import Mappings

class Walk:
    bus: Mappings
    local: Mappings
    price: int
    upper_register: int
    dac_chain: bool
    clear_count: bool
    count_to_pci: bool
    interrupt: bool
    state: int
    next: int
    next_in_pci: bool
    terminal_count_pending: bool
    last_bus_address: int
    pci: int
    upper: int
    local_address: int
    count: int
    moved: int
    pointer: int
    size_word: int
    size_word_in_pci: bool
    chained: bool
    writes_count: bool
    fetched: bool
    size: int
    stop: int

class _Ffi:
    def new(self, kind: str) -> Walk: ...

class _Lib:
    WALK_FETCH: int
    WALK_MOVE: int
    WALK_RETIRE: int
    WALK_BUDGET: int
    WALK_END: int
    WALK_LOCAL: int
    WALK_BUS: int
    WALK_TERMINAL_COUNT: int
    def walk_at(
        self, channel: Walk, state: int, next_: int, next_in_pci: bool, terminal_count_pending: bool, interrupt: bool,
        upper_register: int, last_bus_address: int, /,
    ) -> None: ...  # fmt: skip
    def walk_with(
        self, channel: Walk, pci: int, upper: int, local_address: int, count: int, moved: int, pointer: int,
        size_word: int, size_word_in_pci: bool, chained: bool, writes_count: bool, /,
    ) -> None: ...  # fmt: skip
    def walk(self, channel: Walk, budget: int) -> int: ...

ffi: _Ffi
lib: _Lib
