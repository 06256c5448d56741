# SPDX-License-Identifier: Apache-2.0
"""Adapter objects: make one, ask it, put it, and end a driver that holds some.

Source: reference hal-contract 2.1 and 2.5, and 0xE6 rows 0x07 to 0x0A of section 6.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nthal import policy
from nthal.events import AdapterCreated, AdapterPut, NullReason
from nthal.operations import system_dma
from nthal.records.adapter import Adapter
from nthal.verifier import Misuse, driver_place
from nthal.windows import Irql

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import DeviceObject
    from nthal.windows import DeviceDescription

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
    if shared is not None:
        return shared
    machine.adapters.append(adapter)
    if machine.platform.isa_dma and _is_cascade(description):
        system_dma.cascade(machine, description.dma_channel)
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
    )


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


class ForeignAdapter(ValueError):
    """An adapter was used on a machine that did not make it: a mistake of who plays the driver, not of a driver."""


def usable(machine: Machine, adapter: Adapter | None, routine: str) -> bool:
    """Check the adapter argument of a routine; False if the call must not go on (CB-01, CB-08).

    Raises: ForeignAdapter.
    """
    if adapter is None:
        machine.verifier.violate(Misuse.NULL_ADAPTER, f"{routine}(NULL, ...)")
        return False
    if machine.adapters[adapter.number - 1 : adapter.number] != [adapter]:
        raise ForeignAdapter(f"{routine}: {adapter!r}, made at {adapter.made_at}, belongs to another machine")
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
    adapter.gone = True
    live = {kind: adapter.books.tally(kind).live for kind, _ in _LIVE_KINDS}
    machine.processor.emit(AdapterPut(machine.processor.clock, adapter.number, sum(live.values())))
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
