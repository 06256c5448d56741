# SPDX-License-Identifier: Apache-2.0
"""C arguments to Python's and back, by the types and names that the prototypes spell.

The façades have the parameters of the headers in their order, so that nothing here knows a single routine: a handle
becomes its object, a pointer to a result an `Out`, a callback a Python function that enters the driver.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeVar, cast

from nthal import kmdf
from nthal.events import NullReason
from nthal.framework import COMMON_BUFFER_CONFIG_SIZE, ObjectAttributes, WdfObject
from nthal.machine import DeviceObject
from nthal.records.adapter import DmaTransferContext, ScatterGatherList
from nthal.records.mdl import Mdl
from nthal.types import MAX_ADDRESS, Address, La, Out, Va
from nthal.verifier import BugCheck
from nthal.wdm import DMA_ADAPTER
from nthal.windows import AllocationAction, Caching, DeviceDescription, DmaAdapterInfo, DmaTransferInfo, NtStatus
from nthal_c import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nthal_c.prototypes import Parameter, Prototype
    from nthal_c.session import Session
    from nthal_c.shapes import CData

_VIRTUAL: Final = ("VirtualAddress", "CurrentVa", "BaseAddress")
_HANDLES: Final = ("PADAPTER_OBJECT", "PDMA_COMMON_BUFFER_VECTOR")
_NUMBERS: Final = ("ULONG", "ULONG64", "size_t", "SIZE_T", "ULONG_PTR", "KIRQL", "UCHAR", "USHORT", "NTSTATUS")
_RAW: Final = ("volatile void *", "PWDFDEVICE_INIT *")
_POINTERS: Final = ("PMDL *", "PVOID *", "PSCATTER_GATHER_LIST *", "PDMA_COMMON_BUFFER_VECTOR *")
_MAY_BE_NULL: Final = ("MapRegisterBase", "ScatterGatherList")
"""Results for which NULL asks for something else than a place for them does."""
_UNSEEN: Final = ("OriginalMdl",)
"""Parameters that play no part, and that the façades have not."""
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])")
"""Where a name of the headers is cut into words."""


_SIZED: Final = ("PWDF_OBJECT_ATTRIBUTES", "PWDF_DRIVER_CONFIG", "PWDF_INTERRUPT_CONFIG", "PWDF_IO_QUEUE_CONFIG")
"""Structures whose Size the framework holds to that of its version. Those for DMA are the façades' matter."""
MOST_CONTEXT: Final = 64 << 20
"""Bytes of context memory that an object can get."""
_SHOWN: Final = {"PDEVICE_OBJECT": DeviceObject, "PDMA_ADAPTER": DMA_ADAPTER, "PSCATTER_GATHER_LIST": ScatterGatherList}
"""What the structures stand for."""
E = TypeVar("E", bound=IntEnum)
_NOTHING: Final = object()
"""For a parameter that is not handed on."""


@dataclass
class Call:
    """One call under way: what is to be written back when the routine returned, and the attributes for a new object.

    `list_at` is the driver's memory for a scatter/gather list, 0 for the HAL's own.
    """

    session: Session
    routine: str
    list_at: int = 0
    attributes: CData | None = None
    results: list[Callable[[], object]] = field(default_factory=list)


def call(session: Session, prototype: Prototype, target: Callable[..., object], raw: Sequence[CData]) -> object:
    """Call a Python routine with C arguments; give the result as C."""
    reach.try_all(session, prototype, raw)
    for one, value in zip(prototype.parameters, raw, strict=True):
        refused = _refused(session, prototype, one, value)
        if refused is not None:
            return result(session, prototype.type, refused)
    now = Call(session, prototype.name)
    made = [_argument(now, one, value) for one, value in zip(prototype.parameters, raw, strict=True)]
    answer = target(*(one for one in made if one is not _NOTHING))
    for settle in now.results:
        settle()
    return result(session, prototype.type, answer)


