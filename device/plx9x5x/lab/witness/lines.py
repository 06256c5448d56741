# SPDX-License-Identifier: Apache-2.0
"""A module's code as its author knows it: from a place in the text to function, file and line.

A place within a kernel's header that was inlined (`readl` of asm/io.h) is not the driver's line: the frame that is
shown is the innermost one whose file is the driver's own. Without debug information it is function and offset by the
symbol table, without that the offset in the module. A damaged file says less, and never raises.
"""

import os.path
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.witness import dwarf, elf, kept, layout
from plx9x5x.lab.witness.dwarf import Code, Row
from plx9x5x.lab.witness.elf import BadElf, Elf
from plx9x5x.lab.witness.kept import AnyUnit, KeptUnit
from plx9x5x.lab.witness.layout import Layout, Placed

CORE: Final = 1 << 32
INIT: Final = 2 << 32
"""Where the two texts lie for debug information: apart from each other, and from 0, which stands for nowhere."""

IO_HELPER: Final = re.compile(
    r"(__)?(ioread|iowrite)(8|16|32|64)\w*|(__)?mem(cpy_toio|cpy_fromio|set_io)|__(ioread|iowrite)(32|64)_copy\w*"
    r"|(in|out)s?[bwl]\w*"
)
"""Functions of the kernel that access a device for a driver."""
_CALL: Final = 0xE8
_CALLERS: Final = 2
"""As many are shown."""
_CALL_BYTES: Final = 5
_HEADERS: Final = ("include/uapi/asm-generic/int-ll64.h", "include/linux/types.h", "include/linux/compiler_types.h")
"""One of them is part of every module."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One function at a place, and the line in it: the call's, for one that another is inlined in."""

    function: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Where:
    """A place of a module. `file` and `line` are '' and 0 if unknown, and so is `function`; `offset` is within it.

    `callers` are the driver's functions that this one is inlined in, innermost first: a wrapper of writel() says
    little without them. Who calls a function that is not inlined is not known.
    """

    module: str
    function: str = ""
    offset: int = 0
    size: int = 0
    file: str = ""
    line: int = 0
    callers: tuple[Frame, ...] = ()

    def __str__(self) -> str:
        return self._shown("(), ", ", called in ")

    @property
    def brief(self) -> str:
        """The same for a line of a trace."""
        return self._shown("() ", " < ")

    def _shown(self, between: str, called_in: str) -> str:
        if self.function and self.line:
            here = Frame(self.function, self.file, self.line)
            return called_in.join(f"{it.function}{between}{it.file}:{it.line}" for it in (here, *self.callers))
        if self.function:
            return f"{self.function}+{self.offset:#x}/{self.size:#x} [{self.module}]"
        return f"{self.module}+{self.offset:#x}"


