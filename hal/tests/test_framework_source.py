# SPDX-License-Identifier: Apache-2.0
"""Where the framework's own source says what enablers and transactions do: each row with the file that says so.

Sources: microsoft/Windows-Driver-Frameworks 2.33, src/framework/kmdf/src/dma/base; WDF:f in a docstring names the file.
The module is long because each thing that the source says is a test.
"""

from dataclasses import replace

import pytest

from nthal import kmdf, wdm
from nthal.arguments import WrongArgument
from nthal.enabler import config_size
from nthal.framework import Device, ObjectAttributes
from nthal.machine import DeviceObject, Machine
from nthal.objects import Major, Method
from nthal.platforms import ARM1, BIG, FLAT, FULL, ISA, MAPREG, SERVER
from nthal.types import MAXULONG, La, Out
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import DmaCompletionStatus, Irql, NtStatus
from tests.fx import PAGE, PATTERN, READ, SINGLE, WINDOWS_7, WRITE, Fx, P, enable, running_system, system

# --- scatter/gather transactions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "length", "offset", "maximum", "status"),
    [
        (2, 5 * PAGE, 0, 65536, NtStatus.WDF_TOO_FRAGMENTED),
        (5, 5 * PAGE, 0, 65536, NtStatus.SUCCESS),
        (5, 5 * PAGE, 1, 65536, NtStatus.WDF_TOO_FRAGMENTED),
        (2, 5 * PAGE, 0, 2 * PAGE, NtStatus.SUCCESS),
        (2, 5 * PAGE, 1, 2 * PAGE, NtStatus.WDF_TOO_FRAGMENTED),
    ],
)
def test_cb125_initialize_tells_that_the_device_takes_fewer_elements_than_a_fragment_has_pages(
    elements, length, offset, maximum, status
):
    """WDF:fxdmatransactionscattergather.cpp, InitializeResources: whole fragments are counted, none is cut short."""
    fx = Fx(elements=elements, maximum=maximum)
    made = fx.transaction()
    assert fx.initialize(made, fx.mdl(length, offset=offset)) == status
    if status:
        assert "elements" in str(fx.machine.last_failure)


def test_a_partial_completion_that_shifts_the_fragments_may_be_too_fragmented_later():
    """WDF:fxdmatransactionscattergather.cpp, StageTransfer looks again."""
    fx = Fx(elements=2, maximum=2 * PAGE)
    made = fx.ready(4 * PAGE)
    assert fx.completed(made, 100) == (True, NtStatus.WDF_TOO_FRAGMENTED)
    assert fx.enabler.read_adapter.books.lists.live == 0


def test_cb126_more_bytes_than_were_mapped_end_the_transaction():
    """WDF:fxdmatransactionbase.cpp, DmaCompleted: TRUE, the status, and what it held is given back."""
    fx = Fx(maximum=2 * PAGE)
    made = fx.ready(4 * PAGE)
    assert fx.completed(made, 2 * PAGE + 1) == (True, NtStatus.INVALID_PARAMETER)
    assert fx.enabler.read_adapter.books.lists.live == fx.enabler.read_adapter.books.registers.live == 0
    assert kmdf.WdfDmaTransactionGetCurrentDmaTransferLength(made) == 0
    with pytest.raises(BugCheck):
        kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
    kmdf.WdfDmaTransactionRelease(made)
    assert fx.initialize(made, fx.mdl(PAGE)) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"va": -1},
        {"va": PAGE},
        {"direction": 2},
        {"function": None},
        {"length": 0},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_initialize_refuses_parameters(wrong):
    """WDF:fxdmatransactionapi.cpp, WdfDmaTransactionInitialize."""
    fx = Fx()
    made, mdl = fx.transaction(), fx.mdl(PAGE)
    wrong = dict(wrong)
    if "va" in wrong:
        wrong["va"] = mdl.va + wrong["va"]
        wrong["length"] = 1
    assert fx.initialize(made, mdl, wrong.pop("length", PAGE), **wrong) == NtStatus.INVALID_PARAMETER
    assert fx.machine.last_failure is not None
    assert fx.initialize(made, mdl) == 0


def test_a_chain_of_mdls_is_moved_whole():
    """WDF:fxdmatransactionbase.cpp, _ComputeNextTransferAddress; hal-contract 5.1: chained MDLs ok."""
    fx = Fx(maximum=3 * PAGE)
    made, first = fx.transaction(), fx.chain(100, 2 * PAGE, 5000, offset=20)
    assert fx.initialize(made, first, 100 + 2 * PAGE + 5000) == 0
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    got = b""
    while True:
        got, fx.lists = got + fx.moved(), []
        if kmdf.WdfDmaTransactionDmaCompleted(made, fx.out):
            break
    assert fx.out.taken == 0
    assert got == PATTERN[:100] + PATTERN[: 2 * PAGE] + PATTERN[:5000]
    assert kmdf.WdfDmaTransactionGetBytesTransferred(made) == len(got)
    assert fx.enabler.read_adapter.books.lists.live == 0


def test_a_chain_that_is_too_short_is_told_in_advance():
    """WDF:fxdmatransactionbase.cpp, _CalculateRequiredMapRegisters."""
    fx = Fx()
    made, first = fx.transaction(), fx.chain(100, 200)
    assert fx.initialize(made, first, 300 + 2 * PAGE) == NtStatus.BUFFER_TOO_SMALL
    assert fx.initialize(made, first, 300) == 0


