# SPDX-License-Identifier: Apache-2.0
"""Each rule by a wrong sequence that it names and a right one beside it that nothing is said of, on both planes.

The file is long because every rule has its two sequences here, and a table that a test holds to the catalogue.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from plx9x5x.board import load_board
from plx9x5x.errors import BusAbort, TargetAbort
from plx9x5x.events import Purpose
from plx9x5x.findings.finding import Finding, Who
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.plane.choice import Plane
from plx9x5x.plane.line import NativeLine
from plx9x5x.ports import ResetKind
from plx9x5x.rules import page
from plx9x5x.rules.catalog import RULES
from plx9x5x.rules.room import Room
from plx9x5x.transport.guest_memory import WRITE_ONLY, FarFault, Unreachable
from plx9x5x.transport.loopback import Loopback
from plx9x5x.transport.native_memory import NativeGuestMemory
from plx9x5x.transport.refusals import TurnedAway
from plx9x5x.units import KIB, MIB, BusAddr
from plx9x5x.witness import rules as witness

RAM = 0x100_0000
MODE, PADR, LADR, SIZ, DPR, CSR = 0x80, 0x84, 0x88, 0x8C, 0x90, 0xA8
INTCSR, CNTRL, P2LDBELL, MBOX0, MBOX1 = 0x68, 0x6C, 0x60, 0x78, 0x7C
BLOCK, CHAIN, DONE_INTERRUPT, TO_INTA = 0x43, 0x243, 1 << 10, 1 << 17
IN_PCI, LAST, TO_PCI = 1, 2, 8
SPINS = 5000
"""Reads that are more than any rule allows."""
DOCS = Path(__file__).parents[3] / "docs/findings.md"


class Card:
    """A board, its host, 2 MiB of guest memory, and what was said and kept."""

    def __init__(self, plane: Plane, board: str = "rdk-9656-lite", *, thorough: bool = False) -> None:
        self.said: list[str] = []
        self.kept: list[dict[str, object]] = []
        self.room = Room(self.said.append, keep=self.kept.append)
        self.host = Loopback(
            lambda bus, irq: Chip(load_board(board), bus=bus, irq=irq, trace=self.room, thorough=thorough), plane=plane
        )
        self.chip = self.host.device
        self.ram = self.host.ram(RAM, 2 * MIB)

    def write(self, offset: int, value: int, width: int = 4) -> None:
        self.chip.write(0, offset, width, value)

    def read(self, offset: int, width: int = 4) -> int:
        return self.chip.read(0, offset, width)

    def command(self, value: int, channel: int = 0) -> None:
        self.write(CSR + channel, value, 1)

    def config(self, offset: int, value: int, width: int = 2) -> None:
        self.chip.config_write(offset, width, value)

    def block(self, *, pci: int = RAM, local: int = 0, size: int = 64, flags: int = 0, mode: int = BLOCK) -> None:
        for offset, value in ((MODE, mode), (PADR, pci), (LADR, local), (SIZ, size), (DPR, flags)):
            self.write(offset, value)
        self.command(3)

    def descriptor(self, at: int, pci: int, size: int, pointer: int) -> None:
        raw = struct.pack("<4I", pci, 0, size, pointer)
        self.ram.bytes[at - RAM : at - RAM + 16] = raw

    def chain(self, at: int, *, flags: int = IN_PCI, mode: int = CHAIN) -> None:
        self.write(MODE, mode)
        self.write(DPR, at | flags)
        self.command(3)

    def run(self, steps: int = 8) -> None:
        for _ in range(steps):
            self.chip.step(256 * KIB)

    @property
    def findings(self) -> dict[str, Finding]:
        return {it.rule: it for it in self.room.findings}


Play = Callable[[Card], None]


@dataclass(frozen=True)
class Case:
    """What is wrong, what is right beside it, and words that the finding has to have."""

    wrong: Play
    right: Play
    words: tuple[str, ...] = ()
    board: str = "rdk-9656-lite"
    thorough: bool = False


def _polls(card: Card, times: int = 5000) -> None:
    for _ in range(times):
        card.read(CSR, 1)


def _mailbox(times: int) -> Play:
    def play(card: Card) -> None:
        card.write(MBOX0, 1)
        card.write(MBOX1, 0xBEEF)
        for _ in range(times):
            card.read(MBOX1)

    return play


def _start_alone(card: Card) -> None:
    card.command(1)
    card.command(2)


def _twice(card: Card) -> None:
    card.block(size=32 * KIB)
    card.command(3)
    card.run()


def _resume(card: Card) -> None:
    card.block(size=32 * KIB)
    card.command(0)
    card.command(3)
    card.run()


def _reprogram(*, at_once: bool) -> Play:
    def play(card: Card) -> None:
        card.block(size=32 * KIB)
        if not at_once:
            card.run()
        card.write(MODE, BLOCK | DONE_INTERRUPT)
        card.write(PADR, RAM)
        card.write(SIZ, 16)
        card.run()

    return play


def _abort(card: Card, *, enabled: bool) -> None:
    card.block(size=32 * KIB)
    card.command(5 if enabled else 0)
    card.command(4)
    card.run()


def _block(**changes: int) -> Play:
    def play(card: Card) -> None:
        card.block(**changes)
        card.run()

    return play


def _circle(*, size: int) -> Play:
    def play(card: Card) -> None:
        card.descriptor(RAM + 0x100, RAM, size, (RAM + 0x100) | IN_PCI)
        card.chain(RAM + 0x100)
        for _ in range(200):
            card.run()
        card.command(0)
        card.command(4)

    return play


def _one_descriptor(*, flags: int) -> Play:
    def play(card: Card) -> None:
        card.descriptor(RAM + 0x100, RAM, 64, LAST)
        card.chain(RAM + 0x100, flags=flags)
        card.run()

    return play


def _rewritten(*, word: int) -> Play:
    def play(card: Card) -> None:
        card.descriptor(RAM + 0x100, RAM, 64 * KIB, (RAM + 0x200) | IN_PCI)
        card.descriptor(RAM + 0x200, RAM, 64, LAST | IN_PCI)
        card.chain(RAM + 0x100)
        card.chip.step(1)
        card.ram.bytes[0x100 + 4 * word] ^= 0x10
        card.run()

    return play


def ring(*, looks: bool = False, flags: int = TO_PCI, mode: int = CHAIN) -> Play:
    def play(card: Card) -> None:
        for at in (0x100, 0x200):
            card.descriptor(RAM + at, RAM + 0x1000, 64, (RAM + (0x300 - at)) | IN_PCI | flags)
        card.chain(RAM + 0x100, flags=IN_PCI | flags, mode=mode)
        for _ in range(12):
            card.chip.step(8 * KIB)
            if looks:
                card.read(PADR)

    return play


def _aborted(abort: BusAbort) -> Play:
    """A transfer that ends so."""

    def play(card: Card) -> None:
        card.block(pci=RAM)
        card.chip.bus_error(0, abort, Purpose.DATA)

    return play


def _unmapped(card: Card) -> None:
    card.host.memory.unmap(RAM, 4 * KIB)
    card.block(pci=RAM)
    card.run()


def _remapped(card: Card) -> None:
    card.host.memory.unmap(RAM, 4 * KIB)
    card.host.memory.map(RAM, 4 * KIB, memoryview(bytearray(4 * KIB)), writable=True)
    card.block(pci=RAM)
    card.run()


def _master(*commands: int) -> Play:
    def play(card: Card) -> None:
        for value in commands:
            card.config(4, value)
        card.block()
        card.run()

    return play


def _never_master(card: Card) -> None:
    card.chip.reset(ResetKind.LOST_CLIENT)
    card.config(4, 3)
    card.block()


def _after_reset(*, master: bool) -> Play:
    def play(card: Card) -> None:
        card.chip.reset(ResetKind.POWER_ON)
        card.config(4, 7 if master else 3)
        card.block()
        card.run()

    return play


def _power(state: int, *, busy: bool = False) -> Play:
    def play(card: Card) -> None:
        if busy:
            card.block(size=32 * KIB)
        card.config(0x44, state)
        if not busy:
            card.command(3)

    return play


def _held_reset(card: Card) -> None:
    card.write(CNTRL, 0x400F_767E)
    card.block()


def _dropped(*, stops: bool) -> Play:
    def play(card: Card) -> None:
        card.descriptor(RAM + 0x100, RAM, 64 * KIB, LAST | IN_PCI)
        card.chain(RAM + 0x100)
        card.chip.step(1)
        if stops:
            card.command(0)
            card.command(4)
        card.config(4, 3)

    return play


def _soft_reset(*, stops: bool) -> Play:
    def play(card: Card) -> None:
        card.block(size=32 * KIB)
        if stops:
            card.run()
        card.write(CNTRL, 0x400F_767E)

    return play


def _interrupt(*, acknowledged: bool) -> Play:
    def play(card: Card) -> None:
        card.write(INTCSR, 0x0004_0100)
        card.block(mode=BLOCK | DONE_INTERRUPT | TO_INTA)
        card.run()
        for turn in range(2100):
            card.read(INTCSR)
            if acknowledged and turn == 1000:
                card.command(0x09)

    return play


def _delivered(times: int) -> Play:
    def play(card: Card) -> None:
        card.write(INTCSR, 0x0004_0100)
        card.block(mode=BLOCK | DONE_INTERRUPT | TO_INTA)
        card.run()
        card.host.line.sent = times
        card.chip.summarise()

    return play


def _latched(*, gates: bool) -> Play:
    def play(card: Card) -> None:
        card.write(INTCSR, 0x0004_0100 if gates else 0)
        card.block(mode=BLOCK | DONE_INTERRUPT | (TO_INTA if gates else 0))
        card.run()
        card.chip.summarise()

    return play


def _polled(*, pci: int) -> Play:
    def play(card: Card) -> None:
        card.block(pci=pci)
        if pci != RAM:
            card.run()
        _polls(card)
        card.run()

    return play


def _missing(*, value: int) -> Play:
    def play(card: Card) -> None:
        card.write(0xB4, value)
        card.read(0xB4)
        card.write(0x1F0, 1)

    return play


def _window(*values: int) -> Play:
    def play(card: Card) -> None:
        for value in values:
            card.write(0x04, value)
        card.chip.read(2, 0, 4)

    return play


def _decode(*commands: int) -> Play:
    def play(card: Card) -> None:
        for command in commands:
            card.config(4, command)
        card.write(INTCSR, 0x100)
        card.config(4, 0)
        card.read(INTCSR)

    return play


def _doorbell(*, twice: bool) -> Play:
    def play(card: Card) -> None:
        card.write(P2LDBELL, 1)
        card.write(P2LDBELL, 1 if twice else 2)

    return play


def _eeprom(*bits: int, listens: int) -> Play:
    """Select, a start bit, the command's bits, and CS falls; then poll as after a write."""

    def play(card: Card) -> None:
        base = 0x000F_767E | listens << 31
        for bit in (1, *bits):
            card.write(CNTRL, base | 1 << 25 | bit << 26)
            card.write(CNTRL, base | 1 << 25 | 1 << 24 | bit << 26)
        card.write(CNTRL, base)
        card.write(CNTRL, base | 1 << 25)
        for _ in range(100):
            card.read(CNTRL)

    return play


