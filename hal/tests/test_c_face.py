# SPDX-License-Identifier: Apache-2.0
"""The C face by itself: C that calls the DMA routines is compiled, entered, answered, and stopped.

Drivers as a whole, with Plug and Play and requests, are tested where those are played (`lab/contract/native`).
Source: reference hal-contract 1.7 and 6. The module is long because each test has its driver's C beside it.
"""

import gc
import inspect
import os
import re
import resource
import signal
import threading
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import nthal_c as native
from nthal import kmdf, nt, routines, wdm
from nthal.machine import DeviceObject, Machine
from nthal.objects import WdfObject
from nthal.platforms import FLAT, OFFSET, Platform
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import NtStatus, WindowsVersion
from nthal_c import builder, calls, prototypes
from nthal_c.marshal import show_device
from nthal_c.session import Known

BUFFER = """
    DEVICE_DESCRIPTION description = {0};
    PHYSICAL_ADDRESS la;
    ULONG registers;
    PADAPTER_OBJECT adapter;
    PUCHAR buffer;

    description.Master = description.Dma32BitAddresses = TRUE;
    description.InterfaceType = PCIBus;
    description.MaximumLength = 0x1000;
    adapter = HalGetAdapter(&description, &registers);
    buffer = HalAllocateCommonBuffer(adapter, 100, &la, FALSE);
    RtlFillMemory(buffer, LENGTH, 7);
    DbgPrint("%08x %u registers", la.LowPart, registers);
    HalFreeCommonBuffer(adapter, 100, la, FREED, FALSE);
"""


def opened(built: native.Built, platform: Platform = FLAT) -> native.Session:
    session = native.Session(Machine(platform), built.module(), built.name)
    native.bind(session, built.routines)
    return session


def enter(session: native.Session) -> int:
    """Call DriverEntry."""
    return session.enter(session.lib.nthal_driver_entry(), what="DriverEntry") & 0xFFFF_FFFF


def test_c_allocates_uses_and_frees_a_common_buffer(tmp_path: Path) -> None:
    built = built_of(tmp_path, ENTRY % BUFFER, defines={"LENGTH": 100, "FREED": "buffer"})
    session = opened(built, OFFSET)
    assert enter(session) == NtStatus.SUCCESS
    assert session.printed == ["80100000 2 registers"]
    assert session.machine.frames.used == 0
    assert session.machine.verifier.findings == []


def test_a_wrong_free_in_c_is_named_with_its_line(tmp_path: Path) -> None:
    session = opened(built_of(tmp_path, ENTRY % BUFFER, defines={"LENGTH": 1, "FREED": "buffer + 1"}))
    with pytest.raises(DmaViolation) as caught:
        enter(session)
    assert caught.value.misuse is Misuse.FREE_MISMATCH
    assert caught.value.finding.place == "mydriver.c:17 in DriverEntry"
    assert "made at mydriver.c:14 in DriverEntry" in str(caught.value)


def test_a_fault_of_c_is_a_finding_and_the_process_lives(tmp_path: Path) -> None:
    session = opened(built_of(tmp_path, ENTRY % "*(volatile int *)8 = 1;"))
    with pytest.raises(DmaViolation, match="faults at address 0x8") as caught:
        enter(session)
    assert caught.value.misuse is Misuse.NULL_USED


def test_what_a_module_around_plays_comes_first_and_is_declared(tmp_path: Path) -> None:
    text = ENTRY % "return KeGetCurrentIrql() + (MmMapIoSpace((PHYSICAL_ADDRESS){{0}}, 1, MmNonCached) != NULL);"
    with pytest.raises(native.DoesNotCompile, match="MmMapIoSpace"):
        built_of(tmp_path, text)
    around = ModuleType("around")
    around.KeGetCurrentIrql = lambda session: 40 + session.machine.irql
    around.MmMapIoSpace = lambda session, at, length, kind: length
    built = built_of(tmp_path, text, around=[around])
    session = native.Session(Machine(FLAT), built.module(), built.name, built.around)
    native.bind(session, built.routines)
    assert enter(session) == 41