def test_a_buffer_that_lacks_less_than_a_page_is_found_by_the_hal_alone():
    """The same file: the framework's own look is off by up to a page, and Execute asks the HAL."""
    fx = Fx()
    made = fx.transaction()
    assert fx.initialize(made, fx.mdl(PAGE), PAGE + 1) == 0
    assert kmdf.WdfDmaTransactionExecute(made, None) == NtStatus.BUFFER_TOO_SMALL


@pytest.mark.parametrize("profile", [P.PACKET, P.PACKET_64])
def test_packets_of_version_2_take_no_chain(profile):
    """WDF:fxdmatransactionapi.cpp: SupportsChainedMdls."""
    fx = Fx(profile=profile)
    made, first = fx.transaction(), fx.chain(100, 200)
    assert fx.initialize(made, first, 101) == NtStatus.INVALID_PARAMETER
    assert "no chain" in str(fx.machine.last_failure)
    assert fx.initialize(made, first, 100) == 0


def test_packets_of_version_3_take_a_chain_an_mdl_at_a_time():
    """WDF:fxdmatransactionpacket.cpp, StageTransfer: one element is contiguous, so each MDL is a transfer."""
    fx = Fx(profile=P.PACKET, wdm_dma_version_override=3)
    made, first = fx.transaction(), fx.chain(100, 200)
    assert fx.initialize(made, first, 300) == 0
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    assert not kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
    assert [[size for _, size in one] for one in fx.lists] == [[100], [200]]
    assert kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
    assert fx.enabler.read_adapter.books.registers.live == 0


def test_a_parent_is_not_allowed():
    """WDF:fxdmatransactionapi.cpp, WdfDmaTransactionCreate."""
    fx, handle = Fx(), Out("old")
    status = kmdf.WdfDmaTransactionCreate(fx.enabler, ObjectAttributes(fx.device), handle)
    assert (status, handle.value) == (NtStatus.WDF_PARENT_ASSIGNMENT_NOT_ALLOWED, None)
    assert fx.enabler.children == []


def test_the_end_and_release_clear_what_was_counted():
    """WDF:fxdmatransactionbase.cpp, DmaCompleted and Reset."""
    fx = Fx(wdm_dma_version_override=3)
    made = fx.transaction()
    kmdf.WdfDmaTransactionSetSingleTransferRequirement(made, 1)
    assert made.single_transfer
    assert fx.initialize(made, fx.mdl(PAGE)) == 0
    kmdf.WdfDmaTransactionExecute(made, None)
    assert kmdf.WdfDmaTransactionGetCurrentDmaTransferLength(made) == PAGE
    assert kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
    assert kmdf.WdfDmaTransactionGetCurrentDmaTransferLength(made) == 0
    assert kmdf.WdfDmaTransactionGetBytesTransferred(made) == PAGE
    kmdf.WdfDmaTransactionRelease(made)
    assert kmdf.WdfDmaTransactionGetBytesTransferred(made) == made.remaining == 0
    assert not made.single_transfer


@pytest.mark.parametrize("call", [kmdf.WdfDmaTransactionRelease, kmdf.WdfObjectDelete])
def test_release_and_delete_while_mapped_are_for_the_frameworks_verifier(call):
    """WDF:fxdmatransactionbase.cpp, ReleaseForReuse and Dispose: WDF_DMA_FATAL_ERROR."""
    fx = Fx(device={"fx_verifier_on": True})
    with pytest.raises(BugCheck, match="WDF_DMA_FATAL_ERROR"):
        call(fx.ready(PAGE))
    quiet = Fx()
    call(quiet.ready(PAGE))
    assert quiet.machine.verifier.of(Misuse.FRAMEWORK_STATE)
    assert quiet.enabler.read_adapter.books.lists.live == 0


def test_a_second_release_is_nothing():
    """The same file: a double release is benign."""
    fx = Fx()
    made = fx.ready(PAGE, execute=False)
    assert [kmdf.WdfDmaTransactionRelease(made) for _ in range(2)] == [0, 0]
    assert not fx.machine.verifier.findings


# --- single transfers ----------------------------------------------------------------------------------------------


def single(length, *, registers=None, elements=None, maximum=65536, offset=0, profile=P.SCATTER_GATHER):
    """Initialize one transfer of `length` bytes that must not be cut."""
    platform = FLAT if registers is None else replace(FLAT, register_cap=registers)
    fx = Fx(platform, profile, maximum=maximum, elements=elements, wdm_dma_version_override=3, flags=SINGLE)
    made = fx.transaction()
    return fx.initialize(made, fx.mdl(length, offset=offset)), made, fx


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"length": 65537}, NtStatus.WDF_TOO_MANY_TRANSFERS),
        ({"length": 3 * PAGE, "registers": 2}, NtStatus.WDF_NOT_ENOUGH_MAP_REGISTERS),
        ({"length": 2 * PAGE, "registers": 2}, NtStatus.SUCCESS),
        ({"length": 2 * PAGE, "registers": 2, "offset": 1}, NtStatus.WDF_NOT_ENOUGH_MAP_REGISTERS),
        ({"length": 3 * PAGE, "elements": 2}, NtStatus.WDF_TOO_FRAGMENTED),
        ({"length": 3 * PAGE, "elements": 3}, NtStatus.SUCCESS),
        ({"length": 3 * PAGE, "profile": P.PACKET}, NtStatus.SUCCESS),
    ],
    ids=str,
)
def test_cb127_initialize_looks_whether_one_transfer_will_do(how, status):
    """WDF:fxdmatransactionbase.cpp, PrepareForSingleTransfer."""
    got, _, fx = single(**how)
    assert got == status
    if status:
        assert "transfer" in str(fx.machine.last_failure)


