# SPDX-License-Identifier: Apache-2.0
"""One loaded driver: how Python enters it, how it stops, and which C value stands for which object.

A routine that raises stops the driver where it is, as a bug check does: the call that entered the driver raises what
the routine raised. Objects of the model are known to C by handles, or by the address of a structure that shows them.
"""

from __future__ import annotations

import contextlib
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from nthal.framework import WdfObject
from nthal.records.adapter import ScatterGatherList
from nthal.verifier import BugCheck, Misuse, called_from
from nthal.windows import Irql

if TYPE_CHECKING:
    from collections.abc import Callable

    from nthal.framework import Device
    from nthal.native.cdata import CData, Compiled
    from nthal.native.host import Host
    from nthal.native.objects import FxDriver, FxInterrupt, FxQueue, FxRequest, IoWindow
    from nthal.records.mdl import Mdl
    from nthal.transaction import Transaction

FIRST_HANDLE: Final = 0x5744_4600_0000
"""Where handles begin: numbers at which no memory of a process on Linux is found by chance."""
_ARGUMENTS: Final = 6
_LISTS_KEPT: Final = 16
"""Lists that were put and are remembered, so that who puts one twice is told."""
_NULL_PAGES: Final = 0x1_0000
_ERROR: Final = 1
_FAULT: Final = 2
_PAGE_FAULT: Final = 0x50
_IRQL_UNEXPECTED: Final = 0xC8
_INVALID_HANDLE: Final = 0x10D


class Cleanup(WdfObject):
    """Ends with its parent, and calls the driver then. It is made first, so that other children end before it."""

    def __init__(self, parent: WdfObject, call: Callable[[], None]) -> None:
        super().__init__(parent)
        self._call = call

    def dispose(self) -> None:
        """Call the driver."""
        self._call()


