# SPDX-License-Identifier: Apache-2.0
"""What each driver in C leans on beside DMA: words of the headers, levels, pool, locks, what is printed and left.

Source: the driver documentation of each routine, and of DbgPrint's formats.
"""

import re
from pathlib import Path

import pytest

from nthal.platforms import FLAT, Platform
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import NtStatus
from nthal_c import pool, prototypes, rules
from plx9x5x.lab.contract import native
from tests.lab.contract.host.test_native_windows import Host

DRIVER = r"""
#include <wdm.h>
#include <wdf.h>
typedef struct _MINE { WDFINTERRUPT Interrupt; WDFREQUEST Request; WDFQUEUE Queue; } MINE;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(MINE, Of)
static ULONG Do(WDFDEVICE Device, WDFREQUEST Request);
static BOOLEAN Isr(WDFINTERRUPT Interrupt, ULONG Message) { return FALSE; }
static NTSTATUS OnOff(WDFINTERRUPT Interrupt, WDFDEVICE Device) { DbgPrint("%d", KeGetCurrentIrql()); return 0; }
static BOOLEAN AtDirql(WDFINTERRUPT Interrupt, WDFCONTEXT Context)
{
    Do(WdfInterruptGetDevice(Interrupt), Context);
    return TRUE;
}
static ULONG Do(WDFDEVICE Device, WDFREQUEST Request)
{
    MINE *mine = Of(Device);
    (void)mine;
    BODY
    return 0;
}
static VOID Control(WDFQUEUE Queue, WDFREQUEST Request, size_t Out, size_t In, ULONG Code)
{
    WDFDEVICE device = WdfIoQueueGetDevice(Queue);
    ULONG answer = 0;
    if (Code)
        WdfInterruptSynchronize(Of(device)->Interrupt, AtDirql, Request);
    else
        answer = Do(device, Request);
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, answer);
}
static NTSTATUS Add(__in WDFDRIVER Driver, __inout PWDFDEVICE_INIT Init)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_INTERRUPT_CONFIG interrupt;
    WDF_IO_QUEUE_CONFIG queue;
    WDFDEVICE device;
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, MINE);
    WdfDeviceCreate(&Init, &attributes, &device);
    WDF_INTERRUPT_CONFIG_INIT(&interrupt, Isr, NULL);
    interrupt.EvtInterruptEnable = interrupt.EvtInterruptDisable = OnOff;
    WdfInterruptCreate(device, &interrupt, WDF_NO_OBJECT_ATTRIBUTES, &Of(device)->Interrupt);
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&queue, WdfIoQueueDispatchSequential);
    queue.EvtIoDeviceControl = Control;
    return WdfIoQueueCreate(device, &queue, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
}
NTSTATUS DriverEntry(PDRIVER_OBJECT Object, PUNICODE_STRING Path)
{
    WDF_DRIVER_CONFIG config;
    WDF_DRIVER_CONFIG_INIT(&config, Add);
    return WdfDriverCreate(Object, Path, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
"""
LINE = DRIVER[: DRIVER.index("BODY")].count("\n") + 1
"""Line of the driver on which the test's own C stands."""
VERIFIED = FLAT.verified()


class Ran:
    """A driver with `body` in it, that was asked once, at DIRQL or at PASSIVE_LEVEL."""

    def __init__(self, tmp_path: Path, body: str, platform: Platform = VERIFIED, *, dirql: bool = False) -> None:
        source = tmp_path / "mine.c"
        source.write_text(DRIVER.replace("BODY", body.replace("\n", " ")), encoding="utf-8")
        self.host = Host(platform)
        with native.load(native.build([source]), self.host) as driver:
            self.answer = driver.control(int(dirql))
        self.printed = driver.printed[1:-1]
        self.findings = self.host.machine.verifier.findings


def refused(tmp_path: Path, body: str, *, dirql: bool = False) -> DmaViolation:
    """What a driver is stopped for; its words name the line."""
    with pytest.raises(DmaViolation) as caught:
        Ran(tmp_path, body, dirql=dirql)
    assert f"mine.c:{LINE} in Do" in str(caught.value)
    return caught.value