class Lines:
    """A module of that name, of the bytes of its .ko file. Read as far as it is asked for, and kept.

    What `cache` has of it is not read again, and what `read` reads is there then.
    """

    def __init__(self, name: str, data: bytes, cache: Cache | None = None) -> None:
        self.name = name
        self._cache = cache
        self.why = ""
        """Why there are no lines."""
        try:
            self._elf: Elf | None = elf.parse(data)
            self.layout = layout.of(self._elf)
        except BadElf as exc:
            self._elf, self.layout, self.why = None, Layout(()), f"its file cannot be read: {exc}"

    @classmethod
    def of_file(cls, name: str, path: Path, cache: Cache | None = None) -> "Lines":
        """Those of a .ko, .ko.xz or .ko.gz; of one that cannot be read they know nothing."""
        try:
            return cls(name, elf.read(path), cache)
        except BadElf as exc:
            lines = cls(name, b"")
            lines.why = str(exc)
            return lines

    def fits(self, *, core_size: int, init_size: int) -> bool:
        """Whether the module that the guest loaded can be this one: its texts are as large, rounded up by the kernel.

        An init text that the guest has freed is of no size.
        """
        core, init = self.layout.size(init=False), self.layout.size(init=True)
        return core <= core_size and (not init_size or init <= init_size)

    def at(self, offset: int, *, init: bool = False, call: bool | None = False) -> Where:
        """What the code at `offset` of a text is.

        `call`: it is where a call returns to, so what is meant stands before it; None: find out whether it returns from
        one of the kernel's functions that access devices.
        """
        if call is None:
            call = bool(IO_HELPER.fullmatch(self._called_before(offset, init=init)))
        offset -= call
        frames = self.frames(offset, init=init)
        owns = [it for it in frames if self.is_own(it.file)] or list(frames[:1])
        function, into, size = self._symbol(offset, init=init)
        if owns and owns[0].line:
            own = owns[0]
            # The compiler may take a function apart and inline the rest of it in itself: that is no call.
            calls = [it for below, it in pairwise(owns) if it.function not in ("", below.function) and it.line]
            callers = tuple(Frame(it.function, self.shown(it.file), it.line) for it in calls[:_CALLERS])
            return Where(self.name, own.function or function, into, size, self.shown(own.file), own.line, callers)
        if function:
            return Where(self.name, function, into, size)
        return Where(self.name, offset=offset)

    def beginning(self, offset: int, *, init: bool = False) -> Where:
        """The function that begins at `offset` of a text, and the line where it is defined."""
        found = self._function(offset + (INIT if init else CORE))
        if found is None or not found[1].line or not self.is_own(found[1].file):
            return self.at(offset, init=init)
        code = found[1]
        return Where(self.name, code.name, 0, 0, self.shown(code.file), code.line)

    def frames(self, offset: int, *, init: bool = False) -> tuple[Frame, ...]:
        """The functions that the code at `offset` is part of, innermost first; none without debug information."""
        address = offset + (INIT if init else CORE)
        known = self._function(address)
        if known is None:
            return ()
        unit, function = known
        row = _row(unit, address, function)
        file, line = ("", 0) if row is None else (row.file, row.line)
        found = []
        for code in (*reversed([it for it in function.inlined if it.holds(address)]), function):
            found.append(Frame(code.name, file, line))
            file, line = code.call_file, code.call_line
        return tuple(found)

    def read(self) -> None:
        """Read now what is read at the first question otherwise."""
        for questions in (self.rows, self.statements, self.codes, self.calls, self.symbols):
            for _ in questions():
                pass
        if self._cache is not None and self._elf is not None and self._units and not self._was_kept:
            kept.store(self._cache, self._elf.data, self._units)

    @property
    def has_lines(self) -> bool:
        """Whether there is debug information of any code; `why` says why not."""
        return any(unit.ranges for unit in self._units)

    def rows(self) -> Iterator[Row]:
        """The line table, as far as it is of the driver's own files."""
        for unit in self._units:
            yield from (row for row in unit.rows if row.line and self.is_own(row.file))

    def statements(self) -> Iterator[Row]:
        """Where their statements begin."""
        for unit in self._units:
            yield from (row for row in unit.statements if self.is_own(row.file))

    def codes(self) -> Iterator[Code]:
        """Functions of the driver's own files, wherever code of theirs is: inlined ones are told for each call.

        The compiler may take a function apart and inline the rest of it in itself again: that is not told.
        """
        for unit in self._units:
            for function in unit.functions:
                known: list[Code] = []
                for code in (function, *function.inlined):
                    if not code.name or not self.is_own(code.file):
                        continue
                    if not any(it.is_same(code) and it.depth < code.depth and it.holds(code.entry) for it in known):
                        known.append(code)
                yield from known

    def is_part(self, code: Code) -> bool:
        """Whether it is the rest of a function whose beginning was inlined: that begins elsewhere."""
        init = code.entry >= INIT
        return not code.depth and ".part." in self._symbol(code.entry - (INIT if init else CORE), init=init)[0]

    def calls(self) -> Iterator[tuple[str, int, Code]]:
        """Lines of the driver's own files whose calls were inlined, and the code of each."""
        for unit in self._units:
            for function in unit.functions:
                for code in function.inlined:
                    if code.call_line and self.is_own(code.call_file):
                        yield code.call_file, code.call_line, code

    def text(self, *, init: bool) -> bytes:
        """One of its two texts, as the file has it: addresses that the kernel fills in are not."""
        image = bytearray(self.layout.size(init=init))
        for it in self.layout.sections:
            if self._elf is not None and it.init is init:
                code = self._elf.contents(it.index)
                image[it.offset : it.offset + len(code)] = code
        return bytes(image)

    def symbols(self) -> Iterator[tuple[Placed, int, int, str]]:
        """Functions by the symbol table: section, offset in it, size, name."""
        for placed in self.layout.sections:
            yield from ((placed, *symbol) for symbol in self._symbols_of[placed.index])

    def is_own(self, file: str) -> bool:
        """Whether a file is the driver's, and none of the kernel's headers."""
        return bool(file) and not file.startswith(self._kernels)

    def shown(self, file: str) -> str:
        """A path for people: relative to the driver's folder, if it lies there or beside it."""
        if not self._root or not os.path.isabs(file):  # noqa: PTH117 - text of the file, not a path of this machine
            return file
        path = os.path.relpath(file, self._root)
        return file if path.startswith("../../") else path

    @property
    def _was_kept(self) -> bool:
        return any(isinstance(unit, KeptUnit) for unit in self._units)

    @cached_property
    def _units(self) -> tuple[AnyUnit, ...]:
        if self._elf is None:
            return ()
        if self._cache is not None and (known := kept.load(self._cache, self._elf.data)):
            return known
        bases = {it.index: it.offset + (INIT if it.init else CORE) for it in self.layout.sections}
        found = dwarf.units(elf.relocated(self._elf, bases))
        if not found:
            self.why = self.why or "it has no debug information"
        return found

    @cached_property
    def _kernels(self) -> tuple[str, ...]:
        """How the paths of the kernel's headers begin."""
        roots = {unit.folder for unit in self._units if unit.folder and unit.ranges and not _below(unit)}
        for unit in self._units:
            for file in unit.files:
                roots |= {file.removesuffix(f"/{it}") for it in _HEADERS if file.endswith(f"/{it}")}
        return tuple(f"{root}/{folder}/" for root in sorted(roots) for folder in ("include", "arch"))

    @cached_property
    def _root(self) -> str:
        """The folder that holds all of the module's sources; '' if there is none."""
        folders = {os.path.dirname(unit.source) for unit in self._units if unit.ranges}  # noqa: PTH120 - text
        try:
            return os.path.commonpath(folders)
        except ValueError:  # none, or relative ones beside absolute ones
            return ""

    @cached_property
    def _symbols_of(self) -> dict[int, list[tuple[int, int, str]]]:
        if self._elf is None:
            return {}
        return {it.index: list(elf.code_symbols(self._elf, it.index)) for it in self.layout.sections}

    def _function(self, address: int) -> tuple[AnyUnit, Code] | None:
        """Whose code is at an address of debug information."""
        for unit in self._units:
            if any(low <= address < high for low, high in unit.ranges):
                return next(((unit, it) for it in unit.functions if it.holds(address)), None)
        return None

    def _symbol(self, offset: int, *, init: bool) -> tuple[str, int, int]:
        """Function, offset in it and its size, by the symbol table; ('', 0, 0) if there is none."""
        found = self.layout.at(offset, init=init)
        if found is None:
            return "", 0, 0
        placed, at = found
        symbols = self._symbols_of[placed.index]
        index = bisect_right(symbols, at, key=lambda symbol: symbol[0]) - 1
        if index < 0 or at >= symbols[index][0] + symbols[index][1]:
            return "", 0, 0
        start, size, name = symbols[index]
        return name, at - start, size

    def _called_before(self, offset: int, *, init: bool) -> str:
        """The function whose call ends just before a place; '' if no call does."""
        found = self.layout.at(offset - 1, init=init)
        if found is None or self._elf is None:
            return ""
        placed, last = found
        section = self._elf.sections[placed.index]
        start = last + 1 - _CALL_BYTES
        if start < 0 or self._elf.data[section.offset + start : section.offset + start + 1] != bytes((_CALL,)):
            return ""
        relocations = self._elf.relocations(placed.index)
        mine = relocations[relocations["at"] == start + 1]
        return self._elf.name_of(int(mine["symbol"][0])) if len(mine) else ""


def _below(unit: AnyUnit) -> bool:
    """Whether a unit's source lies where the compiler ran: then that is the driver's folder, or all of the kernel's."""
    return unit.source.startswith(f"{unit.folder}/")


def _row(unit: AnyUnit, address: int, function: Code) -> Row | None:
    """The row of an address. Of code that is of no line, that of the code before it in the function."""
    index = bisect_right(unit.rows, address, key=lambda row: row.start) - 1
    if index < 0 or address >= unit.rows[index].end:
        return None
    while index >= 0 and function.holds(unit.rows[index].start):
        if unit.rows[index].line:
            return unit.rows[index]
        index -= 1
    return None
