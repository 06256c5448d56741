# SPDX-License-Identifier: Apache-2.0
"""The adapter object: what its device can reach, what it was granted, and the books on everything it hands out.

Source: reference hal-contract 2.1 and 2.5, and 0xE6 rows 0x07 to 0x0A of section 6.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from nthal import policy
from nthal.events import AdapterCreated, AdapterPut, NullReason
from nthal.platforms import Translation
from nthal.verifier import Misuse, driver_place
from nthal.windows import Irql

if TYPE_CHECKING:
    from nthal.channel import ChannelState, MapRegisterFile
    from nthal.common_buffer import CommonBuffer
    from nthal.machine import DeviceObject, Machine
    from nthal.scatter_gather import ScatterGatherList
    from nthal.windows import DeviceDescription

_LIVE_KINDS: Final = (
    ("buffers", Misuse.PUT_WITH_BUFFERS),
    ("channels", Misuse.PUT_WITH_CHANNELS),
    ("registers", Misuse.PUT_WITH_REGISTERS),
    ("lists", Misuse.PUT_WITH_LISTS),
)


@dataclass(slots=True)
class Tally:
    """How many objects of one kind an adapter gave out and took back."""

    allocated: int = 0
    freed: int = 0

    @property
    def live(self) -> int:
        """Objects that are out."""
        return self.allocated - self.freed


@dataclass(slots=True)
class Books:
    """The four counters that `!dma` shows."""

    buffers: Tally = field(default_factory=Tally)
    channels: Tally = field(default_factory=Tally)
    registers: Tally = field(default_factory=Tally)
    lists: Tally = field(default_factory=Tally)

    def tally(self, kind: str) -> Tally:
        """Counter by its name."""
        return {"buffers": self.buffers, "channels": self.channels, "registers": self.registers, "lists": self.lists}[
            kind
        ]


class Adapter:
    """One adapter object. `granted` is its NumberOfMapRegisters, `limit` the highest logical address of its device."""

    def __init__(
        self, machine: Machine, description: DeviceDescription, device: DeviceObject | None, *, nt: bool
    ) -> None:
        self.machine = machine
        self.description = description
        self.device = device
        self.is_nt = nt
        self.number = len(machine.adapters) + 1
        self.limit = policy.address_limit(description, machine.platform.switches)
        self.boundary = policy.boundary(description, machine.platform.switches)
        self.granted = policy.registers_granted(description, machine.platform)
        self.needs_registers = policy.needs_map_registers(description, machine.platform)
        self.held_registers = 0
        self.books = Books()
        self.buffers: list[CommonBuffer] = []
        self.lists: list[ScatterGatherList] = []
        self.files: list[MapRegisterFile] = []
        self.gone = False
        self.made_at = driver_place()
        self.channel_state: ChannelState | None = None

    @property
    def driver(self) -> str:
        """Name of the driver that asked for it."""
        return "driver" if self.device is None else self.device.driver

    def __repr__(self) -> str:
        return f"adapter {self.number} of {self.driver}"

    def registers_free(self, count: int) -> bool:
        """True if `count` more registers fit the adapter's share and the platform's pool (CB-42)."""
        if self.held_registers + count > self.granted:
            return False
        hardware = self.machine.platform.translation is Translation.MAPREG
        return not hardware or self.machine.registers.find(count) is not None


def create(
    machine: Machine, description: DeviceDescription, device: DeviceObject | None = None, *, nt: bool = False
) -> Adapter | None:
    """Make an adapter for the described device; None with the reason in `machine.last_failure` (CB-04)."""
    if not machine.irql_is(Irql.PASSIVE_LEVEL, "HalGetAdapter" if nt else "IoGetDmaAdapter"):
        machine.fail(NullReason.BAD_CALL, "wrong IRQL")
        return None
    if nt and machine.verifier.on:
        machine.verifier.violate(Misuse.HAL_GET_ADAPTER, "a driver under verification calls it")
    why = policy.why_no_adapter(description, machine.platform, nt_hal=nt)
    if why is not None:
        if description.version not in range(4):
            machine.verifier.note(Misuse.UNKNOWN_VERSION, why)
        machine.fail(NullReason.NO_ADAPTER, why)
        return None
    # The driver may reuse its structure; the adapter keeps what it said at this moment.
    adapter = Adapter(machine, replace(description), device, nt=nt)
    shared = _shared_isa_adapter(machine, adapter)
    if shared is not None:
        return shared
    machine.adapters.append(adapter)
    if machine.platform.isa_dma and _is_cascade(description):
        machine.dma.cascade(description.dma_channel)
    machine.emit(AdapterCreated(machine.clock, adapter.number, adapter.granted))
    return adapter


def _is_cascade(description: DeviceDescription) -> bool:
    return description.master and description.interface_type.name == "ISA" and description.dma_channel in (5, 6, 7)


def _shared_isa_adapter(machine: Machine, wanted: Adapter) -> Adapter | None:
    """ReactOS keeps one object per ISA channel, and its register count only grows (reference 4.8)."""
    if not machine.platform.switches.reactos_grant or wanted.description.master:
        return None
    for adapter in machine.adapters:
        same = adapter.description.dma_channel == wanted.description.dma_channel
        if same and not adapter.description.master and not adapter.gone:
            adapter.granted = max(adapter.granted, wanted.granted)
            return adapter
    return None


def usable(machine: Machine, adapter: Adapter | None, routine: str) -> bool:
    """Check the adapter argument of a routine; False if the call must not go on (CB-01, CB-08)."""
    if adapter is None:
        machine.verifier.violate(Misuse.NULL_ADAPTER, f"{routine}(NULL, ...)")
        return False
    if adapter.gone:
        machine.verifier.violate(Misuse.ADAPTER_GONE, f"{routine}({adapter!r}, ...)", adapter.number)
        return False
    return True


def alignment(machine: Machine, adapter: Adapter | None) -> int:
    """GetDmaAlignment: bytes; 1 where the call was wrong."""
    usable(machine, adapter, "GetDmaAlignment")
    return machine.platform.hal_alignment


def put(machine: Machine, adapter: Adapter | None) -> None:
    """PutDmaAdapter. The adapter is gone afterwards, whatever was outstanding (CB-08, AM-19)."""
    if not usable(machine, adapter, "PutDmaAdapter") or adapter is None:
        return
    if not machine.irql_at_most(Irql.DISPATCH_LEVEL, "PutDmaAdapter"):
        return
    adapter.gone = True
    live = {kind: adapter.books.tally(kind).live for kind, _ in _LIVE_KINDS}
    machine.emit(AdapterPut(machine.clock, adapter.number, sum(live.values())))
    for kind, misuse in _LIVE_KINDS:
        if not live[kind]:
            continue
        detail = f"{live[kind]} {kind} of {adapter!r} are out"
        if machine.verifier.on:
            machine.verifier.violate(misuse, detail, adapter.number, live[kind])
        elif machine.platform.switches.put_with_live_finding:
            machine.verifier.note(misuse, detail, adapter.number, live[kind])


def unload(machine: Machine, driver: str = "driver") -> int:
    """End a driver: every common buffer it still holds is a leak (CB-84). Returns how many there are."""
    leaked = [buffer for adapter in machine.adapters if adapter.driver == driver for buffer in adapter.buffers]
    if leaked:
        listed = ", ".join(f"{buffer.length} bytes at {buffer.va!r} made at {buffer.made_at}" for buffer in leaked)
        machine.verifier.violate(Misuse.LEAK, f"{driver} leaves {len(leaked)} common buffers: {listed}", len(leaked))
    return len(leaked)
