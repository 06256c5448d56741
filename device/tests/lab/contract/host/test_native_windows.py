# SPDX-License-Identifier: Apache-2.0
"""A driver in C without a chip: what it may call, how it is stopped, and what is said of it.

Source of the routines' behaviour: the driver documentation of each; of what stops: reference hal-contract 6.
The module is long because each test has its driver's C beside it.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from nthal.machine import DeviceObject, Machine
from nthal.platforms import FLAT, Platform
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import Irql, NtStatus
from nthal_c import calls
from plx9x5x.lab.contract import native
from plx9x5x.lab.contract.native import windows

VERIFIED = FLAT.verified()
PROBE = Path(__file__).parent / "native" / "probe.c"


class Registers:
    """A BAR that remembers what was written."""

    def __init__(self, length: int = 512, *, is_io: bool = False) -> None:
        self.length = length
        self.is_io = is_io
        self.bytes = bytearray(length)

    def read(self, offset: int, width: int) -> int:
        return int.from_bytes(self.bytes[offset : offset + width], "little")

    def write(self, offset: int, width: int, value: int) -> None:
        self.bytes[offset : offset + width] = value.to_bytes(width, "little")


class Line:
    def __init__(self) -> None:
        self.queued = 0

    def queue_dpc(self) -> bool:
        self.queued += 1
        return self.queued == 1


class Host:
    """A device whose register 0x10 is its interrupt line, and whose register 0x0C counts its steps."""

    def __init__(self, platform: Platform = VERIFIED) -> None:
        self.machine = Machine(platform)
        self.pdo = DeviceObject("probe")
        self.registers = Registers()
        self.bars = [self.registers]
        self.line = Line()
        self.powered: list[bool] = []
        self._isr: Callable[[], bool] | None = None

    def connect(self, isr: Callable[[], bool], dpc: Callable[[], None]) -> Line:
        self._isr, self._dpc = isr, dpc
        return self.line

    def disconnect(self) -> None:
        self._isr = None

    def enter_d0(self) -> None:
        self.powered.append(True)

    def leave_d0(self) -> None:
        self.powered.append(False)

    def step(self) -> None:
        self.registers.write(0x0C, 4, self.registers.read(0x0C, 4) + 1)

    def run(self) -> None:
        while self._isr is not None and self.registers.read(0x10, 4):
            with self.machine.at_irql(Irql.DEVICE_LEVEL):
                self._isr()
        if self.line.queued:
            self.line.queued = 0
            with self.machine.at_irql(Irql.DISPATCH_LEVEL):
                self._dpc()


@pytest.fixture(scope="session")
def probe() -> native.Built:
    return native.build([PROBE])


def line_of(words: str) -> int:
    """Number of the only line of the driver that has these words."""
    (number,) = (n for n, line in enumerate(PROBE.read_text(encoding="utf-8").splitlines(), 1) if words in line)
    return number


def run(probe: native.Built, code: int, host: Host | None = None, data: bytes = b"", length: int = 0) -> native.Answer:
    with native.load(probe, host or Host()) as driver:
        assert driver.status == NtStatus.SUCCESS
        return driver.control(code, data, length)


# --- a driver's life -------------------------------------------------------------------------------------------------


def test_a_driver_is_loaded_started_asked_and_unloaded_in_the_framework_s_order(probe: native.Built) -> None:
    host = Host()
    with native.load(probe, host) as driver:
        assert host.powered == [True]
        assert driver.control(23).information == Irql.DISPATCH_LEVEL, "completed by the DPC"
    assert driver.printed == ["enable at 3", "disable at 3", "release at 0", "cleanup, 1 interrupts", "unload at 0"]
    assert host.powered == [True, False]
    assert host.machine.frames.used == 0
    assert host.machine.verifier.findings == []


def test_a_start_that_fails_once_interrupts_are_enabled_undoes_all_of_it() -> None:
    host = Host()
    with native.load(native.build([PROBE], defines=["POST_FAILS"]), host) as driver:
        assert driver.status == NtStatus.UNSUCCESSFUL
        assert host.powered == [True, False]
        host.registers.write(0x10, 4, 1)
        host.run()  # no interrupt comes any more
    assert driver.printed == ["enable at 3", "disable at 3", "release at 0", "cleanup, 0 interrupts", "unload at 0"]
    assert host.machine.verifier.findings == []


def test_each_loading_has_variables_of_its_own_and_two_drivers_live_side_by_side(probe: native.Built) -> None:
    with native.load(probe, Host()) as first, native.load(probe, Host()) as second:
        assert [first.control(23).status, second.control(23).status, first.control(23).status] == [0, 0, 0]
    assert (first.printed[3], second.printed[3]) == ("cleanup, 2 interrupts", "cleanup, 1 interrupts")


@pytest.mark.parametrize(
    ("code", "answer"),
    [(12, 6000), (13, 6000), (16, 0x1234_1234), (17, Irql.DEVICE_LEVEL), (26, Irql.DISPATCH_LEVEL), (27, Irql.DEVICE_LEVEL), (48, 0)],
    ids=["channel", "scatter/gather list", "registers", "synchronize", "spin lock", "interrupt lock", "levels"],
)  # fmt: skip
def test_what_a_driver_calls_works(probe: native.Built, code: int, answer: int) -> None:
    host = Host()
    assert run(probe, code, host).information == answer
    assert host.machine.verifier.findings == []
    assert host.machine.frames.used == 0


def test_the_nt_family_is_there_for_a_machine_without_verification(probe: native.Built) -> None:
    assert run(probe, 14, Host(FLAT)).information % 4096 == 0
    with pytest.raises(DmaViolation, match="HalGetAdapter is obsolete") as caught:
        run(probe, 14)
    assert caught.value.finding.place == f"probe.c:{line_of('= HalGetAdapter(')} in OldBuffer"


def test_a_control_s_input_comes_back_as_its_output_and_minimum_lengths_are_held(probe: native.Built) -> None:
    assert run(probe, 25, data=b"Hello", length=5) == native.Answer(NtStatus.SUCCESS, 5, b"hELLO")


def test_a_driver_reserves_map_registers_before_a_transaction_runs(probe: native.Built) -> None:
    host = Host()
    with native.load(probe, host) as driver:
        assert driver.control(52, b"12345", 5).information == 1
        assert driver.printed[1:] == ["reserved at 2"]
    assert host.machine.verifier.findings == []


def test_requests_that_are_completed_are_forgotten_and_no_handle_comes_again(probe: native.Built) -> None:
    with native.load(probe, Host()) as driver:
        session, counts = driver.session, []
        for _ in range(300):
            driver.control(26)
            counts.append((len(session.handles), len(session.structures)))
        assert max(handles for handles, _ in counts) < 100
        assert {structures for _, structures in counts} == {counts[0][1]}
        with pytest.raises(BugCheck, match="its object is gone"):
            session.object_of(session.number(session.queues[windows.ANY]) + 16 * 20)


def test_what_no_queue_takes_is_refused_and_nothing_is_nothing(probe: native.Built) -> None:
    with native.load(probe, Host()) as driver:
        assert driver.write(b"data").status == driver.read(4).status == NtStatus.INVALID_DEVICE_REQUEST
        assert driver.control(99).status == NtStatus.INVALID_DEVICE_REQUEST
    assert driver.control(12).status == NtStatus.INVALID_DEVICE_REQUEST


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (32, ["00000000, request 1", "5 bytes"]),
        (36, ["00000000, request 1", "100 bytes"]),
        (33, ["00000000, request 1", "100 bytes"]),
        (37, ["c0000010, request 0"]),
        (34, ["c0000010, request 0"]),
        (38, ["00000000, request 1", "100 bytes"]),
        (40, ["c000000d, request 0"]),
    ],
    ids=["buffered out", "buffered in", "in, direct out", "in, direct in", "out, direct out", "out, direct in", "NULL"],
)
def test_a_transaction_moves_the_side_of_a_request_that_its_method_gives_it(
    probe: native.Built, code: int, said: list[str]
) -> None:
    with native.load(probe, Host()) as driver:
        assert driver.control(code, b"12345", 100).status == NtStatus.SUCCESS
        assert driver.printed[1:] == said


def test_a_driver_that_polls_lets_the_device_work(probe: native.Built) -> None:
    host = Host()
    run(probe, 28, host)
    assert host.machine.clock == 3 * 10_000


# --- what stops it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "misuse", "words"),
    [
        (1, Misuse.NULL_USED, "faults at address 0x0"),
        (2, Misuse.WILD_ADDRESS, "faults at address 0x123456789000"),
        (11, Misuse.NULL_USED, "faults at address 0x0"),
        (20, Misuse.LEAK, "an MDL for 10 bytes allocated at probe.c"),
        (9, Misuse.LEAK, "64 bytes of pool allocated at probe.c"),
        (22, Misuse.WILD_ADDRESS, "no register is mapped"),
        (29, Misuse.FREE_MISMATCH, "MmUnmapIoSpace of 4 bytes: 512 bytes of registers mapped at probe.c"),
        (30, Misuse.DOUBLE_FREE, "this pool was freed before: 64 bytes of pool allocated at probe.c"),
    ],
)
def test_a_rule_that_is_broken_stops_the_driver(probe: native.Built, code: int, misuse: Misuse, words: str) -> None:
    with pytest.raises(DmaViolation, match=re.escape(words)) as caught:
        run(probe, code)
    assert caught.value.misuse is misuse
    assert "probe.c:" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "ASSERT(Code == 0) at probe.c"),
        (4, "EvtIoDeviceControl of probe returns at DISPATCH_LEVEL, it was called at PASSIVE_LEVEL"),
        (5, "acquired again at probe.c"),
        (6, "completed twice, at probe.c"),
        (7, "released at probe.c"),
        (15, "no context OTHER"),
        (18, "CommonBuffer handle is invalid: the object was deleted"),
        (19, "0x1234 is no handle"),
        (21, "no MDL is at"),
        (31, "released at probe.c"),
    ],
)
def test_what_the_kernel_stops_the_machine_for_is_a_bug_check(probe: native.Built, code: int, words: str) -> None:
    with pytest.raises(BugCheck, match=re.escape(words)):
        run(probe, code)


@pytest.mark.parametrize(
    ("code", "bug_check", "words"),
    [
        (41, 0x9, "KeRaiseIrql(0) at probe.c"),
        (42, 0xA, "KeLowerIrql(2) at probe.c"),
        (43, 0xA, "the IRQL is DEVICE_LEVEL: it would fall to DISPATCH_LEVEL"),
        (44, 0xF, "an interrupt's lock is acquired again at probe.c"),
        (45, 0xF, "an interrupt's lock is acquired again at probe.c"),
        (46, 0xA, "to IRQL 0; the IRQL is PASSIVE_LEVEL, the lock's DISPATCH_LEVEL"),
        (47, 0xA, "to IRQL 3; the IRQL is DISPATCH_LEVEL"),
    ],
)
def test_a_level_that_goes_the_wrong_way_is_a_bug_check(
    probe: native.Built, code: int, bug_check: int, words: str
) -> None:
    with pytest.raises(BugCheck, match=re.escape(words)) as caught:
        run(probe, code)
    assert caught.value.code == bug_check


def test_a_driver_that_is_stopped_runs_no_further_and_the_next_one_is_not_hurt(probe: native.Built) -> None:
    host = Host()
    with pytest.raises(BugCheck):
        run(probe, 15, host)
    assert run(probe, 23).status == NtStatus.SUCCESS


def test_a_driver_that_reads_a_register_for_ever_is_stopped(
    probe: native.Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "PATIENCE", 1000)
    host = Host()
    with pytest.raises(BugCheck, match=rf"register 0x4 is read for ever at probe.c:{line_of('Registers + 4))')} in"):
        run(probe, 8, host)
    assert host.registers.read(0x0C, 4) == 1000 // 64


def test_a_register_written_by_a_plain_pointer_is_told_when_it_is_unmapped(probe: native.Built) -> None:
    host = Host()
    run(probe, 10, host)
    (finding,) = host.machine.verifier.findings
    assert "a plain pointer wrote register 0x8" in finding.detail
    assert finding.place.endswith(" in EvtRelease")


def test_a_request_that_the_driver_keeps_is_said_once_the_device_is_idle(probe: native.Built) -> None:
    with pytest.raises(native.NativeError, match="probe holds the request that EvtIoDeviceControl got"):
        run(probe, 24)


def test_in_report_mode_a_fault_of_the_driver_s_code_ends_it_all_the_same(probe: native.Built) -> None:
    host = Host(FLAT.verified(stop=False))
    with pytest.raises(BugCheck, match="faults at address 0x0"):
        run(probe, 1, host)
    assert host.machine.verifier.findings[0].misuse is Misuse.NULL_USED


def test_what_python_itself_raises_comes_through_c(probe: native.Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(calls, "KeGetCurrentIrql", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(probe, 26)


def test_a_machine_with_memory_in_use_is_too_old_for_a_driver_in_c(probe: native.Built) -> None:
    host = Host()
    host.machine.allocate_pool(8)
    with pytest.raises(native.NativeError, match="into a fresh one"):
        native.load(probe, host)


# --- whole drivers --------------------------------------------------------------------------------------------------------

ENTRY = "NTSTATUS DriverEntry(PDRIVER_OBJECT D, PUNICODE_STRING R) { %s return STATUS_SUCCESS; }\n"


def built_of(tmp_path: Path, text: str, **options: object) -> native.Built:
    source = tmp_path / "mydriver.c"
    source.write_text("#include <ntddk.h>\n#include <wdf.h>\n" + text, encoding="utf-8")
    return native.build([source], **options)


def test_defines_choose_and_a_driver_without_the_framework_is_refused(tmp_path: Path) -> None:
    text = ENTRY % "return ANSWER;"
    driver = native.load(built_of(tmp_path, text, defines={"ANSWER": "STATUS_NOT_SUPPORTED"}), Host())
    assert driver.start() == NtStatus.NOT_SUPPORTED
    driver.end()
    with pytest.raises(native.NativeError, match="succeeded without WdfDriverCreate"):
        native.load(built_of(tmp_path, text, defines={"ANSWER": 0}), Host()).start()


WINDOWS_STYLE = {
    "Public.h": """
        DEFINE_GUID(GUID_MINE, 0x29d2a384, 0x2e47, 0x49b5, 0xae, 0xbf, 0x69, 0x62, 0xc2, 0x2b, 0xd7, 0xc2);
        #define IOCTL_MINE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x1, METHOD_BUFFERED, FILE_ANY_ACCESS)
        typedef struct _EXTENSION {
            WDFDEVICE Device; PUCHAR Memory; ULONG Length; WDFQUEUE Writes; WDFQUEUE Controls; BOOLEAN Flag;
            size_t Size; _Field_size_(Size) PUCHAR Base;
        } EXTENSION, *PEXTENSION;
        WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(EXTENSION, GetExtension)
        NTSTATUS MapAll(IN PEXTENSION Extension, IN WDFCMRESLIST List);
        EVT_WDF_IO_QUEUE_IO_WRITE EvtWrite;
        EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL EvtControl;
        """,
    "Precomp.h": """
        #define WIN9X_COMPAT_SPINLOCK
        #include <NTDDK.h>
        #pragma warning(disable:4201)
        #include <stdarg.h>
        #include <wdf.h>
        #include <initguid.h>
        #include <wdmguid.h>
        #include <evntrace.h>
        #include "public.H"
        """,
    "Hardware.c": """
        #include "precomp.h"
        #include "Hardware.tmh"
        #ifdef ALLOC_PRAGMA
        #pragma alloc_text (PAGE, MapAll)
        #endif
        static PVOID LocalMap(_In_ PHYSICAL_ADDRESS At, _In_ SIZE_T Bytes)
        {
            typedef PVOID (*PFN_EX) (_In_ PHYSICAL_ADDRESS At, _In_ SIZE_T Bytes, _In_ ULONG Protect);
            UNICODE_STRING name;
            PFN_EX pMmMapIoSpaceEx;

            RtlInitUnicodeString(&name, L"MmMapIoSpaceEx");
            pMmMapIoSpaceEx = (PFN_EX) (ULONG_PTR) MmGetSystemRoutineAddress(&name);
            if (pMmMapIoSpaceEx != NULL)
                return pMmMapIoSpaceEx(At, Bytes, PAGE_READWRITE | PAGE_NOCACHE);
            #pragma warning(suppress: 30029)
            return MmMapIoSpace(At, Bytes, MmNonCached);
        }
        NTSTATUS MapAll(IN PEXTENSION Extension, IN WDFCMRESLIST List)
        {
            LARGE_INTEGER delay;
            ULONG i;

            PAGED_CODE();
            for (i = 0; i < WdfCmResourceListGetCount(List); i++) {
                PCM_PARTIAL_RESOURCE_DESCRIPTOR desc = WdfCmResourceListGetDescriptor(List, i);
                switch (desc->Type) {
                case CmResourceTypeMemory:
                    if (desc->u.Memory.Length == 0x20000) {
                        Extension->Memory = (PUCHAR) LocalMap(desc->u.Memory.Start, desc->u.Memory.Length);
                        Extension->Length = desc->u.Memory.Length;
                    }
                    break;
                case CmResourceTypePort:
                    ASSERT(desc->u.Port.Length == 0x100);
                    break;
                default: break;
                }
            }
            delay.QuadPart = WDF_REL_TIMEOUT_IN_MS(100);
            KeDelayExecutionThread(KernelMode, TRUE, &delay);
            TraceEvents(TRACE_LEVEL_ERROR, DBG_PNP, "mapped %!STATUS!", STATUS_SUCCESS);
            return Extension->Memory ? STATUS_SUCCESS : STATUS_DEVICE_CONFIGURATION_ERROR;
        }
        """,
    "Driver.c": """
        #include "precomp.h"
        #include "Driver.tmh"
        static NTSTATUS EvtPrepare(WDFDEVICE Device, WDFCMRESLIST Raw, WDFCMRESLIST Translated)
        {
            UNREFERENCED_PARAMETER(Raw);
            return MapAll(GetExtension(Device), Translated);
        }
        static NTSTATUS EvtRelease(WDFDEVICE Device, WDFCMRESLIST Translated)
        {
            UNREFERENCED_PARAMETER(Translated);
            MmUnmapIoSpace(GetExtension(Device)->Memory, GetExtension(Device)->Length);
            return STATUS_SUCCESS;
        }
        static NTSTATUS EvtExit(WDFDEVICE Device, WDF_POWER_DEVICE_STATE Target)
        {
            UNREFERENCED_PARAMETER(Device);
            switch (Target) {
            case WdfPowerDevicePrepareForHibernation: break;
            case WdfPowerDeviceD3Final: DbgPrint("final"); break;
            default: break;
            }
            return STATUS_SUCCESS;
        }
        _Use_decl_annotations_ VOID EvtWrite(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
        {
            PEXTENSION ext = GetExtension(WdfIoQueueGetDevice(Queue));
            PUCHAR data;
            NTSTATUS status = WdfRequestRetrieveInputBuffer(Request, sizeof(*data), &data, NULL);

            if (NT_SUCCESS(status))
                WRITE_REGISTER_BUFFER_UCHAR(ext->Memory + 16, data, (ULONG) Length);
            WdfRequestCompleteWithInformation(Request, status, Length);
        }
        VOID EvtControl(_In_ WDFQUEUE Queue, _In_ WDFREQUEST Request, _In_ size_t Out, _In_ size_t In, _In_ ULONG Code)
        {
            PEXTENSION ext = GetExtension(WdfIoQueueGetDevice(Queue));
            PUCHAR out;
            NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;

            UNREFERENCED_PARAMETER(Out);
            UNREFERENCED_PARAMETER(In);
            if (Code == IOCTL_MINE)
                status = WdfRequestRetrieveOutputBuffer(Request, sizeof(*out), &out, NULL);
            if (NT_SUCCESS(status)) {
                ext->Flag = !ext->Flag;
                *out = (UCHAR) ext->Flag;
                WdfRequestSetInformation(Request, (ULONG_PTR) sizeof(*out));
            }
            WdfRequestComplete(Request, status);
        }
        static NTSTATUS EvtAdd(IN WDFDRIVER Driver, IN PWDFDEVICE_INIT DeviceInit)
        {
            WDF_DEVICE_POWER_POLICY_IDLE_SETTINGS idle;
            WDF_DEVICE_POWER_POLICY_WAKE_SETTINGS wake;
            WDF_PNPPOWER_EVENT_CALLBACKS power;
            WDF_OBJECT_ATTRIBUTES attributes;
            WDF_IO_QUEUE_CONFIG config;
            WDFDEVICE device;
            PEXTENSION ext;

            UNREFERENCED_PARAMETER(Driver);
            WdfDeviceInitSetIoType(DeviceInit, WdfDeviceIoDirect);
            WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&power);
            power.EvtDevicePrepareHardware = EvtPrepare;
            power.EvtDeviceReleaseHardware = EvtRelease;
            power.EvtDeviceD0Exit = EvtExit;
            WdfDeviceInitSetPnpPowerEventCallbacks(DeviceInit, &power);
            WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, EXTENSION);
            attributes.SynchronizationScope = WdfSynchronizationScopeDevice;
            if (!NT_SUCCESS(WdfDeviceCreate(&DeviceInit, &attributes, &device)))
                return STATUS_UNSUCCESSFUL;
            ext = GetExtension(device);
            ext->Device = device;
            WdfDeviceCreateDeviceInterface(device, (LPGUID) &GUID_MINE, NULL);
            WDF_DEVICE_POWER_POLICY_IDLE_SETTINGS_INIT(&idle, IdleCanWakeFromS0);
            idle.IdleTimeout = 10000;
            WdfDeviceAssignS0IdleSettings(device, &idle);
            WDF_DEVICE_POWER_POLICY_WAKE_SETTINGS_INIT(&wake);
            WdfDeviceAssignSxWakeSettings(device, &wake);
            WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchSequential);
            config.EvtIoWrite = EvtWrite;
            __analysis_assume(config.EvtIoStop != 0);
            WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &ext->Writes);
            WdfDeviceConfigureRequestDispatching(device, ext->Writes, WdfRequestTypeWrite);
            WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchSequential);
            config.EvtIoDeviceControl = EvtControl;
            WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &ext->Controls);
            ASSERT(WdfDeviceConfigureRequestDispatching(device, ext->Controls, WdfRequestTypeWrite) < 0);
            return WdfDeviceConfigureRequestDispatching(device, ext->Controls, WdfRequestTypeDeviceControl);
        }
        static VOID EvtDriverCleanup(WDFOBJECT Driver)
        {
            WPP_CLEANUP(WdfDriverWdmGetDriverObject(Driver));
            UNREFERENCED_PARAMETER(Driver);
            DbgPrint("driver");
        }
        NTSTATUS DriverEntry(IN PDRIVER_OBJECT DriverObject, IN PUNICODE_STRING RegistryPath)
        {
            WDF_DRIVER_CONFIG config;
            WDF_OBJECT_ATTRIBUTES attributes;

            WPP_INIT_TRACING(DriverObject, RegistryPath);
            WDF_DRIVER_CONFIG_INIT(&config, EvtAdd);
            WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
            attributes.EvtCleanupCallback = EvtDriverCleanup;
            return WdfDriverCreate(DriverObject, RegistryPath, &attributes, &config, WDF_NO_HANDLE);
        }
        """,
}
"""A driver as those for Windows are written: precompiled header, names in any case, traces, several queues and BARs."""


def test_a_driver_in_the_style_of_windows_compiles_as_it_is_and_runs(tmp_path: Path) -> None:
    for name, text in WINDOWS_STYLE.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    built = native.build([tmp_path / "Driver.c", tmp_path / "Hardware.c"], flags=["-Wall"], name="mine")
    assert "-Wincompatible-pointer-types" not in built.warnings
    host = Host()
    ports, sram = Registers(0x100, is_io=True), Registers(0x20000)
    host.bars = [host.registers, ports, sram, Registers(0)]
    with native.load(built, host) as driver:
        assert driver.status == NtStatus.SUCCESS
        assert driver.write(b"to the board").information == 12
        assert sram.bytes[16:28] == b"to the board"
        assert [driver.control(0x22 << 16 | 1 << 2, length=1).data for _ in range(2)] == [b"\x01", b"\x00"]
        assert driver.read(4).status == NtStatus.INVALID_DEVICE_REQUEST
    assert host.machine.clock == 100_000_000
    assert driver.printed == ["final", "driver"]
    assert host.machine.verifier.findings == []
