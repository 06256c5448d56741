# SPDX-License-Identifier: Apache-2.0
"""Requests that wait for a channel or for map registers: whether the wait can end, and who holds what.

A wait is accused at once only where common buffers, which live as long as the driver, leave too little; any other may
end, and is told when the driver, its adapter or the machine's `with` ends first. Source: reference hal-contract CB-42.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal.platforms import Translation
from nthal.verifier import Misuse, Rank

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nthal.platforms import Platform
    from nthal.records.adapter import Adapter, Waiter
    from nthal.verifier import Verifier

_NAMED: Final = 6
"""Holders that a finding names; the rest are counted."""


def tell_endless(waiter: Waiter, adapters: list[Adapter], platform: Platform, verifier: Verifier) -> None:
    """Note a request that was just queued, if not even every channel and list given back would serve it."""
    adapter = waiter.adapter
    if not adapter.needs_registers:
        return
    hardware = platform.translation is Translation.MAPREG
    share = adapter.granted - sum(buffer.registers.count for buffer in adapter.buffers if buffer.registers)
    if waiter.count > share:
        room = f"{share} of the {adapter.granted} of {adapter!r} remain, while its common buffers live"
    elif hardware and waiter.count > (longest := _longest_run(adapters, platform.register_pool)):
        room = f"the pool has {platform.register_pool}, no run of it is longer than {longest} while common buffers live"
    else:
        return
    waiter.told = True
    verifier.note(Misuse.ENDLESS_WAIT, f"{_asked(waiter)}: {room}; {_held(adapters if hardware else [adapter])}")


def tell_unfinished(adapters: Iterable[Adapter], everyone: list[Adapter], verifier: Verifier, when: str) -> None:
    """Note the requests of `adapters` that `when` finds still waiting. Each is told once."""
    for adapter in adapters:
        state = adapter.channel_state
        for waiter in () if state is None else state.queue:
            if waiter.adapter is not adapter or waiter.told:
                continue
            waiter.told = True
            busy = "" if state is None or state.owner is None else f"the channel is held since {state.owner.made_at}; "
            verifier.note(
                Misuse.ENDLESS_WAIT,
                f"{when}, {_asked(waiter)} still waits: {busy}{_held(everyone)}",
                rank=Rank.WARNING,
            )


def _asked(waiter: Waiter) -> str:
    return f"the request at {waiter.made_at} for {waiter.count} map registers of {waiter.adapter!r}"


def _longest_run(adapters: list[Adapter], pool: int) -> int:
    """Map registers in a row that no common buffer holds."""
    held = sorted(
        (buffer.registers.start, buffer.registers.end)
        for adapter in adapters
        for buffer in adapter.buffers
        if buffer.registers
    )
    ends = [0, *(end for _, end in held)]
    return max(start - end for end, start in zip(ends, [*(start for start, _ in held), pool], strict=True))


def _held(adapters: list[Adapter]) -> str:
    """Who holds map registers, in words."""
    holders = [
        f"{buffer.registers.count} by the common buffer of {buffer.length} bytes made at {buffer.made_at}"
        for adapter in adapters
        for buffer in adapter.buffers
        if buffer.registers
    ]
    holders += [
        f"{file.count - file.freed} by the request at {file.made_at}" for adapter in adapters for file in adapter.files
    ]
    more = [f"{len(holders) - _NAMED} holders more"] if len(holders) > _NAMED else []
    return f"held are {', '.join(holders[:_NAMED] + more)}" if holders else "none is held"