def test_a_single_transfer_of_two_registers_out_of_two_is_moved_whole():
    """The grant took a page off the fragment length; for a single transfer that does not count."""
    _, made, fx = single(2 * PAGE, registers=2)
    assert kmdf.WdfDmaEnablerGetFragmentLength(fx.enabler, WRITE) == PAGE
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    assert fx.moved() == PATTERN[: 2 * PAGE]
    assert kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)


def test_cb127_a_single_transfer_that_ends_early_fails():
    """WDF:fxdmatransactionbase.cpp, DmaCompleted: bytes that are left are too many transfers."""
    _, made, fx = single(2 * PAGE)
    kmdf.WdfDmaTransactionExecute(made, None)
    assert fx.completed(made, PAGE) == (True, NtStatus.WDF_TOO_MANY_TRANSFERS)
    assert fx.enabler.read_adapter.books.lists.live == 0


@pytest.mark.parametrize(
    ("client", "override", "status"),
    [((1, 33), 3, 0), ((1, 17), 3, NtStatus.INVALID_PARAMETER), ((1, 33), 0, NtStatus.INVALID_PARAMETER)],
)
def test_the_flag_wants_a_client_of_1_19_and_version_3(client, override, status):
    """WDF:fxdmaenabler.cpp, Initialize."""
    device = Device(Machine(FLAT), client=client)
    assert enable(device, wdm_dma_version_override=override, flags=SINGLE)[0] == status


def test_set_single_transfer_is_passed_over_where_it_does_not_count():
    """WDF:fxdmatransactionapi.cpp, WdfDmaTransactionSetSingleTransferRequirement."""
    old = Fx()
    made = old.transaction()
    kmdf.WdfDmaTransactionSetSingleTransferRequirement(made, True)
    assert not made.single_transfer
    assert "version 3" in str(old.ignored[0])
    late = Fx(wdm_dma_version_override=3)
    made = late.ready(PAGE, execute=False)
    kmdf.WdfDmaTransactionSetSingleTransferRequirement(made, True)
    assert not made.single_transfer
    assert "initialized" in str(late.ignored[0])


# --- packet transactions -------------------------------------------------------------------------------------------


def test_cb128_a_second_packet_at_the_same_time_is_busy_in_version_2_and_fine_in_3():
    """WDF:fxdmatransactionpacket.hpp, AcquireDevice: one for a device, whatever the enabler."""
    fx = Fx(profile=P.PACKET)
    first = fx.ready(PAGE)
    second = fx.ready(PAGE, execute=False)
    assert kmdf.WdfDmaTransactionExecute(second, None) == NtStatus.WDF_BUSY
    assert kmdf.WdfDmaTransactionDmaCompleted(first, fx.out)
    kmdf.WdfDmaTransactionRelease(second)
    assert fx.initialize(second, fx.mdl(PAGE)) == 0
    assert kmdf.WdfDmaTransactionExecute(second, None) == 0
    newer = Fx(profile=P.PACKET, wdm_dma_version_override=3)
    newer.ready(PAGE)
    newer.ready(PAGE)
    assert len(newer.lists) == 2


@pytest.mark.parametrize("version", [0, 3])
def test_a_bounced_packet_arrives_as_far_as_it_was_moved(version):
    """FlushAdapterBuffers gets the length that the device moved, and the rest of the buffer stays as it was."""
    fx = Fx(BIG, P.PACKET, maximum=2 * PAGE, wdm_dma_version_override=version)
    made, mdl = fx.transaction(), fx.mdl(3 * PAGE, frame=0x100000)
    assert fx.initialize(made, mdl, direction=READ) == 0
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    ((la, size),) = fx.lists[0]
    assert (la < 1 << 32, size) == (True, 2 * PAGE)
    fx.machine.device_write(La(la), b"new" * 10)
    assert fx.completed(made, 30) == (False, NtStatus.MORE_PROCESSING_REQUIRED)
    assert fx.machine.cpu_read(mdl.va, 40) == b"new" * 10 + PATTERN[30:40]
    assert fx.lists[1][0][1] == 2 * PAGE
    assert kmdf.WdfDmaTransactionDmaCompletedFinal(made, 0, fx.out)
    assert kmdf.WdfDmaTransactionGetBytesTransferred(made) == 30
    adapter = fx.enabler.read_adapter
    assert (adapter.held_registers, adapter.books.registers.live) == (0, 0)
    assert fx.machine.frames.used == 3


def test_a_completion_inside_of_the_callback_starts_the_next_piece():
    """WDF:fxdmatransactionpacket.cpp, StageTransfer: RerunStaging."""
    fx = Fx(profile=P.PACKET, maximum=PAGE)
    ends = []

    def program(transaction, device, context, direction, made):
        ends.append(kmdf.WdfDmaTransactionDmaCompleted(transaction, Out()))
        return True

    made = fx.transaction()
    assert fx.initialize(made, fx.mdl(3 * PAGE), function=program) == 0
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    assert ends == [False, False, True]
    assert fx.device.packet_owner is None


