# SPDX-License-Identifier: Apache-2.0
"""Transactions that wait, are reserved for, configured or given wrong things: where a life ends, and what is left of it.

Sources: microsoft/Windows-Driver-Frameworks 2.33, src/framework/kmdf/src/dma/base; WDF:f in a docstring names the file.
"""

from dataclasses import replace

import pytest

from nthal import kmdf
from nthal.arguments import ForeignObject, WrongArgument
from nthal.objects import Major, WdfObject
from nthal.platforms import FLAT, MAPREG
from nthal.types import Out
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import Irql, NtStatus
from tests.fx import PAGE, READ, WRITE, Fx, P, running_system

END = [kmdf.WdfDmaTransactionRelease, kmdf.WdfObjectDelete]


def waiting(profile, version=3):
    """Transactions that hold and that wait for the map registers of one enabler."""
    fx = Fx(MAPREG, profile, maximum=3 * PAGE, wdm_dma_version_override=version)
    return fx, fx.ready(3 * PAGE), fx.ready(3 * PAGE)


@pytest.mark.parametrize("end", END)
@pytest.mark.parametrize("profile", [P.SCATTER_GATHER, P.PACKET])
def test_map_registers_that_come_too_late_are_a_bug_check_and_stay_with_nobody(profile, end):
    """WDF:fxdmatransactionpacket.cpp, _AdapterControl, and fxdmatransactionscattergather.cpp, _AdapterListControl.

    Both call the driver through a function that Release set to NULL, in an object that Delete freed.
    """
    fx, holder, late = waiting(profile)
    end(late)
    with pytest.raises(BugCheck, match=r"was (released|deleted) while it waited.*Cancel"):
        kmdf.WdfDmaTransactionDmaCompleted(holder, fx.out)
    assert len(fx.lists) == 1
    assert fx.enabler.read_adapter.lists == []
    assert fx.machine.registers.total == 64


@pytest.mark.parametrize("end", END)
def test_a_reservation_that_comes_too_late_calls_no_driver(end):
    """WDF:fxdmatransactionpacket.cpp, _AdapterControl."""
    fx, holder, waits = waiting(P.PACKET)
    kmdf.WdfDmaTransactionCancel(waits)
    late, got = fx.transaction(), []
    assert kmdf.WdfDmaTransactionAllocateResources(late, WRITE, 2, lambda *given: got.append(given), None) == 0
    end(late)
    with pytest.raises(BugCheck, match="while it waited"):
        kmdf.WdfDmaTransactionDmaCompleted(holder, fx.out)
    assert got == []
    assert fx.machine.registers.total == 64


def test_one_that_was_executed_again_is_not_started_by_the_wait_before():
    """WDF:fxdmatransactionscattergather.cpp; in version 3 the transfer context tells already."""
    fx, holder, again = waiting(P.SCATTER_GATHER, version=2)
    kmdf.WdfDmaTransactionRelease(again)
    assert fx.initialize(again, fx.mdl(PAGE)) == 0
    assert kmdf.WdfDmaTransactionExecute(again, None) == 0
    with pytest.raises(BugCheck, match="while it waited"):
        kmdf.WdfDmaTransactionDmaCompleted(holder, fx.out)


def test_a_cancelled_reservation_is_forgotten_and_the_transaction_starts_by_itself():
    """The same: what AdapterControl calls is decided by the state."""
    fx, holder, waits = waiting(P.PACKET)
    kmdf.WdfDmaTransactionCancel(waits)
    made, got = fx.transaction(), []
    assert kmdf.WdfDmaTransactionAllocateResources(made, WRITE, 2, lambda *given: got.append(given), None) == 0
    assert kmdf.WdfDmaTransactionCancel(made)
    kmdf.WdfDmaTransactionRelease(made)
    assert made.reserved == 0
    assert kmdf.WdfDmaTransactionDmaCompleted(holder, fx.out)
    assert fx.initialize(made, fx.mdl(PAGE)) == 0
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    assert (len(fx.lists), got) == (2, [])
    assert kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
    assert fx.machine.registers.total == 64


