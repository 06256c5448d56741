# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803, ARG001  (the headers' names and parameter names are the point)
"""What a driver in C calls beside the façades' routines: IRQL, locks, MDLs; and who plays which routine.

Functions have the header's names and parameters, the session first. Modules that play more of Windows, as Plug and Play
and requests, are given to `build`; theirs come first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from nthal import kmdf, nt, wdm
from nthal.arguments import ForeignObject, WrongArgument
from nthal.events import IrqlChanged
from nthal.objects import WdfObject, live
from nthal.routines import NOT_MODELLED
from nthal.types import AddressKindError
from nthal.verifier import BugCheck, called_from, driver_place
from nthal.windows import Irql
from nthal_c import marshal, pool, rules
from nthal_c.prototypes import PYTHON, TABLE
from nthal_c.session import INVALID_HANDLE
from nthal_c.shapes import NativeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from nthal.records.mdl import Mdl
    from nthal.types import Va
    from nthal_c.prototypes import Parameter, Prototype
    from nthal_c.session import Session
    from nthal_c.shapes import CData

_PAGE_FAULT: Final = 0x50
"""Where Windows ends that is given NULL or no such structure."""
_DOUBLE_FAULT: Final = 0x7F
_ASTRAY: Final = (AttributeError, LookupError, TypeError, ValueError, RuntimeError)
"""What Python raises that is given NULL for an object."""
_ASSERTION: Final = 0x8B
_SPIN_LOCK: Final = 0x0F
_NOT_GREATER_OR_EQUAL: Final = 0x09
_NOT_LESS_OR_EQUAL: Final = 0x0A


def played(prototype: Prototype, around: Iterable[ModuleType]) -> bool:
    """True if there is Python for a routine."""
    if prototype.in_operations:
        name = prototype.name.removeprefix(TABLE)
        return hasattr(wdm.DMA_OPERATIONS, name) or name in NOT_MODELLED
    return prototype.name in globals() or any(hasattr(one, prototype.name) for one in (*around, pool, kmdf, wdm, nt))


def _target(session: Session, prototype: Prototype) -> Callable[..., object]:
    """The Python that plays a routine, looked up at each call."""
    name = prototype.name
    if prototype.in_operations:
        return partial(_through_table, name.removeprefix(TABLE))
    own = next((getattr(one, name) for one in (*session.around, pool) if hasattr(one, name)), globals().get(name))
    if own is not None:
        return partial(own, session)
    return cast("Callable[..., object]", next(getattr(one, name) for one in (kmdf, wdm, nt) if hasattr(one, name)))


def _through_table(name: str, adapter: wdm.DMA_ADAPTER | None, *arguments: object) -> object:
    if adapter is None:
        raise BugCheck(f"{name}: DmaAdapter is NULL", _PAGE_FAULT)
    return getattr(adapter.DmaOperations, name)(adapter, *arguments)


def bind(session: Session, routines: Iterable[Prototype]) -> None:
    """Let a session's driver call Python; new memory of its machine stands at its real address from now on.

    Raises: NativeError if the machine has memory in use already.
    """
    if session.machine.space.regions():
        raise NativeError("the machine has memory in use already: load the driver into a fresh one")
    session.machine.backings.native()

    def stop(_: object, error: BaseException, __: object) -> None:
        session.stop(error)  # what is raised before `answer` can catch it: Ctrl-C

    for prototype in routines:
        session.ffi.def_extern(name=f"{PYTHON}{prototype.name}", onerror=stop)(_answer(session, prototype))


def _answer(session: Session, prototype: Prototype) -> Callable[..., object]:
    def answer(*raw: CData) -> object:
        try:
            with called_from(session.place()):
                rules.look_at_level(session.machine, prototype.name, prototype.called)
                return marshal.call(session, prototype, _target(session, prototype), raw)
        except BaseException as error:  # noqa: BLE001  (no exception may pass C)
            with called_from(session.place()):
                session.stop(_driver_s(prototype, raw, error))
            return marshal.zero(session, prototype.type)

    return answer


def _driver_s(prototype: Prototype, raw: tuple[CData, ...], error: BaseException) -> BaseException:
    """What a routine raised: a bug check if the driver's arguments are why, else itself, which is a mistake of ours."""
    routine, words, code = prototype.called, "", _PAGE_FAULT
    if isinstance(error, (WrongArgument, ForeignObject, AddressKindError)):
        words = str(error)
    elif isinstance(error, RecursionError):
        words, code = f"{routine} and what it calls of the driver call each other without end", _DOUBLE_FAULT
    elif isinstance(error, (MemoryError, OverflowError)):
        words = f"{routine}: no memory has the size that is asked for"
    elif isinstance(error, _ASTRAY):
        pointers = (one for one, value in zip(prototype.parameters, raw, strict=True) if _is_null(one, value))
        words = "".join(f"{routine}: {one.name} is NULL" for one in list(pointers)[:1])
    if not words:
        return error
    made = BugCheck(words, code)
    made.__cause__ = error
    return made


