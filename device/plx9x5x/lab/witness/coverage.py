# SPDX-License-Identifier: Apache-2.0
"""Which of a driver's code ran: by lines and functions where it has debug information, else by bytes of its functions.

QEMU counts how often it ran each block of translated code. A byte ran as often as all blocks that hold it together,
but for those that only go on with another (`_Counts`). From that, of the driver's own files:

- a line ran as often as the places where its statements begin, the highest of them; of a line without such places it is
  the highest of its instructions, or of where code begins that stands for a call in it;
- a function was entered as often as where its code begins ran, all inlined copies added up.

What the compiler has merged or moved can only be told as it is in the code: counts are of the optimized module.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from plx9x5x.lab.witness.dwarf import Code
from plx9x5x.lab.witness.lcov import Source
from plx9x5x.lab.witness.lines import CORE, INIT, Lines
from plx9x5x.lab.witness.seen import SeenCode

_MOST: Final = 1 << 40
"""A block ran so often at most: sums of as many as a code map has stay within 64 bits."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the driver: executions of its beginning, bytes of it that ran, and its size.

    `file` and `line` are '' and 0 without debug information; `file` is as people read it.
    """

    name: str
    module: str
    file: str = ""
    line: int = 0
    entered: int = 0
    ran: int = 0
    size: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.file}:{self.line})" if self.line else f"{self.name} [{self.module}]"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What ran. `sources` are by the files' whole paths, `shown` has them as people read them."""

    sources: Mapping[str, Source]
    shown: Mapping[str, str]
    functions: tuple[Function, ...] = ()
    """Of modules without debug information."""
    unknown: tuple[str, ...] = ()
    """What nothing can be said of, and why, a line each."""


class _Counts:
    """Blocks of a module's two texts, and from them how often each byte ran."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._blocks: dict[bool, dict[tuple[int, int], int]] = {False: {}, True: {}}

    def add(self, start: int, size: int, executed: int, *, init: bool) -> None:
        """A block at `start`; what is beyond the text is the kernel's padding."""
        blocks = self._blocks[init]
        blocks[start, start + size] = blocks.get((start, start + size), 0) + min(executed, _MOST)

    def done(self) -> "_Ran":
        """Add it all up."""
        return _Ran({init: self._counted(init=init) for init in (False, True)})

    def _counted(self, *, init: bool) -> npt.NDArray[np.int64]:
        blocks = self._blocks[init]
        last = self._lines.layout.size(init=init)
        steps = np.zeros(last + 1, np.int64)
        resumed = self._resumed(init=init)
        for (start, end), executed in blocks.items():
            if (start, end) not in resumed:
                steps[min(start, last)] += executed
                steps[min(end, last)] -= executed
        counts: npt.NDArray[np.int64] = np.cumsum(steps)
        for start, end in resumed:
            part = counts[start:end]
            np.maximum(part, blocks[start, end], out=part)
        return counts

    def _resumed(self, *, init: bool) -> set[tuple[int, int]]:
        """Blocks that begin within another although nothing jumps there.

        QEMU leaves a block at an access to a device, and goes on behind it with a block of its own: what follows is
        part of both, and ran once.
        """
        blocks = self._blocks[init]
        entered = {it[0].offset + it[1] for it in self._lines.symbols() if it[0].init is init}
        text = self._lines.text(init=init)
        entered.update(target for _, end in blocks for target in _targets(text, end))
        found, reached, before = set(), 0, 0
        at = -1
        for start, end in sorted(blocks):
            if start > at:  # only a block that begins earlier can hold it
                at, before = start, reached
            if start < before and start not in entered:
                found.add((start, end))
            reached = max(reached, end)
        return found


def _targets(text: bytes, end: int) -> Iterator[int]:
    """Where the instruction that ends there may jump to: short and near jumps, with a condition or without."""
    two, five, six = (text[max(end - length, 0) : end] for length in (2, 5, 6))
    if len(two) == 2 and (two[0] == 0xEB or 0x70 <= two[0] < 0x80 or 0xE0 <= two[0] < 0xE4):
        yield end + int.from_bytes(two[1:], "little", signed=True)
    if len(five) == 5 and five[0] == 0xE9:
        yield end + int.from_bytes(five[1:], "little", signed=True)
    if len(six) == 6 and six[0] == 0x0F and 0x80 <= six[1] < 0x90:
        yield end + int.from_bytes(six[2:], "little", signed=True)


class _Ran:
    """The same, to be asked by addresses that debug information has."""

    def __init__(self, counts: Mapping[bool, npt.NDArray[np.int64]]) -> None:
        self._counts = counts

    def most(self, low: int, high: int) -> int:
        """The highest count from `low` up to `high`."""
        part = self.part(low, high)
        return int(part.max()) if len(part) else 0

    def of_code(self, code: Code) -> int:
        """How often a function's code was entered."""
        return self.most(code.entry, code.entry + 1)

    def part(self, low: int, high: int) -> npt.NDArray[np.int64]:
        """The counts of those bytes, as far as they are of a text."""
        init = low >= INIT
        base = INIT if init else CORE
        return self._counts[init][max(low - base, 0) : max(high - base, 0)]


