# SPDX-License-Identifier: Apache-2.0
"""What a loop in C is told by the card: it has to wait for time or an access as Python does, and must not spin."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from plx9x5x.board import Window, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.engine import TRANSACTION_COST, State
from plx9x5x.model.localbus import Sram
from plx9x5x.peripheral import LocalPins, Pin
from plx9x5x.plane import _serving
from plx9x5x.plane.choice import Plane
from plx9x5x.plane.line import NativeLine
from plx9x5x.ports import ResetKind
from plx9x5x.regs.config import PCISR
from plx9x5x.regs.dma import DMADPR0
from plx9x5x.regs.intr import OPQIS
from plx9x5x.transport.loopback import CountingLine, Loopback
from plx9x5x.units import KIB, LocalAddr
from tests.model.bench import MODE
from tests.model.plane_worlds import CHAIN, PAGE, PAGES, RING, SRAM, World, ring

NONE, MORE, ASK = _serving.lib.WORK_NONE, _serving.lib.WORK_MORE, _serving.lib.WORK_ASK
BUDGET = 64 * 1024


def world_of(line: NativeLine | CountingLine | None = None) -> World:
    return World(Plane.NATIVE, price=None, line=line)


def work(world: World) -> int:
    """What the loop does between messages."""
    part = world.chip.part
    assert part is not None
    return int(part.pointer.work(part.pointer, BUDGET))


def failed(world: World) -> None:
    world.block(0, 0x03, 0x7000_0000, SRAM, 16, 0)
    world.chip.step(BUDGET)
    assert world.chip.channels[0].state is State.FAILED


def held(world: World) -> None:
    world.chip.config_write(4, 2, 3)
    world.block(0, 0x03, PAGES, SRAM, 16, 0)
    assert not world.chip.step(BUDGET)


def paused(world: World) -> None:
    ring(world, (PAGES, SRAM, 256, 0), circle=True)
    work(world)
    world.command(0, 0)
    assert not world.chip.step(BUDGET)


def polling(world: World) -> None:
    world.put(0, True, (0, PAGES, SRAM, RING | 1, 0))
    world.chain(0, 0x10_0003 | CHAIN, RING | 1)
    world.chip.step(BUDGET)
    assert world.chip.channels[0].state is State.POLL


def starved(world: World) -> None:
    world.chip.local_side.demand(0, lambda: 0)
    world.block(0, 0x1003, PAGES, SRAM, 16, 0)
    assert not world.chip.step(BUDGET)


def idle(world: World) -> None:
    assert not world.chip.step(BUDGET)


@pytest.mark.parametrize("bring", [idle, failed, held, paused, polling, starved], ids=lambda case: case.__name__)
def test_a_channel_that_waits_for_others_gives_the_loop_nothing_to_do(bring: Callable[[World], None]) -> None:
    world = world_of()
    bring(world)
    assert [work(world) for _ in range(3)] == [NONE] * 3


def test_a_circle_has_more_to_do() -> None:
    world = world_of()
    ring(world, (PAGES, SRAM, 256, 0), circle=True)
    assert work(world) == MORE


def test_what_c_cannot_do_is_asked_for() -> None:
    world = world_of()
    ring(world, (PAGES, SRAM, 256, 0), (0x7000_0000, SRAM, 16, 0))
    assert work(world) == ASK
    assert not world.chip.step(BUDGET)
    assert work(world) == NONE


def test_two_channels_are_asked_for() -> None:
    world = world_of()
    ring(world, (PAGES, SRAM, 256, 0), circle=True)
    world.block(1, 0x03, PAGES + PAGE, SRAM + PAGE, 16, 0)
    assert work(world) == ASK


def test_an_interrupt_is_driven_at_once_where_the_line_is_in_c() -> None:
    line = NativeLine()
    world = world_of(line)
    world.chip.write(0, 0x68, 4, 0x4_0900)
    world.block(0, 0x2_0403, PAGES, SRAM, 16, 0)
    assert (work(world), line.level) == (NONE, True)
    world.command(0, 9)
    assert not line.level


def test_an_interrupt_is_asked_for_where_the_line_is_pythons() -> None:
    line = CountingLine()
    world = world_of(line)
    world.chip.write(0, 0x68, 4, 0x4_0900)
    world.block(0, 0x2_0403, PAGES, SRAM, 16, 0)
    assert (work(world), line.level) == (ASK, False)
    world.chip.step(BUDGET)
    assert (work(world), line.level) == (NONE, True)


def test_start_is_the_references_while_software_reset_is_held() -> None:
    world = world_of()
    world.chip.write(0, 0x6C, 4, world.chip.read(0, 0x6C, 4) | 1 << 30)
    world.command(0, 3)
    assert world.chip.channels[0].state is State.IDLE
    assert world.chip.read(0, 0xA8, 1) == 0x11


def test_a_new_board_has_its_own_memory() -> None:
    """START before anybody told C of the board's memory goes the long way."""
    world = world_of()
    world.block(0, 0x03, PAGES, SRAM, 16, 0)
    world.settle()
    world.chip.reset(ResetKind.POWER_ON)
    world.chip.config_write(4, 2, 7)
    page = world.chip.pages[0]
    for offset, value in ((MODE, 0x03), (0x84, PAGES), (0x88, SRAM), (0x8C, 16), (0x90, 0)):
        world.reg(0, offset, value)
    assert page.write(0xA8, b"\x03") is False
    world.command(0, 3)
    world.settle()
    assert world.chip.local_bus.read(SRAM, 16) == bytes(world.stores[PAGES][:16])
    assert page.write(0xA8, b"\x03") is True


