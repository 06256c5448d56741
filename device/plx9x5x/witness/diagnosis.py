# SPDX-License-Identifier: Apache-2.0
"""Whether the device accesses memory that it was given, and if not, what went wrong on the way to the address.

Guilt holds under every state of the guest that the device may be looking at: memory counts as given from the moment
that the call was seen, and as taken back only once the device has had all the writes that the driver made before
(`first_due`). So a driver that stops its device by a posted write and frees then is innocent.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from plx9x5x.witness.events import Fault
from plx9x5x.witness.ledger import Ledger
from plx9x5x.witness.memory import Held, Memory
from plx9x5x.witness.modules import Module

LOOKED_AT: Final = 1024
"""The newest buffers that are tried as the one that was meant; and pieces of one access."""
_PAGE: Final = 4096
_LOW: Final = (1 << 32) - 1
_FLAGS: Final = 0xF
"""Low bits of a word that holds an address of whole paragraphs: devices keep flags there."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with an access; `hit` is what it runs into."""

    fault: Fault
    memory: Memory | None = None
    hit: Memory | None = None
    note: str = ""
    exact: bool = True
    """The address is that of the memory's first byte, seen otherwise."""


def look(
    ledger: Ledger,
    begin: int,
    address: int,
    length: int,
    *,
    write: bool,
    first_due: int | None,
    module: Callable[[], Module | None] = lambda: None,
) -> Wrong | Memory | None:
    """Judge `length` bytes at `address` of a transfer that began at `begin`.

    A transfer whose addresses have gone round has come to lower ones than it began at. Give what is wrong; or else the
    memory that it is all in, None where it is right for another reason. `module` says whose start it was: what an
    earlier load of a driver has taken back was somebody else's since.
    """
    end = address + length
    homes = tuple(_given(ledger, begin, first_due))
    for home in homes if begin <= address else ():
        if _holds(ledger, home, address, end, write=write, first_due=first_due):
            return home if home.live and home.holds(address, end) else None
    if not homes:
        return _outside(ledger, begin, address, length, first_due=first_due, module=module())
    against = next((it for it in homes if it.holds(address, end)), None)
    if against is not None:
        return Wrong(Fault.DIRECTION, against)
    home = max(homes, key=lambda it: it.end)
    if address < begin:
        hit = next(ledger.live.overlapping(address, length), None)
        return Wrong(Fault.BEYOND_END, home, hit, f"its addresses went round, and on at {address:#x}")
    beyond = max(home.end, address)
    near = (it for it in ledger.live.overlapping(beyond, max(end - beyond, 1)) if it not in homes)
    hit = min(near, key=lambda it: it.start, default=None)
    return Wrong(Fault.BEYOND_END, home, hit, f"{end - home.end} bytes beyond")


def given_back(ledger: Ledger, begin: int, address: int, length: int) -> int:
    """Seq of the last call that gave back what a transfer touches; 0 if none did."""
    found = (*ledger.released.at(begin), *ledger.released.overlapping(address, length))
    return max((_when_released(it) for it in found if it.held is not Held.POOL_PAGE), default=0)


def _given(ledger: Ledger, address: int, first_due: int | None) -> Iterator[Memory]:
    """What holds an address and is the device's, as far as the device can know."""
    yield from ledger.live.at(address)
    if first_due is not None:
        for memory in ledger.released.at(address):
            if memory.released is not None and memory.released.seq > first_due and memory.held is not Held.POOL_PAGE:
                yield memory


def _holds(ledger: Ledger, memory: Memory, start: int, end: int, *, write: bool, first_due: int | None) -> bool:
    """True if a range is in the memory; or, of a transfer that began in a mapping, in mappings next to each other.

    Drivers merge those, of one list or of several, and each byte was given to the device.
    """
    if not memory.direction.allows(write=write):
        return False
    if memory.holds(start, end):
        return True
    if memory.held is not Held.MAPPING:
        return False
    at = start
    for _ in range(LOOKED_AT):
        there = (it for it in _given(ledger, at, first_due) if it.held is Held.MAPPING)
        at = max((it.end for it in there if it.direction.allows(write=write)), default=0)
        if at >= end:
            return True
        if not at:
            return False
    return True  # in so many pieces that nobody can say