def test_resources_that_are_allocated_beforehand_stay_over_release():
    """WDF:fxdmatransactionpacket.cpp, ReserveAdapter and ReleaseAdapter."""
    fx = Fx(MAPREG, P.PACKET, maximum=8 * PAGE, wdm_dma_version_override=3)
    made, got = fx.transaction(), []
    allocate = kmdf.WdfDmaTransactionAllocateResources
    assert allocate(made, WRITE, 2, lambda *given: got.append(given), "mine") == 0
    assert got == [(made, "mine")]
    assert fx.machine.registers.total == 62
    with pytest.raises(BugCheck):
        allocate(made, WRITE, 2, lambda *given: None, None)
    for _ in range(2):
        assert fx.initialize(made, fx.mdl(3 * PAGE)) == 0
        assert kmdf.WdfDmaTransactionExecute(made, None) == 0
        assert not kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
        assert kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
        kmdf.WdfDmaTransactionRelease(made)
        assert fx.machine.registers.total == 62
    assert [sum(size for _, size in one) for one in fx.lists] == [2 * PAGE, PAGE] * 2
    kmdf.WdfDmaTransactionFreeResources(made)
    assert fx.machine.registers.total == 64


def test_resources_for_what_is_initialized_and_more_than_there_are():
    """The same: 0 asks for what the transaction needs; more than granted is out of resources."""
    fx = Fx(MAPREG, P.PACKET, maximum=8 * PAGE, wdm_dma_version_override=3)
    made = fx.ready(3 * PAGE, execute=False)
    assert kmdf.WdfDmaTransactionAllocateResources(made, WRITE, 0, lambda *given: None, None) == 0
    assert made.reserved == 3
    kmdf.WdfDmaTransactionFreeResources(made)
    with pytest.raises(BugCheck):
        kmdf.WdfDmaTransactionAllocateResources(made, WRITE, 0, lambda *given: None, None)
    status = kmdf.WdfDmaTransactionAllocateResources(made, WRITE, 10, lambda *given: None, None)
    assert status == NtStatus.INSUFFICIENT_RESOURCES
    assert fx.machine.registers.total == 64


def test_resources_are_for_packet_and_system_profiles_of_version_3():
    """WDF:fxdmatransactionapi.cpp, WdfDmaTransactionAllocateResources and FreeResources."""
    for fx in (Fx(profile=P.PACKET), Fx(wdm_dma_version_override=3)):
        made = fx.transaction()
        status = kmdf.WdfDmaTransactionAllocateResources(made, WRITE, 1, lambda *given: None, None)
        assert status == NtStatus.INVALID_DEVICE_REQUEST
        kmdf.WdfDmaTransactionFreeResources(made)
        assert fx.ignored
    fx = Fx(profile=P.PACKET, wdm_dma_version_override=3)
    status = kmdf.WdfDmaTransactionAllocateResources(fx.transaction(), 2, 1, lambda *given: None, None)
    assert status == NtStatus.INVALID_PARAMETER
    with pytest.raises(BugCheck):
        kmdf.WdfDmaTransactionFreeResources(fx.transaction())


# --- waiting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [P.SCATTER_GATHER, P.PACKET])
def test_a_wait_for_map_registers_is_cancelled_or_not_begun(profile):
    """WDF:fxdmatransactionbase.cpp, CancelResourceAllocation and SetImmediateExecution."""
    fx = Fx(MAPREG, profile, maximum=3 * PAGE, wdm_dma_version_override=3)
    holder = fx.ready(3 * PAGE)
    waiting = fx.ready(3 * PAGE)
    assert len(fx.lists) == 1
    assert kmdf.WdfDmaTransactionCancel(waiting)
    assert not kmdf.WdfDmaTransactionCancel(holder)
    impatient = fx.ready(3 * PAGE, execute=False)
    kmdf.WdfDmaTransactionSetImmediateExecution(impatient, True)
    assert kmdf.WdfDmaTransactionExecute(impatient, None) == NtStatus.INSUFFICIENT_RESOURCES
    assert kmdf.WdfDmaTransactionDmaCompleted(holder, fx.out)
    assert len(fx.lists) == 1
    kmdf.WdfDmaTransactionRelease(waiting)
    assert fx.initialize(waiting, fx.mdl(PAGE)) == 0
    assert kmdf.WdfDmaTransactionExecute(waiting, None) == 0
    assert len(fx.lists) == 2


def test_cancel_and_immediate_execution_are_for_version_3_and_a_begun_transaction():
    """WDF:fxdmatransactionapi.cpp."""
    fx = Fx()
    made = fx.ready(PAGE, execute=False)
    assert not kmdf.WdfDmaTransactionCancel(made)
    kmdf.WdfDmaTransactionSetImmediateExecution(made, True)
    assert len(fx.ignored) == 2
    with pytest.raises(BugCheck):
        kmdf.WdfDmaTransactionCancel(Fx(wdm_dma_version_override=3).transaction())


# --- what a driver asks --------------------------------------------------------------------------------------------


def test_transfer_info_counts_along_the_chain_and_takes_null():
    """WDF:fxdmatransactionbase.cpp, GetTransferInfo."""
    for override in (0, 3):
        fx = Fx(wdm_dma_version_override=override)
        made, first = fx.transaction(), fx.chain(100, 2 * PAGE, offset=4090)
        assert fx.initialize(made, first, 100 + 2 * PAGE) == 0
        registers, elements = Out(), Out()
        kmdf.WdfDmaTransactionGetTransferInfo(made, registers, elements)
        assert (registers.taken, elements.taken) == (5, 5)
        kmdf.WdfDmaTransactionGetTransferInfo(made, None, None)
        kmdf.WdfDmaTransactionExecute(made, None)
        with pytest.raises(BugCheck):
            kmdf.WdfDmaTransactionGetTransferInfo(made, registers, elements)


