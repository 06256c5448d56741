# SPDX-License-Identifier: Apache-2.0
"""What the guest's kernel holds for a device: allocations, pools and their blocks, mappings; and what was given back.

Records in, memory out. Calls that are wrong by themselves are told at once. All is bounded: a guest that holds more
than `MOST_LIVE` is not followed any further (`overflowed`).

Addresses are the device's (bus addresses); sizes in bytes.
"""

import enum
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

from plx9x5x.findings.place import Seen, Spot
from plx9x5x.witness.events import FreeMismatch, LeftBehind, Mistake
from plx9x5x.witness.memory import ALL_ONES, Direction, Held, Memory, is_translated
from plx9x5x.witness.modules import Module, Modules
from plx9x5x.witness.records import FAILED, Alloc, Kind, Mask, Record
from plx9x5x.witness.spans import CROWD, Apart, Crowded, Spans

MOST_LIVE: Final = 1 << 16
MOST_RELEASED: Final = 4096
MOST_POOLS: Final = 4096
MOST_SEGMENTS: Final = 4096
"""Of one list that are looked at for one call."""
DEFAULT_MASK: Final = 0xFFFF_FFFF
"""What a PCI device has before its driver sets one."""

_CROWDED: Final = "the guest maps one page too many times at once"
_KeyT = TypeVar("_KeyT")

_Set = dict[Memory, None]
"""In the order in which they came. Nothing here is looked for in a list: a guest may hold all that is kept at once."""


class _Freed(enum.Enum):
    """Which of the two kinds of calls gave something back."""

    FREE = "freed"
    UNMAP = "unmapped"


@dataclass(slots=True)
class Counts:
    """Calls of one client."""

    allocations: int = 0
    frees: int = 0
    mappings: int = 0
    unmappings: int = 0
    failed: int = 0
    """Allocations and mappings that the kernel refused."""


@dataclass(slots=True)
class _Pool:
    size: int
    made: Spot
    module: Module | None
    order: int
    blocks: dict[int, Memory] = field(default_factory=dict)


