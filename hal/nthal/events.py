# SPDX-License-Identifier: Apache-2.0
"""What happens in a machine, as typed events: one stream for dump, clauses, pictures and tests.

`time` is the machine's virtual clock in nanoseconds, lengths are bytes.
"""

import enum
from dataclasses import dataclass

from nthal.types import La, Va


class NullReason(enum.Enum):
    """Why a routine gave NULL."""

    BAD_CALL = "the call itself was wrong"
    NO_ADAPTER = "the adapter cannot be made"
    ZERO_LENGTH = "no bytes were asked for"
    NOT_A_ULONG = "the length does not fit into a ULONG"
    REGISTER_LIMIT = "the buffer may need more map registers than the adapter was granted"
    REGISTERS_BUSY = "the map registers it needs are held by others"
    UNSUPPORTED_CACHING = "the cache type is not supported"
    EMPTY_WINDOW = "the address window cannot hold the buffer"
    NO_MEMORY = "there are not enough free pages"
    NO_RUN = "no free run of pages satisfies length, limit and boundary"
    NO_LOGICAL_SPACE = "no run of logical addresses is left below the limit"
    NO_VIRTUAL_SPACE = "no run of virtual addresses is left"


@dataclass(frozen=True, slots=True)
class Event:
    """Root of all events."""

    time: int


@dataclass(frozen=True, slots=True)
class AdapterCreated(Event):
    """An adapter object was made; `granted` is its NumberOfMapRegisters."""

    adapter: int
    granted: int


@dataclass(frozen=True, slots=True)
class AdapterPut(Event):
    """PutDmaAdapter; `live` objects were outstanding."""

    adapter: int
    live: int


@dataclass(frozen=True, slots=True)
class BufferAllocated(Event):
    """A common buffer was made. `length` is what the HAL was asked for, `registers` what it holds."""

    adapter: int
    routine: str
    length: int
    va: Va
    la: La
    pages: int
    registers: int
    cache_enabled: bool


@dataclass(frozen=True, slots=True)
class AllocationFailed(Event):
    """An allocator gave NULL."""

    adapter: int
    routine: str
    length: int
    reason: NullReason


@dataclass(frozen=True, slots=True)
class BufferFreed(Event):
    """A common buffer went back; the arguments are those of the free."""

    adapter: int
    length: int
    va: Va
    la: La


@dataclass(frozen=True, slots=True)
class ChannelGranted(Event):
    """AdapterControl is about to run with `registers` map registers."""

    adapter: int
    registers: int


@dataclass(frozen=True, slots=True)
class ChannelFreed(Event):
    """The adapter channel became free."""

    adapter: int


@dataclass(frozen=True, slots=True)
class Mapped(Event):
    """MapTransfer mapped `length` bytes; `bounced` if through pages of the HAL."""

    adapter: int
    va: Va
    la: La
    length: int
    to_device: bool
    bounced: bool


@dataclass(frozen=True, slots=True)
class Flushed(Event):
    """FlushAdapterBuffers ended a mapping."""

    adapter: int
    va: Va
    length: int


@dataclass(frozen=True, slots=True)
class CpuAccess(Event):
    """Driver code touched memory."""

    va: Va
    length: int
    write: bool


@dataclass(frozen=True, slots=True)
class DeviceAccess(Event):
    """A device touched memory through the bus; `ok` is False if the platform refused."""

    la: La
    length: int
    write: bool
    ok: bool


@dataclass(frozen=True, slots=True)
class IrqlChanged(Event):
    """The processor went to another IRQL."""

    irql: int


@dataclass(frozen=True, slots=True)
class PortWrite(Event):
    """The HAL wrote a byte to a port of the system DMA controller."""

    port: int
    value: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last routine gave NULL, in a form that a test can ask for and a person can read."""

    reason: NullReason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"