def _refused(session: Session, prototype: Prototype, parameter: Parameter, value: CData) -> NtStatus | None:
    """Give the status of a structure that the framework refuses whatever the routine: one of another size."""
    if prototype.type != "NTSTATUS" or parameter.type not in _SIZED or not value:
        return None
    kind, processor = parameter.type[1:], session.machine.processor
    due, what = session.ffi.sizeof(kind), f"{prototype.name}: {parameter.name}"
    if int(value.Size) != due:
        processor.fail(NullReason.BAD_CALL, f"{what}->Size is {int(value.Size)}, {due} is due: call {kind}_INIT first")
        return NtStatus.INFO_LENGTH_MISMATCH
    if kind == "WDF_OBJECT_ATTRIBUTES" and session.context_size(value) > MOST_CONTEXT:
        processor.fail(NullReason.NO_MEMORY, f"{what} ask for {session.context_size(value):#x} bytes of context")
        return NtStatus.INSUFFICIENT_RESOURCES
    return None


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
    if kind == "NTSTATUS" and value is None:
        value = NtStatus.NOT_IMPLEMENTED  # what is told of a routine that is not modelled has no status of its own
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
    if isinstance(value, DmaTransferContext):
        return session.show(value, lambda: session.ffi.new("char[]", reach.CONTEXT_BYTES))
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
    _fill(made, value)
    return made


def _list_in(session: Session, value: ScatterGatherList, address: int) -> int:
    """Write a list into memory of the driver's; give its address."""
    length = session.ffi.sizeof("SCATTER_GATHER_LIST") + len(value.elements) * session.ffi.sizeof(
        "SCATTER_GATHER_ELEMENT"
    )
    reach.try_one(session, address, length, "ScatterGatherBuffer", reach.WRITE)
    session.show_at(value, address)
    _fill(session.ffi.cast("SCATTER_GATHER_LIST *", address), value)
    return address


def _fill(made: CData, value: ScatterGatherList) -> None:
    made.NumberOfElements = len(value.elements)
    for index, one in enumerate(value.elements):
        made.Elements[index].Address.QuadPart = _signed(int(one.address))
        made.Elements[index].Length = one.length


# --- arguments -------------------------------------------------------------------------------------------------------


def _argument(now: Call, parameter: Parameter, value: CData) -> object:
    session, kind, name = now.session, parameter.type, parameter.name
    if kind in _RAW:
        return value
    if name in _UNSEEN:
        return _NOTHING
    if name == "ScatterGatherBuffer" and kind == "PVOID":
        now.list_at = session.address(value)
        return _NOTHING
    if name == "DmaTransferContext":
        return session.transfer_context(session.address(value))
    if kind == "PVOID" and name == "ScatterGatherList":
        return _list_out(now, value)
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
    if name == "ScatterGatherBuffer":
        now.list_at = session.address(value)
        return _list_out(now, value)
    if kind in _SHOWN:
        return session.shown(session.address(value), kind[1:], _SHOWN[kind])
    if kind in _CONVERTERS:
        return _CONVERTERS[kind](now, value)
    if kind == "HANDLE":
        return session.address(value)
    if kind.endswith("*") or kind in ("PPHYSICAL_ADDRESS", "PULONG", "PKIRQL"):
        return _out(now, kind, value, name)
    if kind in _HANDLES or (kind.startswith("WDF") and "_" not in kind):
        return session.address(value) if kind == "WDFCONTEXT" else session.object_of(session.address(value), kind)
    if kind.startswith("P"):
        return value
    return int(value)


def _mdl(now: Call, value: CData) -> object:
    """An MDL: what a routine does to it is to be seen in its structure afterwards.

    The memory manager's routines look at one MDL, whatever is chained to it; those of DMA take the chain.
    """
    session, address = now.session, now.session.address(value)
    alone = now.routine.startswith("Mm") or now.routine == "IoFreeMdl"
    mdl = session.shown(address, "MDL", Mdl) if alone else session.mdl_at(address)
    if isinstance(mdl, Mdl):
        now.results.append(lambda: session.is_shown(address) and session.show_mdl(mdl))
    return mdl