def measure(seen: SeenCode) -> Coverage:
    """Find out which code of the modules ran that `seen` has files of."""
    counts, unknown = _counted(seen)
    sources: dict[str, Source] = {}
    shown: dict[str, str] = {}
    functions: list[Function] = []
    for name, lines in seen.modules():
        ran = counts.get(name, _Counts(lines)).done()
        if lines.has_lines:
            for path, source in _sources(lines, ran).items():
                sources.setdefault(path, Source()).add(source)
                shown[path] = lines.shown(path)
        else:
            functions += _bytes_that_ran(lines, ran)
            unknown += [f"{name}: {lines.why}"] if not lines.layout.sections else []
    if seen.code.blocks_left_out or seen.code.modules_left_out:
        unknown.append("all of it: more code ran than the map has room for")
    return Coverage(sources, shown, tuple(functions), tuple(dict.fromkeys(unknown)))


def _counted(seen: SeenCode) -> tuple[dict[str, _Counts], list[str]]:
    counts: dict[str, _Counts] = {}
    unknown = []
    known = {load: seen.lines_of(load) for load in seen.code.loads}
    for load, lines in known.items():
        if lines is None and seen.is_given(load):
            unknown.append(f"{load.name}: the file that was given is not the module that the guest loaded")
    for block in seen.code.blocks:
        load = block.load
        lines = known[load]
        if lines is None or not block.executed:
            continue
        init = not load.in_core(block.address)
        start = block.address - (load.init if init else load.core)
        counts.setdefault(lines.name, _Counts(lines)).add(start, block.size, block.executed, init=init)
    return counts, unknown


def _sources(lines: Lines, ran: _Ran) -> dict[str, Source]:
    found: dict[str, Source] = {}

    begun: set[tuple[str, int]] = set()

    def line(path: str, number: int, count: int) -> None:
        of_file = found.setdefault(path, Source()).lines
        of_file[number] = max(of_file.get(number, 0), count)

    for row in lines.statements():
        begun.add((row.file, row.line))
        line(row.file, row.line, ran.most(row.start, row.end))
    # What the compiler moved out of a loop or before a condition runs although its line does not.
    for row in lines.rows():
        if (row.file, row.line) not in begun:
            line(row.file, row.line, ran.most(row.start, row.end))
    for code in sorted(lines.codes(), key=lines.is_part):
        if lines.is_part(code) and code.name in found.get(code.file, Source()).functions:
            continue
        before = found.setdefault(code.file, Source()).functions.get(code.name, (code.line, 0))[1]
        found[code.file].functions[code.name] = (code.line, before + ran.of_code(code))
    for path, number, code in lines.calls():
        if (path, number) not in begun:
            line(path, number, ran.of_code(code))
    for source in found.values():  # genhtml takes for granted that a function's own line has a count
        for number, count in source.functions.values():
            source.lines[number] = max(source.lines.get(number, 0), count)
    return found


def _bytes_that_ran(lines: Lines, ran: _Ran) -> Iterator[Function]:
    for placed, offset, size, name in lines.symbols():
        start = (INIT if placed.init else CORE) + placed.offset + offset
        part = ran.part(start, start + size)
        if len(part):
            yield Function(name, lines.name, entered=int(part[0]), ran=int(np.count_nonzero(part)), size=len(part))


def functions_of(sources: Mapping[str, Source], shown: Mapping[str, str]) -> Iterator[Function]:
    """Functions of source files, in the files' order."""
    for path, source in sorted(sources.items()):
        for name, (number, count) in sorted(source.functions.items(), key=lambda item: (item[1][0], item[0])):
            yield Function(name, "", shown.get(path, path), number, entered=count)


@dataclass(frozen=True, slots=True)
class Totals:
    """How much of it ran: lines, or bytes if there are none of it, and functions."""

    lines: int
    lines_ran: int
    functions: int
    entered: int
    never: tuple[Function, ...]
    """Those that were not entered."""

    @property
    def percent(self) -> int:
        """Of the lines, rounded down: 100 is all of them."""
        return 100 * self.lines_ran // self.lines if self.lines else 0


def totals(sources: Mapping[str, Source], shown: Mapping[str, str]) -> Totals:
    """Add source files up."""
    counts = [count for source in sources.values() for count in source.lines.values()]
    return _totals(len(counts), sum(count > 0 for count in counts), functions_of(sources, shown))


def totals_of_bytes(functions: Iterable[Function]) -> Totals:
    """Add up functions of modules without debug information."""
    listed = list(functions)
    return _totals(sum(it.size for it in listed), sum(it.ran for it in listed), listed)


def _totals(lines: int, ran: int, functions: Iterable[Function]) -> Totals:
    listed = list(functions)
    never = tuple(it for it in listed if not it.entered)
    return Totals(lines, ran, len(listed), len(listed) - len(never), never)
