# SPDX-License-Identifier: Apache-2.0
"""What a driver in C gives the framework that is none: NULL and wild pointers, handles of something else, wrong sizes.

Source: the driver documentation of each routine; what stops the machine: reference hal-contract 6.
"""

import re
from pathlib import Path

import pytest

from nthal.machine import DeviceObject, Machine
from nthal.platforms import FLAT
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import NtStatus
from plx9x5x.lab.contract import native

DRIVER = """
#include <ntddk.h>
#include <wdf.h>

typedef struct _MINE {{ int Number; }} MINE;
WDF_DECLARE_CONTEXT_TYPE(MINE)
static WDFSPINLOCK Lock;
static WDFOBJECT Parent;
static void EvtCleanup(WDFOBJECT Object) {{ {cleanup} }}
static NTSTATUS EvtAdd(WDFDRIVER Driver, PWDFDEVICE_INIT Init)
{{
    WDF_OBJECT_ATTRIBUTES a;
    WDF_IO_QUEUE_CONFIG q;
    WDFDEVICE d;
    WDFQUEUE queue;
    PVOID p = &d;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT(&a);
    {init}
    status = WdfDeviceCreate(&Init, NULL, &d);
    WDF_IO_QUEUE_CONFIG_INIT(&q, WdfIoQueueDispatchManual);
    WdfIoQueueCreate(d, &q, NULL, &queue);
    {added}
    return status;
}}
NTSTATUS DriverEntry(PDRIVER_OBJECT o, PUNICODE_STRING r)
{{
    WDF_DRIVER_CONFIG config;
    NTSTATUS status;

    WDF_DRIVER_CONFIG_INIT(&config, EvtAdd);
    {entry}
    status = WdfDriverCreate(o, r, NULL, &config, NULL);
    {again}
    return status;
}}
"""


class Host:
    """A computer whose device has no registers."""

    def __init__(self, *, stop: bool = True) -> None:
        self.machine = Machine(FLAT.verified(stop=stop))
        self.pdo = DeviceObject("mydriver")
        self.bars: list[native.windows.Window] = []

    def connect(self, *_: object) -> None:
        raise AssertionError("no interrupt is made")

    def enter_d0(self) -> None: ...
    def leave_d0(self) -> None: ...
    def disconnect(self) -> None: ...
    def step(self) -> None: ...
    def run(self) -> None: ...


def start(tmp_path: Path, host: Host | None = None, **bodies: str) -> native.Driver:
    source = tmp_path / "mydriver.c"
    parts = dict.fromkeys(("cleanup", "init", "added", "entry", "again"), "") | bodies
    source.write_text(DRIVER.format(**parts), encoding="utf-8")
    driver = native.load(native.build([source]), host or Host())
    driver.start()
    return driver


@pytest.mark.parametrize(
    ("where", "body", "words"),
    [
        ("entry", "WdfDriverCreate(o, r, 0, 0, 0);", "WdfDriverCreate: DriverConfig is NULL"),
        ("entry", "WdfDriverCreate(0, r, 0, &config, 0);", "WdfDriverCreate: DriverObject is NULL"),
        ("init", "WdfDeviceCreate(NULL, 0, &d);", "WdfDeviceCreate: DeviceInit is NULL"),
        ("init", "WdfDeviceCreate(&Init, 0, NULL);", "WdfDeviceCreate: Device is NULL"),
        ("init", "WdfDeviceInitSetPnpPowerEventCallbacks(Init, NULL);", "PnpPowerEventCallbacks is NULL"),
        ("added", "WdfSpinLockCreate(0, (PVOID)0x1000);", "WdfSpinLockCreate: SpinLock is 0x1000"),
        ("added", "WdfSpinLockCreate(0, NULL);", "WdfSpinLockCreate: SpinLock is NULL"),
        ("added", "a.ContextTypeInfo = (PVOID)0x77; WdfSpinLockCreate(&a, &Lock);", "->ContextTypeInfo is 0x77"),
        ("added", "WdfSpinLockCreate((PVOID)0x88, &Lock);", "SpinLockAttributes is 0x88"),
        ("added", "WdfDmaEnablerCreate(d, NULL, 0, p);", "WdfDmaEnablerCreate: Config is NULL"),
        ("added", "WdfIoQueueCreate(d, NULL, 0, 0);", "WdfIoQueueCreate: Config is NULL"),
        ("added", "WdfInterruptCreate(d, NULL, 0, p);", "WdfInterruptCreate: Configuration is NULL"),
        ("added", "WdfRequestGetParameters((WDFREQUEST)d, NULL);", "WdfRequestGetParameters: Parameters is NULL"),
        ("added", "WdfRequestRetrieveInputBuffer((WDFREQUEST)d, 1, NULL, 0);", "faults at address 0x0"),
    ],
)
def test_a_pointer_that_leads_nowhere_is_a_finding_with_its_line(
    tmp_path: Path, where: str, body: str, words: str
) -> None:
    with pytest.raises(DmaViolation, match=re.escape(words)) as caught:
        start(tmp_path, **{where: body})
    assert caught.value.misuse in (Misuse.NULL_USED, Misuse.WILD_ADDRESS)
    assert re.search(r"mydriver.c:\d+ in ", caught.value.finding.place)