def _bits(value: int, count: int) -> tuple[int, ...]:
    return tuple(value >> at & 1 for at in reversed(range(count)))


EWEN = _bits(0b00_1100_0000, 10)
WRITE = (*_bits(0b01_0011_0000, 10), *_bits(0x1234, 16))


def _vpd(address: int) -> Play:
    def play(card: Card) -> None:
        card.config(0x50, 0x1234_5678, 4)
        card.config(0x4E, 0x8000 | address)

    return play


def _queue_without_memory(card: Card) -> None:
    card.write(0xC4, 0x4000_0000)
    card.write(0xC0, 3)
    card.write(0xE8, 1)
    card.write(0xC8, 0x4000_0004)
    card.read(0x40)


def _queue(card: Card) -> None:
    card.write(0xC4, 0)
    card.write(0xC0, 3)


def _far_bar(card: Card) -> None:
    card.write(0x00, 0xFF00_0000)
    card.chip.read(2, 0x10_0000, 4)


HERE = BusAddr(RAM)
CASES: dict[str, Case] = {
    "start-without-enable": Case(_start_alone, _block(), ("0x02 written", "0x03")),
    "start-while-busy": Case(_twice, _resume, ("DONE",)),
    "rewritten-while-busy": Case(_reprogram(at_once=True), _reprogram(at_once=False), ("DMASIZ0", "0x8000 -> 0x10")),
    "abort-while-enabled": Case(
        lambda card: _abort(card, enabled=True), lambda card: _abort(card, enabled=False), ("ENABLE",)
    ),
    "no-demand": Case(_block(mode=BLOCK | 1 << 12), _block(), ("DMAMODE0", "bit 12", "DREQ#")),
    "size-zero": Case(_block(size=0), _block(size=1), ("size 0",)),
    "endless-chain": Case(_circle(size=0), _circle(size=1), ("4096 descriptors",)),
    "local-address": Case(
        _block(size=0x10_0000, flags=TO_PCI), _block(size=64 * KIB, flags=TO_PCI),
        ("channel 0", "0x100000 bytes from local address 0x0 run past", "ends at 0x1ffff", "DMASIZ0 0x100000"),
    ),
    "descriptor-in-local-memory": Case(
        _one_descriptor(flags=0), _one_descriptor(flags=IN_PCI), ("was DMADPR bit 0", "meant?")
    ),
    "descriptor-changed": Case(_rewritten(word=2), _rewritten(word=3), ("0x1000100",), thorough=True),
    "ring-overrun": Case(ring(), ring(looks=True), ("0x1000100", "times round"), thorough=True),
    "unmapped-address": Case(
        _block(pci=0x7000), _block(), ("at 0x7000", "nothing is mapped", "DMAPADR0 0x7000", "0x1000000-0x11fffff")
    ),
    "address-taken-back": Case(_unmapped, _remapped, ("it was mapped, and is not any more",)),
    "read-only-address": Case(_aborted(TargetAbort(HERE, moved=0)), _block(), ("read-only", "DMA_FROM_DEVICE")),
    "memory-not-shared": Case(_aborted(Unreachable(HERE, moved=0)), _block(), ("share=on",)),
    "memory-gone": Case(_aborted(FarFault(HERE, moved=0, reason="truncated")), _block(), ("truncated",)),
    "write-only-address": Case(_aborted(FarFault(HERE, moved=0, reason=WRITE_ONLY)), _block(), ("DMA_TO_DEVICE",)),
    "mapping-refused": Case(_aborted(TurnedAway(HERE, moved=0, why="no room")), _block(), ("no room", "wire")),
    "bus-master-never": Case(_never_master, _block(), ("pci_set_master()",)),
    "bus-master-reset": Case(_after_reset(master=False), _after_reset(master=True), ("pci_restore_state()",)),
    "bus-master-cleared": Case(_master(3), _master(3, 7), ("a write of PCICR took it back",)),
    "start-in-reset": Case(_held_reset, _block(), ("CNTRL bit 30",)),
    "bus-lost-while-busy": Case(_dropped(stops=False), _dropped(stops=True), ("in the middle",)),
    "running-at-reset": Case(_soft_reset(stops=False), _soft_reset(stops=True), ("software reset",)),
    "address-wraps": Case(
        _block(pci=0xFFFF_F000, size=0x1004), _block(pci=RAM, size=0x1000), ("0x1004 bytes from bus address 0xfffff000",)
    ),
    "interrupt-not-acknowledged": Case(
        _interrupt(acknowledged=False), _interrupt(acknowledged=True), ("DMA channel 0", "DMACSR0 bit 3", "1024 reads")
    ),
    "interrupt-left": Case(_delivered(20), _delivered(3), ("delivered 20 times", "DMACSR0 bit 3")),
    "interrupt-kept-in": Case(_latched(gates=False), _latched(gates=True), ("INTCSR bit 8 is 0", "bit 17", "LINTo#")),
    "spinning": Case(_polled(pci=0x7000), _polled(pci=RAM), ("DMACSR0", "4096 times", "abort")),
    "nobody-answers": Case(_mailbox(5000), _mailbox(4000), ("MBOX1", "0xbeef")),
    "register-missing": Case(
        _missing(value=1), _missing(value=0), ("DMADAC0", "9054"), board="9080-401b"
    ),
    "window-closed": Case(_window(0x2000_0000), _window(0, 1), ("LAS0BA", "BAR2")),
    "decode-off": Case(_decode(0), _decode(0, 7), ("BAR0", "PCICR bit 1", "memory")),
    "window-empty": Case(
        _far_bar, lambda card: None, ("BAR2",)
    ),
    "local-side-lost": Case(_queue_without_memory, _queue, ("QBAR",)),
    "eeprom-not-sampled": Case(
        lambda card: (_eeprom(*EWEN, listens=1)(card), _eeprom(*WRITE, listens=0)(card))[0],
        _eeprom(*EWEN, listens=1), ("CNTRL bit 31",),
    ),
    "eeprom-not-written": Case(_vpd(0x10), _vpd(0x1F0), ("PROT_AREA",)),
    "doorbell-lost": Case(_doorbell(twice=True), _doorbell(twice=False), ("0x1",)),
}  # fmt: skip