def test_a_shorter_maximum_counts_and_a_longer_one_does_not():
    """WDF:fxdmatransactionbase.hpp, SetMaximumFragmentLength."""
    fx = Fx(maximum=2 * PAGE)
    made = fx.ready(4 * PAGE, execute=False)
    kmdf.WdfDmaTransactionSetMaximumLength(made, 3 * PAGE)
    kmdf.WdfDmaTransactionSetMaximumLength(made, PAGE)
    kmdf.WdfDmaTransactionExecute(made, None)
    assert kmdf.WdfDmaTransactionGetCurrentDmaTransferLength(made) == PAGE
    with pytest.raises(BugCheck):
        kmdf.WdfDmaTransactionSetMaximumLength(fx.transaction(), PAGE)


def test_a_transfer_of_no_bytes_is_refused():
    """A maximum of 0 leaves nothing to map; the HAL's verifier calls that 0xE6/0x21."""
    fx = Fx()
    made = fx.ready(PAGE, execute=False)
    kmdf.WdfDmaTransactionSetMaximumLength(made, 0)
    with pytest.raises(DmaViolation) as caught:
        kmdf.WdfDmaTransactionExecute(made, None)
    assert caught.value.misuse is Misuse.ZERO_MAP


def test_device_context_and_adapter_are_found_again():
    """WDF:fxdmatransactionapi.cpp, fxdmaenablerapi.cpp."""
    fx = Fx(profile=P.SCATTER_GATHER_DUPLEX, wdm_dma_version_override=3)
    made = fx.transaction()
    assert kmdf.WdfDmaTransactionGetDevice(made) is fx.device
    assert kmdf.WdfDmaTransactionGetRequest(made) is None
    assert kmdf.WdfDmaTransactionWdmGetTransferContext(made) is None
    assert fx.initialize(made, fx.mdl(PAGE)) == 0
    assert kmdf.WdfDmaTransactionWdmGetTransferContext(made) is not None
    adapters = [kmdf.WdfDmaEnablerWdmGetDmaAdapter(fx.enabler, direction).core for direction in (READ, WRITE)]
    assert adapters == [fx.enabler.read_adapter, fx.enabler.write_adapter]
    assert kmdf.WdfDmaEnablerWdmGetDmaAdapter(fx.enabler, 2) is None
    old = Fx()
    assert kmdf.WdfDmaTransactionWdmGetTransferContext(old.ready(PAGE)) is None
    assert old.ignored


def test_the_wdm_adapter_of_an_enabler_is_a_working_one():
    fx = Fx()
    adapter, la = kmdf.WdfDmaEnablerWdmGetDmaAdapter(fx.enabler, READ), Out()
    va = adapter.DmaOperations.AllocateCommonBuffer(adapter, 100, la, True)
    adapter.DmaOperations.FreeCommonBuffer(adapter, 100, la.taken, va, True)
    assert fx.machine.frames.used == 0


# --- requests ------------------------------------------------------------------------------------------------------


def requests(fx):
    """Requests of each kind over one buffer, with the direction and length that they allow."""
    mdl = fx.mdl(PAGE)

    def control(method):
        return kmdf.Request(fx.device, Major.DEVICE_CONTROL, mdl, 100, output_length=200, control_code=method)

    return [
        (kmdf.Request(fx.device, Major.READ, mdl, 300), {READ: 300}),
        (kmdf.Request(fx.device, Major.WRITE, mdl, 300), {WRITE: 300}),
        (control(Method.BUFFERED), {READ: 200, WRITE: 100}),
        (control(Method.IN_DIRECT), {WRITE: 200}),
        (control(Method.OUT_DIRECT), {READ: 200}),
        (control(Method.NEITHER), {}),
        (kmdf.Request(fx.device, Major.READ, mdl, 0), {}),
        (kmdf.Request(fx.device, Major.READ, None, 10), {}),
    ]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("direction", [READ, WRITE])
def test_a_request_is_moved_in_the_direction_that_it_has(number, direction):
    """WDF:fxdmatransactionapi.cpp, WdfDmaTransactionInitializeUsingRequest."""
    fx = Fx()
    request, allowed = requests(fx)[number]
    made = fx.transaction()
    status = kmdf.WdfDmaTransactionInitializeUsingRequest(made, request, fx.program, direction)
    if direction not in allowed:
        assert status == NtStatus.INVALID_DEVICE_REQUEST
        assert fx.machine.last_failure is not None
        return
    assert status == 0
    assert made.remaining == allowed[direction]
    assert kmdf.WdfDmaTransactionGetRequest(made) is request
    kmdf.WdfDmaTransactionRelease(made)
    assert kmdf.WdfDmaTransactionGetRequest(made) is None


def test_a_request_needs_a_function_a_direction_and_for_packets_one_mdl():
    """The same."""
    fx = Fx(profile=P.PACKET)
    request = kmdf.Request(fx.device, Major.WRITE, fx.chain(100, 100), 200)
    made = fx.transaction()
    for function, direction in ((None, WRITE), (fx.program, 2), (fx.program, WRITE)):
        status = kmdf.WdfDmaTransactionInitializeUsingRequest(made, request, function, direction)
        assert status == NtStatus.INVALID_PARAMETER
    with pytest.raises(BugCheck):
        kmdf.WdfDmaTransactionInitializeUsingRequest(made, "request", fx.program, WRITE)


def test_an_offset_is_a_virtual_address_from_the_start_of_the_mdl():
    """WDF:fxdmatransactionapi.cpp, WdfDmaTransactionInitializeUsingOffset."""
    fx = Fx()
    made, mdl = fx.transaction(), fx.mdl(2 * PAGE)
    using = kmdf.WdfDmaTransactionInitializeUsingOffset
    assert using(made, fx.program, WRITE, mdl, 2 * PAGE, 1) == NtStatus.INVALID_PARAMETER
    assert using(made, fx.program, WRITE, None, 0, 1) == NtStatus.INVALID_PARAMETER
    assert using(made, fx.program, WRITE, mdl, 100, 50) == 0
    kmdf.WdfDmaTransactionExecute(made, None)
    assert fx.moved() == PATTERN[100:150]