def test_a_reservation_keeps_the_wish_for_one_transfer():
    """WDF:fxdmatransactionbase.cpp: what SetSingleTransferRequirement set is left to Release."""
    fx = Fx(MAPREG, P.PACKET, maximum=8 * PAGE, wdm_dma_version_override=3)
    made = fx.transaction()
    kmdf.WdfDmaTransactionSetSingleTransferRequirement(made, True)
    assert kmdf.WdfDmaTransactionAllocateResources(made, WRITE, 2, lambda *given: None, None) == 0
    assert fx.initialize(made, fx.mdl(3 * PAGE)) == NtStatus.WDF_NOT_ENOUGH_MAP_REGISTERS


def test_a_reservation_for_a_buffer_that_ends_too_early_is_refused():
    """WDF:fxdmatransactionpacket.cpp, ReserveAdapter: 0 registers ask for as many as the chain takes."""
    fx = Fx(MAPREG, P.PACKET, maximum=8 * PAGE, wdm_dma_version_override=3)
    made = fx.transaction()
    assert fx.initialize(made, fx.mdl(PAGE), 3 * PAGE) == 0
    status = kmdf.WdfDmaTransactionAllocateResources(made, WRITE, 0, lambda *given: None, None)
    assert status == NtStatus.BUFFER_TOO_SMALL
    assert "chain of MDLs is too short" in str(fx.machine.last_failure)
    assert (made.state, fx.machine.registers.total) == (kmdf.WDF_DMA_TRANSACTION_STATE.RELEASED, 64)


# --- the routine that configures a system channel ------------------------------------------------------------------


def configured(answer, *lengths):
    """A system transaction over a chain of MDLs, with a routine that configures; what that was given."""
    fx, made, _ = running_system()
    kmdf.WdfDmaTransactionRelease(made)
    first, seen = fx.chain(*lengths), []
    assert fx.initialize(made, first, sum(lengths)) == 0

    def configure(transaction, device, context, mdl, offset, length):
        seen.append((mdl is first, offset, length))
        return answer(fx, made)

    kmdf.WdfDmaTransactionSetChannelConfigurationCallback(made, configure, None)
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    return fx, made, seen


def test_who_configures_is_given_the_first_mdl_and_what_is_left():
    """WDF:fxdmatransactionsystem.cpp, PreMapTransfer, and StageTransfer: offset and length count along the chain."""
    fx, made, seen = configured(lambda fx, made: True, PAGE, PAGE)
    assert not kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
    assert kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
    assert seen == [(True, 0, 2 * PAGE), (True, PAGE, PAGE)]
    assert [sum(size for _, size in one) for one in fx.lists] == [PAGE, PAGE]


def test_who_configures_may_end_the_transaction_instead():
    """The same: DmaCompleted asks for the state of a transfer and no more."""
    fx, made, _ = configured(lambda fx, made: not kmdf.WdfDmaTransactionDmaCompletedFinal(made, 0, fx.out), PAGE)
    assert made.state is kmdf.WDF_DMA_TRANSACTION_STATE.COMPLETED
    assert (fx.lists, fx.enabler.read_adapter.books.channels.live) == ([], 0)


def test_who_ends_it_and_goes_on_all_the_same_is_stopped():
    with pytest.raises(BugCheck, match="completed in the callback that configures"):
        configured(lambda fx, made: kmdf.WdfDmaTransactionDmaCompletedFinal(made, 0, fx.out), PAGE)


# --- what is no argument -------------------------------------------------------------------------------------------


def test_another_machines_mdl_is_refused_at_initialize_and_nothing_happened():
    fx, other = Fx(profile=P.PACKET), Fx()
    made, strange = fx.transaction(), other.mdl(PAGE)
    with pytest.raises(ForeignObject, match=r"WdfDmaTransactionInitialize.*another machine"):
        fx.initialize(made, strange)
    request = kmdf.WDFREQUEST(fx.device, Major.WRITE, strange, PAGE)
    with pytest.raises(ForeignObject, match="another machine"):
        kmdf.WdfDmaTransactionInitializeUsingRequest(made, request, fx.program, WRITE)
    assert fx.initialize(made, fx.mdl(PAGE)) == 0
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0