def _is_null(parameter: Parameter, value: CData) -> bool:
    pointer = parameter.type.startswith(("P", "WDF")) and parameter.type != "PHYSICAL_ADDRESS"
    return pointer and not isinstance(value, int) and not value


# --- kernel --------------------------------------------------------------------------------------------------------


def nthal_print(session: Session, Text: CData) -> None:
    """DbgPrint: keep the text."""
    session.printed.append(session.ffi.string(Text).decode(errors="replace"))


def nthal_assert(session: Session, Text: CData) -> None:
    """ASSERT that does not hold. Raises: BugCheck."""
    raise BugCheck(f"ASSERT({session.ffi.string(Text).decode(errors='replace')}) at {session.place()}", _ASSERTION)


def nthal_at_most(session: Session, Highest: int, What: CData) -> None:
    """PAGED_CODE and what else is C alone: hold the caller to a level."""
    rules.at_most(session.machine, Irql(Highest), session.ffi.string(What).decode())


def KeGetCurrentIrql(session: Session) -> int:
    """Give the level."""
    return session.machine.irql


def _run_at(session: Session, level: int) -> int:
    processor = session.machine.processor
    before, processor.irql = processor.irql, Irql(min(level, Irql.DEVICE_LEVEL))
    processor.emit(IrqlChanged(processor.clock, processor.irql))
    return before


def KfRaiseIrql(session: Session, NewIrql: int) -> int:
    """Run at another level; give the level before. Raises: BugCheck if that is a lower one."""
    now = session.machine.irql
    if NewIrql < now:
        words = f"KeRaiseIrql({NewIrql}) at {session.place()} would lower the IRQL, which is {now.name}"
        raise BugCheck(words, _NOT_GREATER_OR_EQUAL, NewIrql)
    return _run_at(session, NewIrql)


def KeLowerIrql(session: Session, NewIrql: int) -> None:
    """Lower the level again. Raises: BugCheck if that raises it."""
    now = session.machine.irql
    if NewIrql > now:
        words = f"KeLowerIrql({NewIrql}) at {session.place()} would raise the IRQL, which is {now.name}"
        raise BugCheck(words, _NOT_LESS_OR_EQUAL, NewIrql)
    _run_at(session, NewIrql)


def deadlock(what: str, place: str) -> BugCheck:
    """What the machine stops for when a lock is taken that is held: there is one processor."""
    return BugCheck(f"{what} is acquired again at {place}: the processor waits for itself", _SPIN_LOCK)


def acquire(session: Session, what: str, *, held: bool, at: Irql = Irql.DISPATCH_LEVEL) -> int:
    """Raise the level for a lock. Raises: BugCheck if it is held, or the level is higher than the lock's."""
    if held:
        raise deadlock(what, session.place())
    now = session.machine.irql
    if now > at:
        words = f"{what} is acquired at {session.place()}, the IRQL is {now.name}: it would fall to {at.name}"
        raise BugCheck(words, _NOT_LESS_OR_EQUAL, now)
    return _run_at(session, at)


