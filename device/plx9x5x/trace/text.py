# SPDX-License-Identifier: Apache-2.0
"""Events as lines of text."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from plx9x5x.events import BusError, ChipReset, Fault, LocalUndecoded, Purpose, TransferHeld, UnmodelledSeen
from plx9x5x.ports import ResetKind

_WANTED: Final = {
    Purpose.DATA: "moving data",
    Purpose.DESCRIPTOR: "reading a descriptor",
    Purpose.WRITE_BACK: "writing a descriptor's count back",
}
_NOTHING_MAPPED: Final = "nothing at all is mapped: has the guest's memory share=on?"


class FaultLog:
    """Tells a person what a driver did wrong, one line a fault, and of each kind at most `most`.

    A guest may repeat a fault millions of times; the lines must not grow with it. `summary` has the counts.
    """

    enabled: Final = False

    def __init__(self, say: Callable[[str], None], *, most: int = 20) -> None:
        self._say = say
        self._most = most
        self._seen: Counter[str] = Counter()

    def emit(self, event: object) -> None:
        """Say a fault; drop any other event. A client that leaves takes its counts with it."""
        if isinstance(event, UnmodelledSeen):
            self._say("accesses that mean nothing on this chip (reads gave 0, writes vanished):")
            for line in event.lines:
                self._say(f"  {line}")
        if isinstance(event, ChipReset) and event.reason == ResetKind.LOST_CLIENT.value:
            self.conclude()
        if not isinstance(event, Fault):
            return
        kind = type(event).__name__
        self._seen[kind] += 1
        if self._seen[kind] <= self._most:
            self._say(describe(event))
        if self._seen[kind] == self._most:
            self._say(f"{kind}: {self._most} so far; more are counted and not shown")

    def conclude(self) -> None:
        """Say the summary, if there is anything to say, and start afresh."""
        if summary := self.summary():
            self._say(summary)
        self._seen.clear()

    def summary(self) -> str | None:
        """How often each kind of fault came, or None without any."""
        if not self._seen:
            return None
        return "faults: " + ", ".join(f"{count} {kind}" for kind, count in sorted(self._seen.items()))


def describe(fault: Fault) -> str:
    """Say who is at fault, and what would mend it."""
    match fault:
        case BusError():
            near = ", ".join(f"{start:#x}-{start + length - 1:#x}" for start, length in fault.nearest)
            return (
                f"DMA channel {fault.channel}: {fault.kind.value} at {fault.address:#x} while "
                f"{_WANTED[fault.purpose]}: {fault.reason} ({f'nearest: {near}' if near else _NOTHING_MAPPED}). "
                "DONE stays 0 until the driver aborts."
            )
        case TransferHeld():
            return f"DMA channel {fault.channel} waits: {fault.reason}"
        case LocalUndecoded():
            return (
                f"local address {fault.local_address:#x} ({fault.length} bytes): the board decodes nothing there; "
                "reads gave ones, writes vanished. DMALADR takes raw local addresses; a BAR shows those from LASnBA on."
            )
        case _:
            return str(fault)
