# SPDX-License-Identifier: Apache-2.0
"""Pointers that a driver gives to a routine, looked at in one place before Python follows them.

Python that follows a NULL or wild pointer ends the process, so that each pointer is tried first, as many bytes of it as
its type has; one that leads nowhere is a fault of the driver's at the call. Handles and structures of ours are looked
up by number, and need no such trial.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nthal_c.prototypes import Parameter, Prototype
    from nthal_c.session import Session
    from nthal_c.shapes import CData

READ, WRITE, TEXT = 0, 1, 2
"""How memory is tried; `glue.h` has the same numbers."""
_READ_ONLY: Final = (
    "PDRIVER_OBJECT", "PCUNICODE_STRING", "PDEVICE_DESCRIPTION", "PLONGLONG", "MEMORY_CACHING_TYPE *",
    "PWDF_OBJECT_ATTRIBUTES", "PWDF_DRIVER_CONFIG", "PWDF_PNPPOWER_EVENT_CALLBACKS", "PWDF_INTERRUPT_CONFIG",
    "PWDF_IO_QUEUE_CONFIG", "PWDF_DMA_ENABLER_CONFIG", "PWDF_COMMON_BUFFER_CONFIG", "PCWDF_OBJECT_CONTEXT_TYPE_INFO",
)  # fmt: skip
_WRITTEN: Final = (
    "PWDF_REQUEST_PARAMETERS", "PDMA_ADAPTER_INFO", "PDMA_TRANSFER_INFO", "PPHYSICAL_ADDRESS", "PULONG", "PKSPIN_LOCK",
    "PKIRQL",
)  # fmt: skip
_BOUNDS: Final = ("MinimumAddress", "MaximumAddress")
"""Pointers to an address that is only read."""
_MAY_BE_NULL: Final = (
    *_BOUNDS, "PLONGLONG", "MEMORY_CACHING_TYPE *", "PWDF_OBJECT_ATTRIBUTES", "MapRegisterBase", "ScatterGatherList",
    "MapRegisterCount", "ScatterGatherElementCount", "DmaTransferContext",
    "nthal_request.Buffer", "nthal_request.Mdl", "WdfDriverCreate.Driver", "WdfIoQueueCreate.Queue",
    "nthal_CalculateScatterGatherList.NumberOfMapRegisters",
    "PWDF_COMMON_BUFFER_CONFIG", "PDMA_ADAPTER_INFO", "PDMA_TRANSFER_INFO",  # the routine itself says what NULL is
)  # fmt: skip
"""Types, names, and names of one routine for which NULL is a value."""
CONTEXT_BYTES: Final = 128
"""DMA_TRANSFER_CONTEXT_SIZE_V1."""
_BYTES: Final = {"DmaTransferContext": CONTEXT_BYTES, "ScatterGatherList": 8}
"""Of a PVOID, by name; a list's is a place for a pointer."""


@cache
def _how(kind: str, name: str) -> int | None:
    """How a parameter's memory is tried; None for what is no pointer that is followed."""
    if kind in _READ_ONLY or name in _BOUNDS:
        return READ
    written = kind in _WRITTEN or (kind == "PVOID" and name in _BYTES)
    return WRITE if written or (kind.endswith("*") and "void" not in kind) else None


def _may_be_null(prototype: Prototype, parameter: Parameter) -> bool:
    return any(one in _MAY_BE_NULL for one in (parameter.type, parameter.name, f"{prototype.name}.{parameter.name}"))


def try_all(session: Session, prototype: Prototype, raw: Sequence[CData]) -> None:
    """Try the pointers of a call. Raises: DmaViolation, BugCheck for one that leads nowhere."""
    for parameter, value in zip(prototype.parameters, raw, strict=True):
        how = _how(parameter.type, parameter.name)
        if how is None or (not value and _may_be_null(prototype, parameter)):
            continue
        length = _BYTES.get(parameter.name) if parameter.type == "PVOID" else None
        what = f"{prototype.called}: {parameter.name}"
        length = length or session.ffi.sizeof(session.ffi.typeof(value).item)
        try_one(session, session.address(value), length, what, how)
        if parameter.type == "PWDF_OBJECT_ATTRIBUTES" and value.ContextTypeInfo:
            _try_type(session, value.ContextTypeInfo, f"{what}->ContextTypeInfo")
        elif parameter.type == "PCWDF_OBJECT_CONTEXT_TYPE_INFO":
            _try_type(session, value, what)


def _try_type(session: Session, info: CData, what: str) -> None:
    try_one(session, session.address(info), session.ffi.sizeof("WDF_OBJECT_CONTEXT_TYPE_INFO"), what)
    try_one(session, session.address(info.ContextName), 1, f"{what}->ContextName", TEXT)


def try_one(session: Session, address: int, length: int, what: str, how: int = READ) -> None:
    """Try `length` bytes, or a text. Raises: DmaViolation, BugCheck if the driver could not reach them."""
    if address and int(session.lib.nthal_reach(address, length, how)):
        return
    if address == 0:
        session.fault(address, f"{what} is NULL", given=True)
    does = "written" if how == WRITE else "read"
    session.fault(
        address, f"{what} is {address:#x}, where the driver has no {length} bytes that can be {does}", given=True
    )
