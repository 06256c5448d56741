# SPDX-License-Identifier: Apache-2.0
"""One loaded driver: how Python enters it, how it stops, and which C value stands for which object.

A routine that raises stops the driver where it is, as a bug check does: the call that entered the driver raises what
the routine raised. Objects of the model are known to C by handles, or by the address of a structure that shows them.
"""

from __future__ import annotations

import contextlib
import signal
import weakref
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NoReturn, cast

from nthal.objects import WdfObject
from nthal.records.adapter import DmaTransferContext, MapRegisterFile, ScatterGatherList
from nthal.records.mdl import Mdl
from nthal.verifier import BugCheck, Misuse, called_from
from nthal_c import rules
from nthal_c.blocks import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from nthal.machine import Machine
    from nthal.windows import Irql
    from nthal_c.shapes import CData, Compiled

INVALID_HANDLE: Final = 0x10D
FIRST_HANDLE: Final = 0x5744_4600_0000
"""Where handles begin: numbers at which no memory of a process on Linux is found by chance."""
_ARGUMENTS: Final = 6
_HANDLE_STEP: Final = 16
GONE_KEPT: Final = 16
"""Objects that are gone and are remembered, the last ones, so that who frees one twice is told what it was."""
_FIRST_SWEEP: Final = 64
_NULL_PAGES: Final = 0x1_0000
_ERROR: Final = 1
_FAULT: Final = 2
_OVERFLOW: Final = 3
_INTERRUPTED: Final = 4
_KERNEL_SENT: Final = 0x80
"""SI_KERNEL: the processor told of no address, as for one that is not canonical."""
_KMODE_EXCEPTION: Final = 0x1E
_DOUBLE_FAULT: Final = 0x7F
_EXCEPTIONS: Final = {
    signal.SIGFPE: "divides a whole number by zero, or the least one by -1",
    signal.SIGILL: "runs an instruction that the processor does not have, as the compiler's trap is",
    signal.SIGTRAP: "runs into a breakpoint",
    signal.SIGABRT: "calls abort",
}
"""What ends a driver beside a wrong address."""
_PAGE_FAULT: Final = 0x50
_IRQL_UNEXPECTED: Final = 0xC8


class _Cleanup(WdfObject):
    """Ends with its parent, and calls the driver then. It is made first, so that other children end before it."""

    def __init__(self, parent: WdfObject, call: Callable[[], object]) -> None:
        super().__init__(parent)
        self._call = call

    def dispose(self) -> None:
        self._call()


class Known:
    """Objects by the number that C knows them by, and the other way round; at most some of them are gone ones."""

    def __init__(self) -> None:
        self._things: dict[int, tuple[object, CData | None]] = {}
        self._numbers: dict[int, int] = {}
        self._sweep_at = _FIRST_SWEEP

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, number: int) -> bool:
        return number in self._things

    def add(self, number: int, thing: object, structure: CData | None = None) -> None:
        """Know an object by a number; `structure` shows it, and lives as long."""
        if len(self._things) >= self._sweep_at:  # so that the cost of all sweeps is one step for each object
            for old in [at for at, (one, _) in self._things.items() if _gone(one)][:-GONE_KEPT]:
                self.forget(old)
            self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._things))
        self.forget(number)
        self._things[number], self._numbers[id(thing)] = (thing, structure), number

    def forget(self, number: int) -> None:
        """Know it no more."""
        thing, _ = self._things.pop(number, (None, None))
        if self._numbers.get(id(thing)) == number:
            del self._numbers[id(thing)]

    def number(self, thing: object) -> int | None:
        """Number of an object; None if it is not known."""
        return self._numbers.get(id(thing))

    def thing(self, number: int) -> object:
        """Object with a number; None if there is none."""
        return self._things.get(number, (None, None))[0]

    def structure(self, number: int) -> CData | None:
        """Structure that shows the object with a number."""
        return self._things.get(number, (None, None))[1]