# --- words that a driver takes for granted -----------------------------------------------------------------------------


def test_the_interlocked_family_gives_the_new_value_or_the_one_before(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
        LONG n = 5; LONGLONG wide = 1; PVOID p = NULL; LONG a, b, c, d, e, f, g;
        a = InterlockedIncrement(&n); b = InterlockedDecrement(&n); c = InterlockedExchangeAdd(&n, 10);
        d = InterlockedExchange(&n, 12); e = InterlockedCompareExchange(&n, 1, 99); f = InterlockedOr(&n, 3);
        g = InterlockedAnd(&n, 6);
        NT_VERIFY(n == 6 && InterlockedCompareExchange(&n, 2, 6) == 6 && n == 2);
        NT_VERIFY(InterlockedIncrement64(&wide) == 2 && InterlockedExchangePointer(&p, &n) == NULL && p == &n);
        DbgPrint("%d %d %d %d %d %d %d", a, b, c, d, e, f, g);
        """,
    )
    assert ran.printed == ["6 5 5 15 12 12 15"]


def test_small_words_of_the_headers_are_there(tmp_path: Path) -> None:
    body = """
        BOOL yes = TRUE; LIST_ENTRY head, one, two; UCHAR bytes[4] = {1, 2, 3, 4}, same[4] = {1, 2, 9, 4};
        C_ASSERT(STATUS_DEVICE_NOT_READY == (NTSTATUS)0xC00000A3 && STATUS_NO_MEMORY == (NTSTATUS)0xC0000017);
        C_ASSERT(STATUS_DEVICE_BUSY == (NTSTATUS)0x80000011 && STATUS_NOT_IMPLEMENTED == (NTSTATUS)0xC0000002);
        C_ASSERT(NT_WARNING(STATUS_DEVICE_BUSY) && NT_ERROR(STATUS_NO_MEMORY) && !NT_ERROR(STATUS_TIMEOUT));
        InitializeListHead(&head); InsertTailList(&head, &one); InsertHeadList(&head, &two);
        NT_VERIFY(yes && RemoveHeadList(&head) == &two && RemoveTailList(&head) == &one && IsListEmpty(&head));
        NT_VERIFY(RtlCompareMemory(bytes, same, 4) == 2 && ALIGN_UP_BY(5, 4) == 8);
        RtlSecureZeroMemory(bytes, 4); NT_VERIFY(bytes[3] == 0);
        KdPrintEx((DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "said %d", 7));
        """
    assert Ran(tmp_path, body).printed == ["said 7"]


def test_nt_verify_evaluates_and_stops(tmp_path: Path) -> None:
    with pytest.raises(BugCheck, match=r"ASSERT\(1 == 2\) at mine.c"):
        Ran(tmp_path, "NT_VERIFY(1 == 2);")


def test_pool_that_is_asked_for_zeroed_is_zero(tmp_path: Path) -> None:
    body = """
        PUCHAR p = ExAllocatePoolZero(NonPagedPoolNx, 100, 'orez'), q = ExAllocatePool(NonPagedPool, 8);
        NT_VERIFY(p[0] == 0 && p[99] == 0);
        ExFreePoolWithTag(p, 'orez'); ExFreePool(q);
        """
    assert Ran(tmp_path, body).findings == []


# --- locks, levels, references -------------------------------------------------------------------------------------------


def test_a_spin_lock_is_taken_at_dispatch_level_and_the_level_stays(tmp_path: Path) -> None:
    body = """
        KSPIN_LOCK lock; KIRQL old = KeRaiseIrqlToDpcLevel(); KeInitializeSpinLock(&lock);
        KeAcquireSpinLockAtDpcLevel(&lock); KeReleaseSpinLockFromDpcLevel(&lock);
        DbgPrint("%d %d", old, KeGetCurrentIrql()); KeLowerIrql(old);
        """
    assert Ran(tmp_path, body).printed == ["0 2"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("KeAcquireSpinLockAtDpcLevel(&lock);", "wants DISPATCH_LEVEL, the IRQL is PASSIVE_LEVEL"),
        ("KeRaiseIrqlToDpcLevel(); KeAcquireSpinLockAtDpcLevel(&lock); KeAcquireSpinLockAtDpcLevel(&lock);", "again"),
        ("KeRaiseIrqlToDpcLevel(); KeReleaseSpinLockFromDpcLevel(&lock);", "that nobody holds"),
        ("WdfWaitLockAcquire(wait, NULL); WdfWaitLockAcquire(wait, NULL);", "a wait lock, taken at mine.c"),
        ("WdfWaitLockRelease(wait);", "a wait lock is released at mine.c"),
        ("WdfObjectReference(wait); WdfObjectDereference(wait); WdfObjectDereference(wait);", "no reference"),
    ],
)
def test_a_lock_or_a_reference_that_is_not_there_is_a_bug_check(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(BugCheck, match=re.escape(words)):
        Ran(tmp_path, f"KSPIN_LOCK lock = 0; WDFWAITLOCK wait; WdfWaitLockCreate(NULL, &wait); (void)lock; {body}")


def test_a_wait_lock_is_taken_waited_for_and_given_back(tmp_path: Path) -> None:
    body = """
        WDFWAITLOCK lock; LONGLONG wait = WDF_REL_TIMEOUT_IN_MS(1);
        WdfWaitLockCreate(WDF_NO_OBJECT_ATTRIBUTES, &lock);
        NT_VERIFY(WdfWaitLockAcquire(lock, NULL) == STATUS_SUCCESS);
        NT_VERIFY(WdfWaitLockAcquire(lock, &wait) == STATUS_TIMEOUT);
        WdfWaitLockRelease(lock); WdfObjectReference(lock); WdfObjectDereference(lock);
        """
    ran = Ran(tmp_path, body)
    assert (ran.findings, ran.host.machine.clock) == ([], 1_000_000)


def test_an_interrupt_s_callbacks_are_called_at_its_level(tmp_path: Path) -> None:
    assert Ran(tmp_path, "WdfInterruptDisable(mine->Interrupt); WdfInterruptEnable(mine->Interrupt);").printed == [
        "3",
        "3",
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "WdfRequestComplete(Request, 0);",
            "WdfRequestComplete wants at most DISPATCH_LEVEL, the IRQL is DEVICE_LEVEL",
        ),
        ("ExAllocatePoolWithTag(NonPagedPoolNx, 8, 'abcd');", "ExAllocatePoolWithTag wants at most DISPATCH_LEVEL"),
        ("PAGED_CODE();", "PAGED_CODE() wants at most APC_LEVEL"),
        ('DbgPrint("%d", 1); DbgPrint("%ws", L"x");', "DbgPrint of Unicode text wants at most PASSIVE_LEVEL"),
        ("LARGE_INTEGER t = {{0}}; KeDelayExecutionThread(KernelMode, FALSE, &t);", "KeDelayExecutionThread wants"),
        ("PVOID p; WdfRequestRetrieveInputBuffer(Request, 1, &p, NULL);", "WdfRequestRetrieveInputBuffer or its kin"),
    ],
)
def test_what_is_called_in_an_isr_and_may_not_is_said_with_its_line(tmp_path: Path, body: str, words: str) -> None:
    said = refused(tmp_path, body, dirql=True)
    assert said.misuse is Misuse.WRONG_IRQL
    assert words in str(said)


def test_paged_pool_is_refused_at_dispatch_level(tmp_path: Path) -> None:
    body = "KeRaiseIrqlToDpcLevel(); ExAllocatePoolWithTag(PagedPool, 8, 'abcd');"
    assert "paged pool wants at most APC_LEVEL" in str(refused(tmp_path, body))


def test_paged_pool_is_not_freed_at_dispatch_level(tmp_path: Path) -> None:
    body = "PVOID p = ExAllocatePoolWithTag(PagedPool, 8, 'abcd'); KeRaiseIrqlToDpcLevel(); ExFreePool(p);"
    assert "the free of paged pool wants at most APC_LEVEL" in str(refused(tmp_path, body))


def test_a_processor_that_yields_lets_the_device_work(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "YieldProcessor(); YieldProcessor(); (void)Request;")
    assert ran.host.registers.read(0x0C, 4) == 2


def test_without_verification_a_wrong_level_is_noted_as_the_hal_s_routines_do(tmp_path: Path) -> None:
    (found,) = Ran(tmp_path, "PAGED_CODE();", FLAT, dirql=True).findings
    assert found.misuse is Misuse.WRONG_IRQL
    assert Ran(tmp_path, "PAGED_CODE();").findings == []


def test_each_row_of_the_levels_is_a_routine() -> None:
    assert set(rules.HIGHEST) <= {one.name for one in prototypes.prototypes()}


# --- pool ----------------------------------------------------------------------------------------------------------------

POOL = "PUCHAR p = ExAllocatePoolWithTag(NonPagedPoolNx, 100, 'abcd'); "
BLOCK = f"100 bytes of pool allocated at mine.c:{LINE} in Do"


@pytest.mark.parametrize(
    ("body", "misuse", "words"),
    [
        ("ExFreePoolWithTag(p, 'dcba');", Misuse.FREE_MISMATCH, f"with 'dcba': {BLOCK}, with 'abcd'"),
        ("p[100] = 0; ExFreePool(p);", Misuse.OUTSIDE_BUFFER, f"the byte at offset 100 of {BLOCK} was written"),
        ("p[-1] = 0; ExFreePool(p);", Misuse.OUTSIDE_BUFFER, f"the byte at offset -1 of {BLOCK} was written"),
        ("ExFreePool(p); ExFreePool(p);", Misuse.DOUBLE_FREE, f"this pool was freed before: {BLOCK}, freed at mine.c"),
        ("ExFreePool(p + 16);", Misuse.UNKNOWN_FREE, f"is byte 16 of {BLOCK}"),
        ("ExFreePool(NULL);", Misuse.UNKNOWN_FREE, "P is NULL"),
        ("ExFreePool(IoAllocateMdl(p, 1, FALSE, FALSE, NULL));", Misuse.UNKNOWN_FREE, "is an MDL for 1 bytes"),
        ("ExFreePool((PVOID)0x12345);", Misuse.UNKNOWN_FREE, "no block of pool begins at 0x12345"),
    ],
    ids=["tag", "behind", "before", "twice", "inside", "NULL", "MDL", "wild"],
)
def test_a_wrong_free_of_pool_is_said_in_pool_s_own_words(
    tmp_path: Path, body: str, misuse: Misuse, words: str
) -> None:
    said = refused(tmp_path, POOL + body)
    assert (said.misuse, said.code) == (misuse, None)
    assert words in str(said)
    assert "ommon" not in str(said)


def test_a_block_of_whole_pages_has_guard_bytes_too(tmp_path: Path) -> None:
    body = "PUCHAR p = ExAllocatePoolWithTag(NonPagedPoolNx, 4096, 'abcd'); p[4096] = 0; ExFreePool(p);"
    assert refused(tmp_path, body).misuse is Misuse.OUTSIDE_BUFFER
    assert pool.tag(0x01020304) == "tag 0x1020304"


@pytest.mark.parametrize(
    ("before", "words"),
    [("", "is in the common buffer of 64 bytes made at mine.c"), ("WdfObjectDelete(b);", "that was freed")],
)
def test_a_common_buffer_that_is_freed_as_pool_is_called_by_its_name(tmp_path: Path, before: str, words: str) -> None:
    body = f"""
        WDF_DMA_ENABLER_CONFIG c; WDFDMAENABLER e; WDFCOMMONBUFFER b; PVOID va;
        WDF_DMA_ENABLER_CONFIG_INIT(&c, WdfDmaProfileScatterGather, 4096);
        WdfDmaEnablerCreate(Device, &c, WDF_NO_OBJECT_ATTRIBUTES, &e);
        WdfCommonBufferCreate(e, 64, WDF_NO_OBJECT_ATTRIBUTES, &b);
        va = WdfCommonBufferGetAlignedVirtualAddress(b); {before} ExFreePool(va);
        """
    assert words in str(refused(tmp_path, body))


def test_what_is_leaked_is_said_with_what_gives_it_back(tmp_path: Path) -> None:
    said = str(refused(tmp_path, POOL + "WdfObjectReference(Device);"))
    assert BLOCK in said
    assert "(before the unload: ExFreePoolWithTag for pool, WdfObjectDereference for a reference)" in said
    body = """
        DEVICE_DESCRIPTION d = {0}; ULONG n; d.Version = 2; d.Master = d.ScatterGather = d.Dma32BitAddresses = TRUE;
        d.InterfaceType = PCIBus; d.MaximumLength = 4096;
        IoGetDmaAdapter(WdfDeviceWdmGetPhysicalDevice(Device), &d, &n);
        """
    assert "(before the unload: PutDmaAdapter for an adapter)" in str(refused(tmp_path, body))


def test_in_report_mode_a_wrong_tag_frees_the_block_all_the_same(tmp_path: Path) -> None:
    ran = Ran(tmp_path, POOL + "ExFreePoolWithTag(p, 'dcba');", FLAT.verified(stop=False))
    assert [one.misuse for one in ran.findings] == [Misuse.FREE_MISMATCH]
    assert (ran.answer.status, ran.host.machine.frames.used) == (NtStatus.SUCCESS, 0)


# --- what is printed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('"%I64x|%I64d|%I32u|%Ix", 0x123456789AULL, -5LL, 7, (SIZE_T)8', "123456789a|-5|7|8"),
        ('"%ld %lu %lx %llu", (LONG)-1, (ULONG)-1, 0xFFFFFFFF, 1ULL << 40', "-1 4294967295 ffffffff 1099511627776"),
        ('"%08lX|%-6d|%+d|%#x|%.3u|%5.2d|%*d", 0xAB, 5, 6, 255, 7, 8, 4, 9', "000000AB|5     |+6|0xff|007|   08|   9"),
        ('"%hx %hd %hhx %c%%", 0x12345, 0xFFFF, 0x1FF, 65', "2345 -1 ff A%"),
        ('"%p", (PVOID)0xFFFF800012345678', "FFFF800012345678"),
        ('"%ws|%S|%ls|%-4ws|%.2ws", L"wide", L"also", L"too", L"ab", L"cut"', "wide|also|too|ab  |cu"),
        ('"%wZ|%Z|%wZ|%Z", &u, &a, NULL, NULL', "uni|ans|(null)|(null)"),
        ('"%s|%hs|%10.3s|%s", "one", "two", "three", (char *)NULL', "one|two|       thr|(null)"),
        ('"%C%wc%lc", 0xE9, 0x20AC, 66', "é€B"),
        ('"%ws", pair', "\U0001f600\ufffd"),
        ('"%d %f %s", 1, 2.0, "x"', "1 %f %s"),
        ('"%d %n %s", 1, NULL, "x"', "1 %n %s"),
        ('"100%"', "100%"),
        ('"%y%s"', "%y%s"),
        ('"%9999d|", 5', " " * 510 + "5"),
    ],
)
def test_the_documented_formats_print_as_windows_prints_them(tmp_path: Path, arguments: str, text: str) -> None:
    body = """
        UNICODE_STRING u; ANSI_STRING a = {3, 5, "ansi"}; WCHAR pair[] = {0xD83D, 0xDE00, 0xD83D, 0};
        RtlInitUnicodeString(&u, L"uniq"); u.Length = 6; (void)pair; (void)a;
        """
    assert Ran(tmp_path, f"{body} DbgPrint({arguments});").printed == [text]


def test_a_wild_string_is_a_fault_at_the_print(tmp_path: Path) -> None:
    assert "faults at address 0x10" in str(refused(tmp_path, 'DbgPrint("%s", (char *)0x10);'))