@pytest.fixture(params=list(Plane), ids=lambda plane: plane.value)
def plane(request: pytest.FixtureRequest) -> Plane:
    found: Plane = request.param
    return found


def test_every_rule_has_a_case() -> None:
    of_chip = [rule for rule in RULES if rule not in witness.RULES]  # those have their cases in test_witness.py
    assert set(CASES) == {rule.name for rule in of_chip}
    assert all(CASES[rule.name].thorough is rule.thorough for rule in of_chip)


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_sequence_is_named(name: str, plane: Plane) -> None:
    case = CASES[name]
    card = Card(plane, case.board, thorough=case.thorough)
    case.wrong(card)
    assert name in card.findings, card.said
    line = str(card.findings[name])
    assert all(word in line for word in case.words), line
    assert len([it for it in card.said if it.endswith(f"({name})")]) == 1


@pytest.mark.parametrize("name", CASES)
def test_of_the_right_one_beside_it_nothing_is_said(name: str, plane: Plane) -> None:
    case = CASES[name]
    card = Card(plane, case.board, thorough=case.thorough)
    case.right(card)
    assert not card.findings, card.said


def _chip_as_a_server_has_it(said: list[str]) -> Chip:
    """C drives the line too."""
    memory = NativeGuestMemory()
    memory.map(RAM, 64 * KIB, memoryview(bytearray(64 * KIB)), writable=True)
    chip = Chip(load_board("rdk-9656-lite"), bus=memory, irq=NativeLine(), trace=Room(said.append))
    chip.config_write(4, 2, 7)
    return chip