def test_in_report_mode_it_ends_the_driver_all_the_same(tmp_path: Path) -> None:
    host = Host(stop=False)
    with pytest.raises(BugCheck, match=r"DriverConfig is NULL.*, at mydriver.c:\d+ in DriverEntry") as caught:
        start(tmp_path, host, entry="WdfDriverCreate(o, r, 0, 0, 0);")
    assert caught.value.code == 0x50
    assert [one.misuse for one in host.machine.verifier.findings] == [Misuse.NULL_USED]


@pytest.mark.parametrize(
    ("where", "body", "words"),
    [
        ("added", "WdfRequestRetrieveInputBuffer(NULL, 1, &p, 0);", "NULL is no FxRequest handle"),
        ("added", "WdfRequestRetrieveInputBuffer((WDFREQUEST)queue, 1, &p, 0);", "a WDFQUEUE, where a WDFREQUEST is"),
        ("added", "WdfSpinLockAcquire((WDFSPINLOCK)queue);", "is a WDFQUEUE, where a WDFSPINLOCK is due"),
        ("added", "WdfIoQueueGetDevice((WDFQUEUE)d);", "is a WDFDEVICE, where a WDFQUEUE is due"),
        ("added", "WdfInterruptQueueDpcForIsr(NULL);", "NULL is no FxObject handle"),
        ("init", "Init = (PWDFDEVICE_INIT)Driver;", "which is none"),
        (
            "init",
            "WDF_PNPPOWER_EVENT_CALLBACKS c = {1}; WdfDeviceInitSetPnpPowerEventCallbacks(Init, &c);",
            "Size is 1",
        ),
        ("init", "WDF_PNPPOWER_EVENT_CALLBACKS c = {1}; WdfDeviceInitSetPnpPowerEventCallbacks(NULL, &c);", "is none"),
    ],
)
def test_a_handle_of_something_else_is_a_bug_check(tmp_path: Path, where: str, body: str, words: str) -> None:
    with pytest.raises(BugCheck, match=rf"{re.escape(words)}.*, at mydriver.c:\d+ in EvtAdd"):
        start(tmp_path, **{where: body})


@pytest.mark.parametrize("whom", ["Object", "Parent"], ids=["itself", "parent"])
def test_an_object_that_is_deleted_again_in_its_cleanup_is_a_bug_check(tmp_path: Path, whom: str) -> None:
    made = "Parent = queue; a.EvtCleanupCallback = EvtCleanup; a.ParentObject = queue; WdfSpinLockCreate(&a, &Lock);"
    with pytest.raises(BugCheck, match=r"of an object that is being deleted, in a callback of that, at mydriver.c"):
        start(tmp_path, added=f"{made} WdfObjectDelete(queue);", cleanup=f"WdfObjectDelete({whom});")


@pytest.mark.parametrize(
    ("bodies", "status", "words"),
    [
        ({"entry": "config.Size = 1;"}, NtStatus.INFO_LENGTH_MISMATCH, "DriverConfig->Size is 1, "),
        ({"again": "status = WdfDriverCreate(o, r, NULL, &config, NULL);"}, 0xC000_0183, "was called before"),
        (
            {"added": "a.ContextTypeInfo = WDF_GET_CONTEXT_TYPE_INFO(MINE); a.ContextSizeOverride = (size_t)1 << 62;"
             "status = WdfSpinLockCreate(&a, &Lock);"},
            NtStatus.INSUFFICIENT_RESOURCES,
            "0x4000000000000000 bytes of context",
        ),
        ({"added": "a.Size = 3; status = WdfSpinLockCreate(&a, &Lock);"}, NtStatus.INFO_LENGTH_MISMATCH, "Size is 3"),
    ],
    ids=["size", "second driver", "context", "attributes"],
)  # fmt: skip
def test_what_the_framework_refuses_has_its_status_and_the_reason(
    tmp_path: Path, bodies: dict[str, str], status: int, words: str
) -> None:
    host = Host()
    assert start(tmp_path, host, **bodies).status == status
    assert words in str(host.machine.last_failure)