# --- adapters of version 2 and 3 ---------------------------------------------------------------------------------------

MOVES = """
static PDMA_ADAPTER Adapter;
static UCHAR Room[400];
static PMDL Chain;
static PMDL Piece(SIZE_T Length)
{{
    PMDL mdl = IoAllocateMdl(ExAllocatePool2(POOL_FLAG_NON_PAGED, Length, 'eceP'), Length, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(mdl);
    return mdl;
}}
static void Drop(PMDL Mdl)
{{
    PVOID memory = MmGetMdlVirtualAddress(Mdl);
    IoFreeMdl(Mdl);
    ExFreePool(memory);
}}
static ULONG Total(PSCATTER_GATHER_LIST List)
{{
    ULONG sum = 0;
    for (ULONG n = 0; n < List->NumberOfElements; n++)
        sum += List->Elements[n].Length;
    return sum;
}}
static void OnList(PDEVICE_OBJECT Device, PIRP Irp, PSCATTER_GATHER_LIST List, PVOID Context)
{{
    PMDL mdl = NULL;
    NTSTATUS status = Adapter->DmaOperations->BuildMdlFromScatterGatherList(Adapter, List, Chain, &mdl);
    DbgPrint("%u bytes, mine %d, %s", Total(List), (PVOID)List == Room, (char *)Context);
    DbgPrint("mdl %x of %u", status, MmGetMdlByteCount(mdl));
    IoFreeMdl(mdl);
    Adapter->DmaOperations->PutScatterGatherList(Adapter, List, TRUE);
}}
static IO_ALLOCATION_ACTION OnChannel(PDEVICE_OBJECT Device, PIRP Irp, PVOID Base, PVOID Context) {{ return ANSWER; }}
NTSTATUS DriverEntry(PDRIVER_OBJECT D, PUNICODE_STRING R)
{{
    DEVICE_DESCRIPTION description = {{VERSION}};
    PDEVICE_OBJECT device = (PDEVICE_OBJECT)D;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG registers;
    KIRQL old;

    description.Master = description.ScatterGather = description.Dma32BitAddresses = TRUE;
    description.InterfaceType = PCIBus;
    description.MaximumLength = 0x10000;
    description.DmaAddressWidth = 32;
    Adapter = IoGetDmaAdapter(device, &description, &registers);
    Chain = Piece(100);
    Chain->Next = Piece(60);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    {body}
    KeLowerIrql(old);
    if (Chain->Next != NULL)
        Drop(Chain->Next);
    Drop(Chain);
    Adapter->DmaOperations->PutDmaAdapter(Adapter);
    return status;
}}
"""


def moved(
    tmp_path: Path, body: str, version: int = 3, answer: str = "KeepObject", platform: Platform = FLAT
) -> native.Session:
    built = built_of(tmp_path, MOVES.format(body=body), defines={"VERSION": version, "ANSWER": answer})
    session = opened(built, platform)
    device = show_device(session, DeviceObject("mydriver"))
    status = session.enter(session.lib.nthal_driver_entry(), device, what="DriverEntry") & 0xFFFF_FFFF
    session.printed.append(f"status {status:x}")
    return session


def test_a_chain_of_mdls_that_c_links_is_one_buffer(tmp_path: Path) -> None:
    body = """
    ULONG size, more;
    status = Adapter->DmaOperations->CalculateScatterGatherList(Adapter, Chain, MmGetMdlVirtualAddress(Chain), 160, &size, &more);
    DbgPrint("%u registers", more);
    Adapter->DmaOperations->GetScatterGatherList(Adapter, device, Chain, MmGetMdlVirtualAddress(Chain), 160, OnList, "chain", TRUE);
    """
    session = moved(tmp_path, body, version=2)
    assert session.printed == ["2 registers", "160 bytes, mine 0, chain", "mdl 0 of 160", "status 0"]
    assert session.machine.verifier.findings == []
    assert session.held == {}


