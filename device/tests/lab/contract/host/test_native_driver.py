# SPDX-License-Identifier: Apache-2.0
"""A driver in C, compiled as it stands, drives the chip on every platform; wrong ones are named with their C line.

Source of the driver's registers: docs/registers.md; of what must happen on each platform: reference hal-contract 10.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from nthal.machine import Machine
from nthal.platforms import FLAT, FULL, HIGH, IOMMU, MAPREG, OFFSET, Platform
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import NtStatus
from plx9x5x.boards.rdk_9656_lite import BOARD
from plx9x5x.lab.contract import native
from plx9x5x.lab.contract.host import NthalHost, host_of
from plx9x5x.model.chip import Chip
from tests.lab.contract.host.conftest import PLATFORMS, Faults, pattern

SOURCE = Path(__file__).parent / "native" / "busmaster.c"
WRITE_BLOCK = 0x22 << 16 | 0x800 << 2
REFUSED = {"high", "full"}
"""Platforms on which a driver of 32 bits gets no common buffer."""


@pytest.fixture(scope="session")
def right() -> native.Built:
    return native.build([SOURCE])


class Desk:
    """A machine with the board in it, and the driver for it."""

    def __init__(self, built: native.Built, platform: Platform, *, stop: bool = True) -> None:
        self.machine = Machine(platform.verified(stop=stop))
        self.faults = Faults()
        self.host: NthalHost[Chip] = host_of(self.machine, BOARD, trace=self.faults)
        self.driver = native.load(built, self.host)

    def card(self, at: int, length: int) -> bytes:
        return self.host.device.local_bus.read(at, length)

    def assert_nothing_is_left(self) -> None:
        assert self.machine.verifier.findings == []
        assert self.faults.seen == []
        assert self.machine.frames.used == 0
        assert self.machine.registers.total == self.machine.platform.register_pool
        assert all(adapter.gone for adapter in self.machine.adapters)


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS.keys())
def test_the_driver_moves_data_on_every_platform_or_refuses_in_order(right: native.Built, platform: Platform) -> None:
    desk = Desk(right, platform)
    with desk.driver as driver:
        if platform.name in REFUSED:
            assert driver.status == NtStatus.INSUFFICIENT_RESOURCES
        else:
            assert driver.status == NtStatus.SUCCESS
            data, block = pattern(20_000), pattern(999, seed=9)
            assert driver.write(data, 0x1000) == native.Answer(NtStatus.SUCCESS, 20_000)
            assert desk.card(0x1000, 20_000) == data
            assert driver.read(20_000, 0x1000) == native.Answer(NtStatus.SUCCESS, 20_000, data)
            assert driver.control(WRITE_BLOCK, block) == native.Answer(NtStatus.SUCCESS, 999)
            assert desk.card(0, 999) == block
    desk.assert_nothing_is_left()


@pytest.mark.parametrize("length", [1, 3, 4095, 4096, 4097, 16 * 1024, 16 * 1024 + 1])
def test_lengths_around_pages_and_fragments_arrive_whole(right: native.Built, length: int) -> None:
    desk = Desk(right, MAPREG)
    with desk.driver as driver:
        driver.write(pattern(length), 0x40)
        assert desk.card(0x40, length) == pattern(length)
        assert driver.read(length, 0x40).data == pattern(length)
        assert driver.control(WRITE_BLOCK, bytes(1001)).status == 0xC000_0206
    desk.assert_nothing_is_left()


def test_a_driver_that_finds_one_page_gives_back_what_it_had(right: native.Built) -> None:
    desk = Desk(right, FLAT.with_free((0x10_0000, 0x10_0FFF)))
    with desk.driver as driver:
        assert driver.status == NtStatus.INSUFFICIENT_RESOURCES
        assert desk.machine.last_failure is not None
    desk.assert_nothing_is_left()


# --- wrong in one place --------------------------------------------------------------------------------------------


def line_of(words: str) -> int:
    """Number of the last line of the driver that has these words."""
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    return max(number for number, line in enumerate(lines, 1) if words in line)


def life(name: str, platform: Platform) -> tuple[Desk, str]:
    """Live a wrong driver's life; give what stopped it, or what was found."""
    desk = Desk(native.build([SOURCE], defines=[f"WRONG_{name}"]), platform)
    try:
        with desk.driver as driver:
            driver.control(WRITE_BLOCK, pattern(1000))
    except (DmaViolation, native.NativeError) as why:
        return desk, str(why)
    return desk, "\n".join(str(finding) for finding in desk.machine.verifier.findings)