def _asserts_inta(chip: Chip) -> None:
    """A block, and its interrupt."""
    chip.write(0, INTCSR, 4, 0x0004_0100)
    for offset, value in ((MODE, BLOCK | DONE_INTERRUPT | TO_INTA), (PADR, RAM), (LADR, 0), (SIZ, 64), (DPR, 0)):
        chip.write(0, offset, 4, value)
    chip.write(0, CSR, 1, 3)
    chip.step(256 * KIB)


def test_a_storm_is_named_where_c_drives_the_line_and_answers_the_handler() -> None:
    """F-02, as a server has it: a handler that reads the status, writes something else and never DMACSR bit 3."""
    said: list[str] = []
    chip = _chip_as_a_server_has_it(said)
    _asserts_inta(chip)
    for _ in range(600):
        chip.read(0, INTCSR, 4)
        chip.read(0, CSR, 1)
        chip.write(0, 0x78, 4, 1)
    assert [line for line in said if "DMACSR0 bit 3" in line and "1024 reads" in line] == said
    assert len(said) == 1


@pytest.mark.parametrize("paused", [True, False])
def test_an_interrupt_that_stays_for_a_second_is_named_if_somebody_looked_on(paused: bool) -> None:
    """A VM that is paused between two looks is not accused: it needs as many looks again."""
    clock, said = VirtualClock(), list[str]()
    host = Loopback(
        lambda bus, irq: Chip(load_board("rdk-9656-lite"), bus=bus, irq=irq, clock=clock, trace=Room(said.append)),
        clock=clock,
        plane=Plane.PYTHON,
    )
    host.ram(RAM, 64 * KIB)
    chip = host.device
    _asserts_inta(chip)
    for look in range(15 if paused else 16):
        clock.advance(2_000_000_000 if look == 8 else 0)
        chip.read(0, INTCSR, 4)
    assert [line for line in said if "after 16 reads" in line and "for more than a second" in line] == said
    assert bool(said) is not paused