class Session:
    """State of one loaded driver."""

    def __init__(self, host: Host, module: Compiled, name: str, *, register_bytes: int) -> None:
        self.host: Final = host
        self.machine: Final = host.machine
        self.ffi: Final = module.ffi
        self.lib: Final = module.lib
        self.name: Final = name
        self.register_bytes: Final = register_bytes
        self.printed: list[str] = []
        self.driver: FxDriver | None = None
        self.device: Device | None = None
        self.callbacks: dict[str, int] = {}
        self.interrupt: FxInterrupt | None = None
        self.queue: FxQueue | None = None
        self.requests: dict[Transaction, FxRequest] = {}
        self.windows: dict[int, IoWindow] = {}
        self.reads_in_a_row = 0
        self.pool: dict[int, str] = {}
        """Pool memory that the driver holds, by address, and where it got it."""
        self.mdls: dict[int, tuple[Mdl, CData, str]] = {}
        self._objects: dict[int, object] = {}
        self._numbers: dict[int, int] = {}
        self._contexts: dict[tuple[int, str], CData] = {}
        self._shown: dict[int, tuple[object, CData]] = {}
        self._error: BaseException | None = None
        self._inside: str | None = None
        self._irql_before = Irql.PASSIVE_LEVEL

    # --- into the driver and back ------------------------------------------------------------------------------------

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

    def _raise_what_stopped(self) -> None:
        stopped, self.lib.nthal_stopped = int(self.lib.nthal_stopped), 0
        error, self._error = self._error, None
        if stopped == _FAULT:
            address = int(self.lib.nthal_fault_address)
            failure = self.machine.last_failure
            cause = f"; what gave NULL last: {failure}" if address < _NULL_PAGES and failure is not None else ""
            words = f"the driver's code faults at address {address:#x}{cause}"
            with called_from(f"after {self.place()}"):
                misuse = Misuse.NULL_USED if address < _NULL_PAGES else Misuse.WILD_ADDRESS
                self.machine.verifier.violate(misuse, words)
            raise BugCheck(words, _PAGE_FAULT, address)
        if error is not None:
            raise error

    def stop(self, error: BaseException) -> None:
        """Stop the driver where it is: `enter` raises the error instead of C, which cannot unwind Python."""
        self._error = error
        self.lib.nthal_stopped = _ERROR

    # --- objects and what C knows of them ----------------------------------------------------------------------------

    def number(self, thing: object) -> int:
        """Handle of an object; NULL for None."""
        if thing is None:
            return 0
        number = self._numbers.get(id(thing))
        if number is None:
            number = self._numbers[id(thing)] = FIRST_HANDLE + 16 * (len(self._objects) + 1)
            self._objects[number] = thing
        return number

    def object_of(self, number: int) -> object:
        """Object behind a handle, deleted ones included: who uses one is told. None for NULL. Raises: BugCheck."""
        if number and number not in self._objects:
            raise BugCheck(f"{number:#x} is no handle", _INVALID_HANDLE)
        return self._objects.get(number)

    def show(self, thing: object, made: Callable[[], CData]) -> int:
        """Address of the structure that shows an object to C, made at first."""
        for address, (shown, _) in self._shown.items():
            if shown is thing:
                return address
        structure = made()
        address = self.address(structure)
        self._shown[address] = thing, structure
        return address

    def shown(self, address: int, kind: str) -> object:
        """Object that the structure at `address` shows; None for NULL. Raises: BugCheck."""
        if address and address not in self._shown:
            raise BugCheck(f"no {kind} is at {address:#x}", _INVALID_HANDLE)
        return self._shown[address][0] if address else None

    def forget_lists(self) -> None:
        """Forget the oldest of the scatter/gather lists that were put."""
        put = [at for at, (thing, _) in self._shown.items() if isinstance(thing, ScatterGatherList) and not thing.live]
        for address in put[:-_LISTS_KEPT]:
            del self._shown[address]

    def address(self, pointer: object) -> int:
        """The number of a pointer."""
        return int(self.ffi.cast("uintptr_t", pointer))

    # --- memory descriptor lists -------------------------------------------------------------------------------------

    def mdl(self, address: int) -> Mdl | None:
        """MDL at an address; None for NULL. Raises: BugCheck."""
        if not address:
            return None
        if address not in self.mdls:
            raise BugCheck(f"no MDL is at {address:#x}: it was freed, or never allocated", _INVALID_HANDLE)
        return self.mdls[address][0]

    def show_mdl(self, mdl: Mdl | None, *, owner: str | None = None) -> int:
        """Address of an MDL's structure, with what the model knows of it now. `owner` is where the driver got it."""
        if mdl is None:
            return 0
        known = next((structure for shown, structure, _ in self.mdls.values() if shown is mdl), None)
        structure = self.ffi.new("MDL *") if known is None else known
        structure.Size, structure.MdlFlags = mdl.size & 0x7FFF, int(mdl.flags)
        structure.StartVa = self.ffi.cast("void *", mdl.start_va)
        structure.ByteCount, structure.ByteOffset = mdl.byte_count, mdl.byte_offset
        mapped = 0 if mdl.mapped_system_va is None else int(mdl.mapped_system_va)
        structure.MappedSystemVa = self.ffi.cast("void *", mapped)
        address = self.address(structure)
        if known is None:
            self.mdls[address] = mdl, structure, owner or ""
        return address

    # --- contexts ----------------------------------------------------------------------------------------------------

    def adopt(self, thing: WdfObject, attributes: CData | None) -> int:
        """Give a new object its handle, and what the driver's attributes ask for: context memory, cleanup."""
        number = self.number(thing)
        if attributes is None or not attributes:
            return number
        info = attributes.ContextTypeInfo
        if info:
            size = max(int(info.ContextSize), int(attributes.ContextSizeOverride))
            self._contexts[number, self._context_name(info)] = self.ffi.new("char[]", size)
        for callback in ("EvtDestroyCallback", "EvtCleanupCallback"):
            function = self.address(getattr(attributes, callback))
            if function:
                Cleanup(thing, self._caller(function, number, callback))
        return number

    def _caller(self, function: int, number: int, what: str) -> Callable[[], None]:
        return lambda: void(self.enter(function, number, what=what))

    def _context_name(self, info: CData) -> str:
        return self.ffi.string(info.ContextName).decode()

    def context(self, number: int, info: CData) -> int:
        """Address of an object's context of a type. Raises: BugCheck."""
        self.object_of(number)
        found = self._contexts.get((number, self._context_name(info)))
        if found is None:
            raise BugCheck(f"the object {number:#x} has no context {self._context_name(info)}", _INVALID_HANDLE)
        return self.address(found)


def void(_: int) -> None:
    """A function of the driver that returns nothing."""
