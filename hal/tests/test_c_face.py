# SPDX-License-Identifier: Apache-2.0
"""The C face by itself: C that calls the DMA routines is compiled, entered, answered, and stopped.

Drivers as a whole, with Plug and Play and requests, are tested where those are played (`lab/contract/native`).
Source: reference hal-contract 1.7 and 6.
"""

import re
from pathlib import Path
from types import ModuleType

import pytest

import nthal_c as native
from nthal.machine import Machine
from nthal.platforms import FLAT, OFFSET, Platform
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import NtStatus
from nthal_c import calls, prototypes

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


def test_every_routine_of_the_table_is_played_or_left_out() -> None:
    """A routine that is declared and has no Python would fail at run time, which is what this face must not do."""
    known = prototypes.prototypes()
    declared = set(
        re.findall(r"\bextern \w+ (\w+)\(", prototypes.for_drivers([p for p in known if calls.played(p, ())]))
    )
    assert len(known) == len({p.name for p in known}) > 70
    assert {"WdfCommonBufferCreate", "IoGetDmaAdapter", "HalGetAdapter", "IoAllocateMdl"} <= declared
    assert all(calls.played(p, ()) for p in known if p.name in declared)


def test_headers_are_ours_and_say_so() -> None:
    headers = [*prototypes.INCLUDE.rglob("*.h")]
    assert len(headers) > 8
    assert all("SPDX-License-Identifier: Apache-2.0" in h.read_text(encoding="utf-8").splitlines()[0] for h in headers)