def test_c_tells_python_of_an_interrupt_that_stays_for_a_second() -> None:
    said: list[str] = []
    chip = _chip_as_a_server_has_it(said)
    _asserts_inta(chip)
    for _ in range(8):
        chip.read(0, INTCSR, 4)
    chip._patience._counts.since_ns -= 1_000_000_000
    for _ in range(7):
        chip.read(0, INTCSR, 4)
    assert not said
    for _ in range(100):
        chip.read(0, INTCSR, 4)
    assert [line for line in said if "after 16 reads" in line and "for more than a second" in line] == said
    assert len(said) == 1


def test_both_planes_say_the_same() -> None:
    """Up to descriptors: C counts as the reference does."""
    for case in CASES.values():
        found = []
        for plane in Plane:
            card = Card(plane, case.board, thorough=case.thorough)
            case.wrong(card)
            card.chip.summarise()
            card.room.conclude()
            found.append(card.kept[-1:])
        assert [_timeless(it) for it in found[0]] == [_timeless(it) for it in found[1]]


def _timeless(kept: dict[str, object]) -> dict[str, object]:
    findings = kept["findings"]
    assert isinstance(findings, list)
    bare = [{key: value for key, value in it.items() if key not in ("first_s", "last_s", "count")} for it in findings]
    channels = kept["channels"]
    assert isinstance(channels, list)
    # A step does more descriptors in C, and what ends a chain without an end is the number of steps.
    fewer = [{key: value for key, value in it.items() if key != "descriptors"} for it in channels]
    return {**kept, "channels": fewer, "findings": bare}