def _list_out(now: Call, value: CData) -> Out[object] | None:
    """A place for a list: the driver's memory for it if it gave some, else for a pointer to the HAL's; NULL is none."""
    if not value:
        return None
    session, out = now.session, Out[object](None)

    def settle() -> None:
        made = out.value
        if isinstance(made, ScatterGatherList):
            at = _list_in(session, made, now.list_at) if now.list_at else pointer(session, made)
            if at != session.address(value):
                session.ffi.cast("void **", value)[0] = session.ffi.cast("void *", at)

    now.results.append(settle)
    return out


def _out(now: Call, kind: str, value: CData, name: str) -> object:
    """A pointer to a result; NULL is none. `Length` of a transfer goes both ways, bounds in alone."""
    session, ffi = now.session, now.session.ffi
    if name in _MAY_BE_NULL and not value:
        return None
    if name in ("MinimumAddress", "MaximumAddress"):
        return La(int(value.QuadPart) & MAX_ADDRESS) if value else None
    out: Out[object] = Out(int(value[0]) if value and kind == "PULONG" else None)

    def settle() -> None:
        got = out.value
        adopted = kind.startswith("WDF") and isinstance(got, WdfObject)
        number = session.adopt(cast("WdfObject", got), now.attributes, kind[:-2]) if adopted else 0
        if not value:
            return
        if kind == "PPHYSICAL_ADDRESS":
            value.QuadPart = 0 if got is None else _signed(int(cast("Address", got)))
        elif kind in _POINTERS:
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
    parent = now.session.object_of(now.session.address(value.ParentObject), "WDFOBJECT")
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
            one = (
                enumerated(kind, number, f"DEVICE_DESCRIPTION.{member}") if issubclass(kind, IntEnum) else kind(number)
            )
            setattr(made, name, one)
    return made


def enumerated(kind: type[E], number: int, what: str) -> E:
    """A number of C's as the enumeration that it should be of. Raises: BugCheck with what is allowed."""
    try:
        return kind(number)
    except ValueError:
        allowed = ", ".join(f"{one.value} ({one.name})" for one in kind)
        raise BugCheck(f"{what} is {number:#x}; allowed are {allowed}") from None


def _caching(_: Call, value: CData) -> Caching:
    return enumerated(Caching, int(value), "MEMORY_CACHING_TYPE")


def _caching_at(now: Call, value: CData) -> Caching | None:
    return _caching(now, value[0]) if value else None


def _action(_: Call, value: CData) -> AllocationAction:
    return enumerated(AllocationAction, int(value), "IO_ALLOCATION_ACTION")


def _info(now: Call, value: CData, made: DmaAdapterInfo | DmaTransferInfo) -> DmaAdapterInfo | DmaTransferInfo:
    """A structure that the routine fills in, member by member of its first version."""
    made.version = int(value.Version)

    def settle() -> None:
        for member in dir(value.V1):
            setattr(value.V1, member, int(getattr(made, _WORDS.sub("_", member).lower())))

    now.results.append(settle)
    return made


def _adapter_info(now: Call, value: CData) -> object:
    return _info(now, value, DmaAdapterInfo()) if value else None


def _transfer_info(now: Call, value: CData) -> object:
    return _info(now, value, DmaTransferInfo()) if value else None


def _direction(_: Call, value: CData) -> object:
    number = int(value)
    return kmdf.WDF_DMA_DIRECTION(number) if number in list(kmdf.WDF_DMA_DIRECTION) else number


# --- callbacks: NULL is none, which a routine may take or not --------------------------------------------------------


def _program_dma(now: Call, value: CData) -> object:
    session = now.session

    def program(transaction: object, device: object, context: object, direction: int, made: object) -> bool:
        numbers = (session.number(transaction), session.number(device), cast("int", context), int(direction))
        return bool(session.enter(value, *numbers, pointer(session, made), what="EvtProgramDma") & 0xFF)

    return program if value else None