@pytest.mark.parametrize(
    ("link", "words"), [("Chain", "leads back to itself"), ("(PMDL)Room", "no MDL is at")], ids=["circle", "wild"]
)
def test_a_chain_that_is_none_stops_the_driver(tmp_path: Path, link: str, words: str) -> None:
    body = f"""
    ULONG size;
    Chain->Next->Next = {link};
    Adapter->DmaOperations->CalculateScatterGatherList(Adapter, Chain, MmGetMdlVirtualAddress(Chain), 160, &size, NULL);
    """
    with pytest.raises(BugCheck, match=words):
        moved(tmp_path, body)


def test_a_list_is_built_in_the_driver_s_memory(tmp_path: Path) -> None:
    body = """
    status = Adapter->DmaOperations->BuildScatterGatherList(Adapter, device, Chain, MmGetMdlVirtualAddress(Chain), 160, OnList, "built", TRUE, Room, sizeof(Room));
    DbgPrint("%x", Adapter->DmaOperations->BuildScatterGatherList(Adapter, device, Chain, MmGetMdlVirtualAddress(Chain), 160, OnList, "small", TRUE, Room, 24));
    """
    session = moved(tmp_path, body, version=2)
    assert session.printed == ["160 bytes, mine 1, built", "mdl 0 of 160", "c0000023", "status 0"]
    assert session.machine.verifier.findings == []


def test_version_3_s_routines_are_there_for_c(tmp_path: Path) -> None:
    body = """
    UCHAR context[DMA_TRANSFER_CONTEXT_SIZE_V1];
    DMA_ADAPTER_INFO info = {DMA_ADAPTER_INFO_VERSION1};
    DMA_TRANSFER_INFO transfer = {DMA_TRANSFER_INFO_VERSION1};
    PDMA_OPERATIONS dma = Adapter->DmaOperations;
    PSCATTER_GATHER_LIST list = NULL;
    PHYSICAL_ADDRESS most = {.QuadPart = 0xffffffff}, la;
    ULONG length = 160;
    PVOID base = NULL;

    ASSERT(dma->Size <= sizeof(DMA_OPERATIONS));
    dma->GetDmaAdapterInfo(Adapter, &info);
    DbgPrint("%u bits, counter %u", info.V1.DmaAddressWidth, info.V1.ReadDmaCounterAvailable);
    dma->GetDmaTransferInfo(Adapter, Chain, 0, 160, TRUE, &transfer);
    DbgPrint("%u registers, list of %u", transfer.V1.MapRegisterCount, transfer.V1.ScatterGatherListSize);
    DbgPrint("%x before", dma->GetScatterGatherListEx(Adapter, device, context, Chain, 0, 160, 0, OnList, "early", TRUE, NULL, NULL, NULL));
    dma->InitializeDmaTransferContext(Adapter, context);
    dma->GetScatterGatherListEx(Adapter, device, context, Chain, 40, 120, 0, OnList, "extended", TRUE, NULL, NULL, NULL);
    dma->BuildScatterGatherListEx(Adapter, device, context, Chain, 0, 160, 0, OnList, "in place", TRUE, Room, sizeof(Room), NULL, NULL, NULL);
    dma->GetScatterGatherListEx(Adapter, device, context, Chain, 0, 160, DMA_SYNCHRONOUS_CALLBACK, NULL, NULL, TRUE, NULL, NULL, &list);
    DbgPrint("now %u", Total(list));
    dma->FreeAdapterObject(Adapter, DeallocateObjectKeepRegisters);
    dma->PutScatterGatherList(Adapter, list, TRUE);
    dma->AllocateAdapterChannelEx(Adapter, device, context, 2, DMA_SYNCHRONOUS_CALLBACK, NULL, NULL, &base);
    list = (PSCATTER_GATHER_LIST)Room;
    status = dma->MapTransferEx(Adapter, Chain, base, 0, 0, &length, TRUE, list, sizeof(Room), NULL, NULL);
    DbgPrint("mapped %u, %u in the list", length, Total(list));
    dma->FlushAdapterBuffersEx(Adapter, Chain, base, 0, length, TRUE);
    dma->FreeAdapterObject(Adapter, DeallocateObject);
    DbgPrint("cancelled %d", dma->CancelAdapterChannel(Adapter, device, context));
    DbgPrint("%x, %x", dma->CancelMappedTransfer(Adapter, context), dma->ConfigureAdapterChannel(Adapter, 0, NULL));
    KeLowerIrql(PASSIVE_LEVEL);
    base = dma->AllocateCommonBufferEx(Adapter, &most, 100, &la, TRUE, 0);
    dma->FreeCommonBuffer(Adapter, 100, la, base, TRUE);
    """
    session = moved(tmp_path, body)
    assert session.printed == [
        "32 bits, counter 0", "2 registers, list of 64", "c000000d before", "120 bytes, mine 0, extended", "mdl 0 of 120",
        "160 bytes, mine 1, in place", "mdl 0 of 160", "now 160", "mapped 160, 160 in the list", "cancelled 0",
        "c000000d, c0000002", "status 0",
    ]  # fmt: skip
    assert session.machine.verifier.findings == []
    assert session.held == {}


