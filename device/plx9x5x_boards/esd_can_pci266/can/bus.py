# SPDX-License-Identifier: Apache-2.0
"""The wire between CAN controllers, in model time: who may send, who wins, what the others hear, how long it takes.

One frame is on the wire at a time. `catch_up` does whatever was due, in order, and is called before anybody looks; the
bus also asks for a call when the next thing is due. What is due is bounded by the clock alone, so a call does at most
`MOST_AT_ONCE` things: if the clock has run further ahead than that, the time between was not the bus's.

Source: CAN specification 2.0 (Bosch, 1991). UNVERIFIED: at which bit nodes of different bit rates notice each other,
and that rates within three per cent understand each other.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from plx9x5x_boards.esd_can_pci266.can.frame import ERROR_FRAME, INTERMISSION, SUSPEND, TAIL, Frame, first_difference

MOST_AT_ONCE: Final = 256
_MOST_CALLS: Final = 8
"""Outstanding requests to be called: new ones may come before those that wait, and a guest must not pile them up."""
_TOLERANCE: Final = 32
"""Bit times that differ by less than one part in this."""
_NOTICED_AT: Final = 12
"""Bits after which nodes of different bit rates see that something is wrong."""


class Segment(enum.IntEnum):
    """Where in a frame an error was seen, bits 4:0 of the error code. Source: SJA1000 data sheet, table 21."""

    IDENTIFIER = 0x02
    CODE = 0x0B
    DATA = 0x0A
    ACKNOWLEDGE = 0x19


class Kind(enum.IntEnum):
    """What the error was, bits 7:6 of the error code. Source: SJA1000 data sheet, table 20."""

    BIT = 0x00
    STUFF = 0x80
    OTHER = 0xC0


RECEIVING: Final = 0x20
"""Bit 5 of the error code: the node was not the sender."""
SEGMENT: Final = 0x1F
"""Bits of the error code that hold the segment."""
NOT_ACKNOWLEDGED: Final = Kind.OTHER | Segment.ACKNOWLEDGE


@dataclass(slots=True)
class Request:
    """A frame that a node wants sent. `once`: no second attempt; `own`: the node receives it as well."""

    frame: Frame
    at: int
    once: bool
    own: bool
    _bits: int = 0

    @property
    def bits(self) -> int:
        """Bits up to and with the CRC sequence; worked out once, for it may be sent again and again."""
        self._bits = self._bits or self.frame.stuffed_bits()
        return self._bits


class Node(Protocol):
    """A controller, as the wire sees it. Times are nanoseconds of the model."""

    @property
    def bit_ns(self) -> int:
        """Length of a bit."""
        ...

    @property
    def joined_at(self) -> int | None:
        """From when on it takes part; None if it does not."""
        ...

    @property
    def request(self) -> Request | None:
        """What it wants sent."""
        ...

    @property
    def silent(self) -> bool:
        """It never sends a dominant bit: no acknowledge, no error flag."""
        ...

    @property
    def error_passive(self) -> bool:
        """Its error flags do not disturb anybody."""
        ...

    @property
    def needs_no_acknowledge(self) -> bool:
        """Its frames are sent well even if nobody acknowledges them."""
        ...

    def due(self) -> int | None:
        """When something of its own happens."""
        ...

    def do_due(self) -> None:
        """It is due."""
        ...

    def busy_until(self, started: int, free_at: int) -> None:
        """The bus is taken: who waits for it to be free, or sleeps, hears of it."""
        ...

    def sent(self) -> None:
        """Its frame went out, and was acknowledged."""
        ...

    def lost(self, position: int) -> None:
        """It lost the arbitration at this bit."""
        ...

    def failed(self, code: int) -> None:
        """Its frame ended with an error."""
        ...

    def heard(self, frame: Frame, *, own: bool) -> None:
        """A frame came, whole; `own` if it is its own one."""
        ...

    def misheard(self, code: int) -> None:
        """Somebody's frame ended with an error."""
        ...


@dataclass(slots=True)
class _OnWire:
    """The frame that is on the wire. `code` is the error that it will end with, whatever comes; 0 is none."""

    request: Request
    senders: list[Node]
    listeners: list[Node]
    bit_ns: int
    end: int
    code: int = 0