def test_a_write_of_a_bit_that_means_nothing_is_python_s() -> None:
    assert world_of().chip.pages[0].write(0xA8, b"\x20") is False


# -- guards, each by itself ------------------------------------------------------------------------


def latched(line: NativeLine, *, mode: int = 0x2_0403, intcsr: int = 0x4_0100) -> World:
    """A block has ended, its interrupt is latched."""
    world = world_of(line)
    world.chip.write(0, 0x68, 4, intcsr)
    world.block(0, mode, PAGES, SRAM, 16, 0)
    assert work(world) == NONE or not world.chip.step(BUDGET)
    assert world.chip.channels[0].interrupt
    return world


@pytest.mark.parametrize(
    ("enable", "raises"),
    [
        (0x200, lambda world: world.chip.local_side.write_register(0x64, 1)),
        (0x800, lambda world: world.chip.local_side.drive_linti(True)),
        (0x400, lambda world: world.chip.config.set_bits(PCISR, PCISR.received_master_abort.mask, to=True)),
        (0, lambda world: world.chip.registers.set_bits(OPQIS, OPQIS.not_empty.mask, to=True)),
    ],
    ids=["doorbell", "LINTi#", "abort", "outbound queue"],
)
def test_inta_stays_up_for_another_source_when_c_takes_back_a_channels(
    enable: int, raises: Callable[[World], None]
) -> None:
    line = NativeLine()
    world = latched(line, intcsr=0x4_0100 | enable)
    world.chip.write(0, 0x34, 4, 0)  # OPQIM keeps the outbound queue from interrupting until software says otherwise
    raises(world)
    world.chip.interrupts_changed()
    page = world.chip.pages[0]
    assert page.write(0xA8, b"\x09")
    assert line.level
    world.chip.write(0, 0x68, 4, 0x4_0100)
    assert line.level is (enable == 0)
    world.chip.write(0, 0x34, 4, 8)  # OPQIM
    assert not line.level


def test_inta_in_c_needs_the_enables_that_it_needs_in_python() -> None:
    for intcsr, mode, level in ((0x4_0100, 0x2_0403, True), (0x100, 0x2_0403, False), (0x4_0000, 0x2_0403, False)):
        line = NativeLine()
        latched(line, intcsr=intcsr, mode=mode)
        assert line.level is level


def test_a_chip_without_power_drives_nothing() -> None:
    line = NativeLine()
    world = world_of(line)
    world.chip.write(0, 0x68, 4, 0x4_0100)
    world.block(0, 0x2_0403, PAGES, SRAM, 16, 0)
    native = world.chip._native
    assert native is not None
    native.arrange(on=True, may_master=True, powered=False)
    assert work(world) == NONE
    assert world.chip.channels[0].interrupt
    assert not line.level


def test_an_acknowledgement_that_linto_follows_is_the_references() -> None:
    levels: list[bool] = []
    world = latched(NativeLine(), mode=0x403, intcsr=0x5_0100)
    world.chip.local_side.watch(Pin.LINTO, levels.append)
    assert world.chip.pages[0].write(0xA8, b"\x09") is False
    world.command(0, 9)
    assert levels == [True, False]


def test_what_c_has_used_of_a_budget_is_used() -> None:
    """The second of two terminal counts finds the latch set, the first goes the long way in the middle of a step."""
    seen = []
    for plane in Plane:
        world = World(plane)
        world.chip.write(0, 0x68, 4, 0x5_0100)
        ring(world, *[(PAGES, SRAM, 16, 4)] * 6, circle=True)
        world.chip.step(11 * TRANSACTION_COST)
        seen.append((world.chip.registers[DMADPR0], world.chip.last_bus_address, world.chip.channels[0].state))
    assert seen[0] == seen[1]


def test_a_channel_that_moves_in_c_can_go_on_now_and_stays_there() -> None:
    world = world_of()
    ring(world, (PAGES, SRAM, 256, 0), circle=True)
    assert world.chip.wait_ns() == 0
    assert work(world) == MORE
    assert world.chip.wait_ns() == 0
    assert work(world) == MORE