class Ledger:
    """One device's. `tell` takes what is wrong by itself; `now` is the device's clock."""

    def __init__(self, tell: Callable[[Mistake], None], now: Callable[[], int]) -> None:
        self._tell, self._now = tell, now
        self._takes: Final[dict[int, Callable[[Record, Spot], None]]] = {
            Kind.ALLOC: self._alloc,
            Kind.FREE: self._free,
            Kind.MAP: self._map,
            Kind.UNMAP: self._unmap,
            Kind.MASK: self._set_mask,
            Kind.POOL_CREATE: self._pool_create,
            Kind.POOL_ALLOC: self._pool_alloc,
            Kind.POOL_FREE: self._pool_free,
            Kind.POOL_DESTROY: self._pool_destroy,
            Kind.MODULE: self._module,
        }
        self.clear()

    def clear(self) -> None:
        """Forget all: another guest."""
        for memory in getattr(self, "_order", ()):
            memory.live = False
        self.live: Spans[Memory] = Spans()
        self.pages: Spans[Memory] = Spans()
        """Pages of pools: memory of the kernel, of which the blocks are the driver's."""
        self.released: Spans[Memory] = Spans()
        self._released: OrderedDict[tuple[int, int], Memory] = OrderedDict()
        self._apart: dict[Held, Apart[Memory]] = {held: Apart() for held in Held if held is not Held.MAPPING}
        """Allocations by their place; mappings may overlap."""
        self._order: _Set = {}
        """What is live, oldest first."""
        self._by_start: dict[tuple[Held, int], _Set] = {}
        self._by_va: dict[tuple[Held, int], _Set] = {}
        """Allocations by their CPU address."""
        self._by_module: dict[Module, _Set] = {}
        self._lists: dict[int, _Set] = {}
        self.pools: dict[int, _Pool] = {}
        self.unknown_pools = False
        """Blocks were seen of a pool that was not: then nothing is known of what is between blocks."""
        self.translated = False
        """An allocation has another address for the device than for the processor's memory: there is an IOMMU."""
        self.modules = Modules()
        self.mask = self.coherent_mask = DEFAULT_MASK
        self.counts = Counts()
        self.overflowed = ""

    def take(self, record: Record) -> None:
        """Take one record; what is none of a call's is left alone."""
        take = self._takes.get(record.kind)
        if take is not None:
            take(record, Spot(record.pc, record.seq))

    @property
    def held(self) -> int:
        """Allocations, blocks and mappings that are live."""
        return len(self.live)

    def newest(self) -> Iterator[Memory]:
        """What is live, the newest first, without the pages of pools."""
        return (it for it in reversed(self._order) if it.held is not Held.POOL_PAGE)

    # -- allocations -------------------------------------------------------------------------------

    def _alloc(self, record: Record, spot: Spot) -> None:
        va, handle, size, physical = record.a[:4]
        if not va:
            self.counts.failed += 1
            return
        page = bool(record.flags & Alloc.POOL_PAGE)
        memory = Memory(
            Held.POOL_PAGE if page else Held.ALLOCATION,
            handle,
            size or 1,
            Direction.BOTH,
            va,
            physical,
            spot,
            self.modules.at(spot.pc),
            self.modules.count,
            managed=bool(record.flags & Alloc.MANAGED),
        )
        self.counts.allocations += not page
        self.translated = self.translated or is_translated(handle, physical)
        self._drop_stale(memory)
        self._add(memory)

    def _free(self, record: Record, spot: Spot) -> None:
        va, handle, size = record.a[:3]
        if not va:  # dma_free_attrs takes NULL and does nothing
            return
        page = bool(record.flags & Alloc.POOL_PAGE)
        self.counts.frees += not page
        held = Held.POOL_PAGE if page else Held.ALLOCATION
        memory = _oldest(self._by_start, (held, handle))
        if memory is None and (memory := _oldest(self._by_va, (held, va))) is not None:
            self._wrong(_Freed.FREE, spot, memory, f"with handle {handle:#x}, which is not its own")
        elif memory is None:
            if not page:
                self._unknown(_Freed.FREE, spot, handle, size)
        elif size != memory.size:
            self._wrong(_Freed.FREE, spot, memory, f"with size {size:#x}")
        elif va != memory.va and not page:
            self._wrong(_Freed.FREE, spot, memory, f"with CPU address {va:#x}, which is not its own ({memory.va:#x})")
        if memory is not None:
            self._release(memory, spot)

    # -- pools -------------------------------------------------------------------------------------

    def _pool_create(self, record: Record, spot: Spot) -> None:
        pool, size = record.a[:2]
        if pool and len(self.pools) < MOST_POOLS:
            self.pools[pool] = _Pool(size or 1, spot, self.modules.at(spot.pc), self.modules.count)

    def _pool_alloc(self, record: Record, spot: Spot) -> None:
        va, handle, number = record.a[:3]
        pool = self.pools.get(number)
        if not va:
            self.counts.failed += 1
        elif pool is None:
            self.unknown_pools = True
        else:
            self.counts.allocations += 1
            module, order = self.modules.at(spot.pc), self.modules.count
            memory = Memory(Held.BLOCK, handle, pool.size, Direction.BOTH, va, 0, spot, module, order, pool=number)
            self._drop_stale(memory)
            if self._add(memory):
                pool.blocks[handle] = memory

    def _pool_free(self, record: Record, spot: Spot) -> None:
        va, handle, number = record.a[:3]
        pool = self.pools.get(number)
        if not va or pool is None:
            return
        self.counts.frees += 1
        memory = pool.blocks.get(handle)
        if memory is None:
            self._unknown(_Freed.FREE, spot, handle, pool.size)
            return
        if va != memory.va:
            self._wrong(_Freed.FREE, spot, memory, f"with CPU address {va:#x}, which is not its own ({memory.va:#x})")
        self._release(memory, spot)

    def _pool_destroy(self, record: Record, spot: Spot) -> None:
        pool = self.pools.pop(record.a[0], None)
        if pool is None or not pool.blocks:
            return
        blocks = list(pool.blocks.values())
        self._left(blocks, "when its pool was destroyed", self.load_of(pool.module), Seen("pool destroyed", spot))
        for memory in blocks:
            self._release(memory, spot)

    # -- mappings ----------------------------------------------------------------------------------

    def _map(self, record: Record, spot: Spot) -> None:
        start, size, direction, physical, va, chain, index = record.a[:7]
        if start == FAILED or not size:
            self.counts.failed += 1
            return
        # A list that is mapped again: what it had before stays mapped, and is no list's any more.
        if chain and index == 0:
            for old in self._lists.pop(chain, ()):
                old.list = 0
        self.counts.mappings += 1
        memory = Memory(
            Held.MAPPING,
            start,
            size,
            Direction(direction) if direction in _DIRECTIONS else Direction.BOTH,
            va,
            physical,
            spot,
            self.modules.at(spot.pc),
            self.modules.count,
            list=chain,
            entries=record.width if chain else 0,
        )
        if self._add(memory) and chain:
            self._lists.setdefault(chain, {})[memory] = None

    def _unmap(self, record: Record, spot: Spot) -> None:
        start, size, direction, _, _, chain = record.a[:6]
        self.counts.unmappings += 1
        if chain:
            self._unmap_list(self._list_of(chain, start), direction, record.a[7], spot)
            return
        there = [it for it in self._by_start.get((Held.MAPPING, start), ()) if not it.list]
        exact = [it for it in there if it.size == size and it.direction.value == direction]
        if exact:
            self._release(exact[0], spot)
        elif not there:
            self._unknown(_Freed.UNMAP, spot, start, size)
        else:
            memory = there[0]
            wrong = [f"size {size:#x}"] if size != memory.size else []
            wrong += [f"direction {_named(direction)}"] if direction != memory.direction.value else []
            self._wrong(_Freed.UNMAP, spot, memory, f"with {' and '.join(wrong)}")
            self._release(memory, spot)

    def _list_of(self, chain: int, start: int) -> int:
        """The list that a call is about; a copy of its entries is as good, and the first of them has the address."""
        if chain in self._lists:
            return chain
        there = self._by_start.get((Held.MAPPING, start), ())
        return next((it.list for it in there if next(iter(self._lists.get(it.list, ())), None) is it), chain)

    def _unmap_list(self, chain: int, direction: int, entries: int, spot: Spot) -> None:
        there = self._lists.get(chain)
        if not there:
            self._unknown(_Freed.UNMAP, spot, chain, 0, what="a scatter/gather list")
            return
        first = next(iter(there))
        wrong = [f"direction {_named(direction)}"] if direction != first.direction.value else []
        if entries and first.entries and entries != first.entries:
            wrong.append(f"{entries} entries, where {first.entries} were mapped (dma_map_sg() may merge them)")
        if wrong:
            self._wrong(_Freed.UNMAP, spot, first, f"with {' and '.join(wrong)}")
        for memory in list(there):
            self._release(memory, spot)

    def synced(self, record: Record) -> Iterable[Memory]:
        """The live mappings that a SYNC record is about."""
        start, _, _, _, _, chain = record.a[:6]
        if chain:
            return tuple(islice(self._lists.get(self._list_of(chain, start), ()), MOST_SEGMENTS))
        return tuple(it for it in self.live.at(start) if it.held is Held.MAPPING)

    # -- masks and modules -------------------------------------------------------------------------

    def _set_mask(self, record: Record, _: Spot) -> None:
        mask, refused = record.a[:2]
        if refused:
            return
        if record.flags & Mask.COHERENT:
            self.coherent_mask = mask
        else:
            self.mask = mask

    def _module(self, record: Record, _: Spot) -> None:
        module = self.modules.take(record)
        if module is None or not module.gone:
            return
        mine = [it for it in self._by_module.pop(module, ()) if not it.managed]
        for held in (Held.ALLOCATION, Held.BLOCK, Held.MAPPING):
            self._left([it for it in mine if it.held is held], f"when {module.name} was unloaded", module.load)

    def load_of(self, module: Module | None) -> int:
        """Which load of its driver something is of: of what nobody did who is watched, the one that is there."""
        return module.load if module is not None else self.modules.load

    def _left(self, memories: list[Memory], when: str, load: int, *sources: Seen) -> None:
        """Tell of what stays behind: one line for each place that asked for it."""
        places: dict[int, list[Memory]] = {}
        for memory in memories:
            places.setdefault(memory.made.pc, []).append(memory)
        for there in places.values():
            made = Seen(there[0].made_by, there[0].made)
            size = sum(it.size for it in there)
            self._tell(LeftBehind(self._now(), load, (made, *sources), there[0], len(there), size, when))

    # ----------------------------------------------------------------------------------------------

    def _add(self, memory: Memory) -> bool:
        """Keep it; False where there is no room, and then nothing can be said of any access."""
        spans = self.pages if memory.held is Held.POOL_PAGE else self.live
        if memory.start + memory.size > ALL_ONES or len(self.live) + len(self.pages) >= MOST_LIVE:
            self.overflowed = f"the guest holds more than {MOST_LIVE} buffers"
            return False
        there = self._by_start.setdefault((memory.held, memory.start), {})
        try:
            if len(there) < CROWD:
                spans.add(memory)
            else:
                self.overflowed = _CROWDED
        except Crowded:
            self.overflowed = _CROWDED
        if self.overflowed:
            return False
        self._order[memory] = there[memory] = None
        if memory.module is not None:
            self._by_module.setdefault(memory.module, {})[memory] = None
        if memory.held is not Held.MAPPING:
            self._by_va.setdefault((memory.held, memory.va), {})[memory] = None
            self._apart[memory.held].add(memory)
        return True

    def _drop_stale(self, memory: Memory) -> None:
        """Forget allocations that lie where a new one does: the kernel that had them is gone, as after a reboot."""
        for old in self._apart[memory.held].overlapping(memory.start, memory.size):
            self._take_out(old)

    def _release(self, memory: Memory, spot: Spot) -> None:
        self._take_out(memory)
        memory.released = spot
        key = memory.start, memory.size
        if (before := self._released.pop(key, None)) is not None:
            self.released.remove(before)
        try:
            self.released.add(memory)
        except Crowded:
            return
        self._released[key] = memory
        if len(self._released) > MOST_RELEASED:
            _, oldest = self._released.popitem(last=False)
            self.released.remove(oldest)

    def _take_out(self, memory: Memory) -> None:
        del self._order[memory]
        memory.live = False
        (self.pages if memory.held is Held.POOL_PAGE else self.live).remove(memory)
        _take_from(self._by_start, (memory.held, memory.start), memory)
        if memory.held is not Held.MAPPING:
            _take_from(self._by_va, (memory.held, memory.va), memory)
            self._apart[memory.held].remove(memory)
        if memory.module in self._by_module:
            _take_from(self._by_module, memory.module, memory)
        if memory.list:
            _take_from(self._lists, memory.list, memory)
        if memory.pool and (pool := self.pools.get(memory.pool)) is not None:
            pool.blocks.pop(memory.start, None)

    def _unknown(self, how: _Freed, spot: Spot, start: int, size: int, *, what: str = "") -> None:
        mapped = how is _Freed.UNMAP
        module = self.modules.at(spot.pc)
        same = [
            it
            for it in self.released.at(start)
            if not what and it.start == start and (it.held is Held.MAPPING) is mapped and it.may_be_of(module)
        ]
        before = max(same, key=lambda it: it.released.seq if it.released is not None else 0, default=None)
        sources = [Seen(how.value, spot)]
        if before is not None and before.released is not None:
            wrong = f"{how.value} twice"
            sources += [Seen(f"{before.released_by} before", before.released), Seen(before.made_by, before.made)]
        else:
            wrong = f"{how.value}, and nothing of the kind is {'mapped' if how is _Freed.UNMAP else 'allocated'}"
        self._tell(FreeMismatch(self._now(), self.load_of(module), tuple(sources), what, start, size, wrong, before))

    def _wrong(self, how: _Freed, spot: Spot, memory: Memory, wrong: str) -> None:
        sources = Seen(how.value, spot), Seen(memory.made_by, memory.made)
        told = f"{how.value} {wrong}"
        load = self.load_of(self.modules.at(spot.pc))
        self._tell(FreeMismatch(self._now(), load, sources, "", memory.start, memory.size, told, memory))


_DIRECTIONS: Final = frozenset(it.value for it in Direction)


def _named(direction: int) -> str:
    return Direction(direction).words if direction in _DIRECTIONS else str(direction)


def _oldest(table: dict[_KeyT, _Set], key: _KeyT) -> Memory | None:
    return next(iter(table.get(key, ())), None)


def _take_from(table: dict[_KeyT, _Set], key: _KeyT, memory: Memory) -> None:
    there = table[key]
    del there[memory]
    if not there:
        del table[key]