class Bus:
    """The wire between `nodes`. `now` is the clock, `call_at` has `catch_up` called at a time."""

    def __init__(self, nodes: Sequence[Node], now: Callable[[], int], call_at: Callable[[int], None]) -> None:
        self._nodes: Final = nodes
        self._now: Final = now
        self._call_at: Final = call_at
        self._wire: _OnWire | None = None
        self._free_at = 0
        self._suspended: dict[Node, int] = {}
        self._calls: set[int] = set()
        self._next: int | None = None
        """When the next thing is due, as it was when somebody last wrote, or something happened."""

    # -- for the nodes -----------------------------------------------------------------------------

    def sends(self, node: Node) -> bool:
        """Tell whether the node's frame is on the wire."""
        return self._wire is not None and node in self._wire.senders

    @property
    def idle(self) -> bool:
        """No frame is on the wire."""
        return self._wire is None

    def free_from(self, now: int) -> int:
        """When what is on the wire, with the intermission, is over; `now` if it is."""
        if self._wire is not None:
            return self._wire.end + INTERMISSION * self._wire.bit_ns
        return max(now, self._free_at)

    def leave(self, node: Node) -> None:
        """The node takes no part any more; a frame of its own breaks off."""
        wire = self._wire
        if wire is None:
            return
        wire.listeners = [it for it in wire.listeners if it is not node]
        if self.sends(node):
            wire.senders = [it for it in wire.senders if it is not node]
            if not wire.senders:
                wire.code = Kind.STUFF | Segment.DATA
                wire.end = min(wire.end, self._now() + ERROR_FRAME * wire.bit_ns)

    # -- time --------------------------------------------------------------------------------------

    def called(self) -> None:
        """Somebody calls because it was asked to."""
        now = self._now()
        self._calls = {at for at in self._calls if at > now}
        self.catch_up()
        self.arm()

    def catch_up(self) -> None:
        """Do all that is due, and ask to be called for what comes next."""
        now = self._now()
        if self._next is None or self._next > now:
            return
        for _ in range(MOST_AT_ONCE):
            if (due := self._due()) is None or due > now:
                break
            self._do(due)
        else:
            self._skip_to(now)
        self.arm()

    def arm(self) -> None:
        """Ask to be called when the next thing is due; whoever changes a node says so by this."""
        due = self._next = self._due()
        if due is None or len(self._calls) >= _MOST_CALLS or any(at <= due for at in self._calls):
            return
        self._calls.add(due)
        self._call_at(due)

    def _due(self) -> int | None:
        """When the next thing happens."""
        earliest = self._wire.end if self._wire is not None else self._next_start()
        for node in self._nodes:
            if (due := node.due()) is not None and (earliest is None or due < earliest):
                earliest = due
        return earliest

    def _do(self, due: int) -> None:
        """Do the one thing that is due then: what ends goes before what begins."""
        wire = self._wire
        if wire is not None and wire.end <= due:
            self._wire = None
            self._end(wire)
            return
        node = next((it for it in self._nodes if (at := it.due()) is not None and at <= due), None)
        if node is not None:
            node.do_due()
        else:
            self._begin(due)

    def _skip_to(self, now: int) -> None:
        """The clock has run away: what is on the wire ends now, and the next comes after that."""
        if self._wire is not None:
            self._wire.end = max(self._wire.end, now)
        else:
            self._free_at = max(self._free_at, now)

    # -- frames ------------------------------------------------------------------------------------

    def _ready(self, node: Node) -> int | None:
        """When a node with a request may begin: a bit after it was asked to, once the bus is free for it."""
        request, joined = node.request, node.joined_at
        if request is None or joined is None:
            return None
        return max(request.at + node.bit_ns, joined, self._free_at, self._suspended.get(node, 0))

    def _next_start(self) -> int | None:
        """When the next frame may begin."""
        return min((at for node in self._nodes if (at := self._ready(node)) is not None), default=None)

    def _begin(self, start: int) -> None:
        """Put the winner of all who are ready on the wire. A node joins until the first bit is over."""
        ready = [it for it in self._nodes if (at := self._ready(it)) is not None and at - start < it.bit_ns]
        rates_differ = any(not _understand(ready[0], it) for it in ready)
        senders, lost = list(ready), list[tuple[Node, int]]()
        first = min((_request(it) for it in ready), key=lambda request: request.frame.arbitration)
        if not rates_differ:
            for node in ready:
                if (position := first_difference(first.frame, _request(node).frame)) is not None:
                    lost.append((node, position))
            senders = [it for it in ready if it not in dict(lost)]
        listeners = [it for it in self._nodes if it not in senders and _takes_part(it, start)]
        bit_ns = senders[0].bit_ns
        wire = _OnWire(first, senders, listeners, bit_ns, 0)
        wire.code, bits = self._foresee(wire, rates_differ=rates_differ)
        wire.end = start + bits * bit_ns
        self._wire = wire
        for node in self._nodes:
            if node not in senders and node not in listeners:
                node.busy_until(start, wire.end + INTERMISSION * bit_ns)
        for node, position in lost:
            node.lost(position)

    def _foresee(self, wire: _OnWire, *, rates_differ: bool) -> tuple[int, int]:
        """What will go wrong for certain, and bits until the end of the frame or of the error frame."""
        request = wire.request
        if rates_differ or any(_disturbs(it, wire.senders[0]) for it in wire.listeners):
            return Kind.BIT | Segment.IDENTIFIER, _NOTICED_AT + ERROR_FRAME
        for other in wire.senders[1:]:
            if (frame := _request(other).frame) != request.frame:
                if frame.code != request.frame.code:
                    return Kind.BIT | Segment.CODE, request.frame.header_bits + ERROR_FRAME
                return Kind.BIT | Segment.DATA, request.frame.header_bits + 8 + ERROR_FRAME
        if not _acknowledged(wire):
            return 0, request.bits + 2 + ERROR_FRAME
        return 0, request.bits + TAIL

    def _end(self, wire: _OnWire) -> None:
        """Tell everybody what became of it. Who left meanwhile acknowledges nothing."""
        self._free_at = wire.end + INTERMISSION * wire.bit_ns
        self._suspended.clear()
        code = wire.code or (0 if _acknowledged(wire) else NOT_ACKNOWLEDGED)
        frame, senders, listeners = wire.request.frame, tuple(wire.senders), tuple(wire.listeners)
        receivers = [(it, True) for it in senders if _request(it).own]
        receivers += [(it, False) for it in listeners if senders and _understand(it, senders[0])]
        for node in senders:
            if code:
                node.failed(code)
            else:
                node.sent()
            if node.error_passive:
                self._suspended[node] = self._free_at + SUSPEND * wire.bit_ns
        for node in listeners:
            if not senders or not _understand(node, senders[0]):
                node.misheard(Kind.STUFF | Segment.IDENTIFIER | RECEIVING)
            elif code:
                node.misheard(Kind.STUFF | code & SEGMENT | RECEIVING)
        for node, own in () if code else receivers:
            node.heard(frame, own=own)


def _request(node: Node) -> Request:
    """The request of a node that has one."""
    request = node.request
    assert request is not None
    return request


def _takes_part(node: Node, at: int) -> bool:
    """It has joined the bus by then."""
    joined = node.joined_at
    return joined is not None and joined <= at


def _understand(one: Node, other: Node) -> bool:
    """Bit rates that are close enough."""
    return abs(one.bit_ns - other.bit_ns) * _TOLERANCE < max(one.bit_ns, other.bit_ns)


def _disturbs(node: Node, sender: Node) -> bool:
    """It takes the sender's bits for errors, and says so with dominant ones."""
    return not _understand(node, sender) and not node.silent and not node.error_passive


def _acknowledged(wire: _OnWire) -> bool:
    """Somebody other than the senders takes it for a good frame, or the senders need nobody."""
    if all(it.needs_no_acknowledge for it in wire.senders):
        return True
    return any(_understand(it, wire.senders[0]) and not it.silent for it in wire.listeners)