@pytest.mark.parametrize("offset", [PAGE, (1 << 64) - 1, 1 << 70])
def test_an_offset_behind_the_mdl_is_a_wrong_parameter(offset):
    """WDF:fxdmatransactionapi.cpp: the sum is looked at as an address, which lies outside."""
    fx = Fx()
    status = kmdf.WdfDmaTransactionInitializeUsingOffset(fx.transaction(), fx.program, WRITE, fx.mdl(PAGE), offset, 1)
    assert status == NtStatus.INVALID_PARAMETER


@pytest.mark.parametrize(
    "call",
    [
        lambda fx: kmdf.WdfDmaEnablerSetMaximumScatterGatherElements(fx.enabler, "x"),
        lambda fx: kmdf.WdfDmaEnablerSetMaximumScatterGatherElements(fx.enabler, 3.5),
        lambda fx: kmdf.WdfDmaEnablerSetMaximumScatterGatherElements(fx.enabler, -1),
        lambda fx: kmdf.WdfDmaEnablerCreate(fx.device, None, None, Out()),
        lambda fx: kmdf.WdfDmaEnablerCreate(fx.device, kmdf.WDF_DMA_ENABLER_CONFIG(2, 1.5), None, Out()),
        lambda fx: kmdf.WdfDmaEnablerConfigureSystemProfile(
            fx.enabler, kmdf.WDF_DMA_SYSTEM_PROFILE_CONFIG("channel 1"), READ
        ),
        lambda fx: kmdf.WdfCommonBufferCreateWithConfig(
            fx.enabler, 64, kmdf.WDF_COMMON_BUFFER_CONFIG(1.5), None, Out()
        ),
        lambda fx: kmdf.WdfDeviceSetAlignmentRequirement(fx.device, 1.5),
        lambda fx: kmdf.WdfDmaTransactionInitialize(fx.transaction(), fx.program, WRITE, "mdl", None, 1),
        lambda fx: kmdf.WdfDmaTransactionSetDeviceAddressOffset(running_system()[1], -4),
    ],
)
def test_what_no_compiler_would_take_is_refused_in_words(call):
    fx = Fx()
    with pytest.raises(WrongArgument, match=r"is .* where .* is due"):
        call(fx)
    assert fx.enabler.maximum_elements == (1 << 32) - 1


def test_a_parent_that_is_no_handle_is_a_bug_check():
    fx = Fx()
    with pytest.raises(BugCheck, match="no WdfObject handle"):
        kmdf.WdfDmaEnablerCreate(
            fx.device, kmdf.WDF_DMA_ENABLER_CONFIG(P.PACKET, 1), kmdf.WDF_OBJECT_ATTRIBUTES("device"), Out()
        )


@pytest.mark.parametrize(
    ("platform", "maximum", "words"),
    [(FLAT, 1 << 32, "MaximumLength in 32 bits is 0"), (replace(MAPREG, register_cap=1), PAGE, "has one map register")],
)
def test_a_transfer_of_no_bytes_says_what_makes_it_so(platform, maximum, words):
    fx = Fx(platform, maximum=maximum)
    with pytest.raises(BugCheck, match=words) as caught:
        fx.initialize(fx.transaction(), fx.mdl(64))
    assert caught.value.code == 0x133


# --- what is said of a stop, and where -----------------------------------------------------------------------------


