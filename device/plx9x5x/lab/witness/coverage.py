# SPDX-License-Identifier: Apache-2.0
"""Which of a driver's code ran: by lines and functions where it has debug information, else by bytes of its functions.

QEMU counts how often it ran each block of translated code. A byte ran as often as all blocks that hold it together.
From that, of the driver's own files:

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
from plx9x5x.lab.witness.seen import Seen

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
    """How often each byte of a module's two texts ran."""

    def __init__(self, lines: Lines) -> None:
        self._steps = {init: np.zeros(lines.layout.size(init=init) + 1, np.int64) for init in (False, True)}

    def add(self, start: int, size: int, executed: int, *, init: bool) -> None:
        """A block at `start`; what is beyond the text is the kernel's padding."""
        steps = self._steps[init]
        last = len(steps) - 1
        steps[min(start, last)] += min(executed, _MOST)
        steps[min(start + size, last)] -= min(executed, _MOST)

    def done(self) -> "_Ran":
        """Add it all up."""
        return _Ran({init: np.cumsum(steps) for init, steps in self._steps.items()})


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


def measure(seen: Seen) -> Coverage:
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


def _counted(seen: Seen) -> tuple[dict[str, _Counts], list[str]]:
    counts: dict[str, _Counts] = {}
    unknown = []
    known = {load: seen.lines_of(load) for load in seen.code.loads}
    for load, lines in known.items():
        if lines is None and seen.is_given(load):
            unknown.append(f"{load.name}: the file that was given is not the module that the guest loaded")
    for block in seen.code.blocks:
        load = block.load
        lines = known[load]
        if lines is None:
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
    for code in lines.codes():
        before = found.setdefault(code.file, Source()).functions.get(code.name, (code.line, 0))[1]
        found[code.file].functions[code.name] = (code.line, before + ran.of_code(code))
    for path, number, code in lines.calls():
        if (path, number) not in begun:
            line(path, number, ran.of_code(code))
    for source in found.values():  # genhtml takes for granted that a function's own line has a count
        for number, count in source.functions.values():
            source.lines.setdefault(number, count)
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