def test_windows_10_s_buffers_with_bounds_and_vectors_are_there_for_c(tmp_path: Path) -> None:
    body = """
    PHYSICAL_ADDRESS low = {0}, most = {.QuadPart = 0xffffff}, la;
    PDMA_OPERATIONS dma = Adapter->DmaOperations;
    PDMA_COMMON_BUFFER_VECTOR vector = NULL;
    MEMORY_CACHING_TYPE cached = MmCached;
    PVOID va;

    KeLowerIrql(old);
    va = dma->AllocateCommonBufferWithBounds(Adapter, NULL, &most, 100, 0, &cached, 0, &la);
    DbgPrint("%d", va != NULL && la.QuadPart <= most.QuadPart);
    dma->FreeCommonBuffer(Adapter, 100, la, va, TRUE);
    status = dma->AllocateCommonBufferVector(Adapter, low, most, MmCached, 0, 0, 2, 4096, &vector);
    dma->GetCommonBufferFromVectorByIndex(Adapter, vector, 1, &va, &la);
    RtlFillMemory(va, 4096, 1);
    dma->FreeCommonBufferFromVector(Adapter, vector, 0);
    dma->FreeCommonBufferFromVector(Adapter, vector, 1);
    dma->FreeCommonBufferVector(Adapter, vector);
    """
    session = moved(tmp_path, body, platform=NEWEST)
    assert session.printed == ["1", "status 0"]
    assert session.machine.verifier.findings == []


def test_a_routine_of_the_table_that_is_not_modelled_is_told_where_it_is_called(tmp_path: Path) -> None:
    body = "status = Adapter->DmaOperations->JoinDmaDomain(Adapter, NULL);"
    with pytest.raises(DmaViolation, match=r"JoinDmaDomain is not modelled: .*, at mydriver.c:\d+ in DriverEntry"):
        moved(tmp_path, body, platform=NEWEST)
    session = moved(tmp_path, body, platform=NEWEST.verified(stop=False))
    assert session.printed[-1] == "status c0000002"


@pytest.mark.parametrize(
    ("answer", "routine", "words"),
    [
        (
            "0",
            "OnChannel",
            "what AdapterControl of mydriver returns is 0x0; allowed are 1 (KEEP_OBJECT), 2 (DEALLOCATE_",
        ),
        ("77", "OnChannel", "what AdapterControl of mydriver returns is 0x4d; allowed are 1"),
        ("0", "NULL", "AllocateAdapterChannel: ExecutionRoutine is NULL where a routine is due, at mydriver.c:"),
    ],
    ids=["0", "garbage", "NULL"],
)
def test_an_adapter_control_that_answers_nothing_known_stops_the_driver(
    tmp_path: Path, answer: str, routine: str, words: str
) -> None:
    body = f"Adapter->DmaOperations->AllocateAdapterChannel(Adapter, device, 1, {routine}, NULL);"
    with pytest.raises(BugCheck, match=re.escape(words)):
        moved(tmp_path, body, answer=answer)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("FreeAdapterObject(Adapter, (IO_ALLOCATION_ACTION)9)", "IO_ALLOCATION_ACTION is 0x9; allowed are 1"),
        ("GetDmaAdapterInfo(Adapter, NULL)", "GetDmaAdapterInfo: AdapterInfo is NULL"),
        ("InitializeDmaTransferContext(Adapter, NULL)", "DmaTransferContext is NULL"),
    ],
)
def test_what_no_routine_can_take_stops_the_driver(tmp_path: Path, call: str, words: str) -> None:
    with pytest.raises(BugCheck, match=re.escape(words)):
        moved(tmp_path, f"Adapter->DmaOperations->{call};")