def test_a_bus_that_may_watch_has_its_transfers_begun_by_the_reference() -> None:
    class Watcher:
        may_watch = True

        def __init__(self, memory: Any) -> None:
            self.mappings, self.read_into, self.write_from = memory.mappings, memory.read_into, memory.write_from

    world = World(Plane.NATIVE, price=None, wrap=Watcher)
    world.block(0, 0x03, PAGES, SRAM, 16, 0)
    world.settle()
    assert world.chip.read(0, 0xA8, 1) == 0x11
    assert world.chip.pages[0].write(0xA8, b"\x03") is False


@pytest.mark.parametrize("how", ["power-on", "software"])
def test_a_reset_in_the_middle_of_a_transfer_forgets_it(how: str) -> None:
    world = world_of()
    ring(world, (PAGES, SRAM, 256, 0), circle=True)
    assert work(world) == MORE
    if how == "software":
        cntrl = world.chip.read(0, 0x6C, 4)
        for value in (cntrl | 1 << 30, cntrl & ~(1 << 30)):
            world.chip.write(0, 0x6C, 4, value)
    else:
        world.chip.reset(ResetKind.POWER_ON)
        world.chip.config_write(4, 2, 7)
    assert world.chip.last_bus_address == 0
    assert work(world) == NONE
    world.block(0, 0x03, PAGES, SRAM, 16, 0)
    assert work(world) == NONE
    assert world.chip.read(0, 0xA8, 1) == 0x11


class Firmware:
    """A peripheral whose first act, when it is built, is to stop the card's channels."""

    size = PAGE

    def plug(self, pins: LocalPins) -> None:
        pins.write_register(0xA8, 0)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        pass

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


def test_a_board_that_commands_a_channel_while_it_is_built_leaves_c_no_memory_of_the_old_one() -> None:
    windows = (
        Window("sram", LocalAddr(0), lambda: Sram(64 * KIB)),
        Window("firmware", LocalAddr(0x2_0000), Firmware),
    )
    board = replace(load_board("rdk-9656-lite"), windows=windows)
    host = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq), plane=Plane.NATIVE)
    host.ram(PAGES, PAGE, fill=0x5A)
    chip = host.device
    chip.reset(ResetKind.POWER_ON)
    chip.config_write(4, 2, 7)
    for offset, value in ((MODE, 0x03), (0x84, PAGES), (0x88, SRAM), (0x8C, 16), (0x90, 0)):
        chip.write(0, offset, 4, value)
    chip.write(0, 0xA8, 1, 3)
    host.run()
    assert chip.local_bus.read(SRAM, 16) == b"\x5a" * 16


def test_a_handler_that_starts_the_next_transfer_in_the_middle_of_a_step_is_gone_on_with() -> None:
    class Handler:
        """INTA#, and a driver that acknowledges and starts again as soon as it rises."""

        level = False
        rises = 0

        def set(self, level: bool) -> None:
            self.level = level
            if level:
                self.rises += 1
                world.command(0, 9)
                if self.rises < 4:
                    world.command(0, 3)

    seen = []
    for plane in Plane:
        line = Handler()
        world = World(plane, price=None, line=line)
        world.chip.write(0, 0x68, 4, 0x4_0900)
        world.block(0, 0x2_0403, PAGES, SRAM, 16, 0)
        world.settle()
        seen.append((line.rises, world.chip.read(0, 0xA8, 1)))
    assert seen == [(4, 0x11)] * 2


def test_the_next_poll_after_a_start_in_c_comes_as_soon_as_after_any() -> None:
    seen = []
    for plane in Plane:
        world = World(plane)
        channel = world.chip.channels[0]
        channel._poll_ns = 2_000_000  # a ring that nobody filled for long
        world.put(0, True, (0, PAGES, SRAM, RING | 1, 0))
        world.chain(0, 0x03 | CHAIN, RING | 1)
        world.reg(0, MODE, 0x10_0003 | CHAIN)
        world.chip.step(1)
        assert channel.state is State.POLL
        seen.append(world.chip.wait_ns())
    assert seen[0] == seen[1]
    assert seen[0] is not None
    assert seen[0] <= 100_000


def test_c_asks_for_the_bus_no_more_once_it_may_not() -> None:
    world = world_of()
    ring(world, (PAGES, SRAM, 256, 0), circle=True)
    assert work(world) == MORE
    world.chip.config_write(4, 2, 3)
    at = world.chip.last_bus_address
    assert work(world) == NONE
    assert world.chip.last_bus_address == at
    native = world.chip._native
    assert native is not None
    world.chip.config_write(4, 2, 7)
    assert world.chip.step(BUDGET)
    ring(world, (PAGES, SRAM, 256, 0), circle=True)
    native.card.may_master = False
    world.command(1, 0)
    assert work(world) in (NONE, ASK)


@pytest.mark.parametrize("which", ["page", "part"])
def test_whoever_has_a_page_or_the_part_keeps_alive_what_it_points_to(which: str) -> None:
    world = world_of()
    native = weakref.ref(world.chip._native)
    kept: object = world.chip.pages[0] if which == "page" else world.chip.part
    del world
    gc.collect()
    assert native() is not None
    del kept
    gc.collect()
    assert native() is None
