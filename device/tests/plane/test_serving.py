# SPDX-License-Identifier: Apache-2.0
"""Pages of plain registers: C answers what Python would have, and nothing else."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.plane.choice import Plane
from plx9x5x.plane.serving import RegisterPage, RegisterPages
from plx9x5x.ports import BusMaster, IrqLine, ResetKind
from plx9x5x.regs import config as cfg
from plx9x5x.regs import dma, intr, local
from plx9x5x.regs.kernel import Access, Register, RegisterFile, Write, bit, bits
from plx9x5x.transport.loopback import Loopback
from tests.length import tries
from tests.model.bench import Trace

SRC = "test"
WINDOW = 0x40
BOARDS = ("9080-401b", "rdk-9054-lite", "rdk-9056-lite", "rdk-9656-lite", "pex-8311-rdk")


class PLAIN(Register, offset=0x00, source=SRC):
    value = bits(31, 0, Access.RW, reset=5, doc="")


class PARTLY(Register, offset=0x04, source=SRC, aliases=(0x30,)):
    stored = bits(7, 0, Access.RW, doc="")
    fixed = bits(15, 8, Access.RO, reset=9, doc="")


class STICKY(Register, offset=0x08, source=SRC):
    flag = bit(0, Access.W1C, doc="")


class WATCHED(Register, offset=0x0C, source=SRC):
    value = bits(31, 0, Access.RW, doc="")


class ASKED(Register, offset=0x10, source=SRC):
    value = bits(31, 0, Access.RW, doc="")


class NARROW(Register, offset=0x14, width=8, source=SRC):
    value = bits(7, 0, Access.RW, doc="")


class HEEDED(Register, offset=0x18, source=SRC):
    value = bits(31, 0, Access.RW, doc="")


TABLE = (PLAIN, PARTLY, STICKY, WATCHED, ASKED, NARROW, HEEDED)
HEED = 0xF0
"""The bits of HEEDED whose change its hook is told of."""


class Client:
    """A client of a register file: by the page first, if there is one, as the transport does it."""

    def __init__(self, *, native: bool) -> None:
        self.told: list[object] = []
        pages = RegisterPages(WINDOW) if native else None
        self.regs = RegisterFile(
            TABLE,
            on_write={WATCHED: self.told.append, HEEDED: self.told.append},
            watched={HEEDED: HEED},
            on_read={ASKED: lambda value: value ^ 0xFF},
            on_unknown=lambda *what: self.told.append(what),
            storage=pages.values if pages else None,
        )
        self.pages = pages
        self.page = pages.page(WINDOW) if pages else None
        self.show()
        if self.page:
            self.page.open(True)

    def show(self) -> None:
        if self.pages:
            self.pages.show(self.regs.plain())

    def write(self, offset: int, width: int, data: int) -> bool:
        if self.page is not None and self.page.write(offset, data.to_bytes(width, "little")):
            return True
        self.regs.write(offset, width, data)
        return False

    def read(self, offset: int, width: int) -> int:
        found = None if self.page is None else self.page.read(offset, width)
        return self.regs.read(offset, width) if found is None else int.from_bytes(found, "little")


ACCESSES = st.one_of(
    st.tuples(st.just("write"), st.integers(0, WINDOW + 8), st.sampled_from((1, 2, 4, 4, 4, 8)), st.integers(0, 2**64)),
    st.tuples(st.just("read"), st.integers(0, WINDOW + 8), st.sampled_from((1, 2, 4, 4, 8)), st.just(0)),
    st.tuples(st.just("chip"), st.integers(0, len(TABLE) - 1), st.just(0), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("move"), st.sampled_from((0, 4, 0x10)), st.just(0), st.sampled_from((0, 4, 0x0C, 0x10))),
)


@settings(max_examples=tries(35, 100), deadline=None)
@given(st.lists(ACCESSES, max_size=40))
def test_a_page_and_python_cannot_be_told_apart(accesses: list[tuple[str, int, int, int]]) -> None:
    native, reference = Client(native=True), Client(native=False)
    for what, at, width, data in accesses:
        for client in (native, reference):
            if what == "write":
                client.write(at, width, data & (1 << 8 * width) - 1)
            elif what == "chip":
                client.regs[TABLE[at]] = data
            elif what == "move":
                client.regs.moved[at] = data
                client.show()
        if what == "read":
            assert native.read(at, width) == reference.read(at, width)
    assert {reg: native.regs[reg] for reg in TABLE} == {reg: reference.regs[reg] for reg in TABLE}
    assert native.told == reference.told


@pytest.mark.parametrize(
    ("offset", "width", "data", "plain"),
    [
        (0x00, 4, 7, True),
        (0x30, 4, 7, True),
        (0x04, 4, 0x1_0000, False),  # a bit that means nothing is news
        (0x08, 4, 1, False),
        (0x0C, 4, 7, False),
        (0x10, 4, 7, True),  # its read has a hook, its write has none
        (0x14, 4, 7, False),
        (0x18, 4, 0xFFFF_FF0F, True),  # its hook minds other bits
        (0x18, 4, 0x10, False),
        (0x00, 2, 7, False),
        (0x02, 4, 7, False),
        (0x3C, 8, 7, False),
        (WINDOW, 4, 7, False),
    ],
)
def test_what_a_page_takes(offset: int, width: int, data: int, plain: bool) -> None:
    assert Client(native=True).write(offset, width, data) is plain


def test_a_closed_page_takes_nothing() -> None:
    client = Client(native=True)
    assert client.page is not None
    client.page.open(False)
    assert client.page.read(0, 4) is None
    assert client.page.write(0, bytes(4)) is False
    assert client.regs[PLAIN] == 5


@pytest.mark.parametrize("offset", [-4, -1, 2**31, 2**63 - 4])
def test_an_offset_that_is_no_place_is_not_the_pages(offset: int) -> None:
    client = Client(native=True)
    assert client.page is not None
    assert client.page.read(offset, 4) is None


def chip_with_pages(board: str, trace: Trace | None = None) -> Chip:
    made = load_board(board)

    def make(bus: BusMaster, irq: IrqLine) -> Chip:
        return Chip(made, bus=bus, irq=irq, trace=trace)

    return Loopback(make, plane=Plane.NATIVE).device


def answers(page: RegisterPage, offset: int = 0x84) -> bool:
    return page.read(offset, 4) is not None


@pytest.mark.parametrize("board", BOARDS)
def test_the_chips_pages_are_those_of_its_registers(board: str) -> None:
    chip = chip_with_pages(board)
    assert set(chip.pages) == {0, 1}
    for bar, size in ((0, chip.profile.register_window), (1, 0x100)):
        for offset in range(0, size, 4):
            found = chip.pages[bar].read(offset, 4)
            assert found is None or int.from_bytes(found, "little") == chip.registers.read(offset, 4)
        assert chip.pages[bar].read(size, 4) is None
    assert answers(chip.pages[0], dma.CHANNELS[0].pci_address.offset)
    assert not answers(chip.pages[0], dma.CHANNELS[0].command.offset & ~3)


CLOSING: list[tuple[str, Callable[[Chip], None], Callable[[Chip], None]]] = [
    ("memory off", lambda c: c.config_write(4, 2, 1), lambda c: c.config_write(4, 2, 7)),
    ("D3hot", lambda c: c.config_write(cfg.PMCSR.offset, 2, 3), lambda c: c.config_write(cfg.PMCSR.offset, 2, 0)),
]


@pytest.mark.parametrize(("close", "again"), [pair[1:] for pair in CLOSING], ids=[pair[0] for pair in CLOSING])
def test_a_page_is_closed_while_its_bar_does_not_decode(
    close: Callable[[Chip], None], again: Callable[[Chip], None]
) -> None:
    chip = chip_with_pages("rdk-9656-lite")
    assert answers(chip.pages[0])
    close(chip)
    assert not answers(chip.pages[0])
    again(chip)
    chip.config_write(4, 2, 7)  # waking up is a power-on reset
    assert answers(chip.pages[0])


def test_the_io_page_follows_its_own_enable() -> None:
    chip = chip_with_pages("rdk-9656-lite")
    chip.config_write(4, 2, 6)
    assert (answers(chip.pages[0]), answers(chip.pages[1])) == (True, False)
    chip.write(0, local.LMISC1.offset, 1, 0)  # BAR1 shows no registers then
    chip.config_write(4, 2, 7)
    assert (answers(chip.pages[0]), answers(chip.pages[1])) == (True, False)


def test_a_traced_chip_answers_for_itself() -> None:
    chip = chip_with_pages("rdk-9656-lite", Trace())
    assert not answers(chip.pages[0])


def test_registers_that_trade_places_do_so_on_the_page() -> None:
    chip = chip_with_pages("rdk-9656-lite")
    names = dma.CHANNELS[0]
    page = chip.pages[0]
    page.write(names.size.offset, struct.pack("<I", 0x123))
    chip.write(0, names.mode.offset, 4, dma.DmaMode.valid_mode.mask)
    assert page.read(names.pci_address.offset, 4) == struct.pack("<I", 0x123)
    chip.reset(ResetKind.POWER_ON)
    chip.config_write(4, 2, 7)
    chip.write(0, intr.QSR.offset, 4, intr.QSR.i2o_enable.mask)
    assert page.read(intr.IQP.offset, 4) is None  # a read of the port takes a message


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("width", [1, 4])
def test_a_hook_is_told_of_changes_of_the_bits_that_it_minds_and_of_no_others(native: bool, width: int) -> None:
    client = Client(native=native)
    for data in (0x0F, 0x1F, 0x1E, 0x1E, 0x0E):
        client.write(0x18, width, data)
    assert [(write.old, write.new) for write in client.told if isinstance(write, Write)] == [(0x0F, 0x1F), (0x1E, 0x0E)]
    assert client.regs[HEEDED] == 0x0E


def test_the_write_hook_still_tells_old_and_new() -> None:
    client = Client(native=True)
    client.write(0x0C, 4, 3)
    client.write(0x0C, 4, 4)
    assert client.told == [Write(0, 3, 3, 0xFFFF_FFFF), Write(3, 4, 4, 0xFFFF_FFFF)]