def test_what_a_description_may_say_is_told_to_who_says_something_else(tmp_path: Path) -> None:
    session = ENTRY % "{{ DEVICE_DESCRIPTION d = {{0}}; ULONG n; d.DmaWidth = (DMA_WIDTH)9; HalGetAdapter(&d, &n); }}"
    built = built_of(tmp_path, session.replace("{{", "{").replace("}}", "}"))
    with pytest.raises(BugCheck, match=r"DEVICE_DESCRIPTION.DmaWidth is 0x9; allowed are 0 \(WIDTH_8\), "):
        enter(opened(built))


def test_what_is_put_and_given_back_is_forgotten_but_for_the_last(tmp_path: Path) -> None:
    body = """
    for (int n = 0; n < 300; n++)
        Adapter->DmaOperations->GetScatterGatherList(Adapter, device, Chain, MmGetMdlVirtualAddress(Chain), 100, OnList, "again", TRUE);
    """
    session = moved(tmp_path, body)
    assert len(session.printed) == 601
    assert len(session.structures) < 100


def test_objects_are_found_by_what_they_are_and_no_number_comes_again() -> None:
    known, parent = Known(), WdfObject(None)
    things = [WdfObject(parent) for _ in range(1000)]
    for number, thing in enumerate(things):
        known.add(number, thing)
        if number % 100:
            thing.delete()
    assert len(known) < 150
    assert all(known.thing(number) is things[number] for number in range(0, 1000, 100))
    assert known.number(things[990]) == 990, "the last of the deleted are remembered"
    assert known.number(things[1]) is None


# --- building --------------------------------------------------------------------------------------------------------

ENTRY = "NTSTATUS DriverEntry(PDRIVER_OBJECT D, PUNICODE_STRING R) { %s return STATUS_SUCCESS; }\n"


def built_of(tmp_path: Path, text: str, **options: object) -> native.Built:
    source = tmp_path / "mydriver.c"
    source.write_text("#include <ntddk.h>\n#include <wdf.h>\n" + text, encoding="utf-8")
    return native.build([source], **options)


def test_a_routine_that_nthal_lacks_is_named_by_the_compiler_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(native.DoesNotCompile, match=r"mydriver.c:3:.*\bWdfTimerCreate\b"):
        built_of(tmp_path, ENTRY % "WdfTimerCreate();")


def test_a_routine_that_only_the_driver_declares_is_named_by_the_loader(tmp_path: Path) -> None:
    built = built_of(tmp_path, "NTSTATUS IoCreateDevice(void);\n" + ENTRY % "IoCreateDevice();")
    with pytest.raises(native.DoesNotLoad, match=r"mydriver needs what nobody has: .*IoCreateDevice"):
        opened(built)


def test_a_missing_compiler_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    with pytest.raises(native.NoCompiler, match="no compiler no-such-compiler; install gcc or clang") as caught:
        built_of(tmp_path, ENTRY % "")
    assert "CC" in caught.value.hint
    with pytest.raises(ValueError, match="at least one source"):
        native.build([])


NEWEST = replace(FLAT, windows=WindowsVersion.SERVER_2022)
UNSEEN = {"ScatterGatherBuffer", "OriginalMdl"}
"""Parameters of C for which Python has none: memory for a list, and an MDL that plays no part."""
AROUND = re.compile(
    r"Wdf(Driver|Device|Interrupt|SpinLock|WaitLock|IoQueue|Request|Object(Get|Reference|Dereference))"
    r"|(Mm(Map|Unmap)Io|KeStall)"
)
"""Routines that are played by who plays Windows around the driver."""
NOT_IN_C = {
    "IoCompleteRequest", "MmAllocateContiguousMemory", "MmFreeContiguousMemory",
    "WdfDmaEnablerConfigureSystemProfile",
}  # fmt: skip
"""Routines of the façades that no header of ours declares."""
MACROS = set(re.findall(r"#define (\w+)\(", (prototypes.INCLUDE / "nthal" / "kernel.h").read_text(encoding="utf-8")))