# --- enablers ------------------------------------------------------------------------------------------------------


def test_cb59_before_windows_8_a_width_of_28_bits_falls_back_to_24():
    """WDF:fxdmaenabler.cpp, Initialize: Dma32BitAddresses is cleared, and the log says 24 bits."""
    fx = Fx(WINDOWS_7, address_width_override=28)
    buffer = Out()
    assert kmdf.WdfCommonBufferCreate(fx.enabler, PAGE, None, buffer) == 0
    assert int(kmdf.WdfCommonBufferGetAlignedLogicalAddress(buffer.taken)) < 1 << 24
    assert not fx.enabler.read_adapter.description.dma_32bit_addresses
    high = Fx(replace(WINDOWS_7, free=FLAT.with_free((1 << 28, (1 << 29) - 1)).free), address_width_override=28)
    assert kmdf.WdfCommonBufferCreate(high.enabler, PAGE, None, buffer) == NtStatus.INSUFFICIENT_RESOURCES
    with pytest.raises(DmaViolation) as caught:
        fx.machine.device_read(La(1 << 28), 1, fx.enabler.read_adapter)
    assert caught.value.misuse is Misuse.BEYOND_WIDTH


@pytest.mark.parametrize(
    ("platform", "profile", "config", "status"),
    [
        (FLAT, P.SCATTER_GATHER, {"wdm_dma_version_override": 1}, NtStatus.INVALID_PARAMETER),
        (FLAT, P.SCATTER_GATHER, {"wdm_dma_version_override": 2}, NtStatus.SUCCESS),
        (FLAT, P.SCATTER_GATHER, {"wdm_dma_version_override": 3}, NtStatus.SUCCESS),
        (FLAT, P.SCATTER_GATHER, {"wdm_dma_version_override": 4}, NtStatus.UNSUCCESSFUL),
        (
            FLAT,
            P.SCATTER_GATHER,
            {"wdm_dma_version_override": 2, "address_width_override": 30},
            NtStatus.INVALID_PARAMETER,
        ),
        (ARM1, P.SCATTER_GATHER, {"wdm_dma_version_override": 2}, NtStatus.INVALID_PARAMETER),
        (ISA, P.SYSTEM, {"wdm_dma_version_override": 2}, NtStatus.INVALID_PARAMETER),
        (ISA, P.SYSTEM, {"wdm_dma_version_override": 3}, NtStatus.SUCCESS),
        (WINDOWS_7, P.SCATTER_GATHER, {"wdm_dma_version_override": 3}, NtStatus.UNSUCCESSFUL),
        (FLAT, P.SCATTER_GATHER_64, {"address_width_override": 64}, NtStatus.SUCCESS),
        (FLAT, P.SCATTER_GATHER_64, {"address_width_override": 65}, NtStatus.UNSUCCESSFUL),
    ],
)
def test_cb129_a_version_below_what_the_rest_needs_is_a_wrong_parameter(platform, profile, config, status):
    """WDF:fxdmaenabler.cpp, Initialize: WdmDmaVersionOverride, and what IoGetDmaAdapter then says."""
    machine = Machine(platform)
    assert enable(Device(machine), profile, **config) == (status, None) or not status
    if status:
        assert machine.last_failure is not None
        assert not machine.adapters


def test_a_length_beyond_32_bits_is_cut_off():
    """WDF:fxdmaenabler.cpp, Initialize: a cast to ULONG."""
    fx = Fx(maximum=(1 << 32) + 65536)
    assert fx.enabler.read_adapter.granted == 17
    assert kmdf.WdfDmaEnablerGetMaximumLength(fx.enabler) == 65536
    assert kmdf.WdfDmaEnablerGetFragmentLength(fx.enabler, READ) == 65536


def test_cb122_enabler_create_looks_in_the_frameworks_order():
    """WDF:fxdmaenablerapi.cpp: IRQL, attributes and parent, size, profile, length; the handle is NULL after the IRQL."""
    machine = Machine(FLAT)
    device, foreign = Device(machine, fx_verifier_on=True), ObjectAttributes(Device(machine))
    wrong = {"attributes": foreign, "size": 4}
    with machine.at_irql(Irql.DISPATCH_LEVEL):
        assert enable(device, 99, 0, **wrong) == (NtStatus.INVALID_DEVICE_REQUEST, "untouched")
    assert enable(device, 99, 0, **wrong) == (NtStatus.WDF_OBJECT_ATTRIBUTES_INVALID, None)
    assert enable(device, 99, 0, size=4) == (NtStatus.INFO_LENGTH_MISMATCH, None)
    assert enable(device, 99, 0) == (NtStatus.INVALID_PARAMETER, None)
    assert "profile 99" in str(machine.last_failure)
    assert enable(device, P.PACKET, 0) == (NtStatus.INVALID_PARAMETER, None)
    assert "MaximumLength" in str(machine.last_failure)


