# SPDX-License-Identifier: Apache-2.0
"""Virtual address space: regions with guard pages between them, and freed ones remembered for a while.

Freed addresses are reused as late as possible, so that a stale pointer meets nobody.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

from nthal.platforms import Arch
from nthal.records.region import Region
from nthal.runs import RunSet, Where
from nthal.types import Va

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)

_KERNEL_SPACE: Final = {
    Arch.X86: (0x8800_0000, 0x7000_0000),
    Arch.ARM: (0x8800_0000, 0x7000_0000),
    Arch.X64: (0xFFFF_A000_0000_0000, 1 << 40),
    Arch.ARM64: (0xFFFF_A000_0000_0000, 1 << 40),
    Arch.IA64: (0xE000_0100_0000_0000, 1 << 40),
}
"""Where nonpaged memory of this model stands: start and bytes. Any range of system space would do."""

_REMEMBERED: Final = 1024


class OverlapMap(Generic[H]):
    """Ranges of whole numbers that may lie over each other, each with a value of its own; the oldest comes first.

    A range stands in the one or two cells that it touches on a grid as coarse as itself, so that neither its length
    nor the number of the others counts; only those that lie over each other are looked at one by one.
    """

    def __init__(self) -> None:
        self._ranges: dict[H, tuple[int, int, int]] = {}
        self._cells: dict[tuple[int, int], dict[H, None]] = {}
        self._grids: Counter[int] = Counter()
        self._added = 0

    def __len__(self) -> int:
        return len(self._ranges)

    def __iter__(self) -> Iterator[H]:
        return iter(self._ranges)

    def add(self, start: int, count: int, item: H) -> None:
        """Add a range of `count` numbers, one at least."""
        self._ranges[item] = start, count, self._added
        self._added += 1
        grid = (count - 1).bit_length()
        self._grids[grid] += 1
        for cell in range(start >> grid, (start + count - 1 >> grid) + 1):
            self._cells.setdefault((grid, cell), {})[item] = None

    def remove(self, item: H) -> None:
        """Remove the range of a value. Raises: KeyError if it has none."""
        start, count, _ = self._ranges.pop(item)
        grid = (count - 1).bit_length()
        self._grids[grid] -= 1
        if not self._grids[grid]:
            del self._grids[grid]
        for cell in range(start >> grid, (start + count - 1 >> grid) + 1):
            here = self._cells[grid, cell]
            del here[item]
            if not here:
                del self._cells[grid, cell]

    def over(self, number: int) -> list[H]:
        """Values whose range `number` is in, in the order in which they were added."""
        found: list[H] = []
        for grid in self._grids:
            for item in self._cells.get((grid, number >> grid), ()):
                start, count, _ = self._ranges[item]
                if start <= number < start + count:
                    found.append(item)
        if len(found) > 1:
            found.sort(key=lambda item: self._ranges[item][2])
        return found


class IntervalMap(Generic[T]):
    """Disjoint ranges of whole numbers, each with a value."""

    def __init__(self) -> None:
        self._starts: OverlapMap[int] = OverlapMap()
        self._items: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, start: int, count: int, item: T) -> None:
        """Add a range that overlaps none."""
        self._starts.add(start, count, start)
        self._items[start] = item

    def remove(self, start: int) -> None:
        """Remove the range that starts at `start`. Raises: KeyError if there is none."""
        del self._items[start]
        self._starts.remove(start)

    def find(self, number: int) -> T | None:
        """Value of the range that `number` is in."""
        for start in self._starts.over(number):
            return self._items[start]
        return None

    def values(self) -> list[T]:
        """Every value, lowest range first."""
        return [self._items[start] for start in sorted(self._items)]


class VirtualSpace:
    """The system part of one address space; units of the bookkeeping are pages."""

    def __init__(self, arch: Arch, page_size: int) -> None:
        base, size = _KERNEL_SPACE[arch]
        self.page_size = page_size
        self._free = RunSet([(base // page_size, size // page_size)])
        self._cursor = 0
        self._regions: IntervalMap[Region] = IntervalMap()
        self._ghosts: deque[Region] = deque(maxlen=_REMEMBERED)
        self._script: list[int] = []

    def place(self, *addresses: int) -> None:
        """Say at which virtual addresses the next regions start, one each; page aligned, anywhere, taken or refused."""
        self._script.extend(addresses)

    def reserve(self, pages: int) -> int | None:
        """Take `pages` pages and a guard page on either side; give the address of the first, None if space ran out."""
        if self._script:
            first = self._script.pop(0) // self.page_size - 1
            if not self._free.contains(first, pages + 2):
                self._free.give(first, pages + 2)
        else:
            found = self._free.find(pages + 2, Where(after=self._cursor))
            if found is None:
                return None
            first = found
            self._cursor = first + pages + 2
        self._free.take(first, pages + 2)
        return (first + 1) * self.page_size

    def add(self, region: Region) -> None:
        """Make a reserved range accessible."""
        first = region.page_base // self.page_size - 1
        self._regions.add(first, region.frames.count + 2, region)

    def remove(self, region: Region) -> None:
        """Give the range back; its past is remembered for stale pointers."""
        first = region.page_base // self.page_size - 1
        self._regions.remove(first)
        self._free.give(first, region.frames.count + 2)
        self._ghosts.append(region)

    def find(self, va: Va) -> Region | None:
        """Region whose pages or guard pages hold `va`."""
        return self._regions.find(int(va) // self.page_size)

    def ghost(self, va: Va) -> Region | None:
        """Freed region that held `va` last, if nobody lives there now."""
        for region in reversed(self._ghosts):
            if region.in_pages(int(va), 1):
                return region
        return None

    def regions(self) -> list[Region]:
        """Every live region, lowest first."""
        return self._regions.values()

    @property
    def free_pages(self) -> int:
        """Pages of virtual space that are free."""
        return self._free.total