MADE = f"made at busmaster.c:{line_of('->AllocateCommonBuffer(')} in CreateBlock"


def test_a_leak_is_named_by_where_the_buffer_was_made() -> None:
    desk, said = life("LEAK", FLAT)
    assert desk.machine.verifier.findings[0].misuse is Misuse.LEAK
    assert (
        f"leaves 1 common buffers: 1000 bytes at Va({next(iter(desk.machine.adapters[2].buffers)).va:#x}) {MADE}"
        in said
    )


def test_a_wrong_length_is_named_at_the_free() -> None:
    desk, said = life("LENGTH", IOMMU)
    assert desk.machine.verifier.findings[0].misuse is Misuse.FREE_MISMATCH
    line = line_of("ROUND_TO_PAGES(BLOCK_BYTES)")
    assert f"buffer {MADE}: Length 4096, allocated 1000, at busmaster.c:{line} in EvtReleaseHardware" in said


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        (OFFSET, "that is the physical address of the buffer whose logical address is La(0x"),
        (MAPREG, "that is the physical address of the buffer whose logical address is La(0x"),
        (IOMMU.with_free((0x10_0000, 0x7FFF_FFFF)), "that is the physical address of the buffer"),
        (IOMMU, "cut to 32 bits, the physical address of the buffer"),
    ],
    ids=["offset", "mapreg", "iommu, memory low", "iommu, memory high"],
)
def test_a_physical_address_is_named_at_the_write_that_started_the_chip(platform: Platform, words: str) -> None:
    desk, said = life("PHYSICAL", platform)
    assert words in said
    assert MADE in said
    assert f"at busmaster.c:{line_of('Registers + DMACSR0, CSR_ENABLE_START')} in Start" in said
    assert desk.faults.bus_errors != []


def test_an_overrun_by_memcpy_is_found_at_the_free() -> None:
    """0xE6/0x0F, whose parameter 2 says that the tag after the buffer is broken."""
    desk, said = life("OVERRUN", FLAT)
    (finding,) = desk.machine.verifier.findings
    assert (finding.code, finding.parameters) == (0x0F, (2, 1000))
    assert f"the byte at offset 1000 of 1000 bytes {MADE}" in said
    assert f"at busmaster.c:{line_of('FreeCommonBuffer(board->Adapter, BLOCK_BYTES')} in EvtReleaseHardware" in said


def test_a_write_after_the_free_is_found_with_where_it_was_freed() -> None:
    desk, said = life("AFTER_FREE", FLAT)
    assert desk.machine.verifier.findings[0].misuse is Misuse.USE_AFTER_FREE
    line = line_of("FreeCommonBuffer(board->Adapter, BLOCK_BYTES")
    assert "native write at offset 8: common buffer of 1000 bytes at Va(" in said
    assert f"freed at busmaster.c:{line} in EvtReleaseHardware" in said


def test_null_that_is_not_looked_at_is_a_finding_and_no_end_of_the_process() -> None:
    desk, said = life("NULL", replace(FLAT.with_free((0x10_0000, 0x10_0FFF)), name="a page"))
    assert desk.machine.verifier.findings[0].misuse is Misuse.NULL_USED
    assert "faults at address 0x0; what gave NULL last: there are not enough free pages: 1000 bytes" in said
    assert f"the code after busmaster.c:{line_of('->AllocateCommonBuffer(')} in CreateBlock" in said


def test_in_report_mode_a_wrong_free_is_kept_and_the_driver_goes_on() -> None:
    desk = Desk(native.build([SOURCE], defines=["WRONG_LENGTH"]), FLAT, stop=False)
    with desk.driver:
        pass
    assert [finding.misuse for finding in desk.machine.verifier.findings][:2] == [
        Misuse.FREE_MISMATCH,
        Misuse.PUT_WITH_BUFFERS,
    ]


def test_platforms_that_refuse_are_those_without_memory_within_reach() -> None:
    assert {FULL.name, HIGH.name} == REFUSED
