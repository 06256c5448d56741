# SPDX-License-Identifier: Apache-2.0
"""Adapter objects: make one, ask it, put it, and end a driver that holds some.

Source: reference hal-contract 2.1 and 2.5, and 0xE6 rows 0x07 to 0x0A of section 6.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nthal import policy
from nthal.arguments import ForeignObject, check_fields
from nthal.events import AdapterCreated, AdapterPut, NullReason
from nthal.operations import system_dma
from nthal.records.adapter import Adapter
from nthal.records.mdl import Mdl, chain
from nthal.records.waits import tell_unfinished
from nthal.verifier import Misuse, driver_place
from nthal.windows import InterfaceType, Irql, WindowsVersion

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import (
        BufferVector,
        DeviceObject,
        DmaTransferContext,
        MapRegisterFile,
        ScatterGatherList,
    )
    from nthal.windows import DeviceDescription

    _Owned = Adapter | Mdl | MapRegisterFile | ScatterGatherList | BufferVector | DmaTransferContext

_LIVE_KINDS: Final = (
    ("buffers", Misuse.PUT_WITH_BUFFERS),
    ("channels", Misuse.PUT_WITH_CHANNELS),
    ("registers", Misuse.PUT_WITH_REGISTERS),
    ("lists", Misuse.PUT_WITH_LISTS),
)


def create(
    machine: Machine,
    description: DeviceDescription,
    device: DeviceObject | None = None,
    *,
    nt: bool = False,
    reach: int | None = None,
) -> Adapter | None:
    """Make an adapter for the described device; None with the reason in `machine.last_failure` (CB-04).

    `reach` is the width in bits of a device that the description cannot tell.
    """
    check_fields("DeviceDescription", description)
    if not nt and machine.platform.windows < WindowsVersion.WINDOWS_2000:
        absent = f"IoGetDmaAdapter came with Windows 2000, this is {machine.platform.windows.name}"
        machine.processor.fail(NullReason.NO_ADAPTER, absent)
        machine.verifier.violate(Misuse.ABSENT_EXPORT, absent)
        return None
    if not machine.processor.irql_is(Irql.PASSIVE_LEVEL, "HalGetAdapter" if nt else "IoGetDmaAdapter"):
        machine.processor.fail(NullReason.BAD_CALL, "wrong IRQL")
        return None
    if nt and machine.verifier.on:
        machine.verifier.violate(Misuse.HAL_GET_ADAPTER, "a driver under verification calls it")
    why = policy.why_no_adapter(description, machine.platform, nt_hal=nt)
    if why is not None:
        if description.version not in range(4):
            machine.verifier.note(Misuse.UNKNOWN_VERSION, why)
        machine.processor.fail(NullReason.NO_ADAPTER, why)
        return None
    adapter = _describe(machine, description, device, reach)
    shared = _shared_isa_adapter(machine, adapter)
    if machine.platform.isa_dma and _is_cascade(machine, description):
        system_dma.cascade(machine, description.dma_channel)
    if shared is not None:
        return shared
    machine.adapters.append(adapter)
    machine.processor.emit(AdapterCreated(machine.processor.clock, adapter.number, adapter.granted))
    return adapter


def _describe(
    machine: Machine, description: DeviceDescription, device: DeviceObject | None, reach: int | None
) -> Adapter:
    """Work out what the description comes to here; nothing is taken, and the machine does not know it yet."""
    platform = machine.platform
    limit = policy.address_limit(description, platform.switches)
    if reach is not None:
        limit = min(limit, (1 << reach) - 1)
    return Adapter(
        number=len(machine.adapters) + 1,
        # The driver may reuse its structure; the adapter keeps what it said at this moment.
        description=replace(description),
        device=device,
        limit=limit,
        boundary=policy.boundary(description, platform.switches),
        granted=policy.registers_granted(description, platform),
        needs_registers=policy.needs_map_registers(description, platform, limit),
        made_at=driver_place(),
        # Windows shows 1 whatever was asked for (CB-04), ReactOS what was; ROS hal dma.c, HalpDmaAllocateChildAdapter.
        version=description.version if platform.switches.reactos_grant else 1,
    )


def _is_cascade(machine: Machine, description: DeviceDescription) -> bool:
    """True for a master on the ISA bus, which uses a channel's arbitration; ReactOS takes EISA and any channel too."""
    if machine.platform.switches.reactos_grant:
        return description.master and policy.shared_channel(description) is not None
    return (
        description.master and description.interface_type == InterfaceType.ISA and description.dma_channel in (5, 6, 7)
    )