def test_a_bug_check_says_where_the_driver_called():
    fx = Fx()
    for handle, shown in ((None, "NULL"), (fx.enabler, "an object Enabler")):
        with pytest.raises(
            BugCheck, match=rf"{shown} is no Transaction handle, at test_framework_lives\.py:\d+ in test_a"
        ):
            kmdf.WdfDmaTransactionExecute(handle, None)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("Execute", lambda fx, ready, running: kmdf.WdfDmaTransactionExecute(ready, None)),
        ("DmaCompleted", lambda fx, ready, running: kmdf.WdfDmaTransactionDmaCompleted(running, fx.out)),
        ("Release", lambda fx, ready, running: kmdf.WdfDmaTransactionRelease(ready)),
    ],
)
def test_a_transaction_is_no_matter_for_an_isr(name, call):
    """DDI pages of the three: IRQL <= DISPATCH_LEVEL; the framework would lower the level to list the buffer."""
    fx = Fx(FLAT.verified())
    ready, running = fx.ready(PAGE, execute=False), fx.ready(PAGE)
    with (
        fx.machine.processor.at_irql(Irql.DEVICE_LEVEL),
        pytest.raises(DmaViolation, match=f"WdfDmaTransaction{name} wants at most DISPATCH_LEVEL"),
    ):
        call(fx, ready, running)
    assert kmdf.WdfDmaTransactionDmaCompleted(running, fx.out)


def test_a_child_whose_cleanup_deletes_a_sibling_does_so_once():
    class Cleans(WdfObject):
        def dispose(self):
            older.delete()

    parent = WdfObject(None)
    older = WdfObject(parent)
    Cleans(parent)
    parent.delete()
    assert (older.alive, parent.children) == (False, [])


# --- drivers that never end ----------------------------------------------------------------------------------------


def test_a_callback_of_a_system_profile_that_raises_leaves_nothing_after_release():
    fx, made, _ = running_system()
    kmdf.WdfDmaTransactionRelease(made)
    mdl = fx.mdl(PAGE)

    def breaks(*_given):
        raise ArithmeticError

    assert fx.initialize(made, mdl, function=breaks) == 0
    with pytest.raises(ArithmeticError):
        kmdf.WdfDmaTransactionExecute(made, None)
    kmdf.WdfDmaTransactionRelease(made)
    adapter = fx.enabler.read_adapter
    assert (
        adapter.held_registers,
        adapter.books.channels.live,
        fx.machine.verifier.of(Misuse.CHANNEL_FREED_TWICE),
    ) == (
        0,
        0,
        [],
    )


def completing(fx, made, moved):
    """An EvtProgramDma that completes its own transfer, `moved` bytes of it."""

    def program(*_given):
        kmdf.WdfDmaTransactionDmaCompletedWithLength(made, moved, fx.out)
        return True

    return program


def test_a_list_may_be_completed_where_it_is_programmed_as_often_as_it_moves_bytes(monkeypatch):
    """WDF:fxdmatransactionscattergather.cpp: StageTransfer asks the HAL for the next list."""
    fx = Fx(maximum=PAGE, elements=2)
    made = fx.transaction()
    fx.initialize(made, fx.mdl(2000 * PAGE), function=completing(fx, made, PAGE))
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    assert made.transferred == 2000 * PAGE
    kmdf.WdfDmaTransactionRelease(made)
    monkeypatch.setattr("nthal.operations.channel._WATCHDOG", 50)
    fx.initialize(made, fx.mdl(PAGE), function=completing(fx, made, 0))
    with pytest.raises(BugCheck, match="51 callbacks ran for one that ended") as caught:
        kmdf.WdfDmaTransactionExecute(made, None)
    assert caught.value.code == 0x133


def test_a_packet_that_moves_nothing_for_ever_is_stopped_and_one_that_moves_is_not():
    """WDF:fxdmatransactionpacket.cpp: StageTransfer is a loop, which ends when bytes are moved."""
    fx = Fx(profile=P.PACKET, maximum=PAGE)
    made = fx.transaction()
    fx.initialize(made, fx.mdl(1100 * PAGE), function=completing(fx, made, PAGE))
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    assert made.transferred == 1100 * PAGE
    kmdf.WdfDmaTransactionRelease(made)
    fx.initialize(made, fx.mdl(PAGE), function=completing(fx, made, 0))
    with pytest.raises(BugCheck, match="in a row with 0 bytes") as caught:
        kmdf.WdfDmaTransactionExecute(made, None)
    assert caught.value.code == 0x133
