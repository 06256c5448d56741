# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803, ARG001  (the DDK's names and parameter names are the point)
"""What a driver in C calls of the kernel and the façades do not have: pool, registers, IRQL, locks, MDLs.

Each function takes the session and the parameters of the header. Registers are reached by READ_REGISTER_ULONG and its
kin alone: the mapped address itself leads to memory that no device sees, and that is looked at when it is unmapped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal import wdm
from nthal.events import IrqlChanged
from nthal.native import marshal
from nthal.native.objects import IoWindow
from nthal.records.backing import Backing
from nthal.types import PAGE_SIZE, La, Out, Va, bytes_to_pages
from nthal.verifier import BugCheck, Misuse, driver_place
from nthal.windows import Irql

if TYPE_CHECKING:
    from nthal.native.cdata import CData
    from nthal.native.session import Session
    from nthal.records.mdl import Mdl

REGISTERS_AT: Final = 0xFEB0_0000
"""Physical address of BAR 0."""
PATIENCE: Final = 1_000_000
"""Reads of registers in a row, with no write and no wait between, after which a driver is held to poll for good."""
_WORKS_EVERY: Final = 64
"""Reads in a row after which the device gets to work a little: a driver that polls waits for it."""
_ALL_ONES: Final = 0xFF
_UNINITIALIZED: Final = 0x2
_PAGED_FLAG: Final = 0x100
_PAGED_POOL: Final = 1
_ASSERTION: Final = 0x8B
_SPIN_LOCK: Final = 0x0F


# --- words -----------------------------------------------------------------------------------------------------------


def nthal_print(session: Session, Text: CData) -> None:
    """DbgPrint: keep the text."""
    session.printed.append(session.ffi.string(Text).decode(errors="replace"))


def nthal_assert(session: Session, Text: CData) -> None:
    """ASSERT that does not hold. Raises: BugCheck."""
    raise BugCheck(f"ASSERT({session.ffi.string(Text).decode()}) at {session.place()}", _ASSERTION)


# --- pool ------------------------------------------------------------------------------------------------------------


def ExAllocatePoolWithTag(session: Session, PoolType: int, NumberOfBytes: int, Tag: int) -> Va | None:
    """Give memory that is not zero; NULL if there is none."""
    va = session.machine.allocate_pool(NumberOfBytes, pageable=PoolType == _PAGED_POOL)
    if va is not None:
        session.pool[int(va)] = f"{NumberOfBytes} bytes of pool allocated at {driver_place()}"
    return va


def ExAllocatePool2(session: Session, Flags: int, NumberOfBytes: int, Tag: int) -> Va | None:
    """Give memory, zeroed unless the flags say otherwise."""
    va = ExAllocatePoolWithTag(session, _PAGED_POOL if Flags & _PAGED_FLAG else 0, NumberOfBytes, Tag)
    if va is not None and not Flags & _UNINITIALIZED:
        session.machine.cpu_write(va, bytes(NumberOfBytes))
    return va


def ExFreePool(session: Session, P: CData) -> None:
    """Give memory back."""
    va = Va(session.address(P))
    session.pool.pop(int(va), None)
    session.machine.free_pool(va)


def ExFreePoolWithTag(session: Session, P: CData, Tag: int) -> None:
    """Give memory back; the tag plays no part."""
    ExFreePool(session, P)


# --- registers -------------------------------------------------------------------------------------------------------


def MmMapIoSpace(session: Session, PhysicalAddress: La, NumberOfBytes: int, CacheType: int) -> int:
    """Map registers of BAR 0; NULL for what is no register."""
    offset = int(PhysicalAddress) - REGISTERS_AT
    if not 0 <= offset < offset + NumberOfBytes <= session.register_bytes:
        detail = f"MmMapIoSpace of {NumberOfBytes} bytes at {int(PhysicalAddress):#x}: BAR 0 has "
        detail += f"{session.register_bytes:#x} at {REGISTERS_AT:#x}"
        session.machine.verifier.violate(Misuse.WILD_ADDRESS, detail)
        return 0
    backing = Backing(bytes_to_pages(NumberOfBytes), PAGE_SIZE)
    backing.pages[:] = bytes([_ALL_ONES]) * backing.size
    session.windows[backing.address] = IoWindow(backing, offset, NumberOfBytes, driver_place())
    return backing.address


def MmMapIoSpaceEx(session: Session, PhysicalAddress: La, NumberOfBytes: int, Protect: int) -> int:
    """Map registers of BAR 0."""
    return MmMapIoSpace(session, PhysicalAddress, NumberOfBytes, 0)


def MmUnmapIoSpace(session: Session, BaseAddress: Va, NumberOfBytes: int) -> None:
    """Unmap registers, with the length that was mapped."""
    window = session.windows.pop(int(BaseAddress), None)
    verifier = session.machine.verifier
    if window is None:
        verifier.violate(Misuse.UNKNOWN_FREE, f"MmUnmapIoSpace({BaseAddress!r}): nothing is mapped there")
        return
    stray = bytes(window.backing.pages).strip(bytes([_ALL_ONES]))
    if stray:
        at = window.offset + bytes(window.backing.pages).index(stray)
        detail = f"a plain pointer wrote register {at:#x}, which no device saw: use WRITE_REGISTER_ULONG or its kin"
        verifier.note(Misuse.WILD_ADDRESS, detail)
    if NumberOfBytes != window.length:
        detail = f"MmUnmapIoSpace of {NumberOfBytes} bytes, {window.length} were mapped at {window.place}"
        verifier.violate(Misuse.FREE_MISMATCH, detail)


def _register(session: Session, register: CData, index: int, width: int) -> int | None:
    address = session.address(register) + index * width
    for base, window in session.windows.items():
        if base <= address <= base + window.length - width:
            return window.offset + address - base
    session.machine.verifier.violate(Misuse.WILD_ADDRESS, f"no register is mapped at {address:#x}")
    return None


def _read(session: Session, register: CData, width: int, index: int = 0) -> int:
    offset = _register(session, register, index, width)
    if offset is None:
        return (1 << 8 * width) - 1
    session.reads_in_a_row += 1
    if session.reads_in_a_row % _WORKS_EVERY == 0:
        session.host.step()
    if session.reads_in_a_row > PATIENCE:
        raise BugCheck(f"register {offset:#x} is read for ever at {session.place()}: what is waited for does not come")
    return session.host.registers.read(offset, width)


def _write(session: Session, register: CData, value: int, width: int, index: int = 0) -> None:
    offset = _register(session, register, index, width)
    session.reads_in_a_row = 0
    if offset is not None:
        session.host.registers.write(offset, width, value)


def READ_REGISTER_UCHAR(session: Session, Register: CData) -> int:
    """Read 8 bits."""
    return _read(session, Register, 1)


def READ_REGISTER_USHORT(session: Session, Register: CData) -> int:
    """Read 16 bits."""
    return _read(session, Register, 2)


def READ_REGISTER_ULONG(session: Session, Register: CData) -> int:
    """Read 32 bits."""
    return _read(session, Register, 4)


def WRITE_REGISTER_UCHAR(session: Session, Register: CData, Value: int) -> None:
    """Write 8 bits."""
    _write(session, Register, Value, 1)


def WRITE_REGISTER_USHORT(session: Session, Register: CData, Value: int) -> None:
    """Write 16 bits."""
    _write(session, Register, Value, 2)


def WRITE_REGISTER_ULONG(session: Session, Register: CData, Value: int) -> None:
    """Write 32 bits."""
    _write(session, Register, Value, 4)


def _read_all(session: Session, register: CData, buffer: CData, count: int, width: int) -> None:
    for index in range(count):
        buffer[index] = _read(session, register, width, index)


def _write_all(session: Session, register: CData, buffer: CData, count: int, width: int) -> None:
    for index in range(count):
        _write(session, register, int(buffer[index]), width, index)


def READ_REGISTER_BUFFER_UCHAR(session: Session, Register: CData, Buffer: CData, Count: int) -> None:
    """Read registers of 8 bits that follow each other."""
    _read_all(session, Register, Buffer, Count, 1)


def READ_REGISTER_BUFFER_USHORT(session: Session, Register: CData, Buffer: CData, Count: int) -> None:
    """Read registers of 16 bits that follow each other."""
    _read_all(session, Register, Buffer, Count, 2)


def READ_REGISTER_BUFFER_ULONG(session: Session, Register: CData, Buffer: CData, Count: int) -> None:
    """Read registers of 32 bits that follow each other."""
    _read_all(session, Register, Buffer, Count, 4)


def WRITE_REGISTER_BUFFER_UCHAR(session: Session, Register: CData, Buffer: CData, Count: int) -> None:
    """Write registers of 8 bits that follow each other."""
    _write_all(session, Register, Buffer, Count, 1)


def WRITE_REGISTER_BUFFER_USHORT(session: Session, Register: CData, Buffer: CData, Count: int) -> None:
    """Write registers of 16 bits that follow each other."""
    _write_all(session, Register, Buffer, Count, 2)


def WRITE_REGISTER_BUFFER_ULONG(session: Session, Register: CData, Buffer: CData, Count: int) -> None:
    """Write registers of 32 bits that follow each other."""
    _write_all(session, Register, Buffer, Count, 4)


# --- processor -------------------------------------------------------------------------------------------------------


def set_irql(session: Session, irql: int) -> int:
    """Run at another level; give the level before."""
    processor = session.machine.processor
    before, processor.irql = processor.irql, Irql(irql)
    processor.emit(IrqlChanged(processor.clock, processor.irql))
    return before


def KeGetCurrentIrql(session: Session) -> int:
    """Give the level."""
    return session.machine.irql


def KeRaiseIrql(session: Session, NewIrql: int, OldIrql: Out[int]) -> None:
    """Raise the level."""
    OldIrql.value = set_irql(session, NewIrql)


def KeLowerIrql(session: Session, NewIrql: int) -> None:
    """Lower the level again."""
    set_irql(session, NewIrql)


def KeAcquireSpinLock(session: Session, SpinLock: CData, OldIrql: Out[int]) -> None:
    """Take a lock, at DISPATCH_LEVEL. Raises: BugCheck if it is held: there is one processor."""
    if int(SpinLock[0]):
        raise BugCheck(
            f"a spin lock is acquired again at {session.place()}: the processor waits for itself", _SPIN_LOCK
        )
    SpinLock[0] = 1
    OldIrql.value = set_irql(session, Irql.DISPATCH_LEVEL)


def KeReleaseSpinLock(session: Session, SpinLock: CData, NewIrql: int) -> None:
    """Give a lock back. Raises: BugCheck if it is not held."""
    if not int(SpinLock[0]):
        raise BugCheck(f"a spin lock is released at {session.place()} that nobody holds", _SPIN_LOCK)
    SpinLock[0] = 0
    set_irql(session, NewIrql)


def KeStallExecutionProcessor(session: Session, MicroSeconds: int) -> None:
    """Let time pass, in which the device works."""
    session.machine.clock += MicroSeconds * 1000
    session.reads_in_a_row = 0
    session.host.step()


# --- memory descriptor lists -----------------------------------------------------------------------------------------


def IoAllocateMdl(
    session: Session, VirtualAddress: Va, Length: int, SecondaryBuffer: bool, ChargeQuota: bool, Irp: CData
) -> int:
    """Describe a range of memory; NULL if it is too long."""
    mdl = wdm.IoAllocateMdl(VirtualAddress, Length, SecondaryBuffer, ChargeQuota)
    return session.show_mdl(mdl, owner=f"an MDL for {Length} bytes allocated at {driver_place()}")


def IoFreeMdl(session: Session, Mdl: Mdl) -> None:
    """Free an MDL that the driver allocated."""
    session.mdls.pop(marshal.pointer(session, Mdl))


def MmGetSystemAddressForMdlSafe(session: Session, Mdl: Mdl, Priority: int) -> Va | None:
    """Give the address at which the kernel sees the memory; NULL if it is not resident."""
    return Mdl.va if Mdl.resident else None
