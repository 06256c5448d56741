# SPDX-License-Identifier: Apache-2.0
"""Common-buffer vectors: N buffers of one size, fetched and freed by index; misuse is bug check 0x1DC.

Source: reference hal-contract CB-133. The parameter order of the façade's routines is UNVERIFIED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal.operations import common_buffer
from nthal.operations.adapter import owned, usable
from nthal.records.adapter import BufferVector
from nthal.verifier import BugCheck
from nthal.windows import Irql, NtStatus

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import Adapter, CommonBuffer
    from nthal.records.request import BufferRequest

VECTOR_BUG_CHECK: Final = 0x1DC
WRONG_IRQL: Final = 1
NOT_EMPTY: Final = 2
OUT_OF_BOUNDS: Final = 3
ALREADY_FREED: Final = 4
LEAKED: Final = 5


def _stop(parameter: int, words: str) -> BugCheck:
    return BugCheck(f"common-buffer vector: {words}", VECTOR_BUG_CHECK, parameter)


def _passive(machine: Machine) -> None:
    if machine.processor.irql != Irql.PASSIVE_LEVEL:
        raise _stop(WRONG_IRQL, f"IRQL is {machine.processor.irql.name}")


def allocate(machine: Machine, adapter: Adapter | None, request: BufferRequest, count: int) -> BufferVector | NtStatus:
    """Make `count` buffers; all of them or none. Raises: BugCheck at a wrong IRQL."""
    if not usable(machine, adapter, "AllocateCommonBufferVector") or adapter is None or count <= 0:
        return NtStatus.INVALID_PARAMETER
    _passive(machine)
    if count * max(request.length, machine.platform.page_size) > machine.platform.memory_end:
        return NtStatus.INSUFFICIENT_RESOURCES
    vector = BufferVector(adapter)
    for _ in range(count):
        made = common_buffer.allocate(machine, adapter, request)
        if made is None:
            for element in vector.elements:
                if element is not None:
                    common_buffer.release(machine, element)
            return NtStatus.INSUFFICIENT_RESOURCES
        vector.elements.append(made)
    return vector


def element(machine: Machine, vector: BufferVector, index: int) -> CommonBuffer:
    """Give an element. Raises: BugCheck for an index that is outside or freed."""
    owned(machine, "GetCommonBufferFromVectorByIndex", vector)
    if not 0 <= index < len(vector.elements):
        raise _stop(OUT_OF_BOUNDS, f"index {index} of {len(vector.elements)}")
    found = vector.elements[index]
    if found is None:
        raise _stop(ALREADY_FREED, f"index {index} was freed")
    return found


def free_element(machine: Machine, vector: BufferVector, index: int) -> None:
    """Free one element. Raises: BugCheck for a wrong IRQL or index."""
    _passive(machine)
    common_buffer.release(machine, element(machine, vector, index))
    vector.elements[index] = None


def free(machine: Machine, vector: BufferVector) -> None:
    """Free the vector itself. Raises: BugCheck if an element is left."""
    owned(machine, "FreeCommonBufferVector", vector)
    _passive(machine)
    if vector.live:
        raise _stop(NOT_EMPTY, f"{vector.live} elements are left")