def _reserve_dma(now: Call, value: CData) -> object:
    session = now.session

    def reserve(transaction: object, context: object) -> None:
        session.enter(value, session.number(transaction), cast("int", context), what="EvtReserveDma")

    return reserve if value else None


def _configure_channel(now: Call, value: CData) -> object:
    session = now.session

    def configure(transaction: object, device: object, context: object, mdl: Mdl, offset: int, length: int) -> bool:
        numbers = (session.number(transaction), session.number(device), cast("int", context), session.show_mdl(mdl))
        return bool(session.enter(value, *numbers, offset, length, what="EvtDmaTransactionConfigureDmaChannel") & 0xFF)

    return configure if value else None


def _transfer_complete(now: Call, value: CData) -> object:
    session = now.session

    def complete(transaction: object, device: object, context: object, direction: int, status: int) -> None:
        numbers = (session.number(transaction), session.number(device), cast("int", context), int(direction))
        session.enter(value, *numbers, int(status), what="EvtDmaTransactionDmaTransferComplete")

    return complete if value else None


def _dma_completion(now: Call, value: CData) -> object:
    session = now.session

    def complete(made: object, device: object, context: object, status: int) -> None:
        shown = 0 if device is None else show_device(session, device)
        session.enter(value, pointer(session, made), shown, cast("int", context), int(status), what="DmaCompletion")

    return complete if value else None


def _adapter_control(now: Call, value: CData) -> object:
    session = now.session

    def control(device: object, _irp: object, base: object, context: object) -> AllocationAction:
        numbers = (show_device(session, device), 0, session.number(base), cast("int", context))
        answer = session.enter(value, *numbers, what="AdapterControl") & 0xFFFF_FFFF
        return enumerated(AllocationAction, answer, f"what AdapterControl of {session.name} returns")

    return control if value else None


def _list_control(now: Call, value: CData) -> object:
    session = now.session

    def control(device: object, _irp: object, made: ScatterGatherList, context: object) -> None:
        at = _list_in(session, made, now.list_at) if now.list_at else pointer(session, made)
        session.enter(value, show_device(session, device), 0, at, cast("int", context), what="AdapterListControl")

    return control if value else None


def show_device(session: Session, device: object) -> int:
    """Address of the DEVICE_OBJECT that shows the model's."""
    return session.show(device, lambda: session.ffi.new("DEVICE_OBJECT *"))


_CONVERTERS: Final[dict[str, Callable[[Call, CData], object]]] = {
    "PMDL": _mdl,
    "PWDF_OBJECT_ATTRIBUTES": _attributes,
    "PWDF_DMA_ENABLER_CONFIG": _enabler_config,
    "PWDF_COMMON_BUFFER_CONFIG": _buffer_config,
    "PDEVICE_DESCRIPTION": _description,
    "PDMA_ADAPTER_INFO": _adapter_info,
    "PDMA_TRANSFER_INFO": _transfer_info,
    "IO_ALLOCATION_ACTION": _action,
    "MEMORY_CACHING_TYPE": _caching,
    "MEMORY_CACHING_TYPE *": _caching_at,
    "WDF_DMA_DIRECTION": _direction,
    "PFN_WDF_PROGRAM_DMA": _program_dma,
    "PFN_WDF_RESERVE_DMA": _reserve_dma,
    "PFN_WDF_DMA_TRANSACTION_CONFIGURE_DMA_CHANNEL": _configure_channel,
    "PFN_WDF_DMA_TRANSACTION_DMA_TRANSFER_COMPLETE": _transfer_complete,
    "PDMA_COMPLETION_ROUTINE": _dma_completion,
    "PDRIVER_CONTROL": _adapter_control,
    "PDRIVER_LIST_CONTROL": _list_control,
}
