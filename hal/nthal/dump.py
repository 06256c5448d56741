# SPDX-License-Identifier: Apache-2.0
"""The view of the debugger's `!dma` on a live machine, as text. Source: reference hal-contract 7.1."""

import enum
from collections.abc import Iterator

from nthal.machine import Machine
from nthal.records.adapter import Adapter


class Show(enum.IntFlag):
    """Flags of `!dma <adapter> [flags]`."""

    GENERIC = 0x01
    MAP_REGISTERS = 0x02
    COMMON_BUFFERS = 0x04
    LISTS = 0x08
    DESCRIPTION = 0x10
    WAITERS = 0x20


def dump(machine: Machine) -> str:
    """One line an adapter, masters last: number, owner, where it was made."""
    ordered = sorted(machine.adapters, key=lambda one: one.description.master)
    return "\n".join(f"Adapter {one.number}  owner {one.driver}  made at {one.made_at}" for one in ordered)


def dump_adapter(adapter: Adapter, flags: Show = Show.GENERIC) -> str:
    """Details of one adapter; lengths shown are those that the driver asked for."""
    return "\n".join(_lines(adapter, flags))


def _lines(adapter: Adapter, flags: Show) -> Iterator[str]:
    if flags & Show.GENERIC:
        books = adapter.books
        yield f"Adapter {adapter.number}  owner {adapter.driver}{'  released' if adapter.gone else ''}"
        yield f"  map registers held {adapter.held_registers}, granted {adapter.granted}"
        for kind in ("registers", "lists", "buffers", "channels"):
            tally = books.tally(kind)
            yield f"  {kind:<10} allocated {tally.allocated}, freed {tally.freed}"
    if flags & Show.MAP_REGISTERS:
        yield from _map_registers(adapter)
    if flags & Show.COMMON_BUFFERS:
        for buffer in adapter.buffers:
            yield (
                f"  buffer made at {buffer.made_at}: length {buffer.length:#x}, va {int(buffer.va):#x}, "
                f"la {int(buffer.la):#x}, pa {int(buffer.frames.pa(buffer.region.offset)):#x}"
            )
    if flags & Show.LISTS:
        for made in adapter.lists:
            yield f"  list of {len(made.elements)} elements, {made.length} bytes"
    if flags & Show.DESCRIPTION:
        yield f"  {adapter.description}"
    if flags & Show.WAITERS and adapter.channel_state is not None:
        yield f"  waiting for the channel: {len(adapter.channel_state.queue)}"


def _map_registers(adapter: Adapter) -> Iterator[str]:
    file = adapter.channel_state.owner if adapter.channel_state is not None else None
    if file is None or file.adapter is not adapter:
        return
    yield f"  map register file: {file.used}/{file.count} mapped"
    for mapping in file.mappings:
        how = "bounced" if mapping.bounce is not None else "direct"
        yield f"    {mapping.length} bytes mapped to {mapping.va:#x}, {how}"


def picture(machine: Machine) -> str:
    """Every live common buffer in its three address spaces, a line each, lowest logical address first."""
    lines = ["logical               physical              virtual               bytes"]
    for buffer in machine.bus.buffers():
        addresses = (int(buffer.la), int(buffer.frames.pa(buffer.region.offset)), int(buffer.va))
        lines.append("  ".join(f"{address:#020x}" for address in addresses) + f"  {buffer.length}")
    return "\n".join(lines)
