# SPDX-License-Identifier: Apache-2.0
"""C arguments to Python's and back, by the types and names that the prototypes spell.

The façades have the parameters of the headers in their order, so that nothing here knows a single routine: a handle
becomes its object, a pointer to a result an `Out`, a callback a Python function that enters the driver.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from nthal import kmdf
from nthal.framework import COMMON_BUFFER_CONFIG_SIZE, ObjectAttributes, WdfObject
from nthal.records.adapter import ScatterGatherList
from nthal.records.mdl import Mdl
from nthal.types import MAX_ADDRESS, Address, La, Out, Va
from nthal.verifier import BugCheck
from nthal.wdm import DMA_ADAPTER
from nthal.windows import AllocationAction, DeviceDescription

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nthal_c.prototypes import Parameter, Prototype
    from nthal_c.session import Session
    from nthal_c.shapes import CData

_VIRTUAL: Final = ("VirtualAddress", "CurrentVa", "BaseAddress")
_HANDLES: Final = ("PADAPTER_OBJECT",)
_NUMBERS: Final = ("ULONG", "ULONG64", "size_t", "SIZE_T", "ULONG_PTR", "KIRQL", "UCHAR", "USHORT", "NTSTATUS")
_RAW: Final = ("volatile void *", "PWDFDEVICE_INIT *")
_STRUCTURES: Final = ("PDEVICE_OBJECT", "PDMA_ADAPTER", "PSCATTER_GATHER_LIST")
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])")
"""Where a name of the headers is cut into words."""


@dataclass
class Call:
    """One call under way: what is to be written back when the routine returned, and the attributes for a new object."""

    session: Session
    attributes: CData | None = None
    results: list[Callable[[], object]] = field(default_factory=list)


def call(session: Session, prototype: Prototype, target: Callable[..., object], raw: Sequence[CData]) -> object:
    """Call a Python routine with C arguments; give the result as C."""
    now = Call(session)
    made = [_argument(now, one, value) for one, value in zip(prototype.parameters, raw, strict=True)]
    answer = target(*made)
    for settle in now.results:
        settle()
    return result(session, prototype.type, answer)


def zero(session: Session, kind: str) -> object:
    """What a routine returns that stopped the driver: nobody will see it."""
    return None if kind == "void" else session.ffi.new(f"{kind} *")[0]


def result(session: Session, kind: str, value: object) -> object:
    """A Python value as what a routine of type `kind` returns."""
    if kind == "void":
        return None
    if kind == "PHYSICAL_ADDRESS":
        made = session.ffi.new("PHYSICAL_ADDRESS *")
        made.QuadPart = _signed(int(cast("Address", value)))
        return made[0]
    if isinstance(value, bool | int):
        number = int(value)
        if kind == "NTSTATUS" and number >> 31:
            number -= 1 << 32
        return session.ffi.cast(kind, number)
    return session.ffi.cast(kind, pointer(session, value))


def pointer(session: Session, value: object) -> int:
    """A Python object as the number of the pointer that C knows it by."""
    if value is None:
        return 0
    if isinstance(value, Address):
        return int(value)
    if isinstance(value, Mdl):
        return session.show_mdl(value)
    if isinstance(value, DMA_ADAPTER):
        return session.show(value, lambda: adapter(session, value))
    if isinstance(value, ScatterGatherList):
        return session.show(value, lambda: elements(session, value))
    return session.number(value)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def adapter(session: Session, value: DMA_ADAPTER) -> CData:
    """A DMA_ADAPTER whose table has what its version has."""
    ffi = session.ffi
    table = ffi.new("DMA_OPERATIONS *", session.lib.nthal_operations)
    for name in dir(table):
        if name != "Size" and name not in value.DmaOperations.names:
            setattr(table, name, ffi.NULL)
    table.Size = value.DmaOperations.Size
    made = ffi.new("DMA_ADAPTER *")
    made.Version, made.Size = value.Version, value.Size
    made.DmaOperations[0] = table
    session.show(value.DmaOperations, lambda: table)
    return made


def elements(session: Session, value: ScatterGatherList) -> CData:
    """A SCATTER_GATHER_LIST."""
    made = session.ffi.new("SCATTER_GATHER_LIST *", {"Elements": len(value.elements)})
    made.NumberOfElements = len(value.elements)
    for index, one in enumerate(value.elements):
        made.Elements[index].Address.QuadPart = _signed(int(one.address))
        made.Elements[index].Length = one.length
    return made


# --- arguments -------------------------------------------------------------------------------------------------------


def _argument(now: Call, parameter: Parameter, value: CData) -> object:
    session, kind, name = now.session, parameter.type, parameter.name
    if kind in _RAW:
        return value
    if kind in _NUMBERS:
        return int(value) & 0xFFFF_FFFF if kind == "NTSTATUS" else int(value)
    if kind == "BOOLEAN":
        return bool(int(value))
    if kind == "PVOID":
        number = session.address(value)
        if name in _VIRTUAL:
            return Va(number)
        return session.object_of(number) if name == "MapRegisterBase" else number
    if kind == "PHYSICAL_ADDRESS":
        return La(int(value.QuadPart) & MAX_ADDRESS)
    if kind in _STRUCTURES:
        return session.shown(session.address(value), kind[1:])
    if kind in _CONVERTERS:
        return _CONVERTERS[kind](now, value)
    if kind.endswith("*") or kind in ("PPHYSICAL_ADDRESS", "PULONG", "PKIRQL"):
        return _out(now, kind, value, name)
    if kind in _HANDLES or (kind.startswith("WDF") and "_" not in kind):
        return session.address(value) if kind == "WDFCONTEXT" else session.object_of(session.address(value))
    if kind.startswith("P"):
        return value
    return int(value)


def _mdl(now: Call, value: CData) -> object:
    """An MDL: what a routine does to it is to be seen in its structure afterwards."""
    session, address = now.session, now.session.address(value)
    mdl = session.shown(address, "MDL")
    if isinstance(mdl, Mdl):
        now.results.append(lambda: session.is_shown(address) and session.show_mdl(mdl))
    return mdl


def _out(now: Call, kind: str, value: CData, name: str) -> object:
    """A pointer to a result; NULL is none. `Length` of a transfer goes both ways, `MaximumAddress` in alone."""
    session, ffi = now.session, now.session.ffi
    if name == "MaximumAddress":
        return La(int(value.QuadPart) & MAX_ADDRESS) if value else None
    out: Out[object] = Out(int(value[0]) if value and kind == "PULONG" else None)

    def settle() -> None:
        got = out.value
        number = session.adopt(got, now.attributes) if kind.startswith("WDF") and isinstance(got, WdfObject) else 0
        if not value:
            return
        if kind == "PPHYSICAL_ADDRESS":
            value.QuadPart = 0 if got is None else _signed(int(cast("Address", got)))
        elif kind == "PMDL *" or kind == "PVOID *":
            value[0] = ffi.cast("void *", pointer(session, got))
        elif kind.startswith("WDF"):
            value[0] = ffi.cast(kind[:-2], number)
        elif got is not None:
            number = int(cast("int", got))
            value[0] = number - (1 << 32) if kind == "NTSTATUS *" and number >> 31 else number

    now.results.append(settle)
    return out


def _attributes(now: Call, value: CData) -> ObjectAttributes | None:
    if not value:
        return None
    now.attributes = value
    parent = now.session.object_of(now.session.address(value.ParentObject))
    return ObjectAttributes(cast("WdfObject | None", parent))


def _enabler_config(now: Call, value: CData) -> kmdf.WDF_DMA_ENABLER_CONFIG:
    # What the INIT macro of this host's headers sets is what the client's sets on the machine.
    whole = int(value.Size) == now.session.ffi.sizeof("WDF_DMA_ENABLER_CONFIG")
    made = kmdf.WDF_DMA_ENABLER_CONFIG(int(value.Profile), int(value.MaximumLength), None if whole else int(value.Size))
    made.address_width_override = int(value.AddressWidthOverride)
    made.wdm_dma_version_override = int(value.WdmDmaVersionOverride)
    made.flags = int(value.Flags)
    return made


def _buffer_config(now: Call, value: CData) -> kmdf.WDF_COMMON_BUFFER_CONFIG | None:
    if not value:
        return None
    size = int(value.Size) - now.session.ffi.sizeof("WDF_COMMON_BUFFER_CONFIG") + COMMON_BUFFER_CONFIG_SIZE
    return kmdf.WDF_COMMON_BUFFER_CONFIG(int(value.AlignmentRequirement), size)


def _description(_: Call, value: CData) -> DeviceDescription:
    """A DEVICE_DESCRIPTION: each member by its name in words, as the kind of value that its default is."""
    made = DeviceDescription(device_address=La(int(value.DeviceAddress.QuadPart) & MAX_ADDRESS))
    for member in dir(value):
        name = _WORDS.sub("_", member).lower()
        if hasattr(made, name) and name != "device_address":
            kind, number = type(getattr(made, name)), int(getattr(value, member))
            try:
                setattr(made, name, kind(number))
            except ValueError:
                raise BugCheck(f"DEVICE_DESCRIPTION.{member} is {number}, which means nothing") from None
    return made


def _direction(_: Call, value: CData) -> object:
    number = int(value)
    return kmdf.WDF_DMA_DIRECTION(number) if number in list(kmdf.WDF_DMA_DIRECTION) else number


# --- callbacks -------------------------------------------------------------------------------------------------------


def _program_dma(now: Call, value: CData) -> object:
    session = now.session
    if not value:
        return None

    def program(transaction: object, device: object, context: object, direction: int, made: object) -> bool:
        numbers = (session.number(transaction), session.number(device), cast("int", context), int(direction))
        return bool(session.enter(value, *numbers, pointer(session, made), what="EvtProgramDma") & 0xFF)

    return program


def _adapter_control(now: Call, value: CData) -> object:
    session = now.session

    def control(device: object, _irp: object, base: object, context: object) -> AllocationAction:
        numbers = (show_device(session, device), 0, session.number(base), cast("int", context))
        return AllocationAction(session.enter(value, *numbers, what="AdapterControl") & 0xFFFF_FFFF)

    return control


def _list_control(now: Call, value: CData) -> object:
    session = now.session

    def control(device: object, _irp: object, made: object, context: object) -> None:
        numbers = (show_device(session, device), 0, pointer(session, made), cast("int", context))
        session.enter(value, *numbers, what="AdapterListControl")

    return control


def show_device(session: Session, device: object) -> int:
    """Address of the DEVICE_OBJECT that shows the model's."""
    return session.show(device, lambda: session.ffi.new("DEVICE_OBJECT *"))


_CONVERTERS: Final[dict[str, Callable[[Call, CData], object]]] = {
    "PMDL": _mdl,
    "PWDF_OBJECT_ATTRIBUTES": _attributes,
    "PWDF_DMA_ENABLER_CONFIG": _enabler_config,
    "PWDF_COMMON_BUFFER_CONFIG": _buffer_config,
    "PDEVICE_DESCRIPTION": _description,
    "WDF_DMA_DIRECTION": _direction,
    "PFN_WDF_PROGRAM_DMA": _program_dma,
    "PDRIVER_CONTROL": _adapter_control,
    "PDRIVER_LIST_CONTROL": _list_control,
}