def in_table() -> list[prototypes.Prototype]:
    return [one for one in prototypes.prototypes() if one.in_operations]


def name_of(prototype: prototypes.Prototype) -> str:
    return prototype.name.removeprefix(prototypes.TABLE)


def test_dma_operations_has_each_routine_of_windows_in_its_place(tmp_path: Path) -> None:
    names = routines.names(3, NEWEST)
    assert [name_of(one) for one in in_table()] == list(names)
    module = built_of(tmp_path, ENTRY % "").module()
    assert module.ffi.sizeof("DMA_OPERATIONS") == wdm.DMA_OPERATIONS(Machine(NEWEST), 3).Size
    assert [name for name in dir(module.lib.nthal_operations) if not getattr(module.lib.nthal_operations, name)] == []


def test_prototypes_have_the_parameters_of_the_routines_that_play_them() -> None:
    for one in prototypes.prototypes():
        played = getattr(wdm.DMA_OPERATIONS, name_of(one), None) if one.in_operations else None
        played = played or next((getattr(m, one.name) for m in (kmdf, wdm, nt) if hasattr(m, one.name)), None)
        if played is not None and one.name not in vars(calls):
            due = list(inspect.signature(played).parameters)
            given = [each.name for each in one.parameters if each.name in due or each.name not in UNSEEN]
            assert given == [name for name in due if name != "self"], one.name


def test_every_prototype_is_played_here_or_around_and_what_the_facades_have_more_is_named() -> None:
    """A routine that is declared and has no Python would fail at run time, which is what this face must not do."""
    known = prototypes.prototypes()
    assert len(known) == len({p.name for p in known}) > 100
    around = {p.name for p in known if not calls.played(p, ())}
    assert {name for name in around if not AROUND.match(name)} == {
        "nthal_read", "nthal_write", "nthal_request", "nthal_complete",
    }  # fmt: skip
    facades = {
        name
        for module in (kmdf, wdm, nt)
        for name, one in vars(module).items()
        if inspect.isfunction(one) and name[0].isupper()
    }
    assert facades - {p.name for p in known} - MACROS == NOT_IN_C


def test_headers_declare_to_a_driver_what_is_played_and_nothing_else() -> None:
    known = [p for p in prototypes.prototypes() if calls.played(p, ())]
    text = prototypes.for_drivers(known)
    declared = set(re.findall(r"\bextern \w+ (\w+)\(", text))
    assert declared == {p.name for p in known if not p.in_table}
    assert set(re.findall(r"\(\*(\w+)\)\(", text)) == {name_of(p) for p in in_table()}


def test_headers_are_ours_and_say_so() -> None:
    headers = [*prototypes.INCLUDE.rglob("*.h")]
    assert len(headers) > 8
    assert all("SPDX-License-Identifier: Apache-2.0" in h.read_text(encoding="utf-8").splitlines()[0] for h in headers)


# --- pointers, signals and what else a driver's mistake must not end the process by ----------------------------------