def _shared_isa_adapter(machine: Machine, wanted: Adapter) -> Adapter | None:
    """ReactOS keeps one object per ISA channel, for masters and slaves (reference 4.8; ROS hal dma.c, HalGetAdapter).

    Its register count only grows, and only if it was made to need registers; whoever asks last sets its mode.
    """
    channel = policy.shared_channel(wanted.description)
    if not machine.platform.switches.reactos_grant or channel is None:
        return None
    for adapter in machine.adapters:
        if policy.shared_channel(adapter.description) != channel:
            continue
        older = wanted if adapter.gone else adapter
        if older.needs_registers and adapter.needs_registers and wanted.needs_registers:
            older.granted = max(adapter.granted, wanted.granted)
        if not adapter.gone:
            adapter.description, adapter.limit, adapter.boundary = wanted.description, wanted.limit, wanted.boundary
            adapter.references += 1
            return adapter
    return None


class ForeignAdapter(ForeignObject):
    """An adapter was used on a machine that did not make it: a mistake of who plays the driver, not of a driver."""


def owned(machine: Machine, routine: str, *things: _Owned | None) -> None:
    """Refuse what another machine made, chained MDLs too; None passes. Raises: ForeignObject, ForeignAdapter."""
    for thing in things:
        if isinstance(thing, Mdl):
            if any(mdl.owner not in (None, machine) for mdl in chain(thing)):
                raise ForeignObject(f"{routine}: the MDL of {thing.va!r} belongs to another machine")
        elif thing is not None:
            adapter = thing if isinstance(thing, Adapter) else thing.adapter
            if adapter is not None and machine.adapters[adapter.number - 1 : adapter.number] != [adapter]:
                words = f"{routine}: {adapter!r}, made at {adapter.made_at}, belongs to another machine"
                raise ForeignAdapter(words) if thing is adapter else ForeignObject(f"{words}, and so does {thing!r}")


def usable(machine: Machine, adapter: Adapter | None, routine: str) -> bool:
    """Check the adapter argument of a routine; False if the call must not go on (CB-01, CB-08).

    Raises: ForeignAdapter.
    """
    if adapter is None:
        machine.verifier.violate(Misuse.NULL_ADAPTER, f"{routine}(NULL, ...)")
        return False
    owned(machine, routine, adapter)
    if adapter.gone:
        machine.verifier.violate(Misuse.ADAPTER_GONE, f"{routine}({adapter!r}, ...)", adapter.number)
        return False
    return True


def alignment(machine: Machine, adapter: Adapter | None) -> int:
    """GetDmaAlignment: bytes; 1 where the call was wrong."""
    usable(machine, adapter, "GetDmaAlignment")
    return machine.platform.hal_alignment


def read_counter(machine: Machine, adapter: Adapter | None) -> int:
    """ReadDmaCounter: bytes left in the current pass; only for adapters of system DMA (CB-144)."""
    if not usable(machine, adapter, "ReadDmaCounter") or adapter is None:
        return 0
    if not machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "ReadDmaCounter"):
        return 0
    if adapter.description.master:
        machine.verifier.violate(Misuse.MASTER_COUNTER, f"ReadDmaCounter({adapter!r})")
        return 0
    return system_dma.remaining(machine, adapter.description.dma_channel)


def put(machine: Machine, adapter: Adapter | None) -> None:
    """PutDmaAdapter. The adapter is gone afterwards, whatever was outstanding (CB-08, AM-19)."""
    if not usable(machine, adapter, "PutDmaAdapter") or adapter is None:
        return
    if not machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "PutDmaAdapter"):
        return
    adapter.references -= 1
    if adapter.references:
        return  # ReactOS: others share the object
    adapter.gone = True
    live = {kind: adapter.books.tally(kind).live for kind, _ in _LIVE_KINDS}
    # A driver frees those of a common buffer with the buffer.
    live["registers"] -= sum(buffer.registers.count for buffer in adapter.buffers if buffer.registers)
    machine.processor.emit(AdapterPut(machine.processor.clock, adapter.number, sum(live.values())))
    try:
        _tell_live(machine, adapter, live)
        tell_unfinished([adapter], machine.adapters, machine.verifier, "as the adapter is put")
    finally:
        if adapter.channel_state is not None:
            queue = adapter.channel_state.queue
            others = [waiter for waiter in queue if waiter.adapter is not adapter]
            queue.clear()
            queue.extend(others)


def _tell_live(machine: Machine, adapter: Adapter, live: dict[str, int]) -> None:
    """Tell of what an adapter that is put has out."""
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
    mine = [adapter for adapter in machine.adapters if adapter.driver == driver]
    tell_unfinished(mine, machine.adapters, machine.verifier, f"as {driver} is unloaded")
    leaked = [buffer for adapter in mine for buffer in adapter.buffers]
    if leaked:
        listed = ", ".join(f"{buffer.length} bytes at {buffer.va!r} made at {buffer.made_at}" for buffer in leaked)
        machine.verifier.violate(Misuse.LEAK, f"{driver} leaves {len(leaked)} common buffers: {listed}", len(leaked))
    return len(leaked)
