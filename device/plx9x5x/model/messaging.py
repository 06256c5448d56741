# SPDX-License-Identifier: Apache-2.0
"""The messaging unit: four queues of dwords in local memory, and the two ports on them.

==============  ======  ========  ========  ====================
queue           place   head      tail      full, as the host sees it
==============  ======  ========  ========  ====================
inbound free    0       local     hardware  --
inbound post    1       hardware  local     the message is dropped
outbound post   2       local     hardware  --
outbound free   3       hardware  local     dropped, QSR overflow
==============  ======  ========  ========  ====================

A queue is empty when head and tail are equal and full one entry earlier. Pointers hold the offset from QBAR.

Source: PCI 9080 data book 1.02 (places and owners), PLX SDK (registers). UNVERIFIED: the sizes' codes, what an empty
queue reads, what a full one does with a message, the ports while the unit is off,
that an access of any width takes or gives a whole entry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plx9x5x.model.localbus import LocalBus
from plx9x5x.regs import intr
from plx9x5x.regs.kernel import Register, RegisterFile

EMPTY: Final = 0xFFFF_FFFF
ENTRY: Final = 4
SMALLEST: Final = 4096
"""Entries of a queue with size code 1."""


@dataclass(frozen=True, slots=True)
class _Queue:
    head: type[Register]
    tail: type[Register]


_INBOUND_FREE: Final = _Queue(intr.IFHPR, intr.IFTPR)
_INBOUND_POST: Final = _Queue(intr.IPHPR, intr.IPTPR)
_OUTBOUND_POST: Final = _Queue(intr.OPHPR, intr.OPTPR)
_OUTBOUND_FREE: Final = _Queue(intr.OFHPR, intr.OFTPR)


class MessagingUnit:
    """The ports' behaviour; `local_bus` gives the bus that holds the queues."""

    def __init__(self, registers: RegisterFile, local_bus: Callable[[], LocalBus]) -> None:
        self._regs = registers
        self._local_bus = local_bus

    def read_inbound(self) -> int:
        """Pop inbound free."""
        return self._pop(_INBOUND_FREE)

    def write_inbound(self, message: int) -> None:
        """Push inbound post."""
        self._push(_INBOUND_POST, message)

    def read_outbound(self) -> int:
        """Pop outbound post."""
        return self._pop(_OUTBOUND_POST)

    def write_outbound(self, message: int) -> None:
        """Push outbound free; a full queue overflows."""
        if not self._push(_OUTBOUND_FREE, message) and self._enabled:
            self._regs.set_bits(intr.QSR, intr.QSR.overflow.mask, to=True)

    def update(self) -> None:
        """Work out the two not-empty bits after anything moved a pointer."""
        posted = self._enabled and self._holds(_OUTBOUND_POST)
        self._regs.set_bits(intr.OPQIS, intr.OPQIS.not_empty.mask, to=posted)
        arrived = self._enabled and self._holds(_INBOUND_POST)
        self._regs.set_bits(intr.QSR, intr.QSR.inbound_not_empty.mask, to=arrived)

    @property
    def _enabled(self) -> bool:
        return bool(self._regs[intr.MQCR] & intr.MQCR.enable.mask)

    def _holds(self, queue: _Queue) -> bool:
        return self._regs[queue.head] != self._regs[queue.tail]

    def _pop(self, queue: _Queue) -> int:
        if not self._enabled or not self._holds(queue):
            return EMPTY
        tail = self._regs[queue.tail]
        message = self._local_bus().read(self._regs[intr.QBAR] | tail, ENTRY)
        self._regs[queue.tail] = self._after(tail)
        self.update()
        return int.from_bytes(message, "little")

    def _push(self, queue: _Queue, message: int) -> bool:
        head = self._regs[queue.head]
        if not self._enabled or self._after(head) == self._regs[queue.tail]:
            return False
        self._local_bus().write(self._regs[intr.QBAR] | head, message.to_bytes(ENTRY, "little"))
        self._regs[queue.head] = self._after(head)
        self.update()
        return True

    def _after(self, pointer: int) -> int:
        """The next entry, inside the pointer's own part."""
        code = intr.MQCR(self._regs[intr.MQCR]).size
        part = SMALLEST * (code & -code or 1) * ENTRY
        return pointer & -part | pointer + ENTRY & part - 1