@pytest.mark.parametrize(
    ("platform", "client", "size"), [(FLAT, (1, 9), 64), (FLAT, (1, 11), 80), (ISA, (1, 9), 36), (ISA, (1, 11), 48)]
)
def test_an_old_client_has_a_shorter_structure_and_no_say_about_the_parent(platform, client, size):
    """WDF:fxdmaenablerapi.cpp: WDF_DMA_ENABLER_CONFIG_V1_9, and the device for a parent."""
    device = Device(Machine(platform), client=client)
    assert config_size(device) == size
    assert enable(device, size=size + 4)[0] == NtStatus.INFO_LENGTH_MISMATCH
    assert enable(device, size=size)[0] == 0
    foreign = ObjectAttributes(Device(device.machine))
    status, enabler = enable(device, attributes=foreign, wdm_dma_version_override=3)
    if client == (1, 9):
        assert (status, enabler.parent, enabler.version) == (0, device, 2)
        assert device.machine.verifier.of(Misuse.IGNORED_CALL)
    else:
        assert status == NtStatus.WDF_OBJECT_ATTRIBUTES_INVALID


def test_zero_elements_and_wrong_directions_are_passed_over():
    """WDF:fxdmaenablerapi.cpp."""
    fx = Fx()
    kmdf.WdfDmaEnablerSetMaximumScatterGatherElements(fx.enabler, 0)
    assert kmdf.WdfDmaEnablerGetMaximumScatterGatherElements(fx.enabler) == MAXULONG
    assert kmdf.WdfDmaEnablerGetFragmentLength(fx.enabler, 2) == 0
    assert len(fx.ignored) == 2
    checked = Fx(device={"fx_verifier_on": True})
    with checked.machine.at_irql(Irql.DISPATCH_LEVEL):
        kmdf.WdfDmaEnablerSetMaximumScatterGatherElements(checked.enabler, 7)
    assert kmdf.WdfDmaEnablerGetMaximumScatterGatherElements(checked.enabler) == MAXULONG


def test_cb45_one_map_register_is_no_error_of_the_model():
    """WDF:fxdmaenabler.cpp, InitializeResources: the fragment length comes to 0."""
    fx = Fx(replace(FLAT, register_cap=1))
    assert kmdf.WdfDmaEnablerGetFragmentLength(fx.enabler, READ) == 0
    with pytest.raises(BugCheck, match="for ever"):
        fx.initialize(fx.transaction(), fx.mdl(PAGE))


def test_an_mdl_of_4_gib_less_a_page_is_found_too_small():
    """WDF:fxdmatransactionbase.cpp, _CalculateRequiredMapRegisters adds in 32 bits (the framework's issue 24)."""
    fx = Fx(SERVER, P.SCATTER_GATHER_64, maximum=MAXULONG, wdm_dma_version_override=3)
    length = (1 << 32) - PAGE
    va = fx.machine.allocate_pool(length)
    with fx.machine:
        mdl = wdm.IoAllocateMdl(va, length, False, False)
        wdm.MmProbeAndLockPages(mdl)
    assert fx.initialize(fx.transaction(), mdl) == NtStatus.BUFFER_TOO_SMALL
    assert fx.initialize(fx.transaction(), mdl, length - PAGE, va=va + PAGE) == 0


# --- the system profile --------------------------------------------------------------------------------------------


def test_cb121_a_system_profile_is_configured_once_a_direction():
    """WDF:fxdmaenabler.cpp, ConfigureSystemAdapter; fxdmaenablerapi.cpp."""
    fx, config = system(maximum=8192)
    configure = kmdf.WdfDmaEnablerConfigureSystemProfile
    assert configure(fx.enabler, None, READ) == NtStatus.INVALID_PARAMETER
    assert configure(fx.enabler, replace(config, size=1), READ) == NtStatus.INFO_LENGTH_MISMATCH
    assert configure(fx.enabler, replace(config, dma_descriptor=None), READ) == NtStatus.INVALID_PARAMETER
    assert configure(fx.enabler, config, 2) == NtStatus.INVALID_PARAMETER
    assert configure(fx.enabler, config, READ) == 0
    assert configure(fx.enabler, config, WRITE) == NtStatus.INVALID_PARAMETER
    adapter = fx.enabler.read_adapter
    assert (adapter.description.maximum_length, adapter.granted) == (8192, 3)
    assert (adapter.description.auto_initialize, adapter.description.dma_channel) == (True, 1)


def test_the_length_is_the_enablers_whoever_wrote_the_description(adapters):
    """The same: MaximumLength comes from the enabler."""
    fx, _ = system(maximum=8192)
    assert kmdf.WdfDmaEnablerConfigureSystemProfile(fx.enabler, adapters["S1"], READ) == 0
    assert fx.enabler.read_adapter.description.maximum_length == 8192
    assert adapters["S1"].maximum_length == 65536


def test_a_duplex_system_profile_takes_one_direction_at_a_time():
    """The same: each direction has an adapter of its own."""
    fx, config = system(P.SYSTEM_DUPLEX)
    configure = kmdf.WdfDmaEnablerConfigureSystemProfile
    assert configure(fx.enabler, config, WRITE) == 0
    assert (fx.enabler.read_adapter, fx.enabler.write_adapter.description.dma_channel) == (None, 1)
    assert kmdf.WdfDmaEnablerGetFragmentLength(fx.enabler, READ) == 0
    assert configure(fx.enabler, config, WRITE) == NtStatus.INVALID_PARAMETER
    assert configure(fx.enabler, replace(config, dma_descriptor=kmdf.DmaResource(3)), READ) == 0
    assert fx.enabler.read_adapter.description.dma_channel == 3


def test_a_system_transfer_runs_and_is_flushed():
    """WDF:fxdmatransactionsystem.cpp over the packet path: the channel is kept until the transaction ends."""
    fx, made, told = running_system()
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    assert fx.machine.dma.device_moves(1, PAGE) == PATTERN[:PAGE]
    assert kmdf.WdfDmaTransactionDmaCompleted(made, fx.out)
    assert fx.machine.dma.channel(1).masked
    assert fx.enabler.read_adapter.books.channels.live == fx.enabler.read_adapter.held_registers == 0
    assert told == []


