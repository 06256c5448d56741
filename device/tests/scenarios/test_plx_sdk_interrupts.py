# SPDX-License-Identifier: Apache-2.0
"""The PLX SDK's handler and its deferred call on every chip: each source of INTA#, and what it must refuse.

Source: reference sections 9.6, 3.3 and 6. The handler masks INTA# as a whole; the deferred call clears the cause.
"""

from typing import Final

import pytest

from tests.behaviour.driver import FAMILY, SINCE_9054
from tests.scenarios.plx_sdk import Cause, Piece, PlxSdk
from tests.scenarios.support import (
    CONFIG,
    CSR,
    INTCSR,
    L2PDBELL,
    MODE,
    OPQIM,
    OPQIS,
    Machine,
    Watched,
    bit,
    off,
    on,
    serve,
)

RESET: Final = 0x0F01_0100
NOBODY: Final = Piece(0xF800_0000, 16)
STATUS_IDLE: Final = {"9080": 0x0280, "9054": 0x0290}
"""PCISR; the others 02B0h."""

MQCR, QBAR, OPHPR, OPTPR = 0xC0, 0xC4, 0xE0, 0xE4


@pytest.fixture(params=FAMILY)
def sdk(request: pytest.FixtureRequest) -> PlxSdk:
    driver = PlxSdk(Watched(Machine(request.param)))
    assert driver.probe()
    seen(driver)
    return driver


def seen(sdk: PlxSdk) -> list[object]:
    assert isinstance(sdk.pc, Watched)
    return list(sdk.pc.seen())


def enable(sdk: PlxSdk, *bits: int) -> None:
    for number in bits:
        sdk.pc.write(INTCSR, sdk.pc.read(INTCSR) | bit(number))
    seen(sdk)


def finish(sdk: PlxSdk, channel: int) -> None:
    """A block that is done and has raised its interrupt."""
    assert sdk.block(channel, Piece(sdk.common.bus, 16), sdk.pc.memory_at, to_pci=True)
    sdk.pc.settle()


def test_linti_is_disabled_by_the_deferred_call(sdk: PlxSdk) -> None:
    enable(sdk, 11)
    sdk.pc.local.drive_linti(True)
    assert sdk.isr() is Cause.LINTI
    assert not sdk.pc.inta(), "masked"
    sdk.deferred(Cause.LINTI)
    assert seen(sdk) == [
        on(INTCSR, 0x0F01_8900), on(OPQIS, 0), off(INTCSR, 0x0F01_8800), off(INTCSR, 0x0F01_8000),
    ]  # fmt: skip
    assert not sdk.pc.inta()
    assert sdk.pc.read(INTCSR) == 0x0F01_8100, "the board still asks"
    sdk.pc.write(INTCSR, 0x0F01_0900)
    assert sdk.pc.inta()
    sdk.pc.local.drive_linti(False)
    assert not sdk.pc.inta()


def test_a_doorbell_is_read_and_written_back(sdk: PlxSdk) -> None:
    enable(sdk, 9)
    sdk.pc.local.write_register(L2PDBELL, 0x8000_0001)
    found = sdk.isr()
    assert found is Cause.DOORBELL
    assert sdk.deferred(found) == 0x8000_0001
    assert seen(sdk) == [
        on(INTCSR, 0x0F01_2300), on(OPQIS, 0), off(L2PDBELL, 0x8000_0001), off(INTCSR, 0x0F01_0200),
    ]  # fmt: skip
    assert sdk.pc.read(L2PDBELL) == 0
    assert not sdk.pc.inta()


def test_a_doorbell_that_rings_again_meanwhile_comes_back(sdk: PlxSdk) -> None:
    enable(sdk, 9)
    sdk.pc.local.write_register(L2PDBELL, 1)
    found = sdk.isr()
    sdk.pc.local.write_register(L2PDBELL, 2)
    assert not sdk.pc.inta()
    assert sdk.deferred(found) == 3
    sdk.pc.local.write_register(L2PDBELL, 4)
    assert sdk.pc.inta()
    assert sdk.interrupt() is Cause.DOORBELL
    assert not sdk.pc.inta()