def test_a_client_that_only_reads_configuration_space_hears_nothing(plane: Plane) -> None:
    """F-01: what QEMU does, held by -S: all of configuration space, BAR and ROM sizing."""
    card = Card(plane)
    for offset in range(0, 256, 4):
        card.chip.config_read(offset, 4)
    for offset in (*range(0x10, 0x28, 4), 0x30):
        before = card.chip.config_read(offset, 4)
        card.config(offset, 0xFFFF_FFFE if offset == 0x30 else 0xFFFF_FFFF, 4)
        card.config(offset, before, 4)
    card.config(4, 0x0407)
    card.chip.reset(ResetKind.LOST_CLIENT)
    assert not card.said
    assert [it["findings"] for it in card.kept] == [[]]


def test_a_good_run_is_summed_up_in_five_lines(plane: Plane) -> None:
    """F-04: transfers and bytes each way, interrupts raised and acknowledged, for each channel."""
    card = Card(plane)
    card.write(INTCSR, 0x0004_0100)
    for flags in (0, TO_PCI, TO_PCI):
        card.block(size=64, flags=flags, mode=BLOCK | DONE_INTERRUPT | TO_INTA)
        card.run()
        card.command(0x08)
    card.chip.reset(ResetKind.LOST_CLIENT)
    assert card.said == [
        "channel 0: 3 transfers, 128 bytes to PCI, 64 bytes to local, 3 interrupts, 3 acknowledged",
        "INTA# asserted 3 times",
        "findings: none",
    ]
    kept = card.kept[0]
    assert kept["findings"] == []
    card.chip.reset(ResetKind.LOST_CLIENT)
    assert [it["channels"] for it in card.kept[1:]] == [[]], "the next client did nothing"


def test_a_hostile_guest_neither_floods_the_log_nor_grows_anything(plane: Plane) -> None:
    card = Card(plane)
    for number in range(2000):
        card.block(pci=0x7000 + 64 * number)
        card.run(2)
        card.command(0)
        card.command(4)
        card.command(2)
        card.write(P2LDBELL, 1 << number % 32)
        card.chip.write(0, 0x1F0, 4, number)
    assert len(card.said) <= 4
    assert card.findings["unmapped-address"].count == 2000
    assert card.findings["unmapped-address"].who is Who.DRIVER


def test_what_was_said_of_one_client_is_said_of_the_next(plane: Plane) -> None:
    card = Card(plane)
    for _ in range(2):
        card.config(4, 7)
        card.block(size=0)
        card.run()
        card.chip.reset(ResetKind.LOST_CLIENT)
    assert len([it for it in card.said if it.endswith("(size-zero)")]) == 2


def test_the_page_is_made_from_the_rules() -> None:
    assert DOCS.read_text(encoding="utf-8") == page.markdown(RULES), "plx9x5x findings --markdown >docs/findings.md"


def test_one_rule_is_explained_with_wrong_and_right_code() -> None:
    lines = list(page.explain(replace(RULES[0], thorough=True)))
    assert lines[0].startswith(RULES[0].name)
    assert "needs: serve --findings all" in lines
    assert lines.index("wrong:") < lines.index("right:")