def test_a_stopped_system_transfer_is_told_and_stopped_once():
    """WDF:fxdmatransactionsystem.cpp, StopTransfer."""
    fx, made, told = running_system()
    kmdf.WdfDmaTransactionExecute(made, None)
    kmdf.WdfDmaTransactionStopSystemTransfer(made)
    assert fx.machine.dma.channel(1).masked
    assert told == [DmaCompletionStatus.CANCELLED]
    kmdf.WdfDmaTransactionStopSystemTransfer(made)
    assert fx.machine.verifier.of(Misuse.FRAMEWORK_STATE)
    assert kmdf.WdfDmaTransactionDmaCompletedFinal(made, 0, fx.out)
    assert fx.enabler.read_adapter.books.channels.live == 0


def test_a_driver_that_configures_the_channel_may_end_the_transfer_there():
    """The same, PreMapTransfer: FALSE, and nothing is mapped."""
    fx, made, _ = running_system()
    kmdf.WdfDmaTransactionSetChannelConfigurationCallback(made, lambda *given: False, None)
    assert kmdf.WdfDmaTransactionExecute(made, None) == 0
    assert fx.lists == []


def test_what_belongs_to_system_profiles_is_passed_over_elsewhere():
    """WDF:fxdmatransactionapi.cpp."""
    fx = Fx()
    made = fx.transaction()
    kmdf.WdfDmaTransactionStopSystemTransfer(made)
    kmdf.WdfDmaTransactionSetTransferCompleteCallback(made, None, None)
    kmdf.WdfDmaTransactionSetChannelConfigurationCallback(made, None, None)
    kmdf.WdfDmaTransactionSetDeviceAddressOffset(made, 1)
    assert len(fx.ignored) == 4


# --- how a call is refused -----------------------------------------------------------------------------------------


def test_a_failure_of_kmdf_is_the_last_failure_and_no_older_one():
    """`last_failure` says why the last call failed, whichever layer it was."""
    fx = Fx()
    fx.machine.allocate_pool(1 << 50)
    older = fx.machine.last_failure
    seen = [older]
    for length, attributes, config in (
        (0, None, None),
        (1, ObjectAttributes(fx.device), None),
        (1, None, kmdf.WDF_COMMON_BUFFER_CONFIG(15, 4)),
        (1 << 32, None, None),
        ((1 << 64) - 1, None, kmdf.WDF_COMMON_BUFFER_CONFIG(0x1FFF)),
    ):
        if config is None:
            status = kmdf.WdfCommonBufferCreate(fx.enabler, length, attributes, Out())
        else:
            status = kmdf.WdfCommonBufferCreateWithConfig(fx.enabler, length, config, attributes, Out())
        assert status
        assert fx.machine.last_failure not in seen
        seen.append(fx.machine.last_failure)
    full = Fx(FULL)
    assert kmdf.WdfCommonBufferCreate(full.enabler, 1, None, Out()) == NtStatus.INSUFFICIENT_RESOURCES
    assert "free pages" in str(full.machine.last_failure)


@pytest.mark.parametrize(
    "call",
    [
        lambda fx: kmdf.WdfDmaEnablerCreate(fx.device, kmdf.WDF_DMA_ENABLER_CONFIG(P.PACKET, 1), None, None),
        lambda fx: kmdf.WdfCommonBufferCreate(fx.enabler, 1, None, None),
        lambda fx: kmdf.WdfDmaTransactionCreate(fx.enabler, None, None),
        lambda fx: kmdf.WdfDmaTransactionDmaCompleted(fx.ready(1), None),
    ],
)
def test_a_null_out_parameter_is_a_bug_check_and_takes_nothing(call):
    """WDF: FxPointerNotNull."""
    fx = Fx()
    before = len(fx.device.children), len(fx.enabler.children)
    with pytest.raises(BugCheck, match=r"Out\(\)"):
        call(fx)
    assert (len(fx.device.children), fx.machine.bus.buffers()) == (before[0], [])


def test_half_a_byte_is_refused_before_anything_is_taken():
    fx = Fx()
    for call in (
        lambda: kmdf.WdfCommonBufferCreate(fx.enabler, 10.5, None, Out()),
        lambda: fx.initialize(fx.transaction(), fx.mdl(PAGE), 10.5),
        lambda: kmdf.WdfDmaTransactionDmaCompletedWithLength(fx.ready(PAGE), 0.5, Out()),
    ):
        with pytest.raises(WrongArgument, match=r"is (10|0)\.5 where a whole number"):
            call()
    assert fx.machine.bus.buffers() == []


def test_the_facade_has_devices_attributes_and_requests_under_their_names():
    device = kmdf.WDFDEVICE(Machine(FLAT), pdo=DeviceObject("mine"))
    assert isinstance(device, kmdf.Device)
    assert kmdf.WDF_OBJECT_ATTRIBUTES(device).parent_object is device
    assert kmdf.WDFREQUEST is kmdf.Request
    assert [kmdf.WdfDmaProfilePacket, kmdf.WdfDmaProfileScatterGather64, kmdf.WdfDmaProfileSystemDuplex] == [1, 4, 8]
    assert (kmdf.WdfDmaDirectionReadFromDevice, kmdf.WdfDmaDirectionWriteToDevice) == (READ, WRITE)
    assert kmdf.WDF_OBJECT_ATTRIBUTES is kmdf.ObjectAttributes is ObjectAttributes