def entered(tmp_path: Path, body: str, platform: Platform = FLAT, before: str = "") -> native.Session:
    session = opened(built_of(tmp_path, before + ENTRY % body), platform)
    enter(session)
    return session


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("KeAcquireSpinLockRaiseToDpc(NULL);", "KeAcquireSpinLockRaiseToDpc: SpinLock is NULL"),
        ("KeAcquireSpinLockRaiseToDpc((PKSPIN_LOCK)0x1000);", "SpinLock is 0x1000, where the driver has no 8 bytes"),
        ("static const KSPIN_LOCK l = 0; KeAcquireSpinLockRaiseToDpc((PKSPIN_LOCK)&l);", "bytes that can be written"),
        ("ULONG n; IoGetDmaAdapter(NULL, NULL, &n);", "IoGetDmaAdapter: DeviceDescription is NULL"),
        ("ULONG n; HalGetAdapter((PVOID)-4096, &n);", "HalGetAdapter: DeviceDescription is 0xfffffffffffff000"),
        ("DEVICE_DESCRIPTION d = {0}; HalGetAdapter(&d, NULL);", "HalGetAdapter: NumberOfMapRegisters is NULL"),
        ("WdfDmaEnablerCreate(NULL, NULL, NULL, NULL);", "WdfDmaEnablerCreate: Config is NULL"),
        (
            "WDF_DMA_ENABLER_CONFIG c; WDF_OBJECT_ATTRIBUTES a; WDFDMAENABLER e; WDF_OBJECT_ATTRIBUTES_INIT(&a);"
            "WDF_DMA_ENABLER_CONFIG_INIT(&c, WdfDmaProfilePacket, 1); a.ContextTypeInfo = (PVOID)0x77;"
            "WdfDmaEnablerCreate(NULL, &c, &a, &e);",
            "Attributes->ContextTypeInfo is 0x77",
        ),
        (
            "WDF_OBJECT_CONTEXT_TYPE_INFO i = {sizeof i, (PCSTR)0x123456789000, 4};"
            "WdfObjectGetTypedContextWorker(NULL, &i);",
            "TypeInfo->ContextName is 0x123456789000",
        ),
    ],
)
def test_a_pointer_that_leads_nowhere_is_a_finding_at_the_call(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(DmaViolation, match=re.escape(words)) as caught:
        entered(tmp_path, body)
    assert caught.value.misuse in (Misuse.NULL_USED, Misuse.WILD_ADDRESS)
    placed = "ContextName" not in words  # accessors of contexts note no place
    assert caught.value.finding.place == ("mydriver.c:3 in DriverEntry" if placed else "DriverEntry of mydriver")


def test_a_list_is_not_written_where_the_driver_has_no_memory(tmp_path: Path) -> None:
    body = """
    Adapter->DmaOperations->BuildScatterGatherList(Adapter, device, Chain, MmGetMdlVirtualAddress(Chain), 160, OnList,
        "wild", TRUE, (PVOID)0x77000, 400);
    """
    with pytest.raises(DmaViolation, match="ScatterGatherBuffer is 0x77000"):
        moved(tmp_path, body, version=2)


def test_an_adapter_s_place_takes_an_adapter_alone(tmp_path: Path) -> None:
    with pytest.raises(BugCheck, match=r"PutDmaAdapter: DmaAdapter is NULL, at mydriver.c:\d+ in DriverEntry"):
        moved(tmp_path, "Adapter->DmaOperations->PutDmaAdapter(NULL);")
    with pytest.raises(BugCheck, match=r"no DMA_ADAPTER is at 0x.*another structure"):
        moved(tmp_path, "Adapter->DmaOperations->PutDmaAdapter((PVOID)Chain);")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("volatile int z = 0; z = 50 / z;", "divides a whole number by zero"),
        ("__builtin_trap();", "an instruction that the processor does not have"),
        ("abort();", "calls abort"),
        ("Down(1);", "has used up the stack"),
        ("Loud(1);", "has used up the stack"),
    ],
)
def test_what_else_ends_code_is_a_bug_check(tmp_path: Path, body: str, words: str) -> None:
    before = """
    void abort(void);
    static volatile ULONG Depth;
    static int Down(int n) { volatile char room[2000]; room[n % 2000] = 1; return Down(n + 1) + room[n % 7]; }
    static int Loud(int n) { if (n % 100 == 0) DbgPrint("%d", n); return Loud(n + 1) + (int)Depth++; }
    """
    with pytest.raises(BugCheck, match=rf"the driver's code .*{words}.*, at the code after "):
        entered(tmp_path, body, before=before)


def test_an_address_that_is_not_canonical_is_no_null(tmp_path: Path) -> None:
    with pytest.raises(DmaViolation, match=r"not canonical|0x8000000000000000") as caught:
        entered(tmp_path, "*(volatile char *)0x8000000000000000 = 1;")
    assert caught.value.misuse is Misuse.WILD_ADDRESS


