# SPDX-License-Identifier: Apache-2.0
"""Turn a machine's buffers into observations, so that the model is judged by the clauses as a guest is.

Before and after a call `holding` counts what the machine has given out; what is more after a NULL or a free is held.
"""

from dataclasses import dataclass, replace
from typing import Final

from nthal import policy
from nthal.contract.observation import Access, Observation
from nthal.machine import Machine
from nthal.platforms import Switches, Translation
from nthal.records.adapter import Adapter, CommonBuffer
from nthal.records.request import BufferRequest
from nthal.windows import Caching

_QUESTIONS: Final = {
    "AM-01": "zero_length_gives_page",
    "AM-02": "enforce_map_register_limit",
    "AM-04": "honour_cache_enabled",
    "AM-07": "cross_4g",
    "AM-09": "tail",
}
"""Open questions from which a clause follows (`Clause.question`), and the switch that answers each."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """What a framework showed its driver of a raw buffer. Addresses are plain numbers, `length` what GetLength says."""

    routine: str
    length: int
    va: int
    la: int
    mask: int
    old_client: bool = False


def departs(switches: Switches) -> tuple[str, ...]:
    """Open questions that these switches answer otherwise than the contract does."""
    default = Switches()
    return tuple(am for am, name in _QUESTIONS.items() if getattr(switches, name) != getattr(default, name))


def holding(machine: Machine) -> int:
    """Pages, logical pages and map registers that are given out."""
    return (
        machine.frames.used
        - machine.iova.total
        - machine.registers.total
        + sum(adapter.held_registers for adapter in machine.adapters)
        - machine.space.free_pages
    )


def _probe(machine: Machine, buffer: CommonBuffer, start: int, length: int) -> tuple[Access, ...]:
    """First and last byte, written by the device and read by the CPU; not where only a flush makes both agree."""
    if buffer.caching is Caching.CACHED and not machine.platform.coherent:
        return ()
    seen = []
    for offset in sorted({0, length - 1} if length else ()):
        device = 0x5A ^ (offset & 0xFF)
        machine.device_write(buffer.la + start + offset, bytes([device]))
        va = buffer.va + (start + offset)
        seen.append(Access(offset, machine.cpu_read(va, 1)[0], device))
    return tuple(seen)


def _tail(machine: Machine, buffer: CommonBuffer) -> int:
    """Bytes past the length, in the rest of the last page, that the device may touch."""
    end = buffer.la + buffer.length
    rest = -int(end) % machine.platform.page_size
    return machine.bus.reach(end, rest, buffer.adapter)


def observe(
    machine: Machine,
    buffer: CommonBuffer,
    order: int,
    *,
    probe: bool = True,
    routine: str | None = None,
    aligned: Aligned | None = None,
) -> Observation:
    """Record a live buffer. With `probe`, its first and last byte are written by the device and read by the CPU.

    `routine` names the call where it is not the request's own; `aligned` is what KMDF made of the buffer.
    """
    platform, request, description = machine.platform, buffer.request, buffer.adapter.description
    shown = aligned or Aligned(
        routine or request.routine.value, buffer.length, int(buffer.va), int(buffer.la), platform.hal_alignment - 1
    )
    slave = not description.master
    return replace(
        _call(machine, buffer.adapter, request, order),
        routine=shown.routine,
        length=shown.length,
        boundary=buffer.adapter.boundary if slave else None,
        channel_bits=(16 if policy.is_word_channel(description) else 8) if slave else None,
        minimum=None if request.minimum is None else int(request.minimum),
        maximum=None if request.maximum is None else int(request.maximum),
        granularity=platform.page_size * (policy.LARGE_PAGE_FACTOR if request.large_pages else 1),
        alignment_mask=shown.mask,
        cache_type=None if request.cache_type is None else int(request.cache_type),
        va=shown.va,
        la=shown.la,
        usable=shown.length if aligned else shown.length + _tail(machine, buffer),
        pages=buffer.frames.frames(),
        registers=0 if buffer.registers is None else buffer.registers.count,
        registers_needed=platform.translation is Translation.MAPREG,
        caching=int(buffer.caching),
        verified=machine.verifier.on,
        raw_length=buffer.length if aligned else None,
        raw_va=int(buffer.va) if aligned else None,
        raw_la=int(buffer.la) if aligned else None,
        old_client=aligned.old_client if aligned else None,
        device_address=shown.la,
        access=_probe(machine, buffer, shown.la - int(buffer.la), shown.length) if probe else (),
    )


def _call(machine: Machine, adapter: Adapter, request: BufferRequest, order: int) -> Observation:
    """What is known of an allocation whatever came of it."""
    platform = machine.platform
    return Observation(
        order,
        routine=request.routine.value,
        length=max(request.length, 0),
        page_size=platform.page_size,
        irql=int(machine.irql),
        adapter=adapter.number,
        limit=adapter.limit,
        granted=adapter.granted,
        cache_enabled=bool(request.cache_enabled),
        translated=platform.translation.scatters,
        arch=platform.arch.value,
        cca=bool(platform.cca) if platform.arch.is_arm else None,
        departs=departs(platform.switches),
    )


def observe_null(machine: Machine, adapter: Adapter, request: BufferRequest, order: int, *, before: int) -> Observation:
    """Record an allocation that gave NULL; `before` is what `holding` said before the call."""
    return replace(_call(machine, adapter, request, order), null=True, held_after_null=holding(machine) - before)


def observe_free(
    buffer: CommonBuffer, order: int, *, after: Machine | None = None, aligned: Aligned | None = None
) -> Observation:
    """Record the free of a buffer; with the machine `after` it, whether anything of the buffer is left."""
    shown = aligned or Aligned("", buffer.length, int(buffer.va), int(buffer.la), 0)
    reachable = held = None
    if after is not None:
        region = after.space.find(buffer.va)
        reachable = region is buffer.region or buffer in after.bus.buffers()
        held = sum(not after.frames.free.contains(run.start, run.count) for run in buffer.frames.runs)
    return Observation(
        order,
        kind="free",
        routine="WdfObjectDelete" if aligned else "FreeCommonBuffer",
        length=shown.length,
        va=shown.va,
        la=shown.la,
        adapter=buffer.adapter.number,
        cache_enabled=bool(buffer.request.cache_enabled),
        irql=None if after is None else int(after.irql),
        held_after_free=held,
        access_after_free_ok=reachable,
    )


def observe_unload(order: int) -> Observation:
    """Record the end of the driver: what is not freed by now leaks."""
    return Observation(order, kind="unload")