def _outside(
    ledger: Ledger, begin: int, address: int, length: int, *, first_due: int | None, module: Module | None
) -> Wrong | None:
    """Judge a transfer that began in nothing that the device was given, by what may have been meant."""
    page = next(ledger.pages.at(begin), None)
    if page is not None and ledger.unknown_pools:
        return None
    newest = tuple(islice(ledger.newest(), LOOKED_AT))
    hit = next(_given(ledger, address, first_due), None) or next(ledger.live.overlapping(address, length), None)
    meant = next((it for finds in (_swapped, _cut, _of_the_processor) if (it := finds(newest, begin))), None)
    freed = [it for it in ledger.released.at(begin) if it.held is not Held.POOL_PAGE and it.may_be_of(module)]
    # By chance an address is often somewhere in a large buffer, and hardly ever at its very beginning.
    if freed and (meant is None or not meant.exact):
        return Wrong(Fault.FREED, max(freed, key=_when_released), hit)
    if meant is not None:
        return Wrong(meant.fault, meant.memory, hit, meant.note)
    if begin > max(ledger.mask, ledger.coherent_mask):
        return Wrong(Fault.ABOVE_MASK, None, hit, f"the mask is {max(ledger.mask, ledger.coherent_mask):#x}")
    if page is not None:
        return Wrong(Fault.NOT_ALLOCATED, None, hit, "it lies in a page of a dma_pool, between its blocks")
    return Wrong(Fault.NOT_ALLOCATED, _before(newest, begin), hit)


def _when_released(memory: Memory) -> int:
    return memory.released.seq if memory.released is not None else 0


def _swapped(newest: Iterable[Memory], address: int) -> Wrong | None:
    """A buffer's address with its bytes in the other order; the low bits of the word may have been cut off."""
    for memory in newest:
        for width in (4, 8):
            if memory.start >> 8 * width:
                continue
            swapped = int.from_bytes(memory.start.to_bytes(width, "little"), "big")
            # What stood in the low bits of the right word is now in its upper byte.
            upper = _FLAGS << 8 * (width - 1)
            if swapped != memory.start and (swapped ^ address) & ~(_FLAGS | upper) == 0 and swapped & ~_FLAGS:
                return Wrong(Fault.BYTE_ORDER, memory, note=f"{width} bytes in the other order")
    return None


def _cut(newest: Iterable[Memory], address: int) -> Wrong | None:
    """The low 32 bits of a buffer's address."""
    for memory in newest:
        if memory.start > _LOW and address <= _LOW and _in(address, memory.start & _LOW, memory.size):
            return Wrong(Fault.TRUNCATED, memory, exact=address == memory.start & _LOW)
    return None


def _of_the_processor(newest: Iterable[Memory], address: int) -> Wrong | None:
    """An address by which the processor has the buffer, or its low 32 bits; or the physical one behind an IOMMU."""
    for memory in newest:
        # Of an allocation the first page is known; the others may lie anywhere behind an IOMMU.
        known = memory.size if memory.held is Held.MAPPING else min(memory.size, _PAGE - memory.physical % _PAGE)
        for start, size, note in (
            (memory.va, memory.size, "its CPU address"),
            (memory.va & _LOW, memory.size, "the low 32 bits of its CPU address"),
            (memory.physical, known, "its physical address"),
        ):
            if start and start != memory.start and _in(address, start, size):
                return Wrong(Fault.CPU_ADDRESS, memory, note=note, exact=address == start)
    return None


def _before(newest: Iterable[Memory], address: int) -> Memory | None:
    """The buffer that ends nearest before an address, within a page."""
    near = [it for it in newest if it.end <= address < it.end + _PAGE]
    return max(near, key=lambda it: it.end, default=None)


def _in(address: int, start: int, size: int) -> bool:
    return start <= address < start + size