def test_a_signal_stack_and_handlers_are_there_while_the_driver_runs_alone(tmp_path: Path) -> None:
    numbers = (signal.SIGSEGV, signal.SIGFPE, signal.SIGINT)
    before = [signal.getsignal(one) for one in numbers]
    status = Path("/proc/self/status")
    caught = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("SigCgt")]
    entered(tmp_path, "")
    assert [signal.getsignal(one) for one in numbers] == before
    assert caught == [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("SigCgt")]


@pytest.mark.parametrize("body", ["for (;;) ;", "for (;;) KeGetCurrentIrql();"], ids=["in C", "in routines"])
def test_ctrl_c_ends_a_driver_that_loops(tmp_path: Path, body: str) -> None:
    session = opened(built_of(tmp_path, ENTRY % body))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        enter(session)
    timer.join()
    entered(tmp_path, "KeGetCurrentIrql();")


def test_a_fault_on_another_thread_s_stack_is_told_too(tmp_path: Path) -> None:
    built = built_of(
        tmp_path,
        "static int Down(int n) { volatile char r[99]; r[n % 9] = 1; return Down(n + 1) + r[1]; }" + ENTRY % "Down(1);",
    )
    told: list[str] = []

    def run() -> None:
        with pytest.raises(BugCheck) as caught:
            enter(opened(built))
        told.append(str(caught.value))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "used up the stack" in told[0]


@pytest.mark.parametrize(("cc", "words"), [("'", "is no command"), ("true", "ended without an error and made no")])
def test_a_cc_that_is_no_compiler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cc: str, words: str) -> None:
    built_of(tmp_path, ENTRY % "")
    monkeypatch.setenv("CC", cc)
    with pytest.raises(native.NoCompiler, match=f"{words}.*; set CC to a C compiler"):
        built_of(tmp_path, ENTRY % "")


def test_names_that_are_none_are_refused_and_sources_are_no_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=re.escape("give a list, build(['good.c'])")):
        native.build("good.c")
    with pytest.raises(ValueError, match="a word without /"):
        native.build(["good.c"], name="a/b")
    for name in ("-o.c", "@good.c"):
        Path(name).write_text("#include <ntddk.h>\n" + ENTRY % "", encoding="utf-8")
        assert enter(opened(native.build([name], name="good"))) == NtStatus.SUCCESS


def test_a_source_that_is_not_utf_8_is_compiled_and_quoted(tmp_path: Path) -> None:
    source = tmp_path / "mydriver.c"
    source.write_bytes(b"#include <ntddk.h>\n" + (ENTRY % "ASSERT(D == (PVOID)L'\xe9');").encode("latin-1"))
    with pytest.raises(BugCheck, match="ASSERT"):
        enter(opened(native.build([source], flags=["-finput-charset=latin1"])))
    source.write_bytes(b"#warning \xe9\n#error \xe9\n")
    with pytest.raises(native.DoesNotCompile, match="does not compile"):
        native.build([source])


def test_no_room_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = built_of(tmp_path, ENTRY % "")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(native.NativeError, match="ulimit -f"):
            built.module()
        with pytest.raises(native.NativeError):
            built_of(tmp_path, ENTRY % "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_built_goes_with_its_object_and_with_a_process_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = built_of(tmp_path, ENTRY % "")
    folder = built.library.parent
    assert folder.is_dir()
    del built
    gc.collect()
    assert not folder.exists()
    dead, alive = tmp_path / "nthal-dead", tmp_path / "nthal-other"
    for one in (dead, alive):
        one.mkdir()
    (dead / "lock").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = builder._scratch.__wrapped__()
    assert not dead.exists()
    assert alive.exists()
    builder._scratch.__wrapped__()
    assert mine.exists(), "its lock is held"


def test_freeing_no_mdl_is_a_bug_check(tmp_path: Path) -> None:
    with pytest.raises(BugCheck, match=r"IoFreeMdl: Mdl is NULL, at mydriver.c:3 in DriverEntry"):
        entered(tmp_path, "IoFreeMdl(NULL);")
