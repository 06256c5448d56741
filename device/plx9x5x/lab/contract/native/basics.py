# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803  (the headers' names and parameter names are the point)
"""Small routines of the framework that `windows` has not: wait locks, an interrupt's two callbacks, references.

A reference is counted, and an object with one left at the unload is told; no object outlives its deletion here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal.objects import WdfObject, live
from nthal.verifier import BugCheck, driver_place
from nthal.windows import Irql, NtStatus
from nthal_c import rules
from nthal_c.calls import deadlock
from nthal_c.session import INVALID_HANDLE
from plx9x5x.lab.contract.native.windows import FxObject

if TYPE_CHECKING:
    from nthal.framework import ObjectAttributes
    from nthal.types import Out
    from nthal_c.shapes import CData
    from plx9x5x.lab.contract.native.windows import Loaded

_TIMEOUT: Final = 0x102
_TICK: Final = 100
"""Nanoseconds of a LARGE_INTEGER's unit of time."""


class WaitLock(FxObject):
    """WDFWAITLOCK; `taken_at` is where it was acquired, None while nobody holds it."""

    taken_at: str | None = None


def WdfWaitLockCreate(session: Loaded, LockAttributes: ObjectAttributes | None, Lock: Out[WdfObject]) -> NtStatus:
    """Make a lock, under the parent that the attributes name or the driver."""
    Lock.value = WaitLock(session.parent(LockAttributes), {})
    return NtStatus.SUCCESS


def WdfWaitLockAcquire(session: Loaded, Lock: WaitLock, Timeout: CData) -> int:
    """Take a lock, or wait until the timeout ends. Raises: BugCheck where the wait has no end: nobody else runs."""
    at_once = bool(Timeout) and int(Timeout[0]) == 0
    highest = Irql.DISPATCH_LEVEL if at_once else Irql.PASSIVE_LEVEL
    rules.at_most(session.machine, highest, "WdfWaitLockAcquire")
    if live(Lock, WaitLock).taken_at is None:
        Lock.taken_at = driver_place()
        return NtStatus.SUCCESS
    if not Timeout:
        raise deadlock(f"a wait lock, taken at {Lock.taken_at},", session.place())
    session.machine.clock += _TICK * max(0, -int(Timeout[0]))
    return _TIMEOUT


def WdfWaitLockRelease(session: Loaded, Lock: WaitLock) -> None:
    """Give a lock back. Raises: BugCheck if it is not held."""
    if live(Lock, WaitLock).taken_at is None:
        raise BugCheck(f"a wait lock is released at {session.place()} that nobody holds", INVALID_HANDLE)
    Lock.taken_at = None


def WdfInterruptEnable(session: Loaded, Interrupt: FxObject) -> None:
    """Call EvtInterruptEnable, at the interrupt's level and with its lock."""
    _call(session, Interrupt, "EvtInterruptEnable")


def WdfInterruptDisable(session: Loaded, Interrupt: FxObject) -> None:
    """Call EvtInterruptDisable, at the interrupt's level and with its lock."""
    _call(session, Interrupt, "EvtInterruptDisable")


def _call(session: Loaded, interrupt: FxObject, what: str) -> None:
    callback = live(interrupt, FxObject).callbacks[what]
    session.serve(interrupt, callback, session.number(interrupt), session.number(interrupt.device), what=what)


def WdfObjectReference(session: Loaded, Object: WdfObject) -> None:
    """Count a reference."""
    number = session.number(live(Object, WdfObject))
    session.references[number] = session.references.get(number, 0) + 1
    session.held.setdefault(number, f"a reference to an object taken at {driver_place()}")


def WdfObjectDereference(session: Loaded, Object: WdfObject) -> None:
    """Give a reference back. Raises: BugCheck if there is none."""
    number = session.number(Object)
    left = session.references.pop(number, 0) - 1
    if left < 0:
        raise BugCheck(f"the object has no reference to give back, at {session.place()}", INVALID_HANDLE)
    if left:
        session.references[number] = left
    else:
        session.held.pop(number, None)