@pytest.mark.finds("unmapped-address")
def test_an_abort_is_cleared_by_writing_config_dword_4_back(sdk: PlxSdk) -> None:
    enable(sdk, 10)
    assert sdk.block(0, NOBODY, sdk.pc.memory_at, to_pci=True)
    sdk.pc.settle()
    seen(sdk)
    assert sdk.interrupt() is Cause.ABORT
    idle = STATUS_IDLE.get(sdk.pc.chip, 0x02B0)
    assert seen(sdk) == [
        on(INTCSR, 0x0D01_4500), on(OPQIS, 0),
        off(4, (idle | 0x2000) << 16 | 7, bar=CONFIG), off(INTCSR, 0x0F01_0400),
    ]  # fmt: skip
    assert sdk.pc.config_read(4) == idle << 16 | 7
    assert sdk.pc.read(INTCSR) == 0x0F01_0500
    assert not sdk.pc.inta()
    assert sdk.pc.read(CSR[0], 1) == 0x01, "the channel waits for software"
    assert sdk.abort(0)
    assert sdk.pc.read(CSR[0], 1) == 0x10


@pytest.mark.finds("unmapped-address")
def test_an_abort_of_channel_1_names_channel_1(sdk: PlxSdk) -> None:
    enable(sdk, 10, 19)
    assert sdk.block(1, NOBODY, sdk.pc.memory_at, to_pci=False)
    sdk.pc.settle()
    seen(sdk)
    assert sdk.isr() is Cause.ABORT
    assert seen(sdk)[0] == on(INTCSR, 0x0B09_4500)
    sdk.deferred(Cause.ABORT)
    assert sdk.abort(1)
    assert sdk.interrupt() is Cause.DMA1
    assert sdk.pc.read(INTCSR) == 0x0F09_0500
    assert not sdk.pc.inta()


def test_both_channels_and_a_doorbell_are_one_call(sdk: PlxSdk) -> None:
    enable(sdk, 9, 18, 19)
    finish(sdk, 0)
    finish(sdk, 1)
    sdk.pc.local.write_register(L2PDBELL, 8)
    seen(sdk)
    found = sdk.isr()
    assert found == Cause.DMA0 | Cause.DMA1 | Cause.DOORBELL
    sdk.deferred(found)
    assert seen(sdk) == [
        on(INTCSR, 0x0F6D_2300), on(MODE[0], 0x2_0443), on(MODE[1], 0x2_0443), on(OPQIS, 0),
        off(L2PDBELL, 8), off(CSR[0], 0x1111), off(INTCSR, 0x0F0D_0200),
    ]  # fmt: skip
    assert not sdk.pc.inta()
    assert sdk.pc.read(INTCSR) == 0x0F0D_0300


def test_a_posted_message_is_masked_by_the_deferred_call(sdk: PlxSdk) -> None:
    pc = sdk.pc
    pc.write(QBAR, 0x0010_0000)
    for pointer in (OPHPR, OPTPR):
        pc.local.write_register(pointer, 0x8000)
    pc.write(MQCR, 0x03)
    pc.write(OPQIM, 0)
    assert not pc.inta()
    pc.local.write_register(OPHPR, 0x8004)
    assert pc.inta()
    seen(sdk)
    assert sdk.interrupt() is Cause.OUTBOUND
    assert seen(sdk) == [on(INTCSR, RESET), on(OPQIS, 8), on(OPQIM, 0), off(INTCSR, 0x0F01_0000)]
    assert not pc.inta()
    assert (pc.read(OPQIS), pc.read(OPQIM)) == (8, 8)