def _gone(thing: object) -> bool:
    """True for what is deleted, put or given back."""
    if isinstance(thing, WdfObject):
        return not thing.alive
    if isinstance(thing, ScatterGatherList):
        return not thing.live
    return isinstance(thing, MapRegisterFile) and thing not in thing.adapter.files


class Session:
    """State of one loaded driver. `held` is what it must give back, by address, and where it got it.

    `around` are the modules that play Windows around it.
    """

    def __init__(self, machine: Machine, module: Compiled, name: str, around: Sequence[ModuleType] = ()) -> None:
        self.machine: Final = machine
        self.ffi: Final = module.ffi
        self.lib: Final = module.lib
        self.name: Final = name
        self.around: Final = tuple(around)
        self.printed: list[str] = []
        self.held: dict[int, str] = {}
        self.pool: Final = Pool()
        self.handles: Final = Known()
        self.structures: Final = Known()
        self._kinds: weakref.WeakKeyDictionary[WdfObject, str] = weakref.WeakKeyDictionary()
        self._ending: list[WdfObject] = []
        self._contexts: dict[tuple[int, bytes], CData] = {}
        self._next_handle = FIRST_HANDLE
        self._error: BaseException | None = None
        self._inside: str | None = None

    # --- into the driver and back ----------------------------------------------------------------------------------

    def place(self) -> str:
        """Where the driver is: file, line and function of the last call that noted them."""
        if not self.lib.nthal_file:
            return f"{self._inside} of {self.name}"
        file, function = (
            self.ffi.string(text).decode(errors="replace") for text in (self.lib.nthal_file, self.lib.nthal_function)
        )
        return f"{PurePath(file).name}:{int(self.lib.nthal_line)} in {function}"

    def enter(self, function: object, *arguments: int, what: str, irql: Irql | None = None) -> int:
        """Call a function of the driver; NULL is none. Raises: what a routine raised inside of it, BugCheck."""
        if not function:
            return 0
        lib, outer, processor = self.lib, self._inside, self.machine.processor
        noted = lib.nthal_file, lib.nthal_line, lib.nthal_function
        lib.nthal_file, self._inside = self.ffi.NULL, what
        padded = (*arguments, *(0,) * (_ARGUMENTS - len(arguments)))
        with self.machine, contextlib.nullcontext() if irql is None else processor.at_irql(irql):
            before = processor.irql
            try:
                result = int(lib.nthal_enter(self.ffi.cast("void *", function), *padded))
                self._raise_what_stopped()
                if processor.irql != before:
                    words = f"{what} of {self.name} returns at {processor.irql.name}, it was called at {before.name}"
                    raise BugCheck(words, _IRQL_UNEXPECTED)
            finally:
                processor.irql = before
                self._inside = outer
                lib.nthal_file, lib.nthal_line, lib.nthal_function = noted
        return result

    def stop(self, error: BaseException) -> None:
        """Stop the driver where it is: `enter` raises the error instead of C, which cannot unwind Python."""
        self._error = error
        self.lib.nthal_stopped = _ERROR

    def _raise_what_stopped(self) -> None:
        stopped, self.lib.nthal_stopped = int(self.lib.nthal_stopped), 0
        error, self._error = self._error, None
        if stopped == _INTERRUPTED:
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                handler(signal.SIGINT, None)
            raise KeyboardInterrupt(f"in {self.name}, at the code after {self.place()}")
        if stopped in (_FAULT, _OVERFLOW):
            with called_from(f"the code after {self.place()}"):
                self._raise_fault(overflow=stopped == _OVERFLOW)
        if error is not None:
            raise error

    def _raise_fault(self, *, overflow: bool) -> NoReturn:
        number, code = int(self.lib.nthal_signal), int(self.lib.nthal_signal_code)
        address = int(self.lib.nthal_fault_address)
        if overflow:
            raise BugCheck("the driver's code has used up the stack: a recursion without end?", _DOUBLE_FAULT)
        if number in _EXCEPTIONS:
            raise BugCheck(f"the driver's code {_EXCEPTIONS[signal.Signals(number)]}", _KMODE_EXCEPTION)
        if code == _KERNEL_SENT and address == 0:
            words = "the driver's code uses an address that is not canonical (its bits 63 to 47 are not all the same),"
            words += " or an instruction that is the kernel's alone"
            self.machine.verifier.violate(Misuse.WILD_ADDRESS, words)
            raise BugCheck(words, _KMODE_EXCEPTION)
        self.fault(address, f"the driver's code faults at address {address:#x}")

    def fault(self, address: int, words: str, *, given: bool = False) -> NoReturn:
        """Tell of an address that leads nowhere, `given` to a routine or followed. Raises: DmaViolation, BugCheck."""
        null, failure = address < _NULL_PAGES, self.machine.last_failure
        words += f"; what gave NULL last: {failure}" if null and failure is not None else ""
        misuse = Misuse.NULL_USED if null else Misuse.WILD_ADDRESS
        if given:
            mistake = "a routine is given a pointer that leads nowhere"
            rules.tell(self.machine, misuse, mistake, words, hint="give it the address of memory of the driver's")
        else:
            self.machine.verifier.violate(misuse, words)
        raise BugCheck(words, _PAGE_FAULT, address)

    def callbacks_of(self, structure: CData) -> dict[str, int]:
        """The callbacks that a configuration names, by member."""
        return {name: self.address(getattr(structure, name)) for name in dir(structure) if name.startswith("Evt")}

    # --- objects and what C knows of them --------------------------------------------------------------------------

    def address(self, pointer: object) -> int:
        """The number of a pointer."""
        return int(self.ffi.cast("uintptr_t", pointer))

    def number(self, thing: object) -> int:
        """Handle of an object; NULL for None. No number is given twice."""
        if thing is None:
            return 0
        number = self.handles.number(thing)
        if number is None:
            number = self._next_handle = self._next_handle + _HANDLE_STEP
            self.handles.add(number, thing)
        return number

    def object_of(self, number: int, kind: str = "") -> object:
        """Object behind a handle, also one that was deleted lately. None for NULL.

        `kind` is the handle's type, for one of the framework. Raises: BugCheck.
        """
        if number and number not in self.handles:
            was = FIRST_HANDLE < number <= self._next_handle and number % _HANDLE_STEP == FIRST_HANDLE % _HANDLE_STEP
            words = f"the handle {number:#x} is invalid: its object is gone" if was else f"{number:#x} is no handle"
            raise BugCheck(words, INVALID_HANDLE)
        thing = self.handles.thing(number)
        if number and kind.startswith("WDF"):
            made = self._kinds.get(thing, kind) if isinstance(thing, WdfObject) else "handle of something else"
            if made != kind and (kind != "WDFOBJECT" or not isinstance(thing, WdfObject)):
                raise BugCheck(f"{number:#x} is a {made}, where a {kind} is due", INVALID_HANDLE)
        return thing

    def show(self, thing: object, made: Callable[[], CData]) -> int:
        """Address of the structure that shows an object to C, made at first."""
        known = self.structures.number(thing)
        if known is not None:
            return known
        structure = made()
        address = self.address(structure)
        self.structures.add(address, thing, structure)
        return address

    def show_at(self, thing: object, address: int) -> None:
        """Know an object by memory of the driver's own, whatever stood for it before."""
        self.structures.add(address, thing)

    def shown(self, address: int, kind: str, of: type = object) -> object:
        """Object that the structure at `address` shows; None for NULL. Raises: BugCheck for none `of` a type."""
        if address and address not in self.structures:
            raise BugCheck(f"no {kind} is at {address:#x}: it was freed, or never made", INVALID_HANDLE)
        thing = self.structures.thing(address)
        if address and not isinstance(thing, of):
            raise BugCheck(f"no {kind} is at {address:#x}: it is another structure's address", INVALID_HANDLE)
        return thing

    def is_shown(self, address: int) -> bool:
        """True if a structure of ours is there."""
        return address in self.structures

    def hide(self, address: int) -> None:
        """Forget a structure."""
        self.structures.forget(address)

    def transfer_context(self, address: int) -> DmaTransferContext | None:
        """What the HAL knows by memory of the driver's that holds a DMA_TRANSFER_CONTEXT; None for NULL."""
        if address and not isinstance(self.structures.thing(address), DmaTransferContext):
            self.show_at(DmaTransferContext(), address)
        return cast("DmaTransferContext | None", self.structures.thing(address))

    def mdl_at(self, address: int) -> Mdl | None:
        """MDL that a structure shows, with what C chained to it. Raises: BugCheck."""
        first = mdl = self.shown(address, "MDL", Mdl)
        seen: set[int] = set()
        while isinstance(mdl, Mdl) and address not in seen:
            seen.add(address)
            structure = self.structures.structure(address)
            assert structure is not None  # MDLs are always ours
            address = self.address(structure.Next)
            mdl.next = cast("Mdl | None", self.shown(address, "MDL", Mdl))
            mdl = mdl.next
        return cast("Mdl | None", first)

    def show_mdl(self, mdl: Mdl | None) -> int:
        """Address of an MDL's structure, with what the model knows of it now."""
        if mdl is None:
            return 0
        address = self.show(
            mdl, lambda: self.ffi.new("MDL *", {"Next": self.ffi.cast("void *", self.show_mdl(mdl.next))})
        )
        structure = self.structures.structure(address)
        assert structure is not None  # just made, or before
        structure.Size, structure.MdlFlags = mdl.size & 0x7FFF, int(mdl.flags)
        structure.StartVa = self.ffi.cast("void *", mdl.start_va)
        structure.ByteCount, structure.ByteOffset = mdl.byte_count, mdl.byte_offset
        structure.MappedSystemVa = self.ffi.cast("void *", int(mdl.va) if mdl.resident else 0)
        return address

    def adopt(self, thing: WdfObject, attributes: CData | None, kind: str) -> int:
        """Give a new object its handle, of type `kind`, and what the driver's attributes ask for."""
        number = self.number(thing)
        self._kinds[thing] = kind
        if not attributes:
            return number
        info = attributes.ContextTypeInfo
        if info:
            size = self.context_size(attributes)
            # Kept for good: what C writes through a pointer into a deleted object's context must not hurt the process.
            self._contexts[number, self.ffi.string(info.ContextName)] = self.ffi.new("char[]", size)
        for name in ("EvtDestroyCallback", "EvtCleanupCallback"):
            if getattr(attributes, name):
                function = self.address(getattr(attributes, name))
                _Cleanup(thing, lambda function=function, name=name: self._end(thing, function, name))  # type: ignore[misc]
        return number

    def context_size(self, attributes: CData) -> int:
        """Bytes of context memory that attributes ask for."""
        info = attributes.ContextTypeInfo
        return max(int(info.ContextSize), int(attributes.ContextSizeOverride)) if info else 0

    def _end(self, thing: WdfObject, function: int, name: str) -> None:
        self._ending.append(thing)
        try:
            self.enter(function, self.number(thing), what=name)
        finally:
            self._ending.pop()

    def is_ending(self, thing: WdfObject) -> bool:
        """True for an object whose deletion has got as far as a callback of the driver, its own or a child's."""
        for one in self._ending:
            at: WdfObject | None = one
            while at is not None:
                if at is thing:
                    return True
                at = at.parent
        return False

    def context(self, number: int, info: CData) -> int:
        """Address of an object's context of a type. Raises: BugCheck."""
        name = self.ffi.string(info.ContextName)
        if (number, name) not in self._contexts:
            raise BugCheck(f"the object {number:#x} has no context {name.decode(errors='replace')}", INVALID_HANDLE)
        return self.address(self._contexts[number, name])