def release(session: Session, level: int, what: str, *, held: bool, at: Irql = Irql.DISPATCH_LEVEL) -> None:
    """Go back from a lock's level. Raises: BugCheck if nobody holds it, or the level is not the lock's any more."""
    if not held:
        raise BugCheck(f"{what} is released at {session.place()} that nobody holds", _SPIN_LOCK)
    now = session.machine.irql
    if now != at or level > now:
        words = f"{what} is released at {session.place()} to IRQL {level}; the IRQL is {now.name}, the lock's {at.name}"
        raise BugCheck(words, _NOT_LESS_OR_EQUAL, level)
    _run_at(session, level)


def KeAcquireSpinLockRaiseToDpc(session: Session, SpinLock: CData) -> int:
    """Take a lock. Raises: BugCheck if it is held: there is one processor."""
    before = acquire(session, "a spin lock", held=bool(int(SpinLock[0])))
    SpinLock[0] = 1
    return before


def KeReleaseSpinLock(session: Session, SpinLock: CData, NewIrql: int) -> None:
    """Give a lock back. Raises: BugCheck if it is not held."""
    release(session, NewIrql, "a spin lock", held=bool(int(SpinLock[0])))
    SpinLock[0] = 0


def KeAcquireSpinLockAtDpcLevel(session: Session, SpinLock: CData) -> None:
    """Take a lock, at a level that is high enough. Raises: BugCheck if it is not, or the lock is held."""
    now = session.machine.irql
    if now < Irql.DISPATCH_LEVEL:
        words = f"KeAcquireSpinLockAtDpcLevel at {session.place()} wants DISPATCH_LEVEL, the IRQL is {now.name}"
        raise BugCheck(words, _NOT_GREATER_OR_EQUAL, now)
    if int(SpinLock[0]):
        raise deadlock("a spin lock", session.place())
    SpinLock[0] = 1


def KeReleaseSpinLockFromDpcLevel(session: Session, SpinLock: CData) -> None:
    """Give a lock back and stay at the level. Raises: BugCheck if it is not held, or the level is too low."""
    release(
        session,
        session.machine.irql,
        "a spin lock",
        held=bool(int(SpinLock[0])),
        at=max(session.machine.irql, Irql.DISPATCH_LEVEL),
    )
    SpinLock[0] = 0


def IoAllocateMdl(
    session: Session, VirtualAddress: Va, Length: int, SecondaryBuffer: bool, ChargeQuota: bool, Irp: CData
) -> int:
    """Describe a range of memory; NULL if it is too long."""
    address = session.show_mdl(wdm.IoAllocateMdl(VirtualAddress, Length, SecondaryBuffer, ChargeQuota))
    if address:
        session.held[address] = f"an MDL for {Length} bytes allocated at {driver_place()}"
    return address


def IoFreeMdl(session: Session, Mdl: Mdl) -> None:
    """Free an MDL that the driver allocated. Raises: BugCheck for NULL."""
    if Mdl is None:
        raise BugCheck("IoFreeMdl: Mdl is NULL", _PAGE_FAULT)
    address = session.show_mdl(Mdl)
    session.held.pop(address, None)
    session.hide(address)


def WdfObjectDelete(session: Session, Object: WdfObject) -> None:
    """Delete an object. Raises: BugCheck if that is under way, as in its own cleanup callback."""
    if session.is_ending(live(Object, WdfObject)):
        raise BugCheck("WdfObjectDelete of an object that is being deleted, in a callback of that", INVALID_HANDLE)
    kmdf.WdfObjectDelete(Object)


def WdfObjectGetTypedContextWorker(session: Session, Handle: WdfObject, TypeInfo: CData) -> int:
    """Give an object's context."""
    return session.context(session.number(live(Handle, WdfObject)), TypeInfo)
