# SPDX-License-Identifier: Apache-2.0
"""One loaded driver: how Python enters it, how it stops, and which C value stands for which object.

A routine that raises stops the driver where it is, as a bug check does: the call that entered the driver raises what
the routine raised. Objects of the model are known to C by handles, or by the address of a structure that shows them.
"""

from __future__ import annotations

import contextlib
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from nthal.objects import WdfObject
from nthal.records.adapter import ScatterGatherList
from nthal.verifier import BugCheck, Misuse, called_from
from nthal_c.blocks import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from nthal.machine import Machine
    from nthal.records.mdl import Mdl
    from nthal.windows import Irql
    from nthal_c.shapes import CData, Compiled

INVALID_HANDLE: Final = 0x10D
FIRST_HANDLE: Final = 0x5744_4600_0000
"""Where handles begin: numbers at which no memory of a process on Linux is found by chance."""
_ARGUMENTS: Final = 6
_LISTS_KEPT: Final = 16
"""Scatter/gather lists that were put and are remembered, so that who puts one twice is told."""
_NULL_PAGES: Final = 0x1_0000
_ERROR: Final = 1
_FAULT: Final = 2
_PAGE_FAULT: Final = 0x50
_IRQL_UNEXPECTED: Final = 0xC8


class _Cleanup(WdfObject):
    """Ends with its parent, and calls the driver then. It is made first, so that other children end before it."""

    def __init__(self, parent: WdfObject, call: Callable[[], object]) -> None:
        super().__init__(parent)
        self._call = call

    def dispose(self) -> None:
        self._call()


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
        self._objects: dict[int, object] = {}
        self._numbers: dict[int, int] = {}
        self._contexts: dict[tuple[int, bytes], CData] = {}
        self._shown: dict[int, tuple[object, CData]] = {}
        self._error: BaseException | None = None
        self._inside: str | None = None

    # --- into the driver and back ----------------------------------------------------------------------------------

    def place(self) -> str:
        """Where the driver is: file, line and function of the last call that noted them."""
        if not self.lib.nthal_file:
            return f"{self._inside} of {self.name}"
        file, function = (self.ffi.string(text).decode() for text in (self.lib.nthal_file, self.lib.nthal_function))
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
        if stopped == _FAULT:
            address, failure = int(self.lib.nthal_fault_address), self.machine.last_failure
            null = address < _NULL_PAGES
            words = f"the driver's code faults at address {address:#x}"
            words += f"; what gave NULL last: {failure}" if null and failure is not None else ""
            with called_from(f"the code after {self.place()}"):
                self.machine.verifier.violate(Misuse.NULL_USED if null else Misuse.WILD_ADDRESS, words)
            raise BugCheck(words, _PAGE_FAULT, address)
        if error is not None:
            raise error

    def callbacks_of(self, structure: CData) -> dict[str, int]:
        """The callbacks that a configuration names, by member."""
        return {name: self.address(getattr(structure, name)) for name in dir(structure) if name.startswith("Evt")}

    # --- objects and what C knows of them --------------------------------------------------------------------------

    def address(self, pointer: object) -> int:
        """The number of a pointer."""
        return int(self.ffi.cast("uintptr_t", pointer))

    def number(self, thing: object) -> int:
        """Handle of an object; NULL for None."""
        if thing is None:
            return 0
        number = self._numbers.setdefault(id(thing), FIRST_HANDLE + 16 * (len(self._objects) + 1))
        self._objects[number] = thing
        return number

    def object_of(self, number: int) -> object:
        """Object behind a handle, deleted ones included: who uses one is told. None for NULL. Raises: BugCheck."""
        if number and number not in self._objects:
            raise BugCheck(f"{number:#x} is no handle", INVALID_HANDLE)
        return self._objects.get(number)

    def show(self, thing: object, made: Callable[[], CData]) -> int:
        """Address of the structure that shows an object to C, made at first."""
        known = next((address for address, (shown, _) in self._shown.items() if shown is thing), None)
        if known is not None:
            return known
        structure = made()
        put = [at for at, (old, _) in self._shown.items() if isinstance(old, ScatterGatherList) and not old.live]
        for address in put[:-_LISTS_KEPT]:
            del self._shown[address]
        address = self.address(structure)
        self._shown[address] = thing, structure
        return address

    def shown(self, address: int, kind: str) -> object:
        """Object that the structure at `address` shows; None for NULL. Raises: BugCheck."""
        if address and address not in self._shown:
            raise BugCheck(f"no {kind} is at {address:#x}: it was freed, or never made", INVALID_HANDLE)
        return self._shown[address][0] if address else None

    def is_shown(self, address: int) -> bool:
        """True if a structure of ours is there."""
        return address in self._shown

    def hide(self, address: int) -> None:
        """Forget a structure."""
        self._shown.pop(address, None)

    def show_mdl(self, mdl: Mdl | None) -> int:
        """Address of an MDL's structure, with what the model knows of it now."""
        if mdl is None:
            return 0
        address = self.show(mdl, lambda: self.ffi.new("MDL *"))
        structure = self._shown[address][1]
        structure.Size, structure.MdlFlags = mdl.size & 0x7FFF, int(mdl.flags)
        structure.StartVa = self.ffi.cast("void *", mdl.start_va)
        structure.ByteCount, structure.ByteOffset = mdl.byte_count, mdl.byte_offset
        structure.MappedSystemVa = self.ffi.cast("void *", int(mdl.va) if mdl.resident else 0)
        return address

    def adopt(self, thing: WdfObject, attributes: CData | None) -> int:
        """Give a new object its handle, and what the driver's attributes ask for: context memory, cleanup."""
        number = self.number(thing)
        if not attributes:
            return number
        info = attributes.ContextTypeInfo
        if info:
            size = max(int(info.ContextSize), int(attributes.ContextSizeOverride))
            self._contexts[number, self.ffi.string(info.ContextName)] = self.ffi.new("char[]", size)
        for name in ("EvtDestroyCallback", "EvtCleanupCallback"):
            if getattr(attributes, name):
                function = self.address(getattr(attributes, name))
                _Cleanup(thing, lambda function=function, name=name: self.enter(function, number, what=name))  # type: ignore[misc]
        return number

    def context(self, number: int, info: CData) -> int:
        """Address of an object's context of a type. Raises: BugCheck."""
        name = self.ffi.string(info.ContextName)
        if (number, name) not in self._contexts:
            raise BugCheck(f"the object {number:#x} has no context {name.decode()}", INVALID_HANDLE)
        return self.address(self._contexts[number, name])