def test_a_shared_line_that_somebody_else_pulls_is_refused(sdk: PlxSdk) -> None:
    enable(sdk, 9, 10, 11, 18, 19)
    assert sdk.isr() is Cause.NONE
    assert seen(sdk) == [off(INTCSR, 0x0F0D_0F00), off(OPQIS, 0)]
    assert sdk.pc.read(INTCSR) == 0x0F0D_0F00, "nothing was masked"


def test_a_chip_that_is_masked_is_refused(sdk: PlxSdk) -> None:
    enable(sdk, 18)
    finish(sdk, 0)
    first = sdk.isr()
    assert first is Cause.DMA0
    seen(sdk)
    assert sdk.isr() is Cause.NONE, "another device pulls the shared line before the deferred call ran"
    assert seen(sdk) == [off(INTCSR, 0x0F25_0000)]
    sdk.deferred(first)
    assert sdk.pc.read(INTCSR) == 0x0F05_0100


def test_what_arrives_while_the_line_is_masked_raises_it_again(sdk: PlxSdk) -> None:
    enable(sdk, 18, 19)
    finish(sdk, 0)
    first = sdk.isr()
    finish(sdk, 1)
    assert not sdk.pc.inta()
    sdk.deferred(first)
    assert sdk.pc.inta()
    assert sdk.pc.read(INTCSR) == 0x0F4D_0100
    assert sdk.interrupt() is Cause.DMA1
    assert not sdk.pc.inta()


@pytest.mark.parametrize("chip", SINCE_9054)
def test_a_sleeping_chip_reads_ones_and_is_refused(chip: str) -> None:
    sdk = PlxSdk(Watched(Machine(chip)))
    enable(sdk, 18)
    finish(sdk, 0)
    assert sdk.pc.inta()
    sdk.pc.config_write(0x44, 3, 2)
    assert not sdk.pc.inta(), "D3hot releases the line"
    seen(sdk)
    assert sdk.isr() is Cause.NONE
    assert seen(sdk) == [off(INTCSR, 0xFFFF_FFFF)]
    sdk.pc.config_write(0x44, 0, 2)
    assert sdk.pc.config_read(4, 2) == 0, "waking up is a power-on reset"
    assert sdk.probe() is not None
    assert sdk.pc.read(INTCSR) == RESET
    assert sdk.pc.read(CSR[0]) == 0x1010
    assert not sdk.pc.inta()


@pytest.mark.parametrize("chip", SINCE_9054)
def test_local_registers_can_be_read_in_d2(chip: str) -> None:
    sdk = PlxSdk(Machine(chip))
    sdk.pc.config_write(0x44, 2, 2)
    assert sdk.pc.read(INTCSR) | bit(5) == RESET | bit(5)
    sdk.pc.config_write(0x44, 0, 2)
    assert sdk.pc.read(INTCSR) | bit(5) == RESET | bit(5)


def test_a_channel_that_is_not_enabled_latches_and_stays_off_the_line(sdk: PlxSdk) -> None:
    finish(sdk, 0)
    assert not sdk.pc.inta()
    seen(sdk)
    assert sdk.isr() is Cause.NONE
    assert seen(sdk) == [off(INTCSR, 0x0F21_0100), off(OPQIS, 0)]
    sdk.open(0)
    assert sdk.pc.inta(), "enabling brings it out: the latch waited"
    assert serve(sdk.pc, lambda: bool(sdk.interrupt())) == 1


def test_an_interrupt_for_the_local_side_is_not_the_host_s(sdk: PlxSdk) -> None:
    enable(sdk, 18)
    finish(sdk, 0)
    assert sdk.pc.inta()
    sdk.pc.write(MODE[0], sdk.pc.read(MODE[0]) & ~bit(17))
    assert not sdk.pc.inta()
    assert sdk.pc.local.linto()
    seen(sdk)
    assert sdk.isr() is Cause.NONE
    assert seen(sdk) == [off(INTCSR, 0x0F25_0100), off(MODE[0], 0x443), off(OPQIS, 0)]
    sdk.pc.write(MODE[0], 0x2_0443)
    assert sdk.pc.inta()
    assert not sdk.pc.local.linto()
