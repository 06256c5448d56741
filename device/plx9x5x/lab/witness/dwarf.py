# SPDX-License-Identifier: Apache-2.0
"""Debug information as it is needed for lines: per compile unit its rows of the line table and its functions.

The only file that knows pyelftools. What it reads may be damaged, and pyelftools then raises whatever comes its way or
would go round in circles: `Unit` catches the first, counts entries against the second, and is empty then.

Source: DWARF Debugging Information Format, versions 4 and 5 (sections 3.3 inlined subroutines, 6.2 line numbers).
"""

import io
import os.path
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.lineprogram import LineState
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

from plx9x5x.lab.witness.elf import text

Ranges = tuple[tuple[int, int], ...]
"""Pairs of the first address and that after the last."""

_DEEPEST: Final = 64
"""Inlined calls in each other."""


@dataclass(frozen=True, slots=True)
class Row:
    """Instructions from `start` up to `end` are of one line; line 0 is of none."""

    start: int
    end: int
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Code:
    """A function's code: its own, or what stands for a call of it in another's (`depth` from 1, and who called).

    `file` and `line` are where it is defined, '' and 0 if that is not said; `entry` is where it begins.
    """

    name: str
    file: str
    line: int
    ranges: Ranges
    entry: int
    depth: int = 0
    call_file: str = ""
    call_line: int = 0
    inlined: tuple["Code", ...] = ()
    """All that it holds, outer ones first."""

    def holds(self, address: int) -> bool:
        """Whether an instruction there is part of it."""
        return any(low <= address < high for low, high in self.ranges)

    def is_same(self, other: "Code") -> bool:
        """Whether both are code of one function."""
        return (self.name, self.file, self.line) == (other.name, other.file, other.line)


class Unit:
    """One source file with what it includes, as it was compiled. All of it is read at the first question."""

    def __init__(self, unit: CompileUnit, dwarf: DWARFInfo) -> None:
        self._unit, self._dwarf = unit, dwarf

    @cached_property
    def ranges(self) -> Ranges:
        """Where its code is."""
        try:
            return self._ranges(self._unit.get_top_DIE())
        except Exception:  # noqa: BLE001 - a damaged file has pyelftools raise anything
            return ()

    @cached_property
    def folder(self) -> str:
        """Where the compiler ran; '' if unknown."""
        try:
            return _words(self._unit.get_top_DIE(), "DW_AT_comp_dir")
        except Exception:  # noqa: BLE001 - as above
            return ""

    @cached_property
    def source(self) -> str:
        """Its source file's path; '' if unknown."""
        try:
            return _joined(self.folder, _words(self._unit.get_top_DIE(), "DW_AT_name"))
        except Exception:  # noqa: BLE001 - as above
            return ""

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Paths of its files, by the numbers that the unit has for them."""
        try:
            return tuple(self._files())
        except Exception:  # noqa: BLE001 - as above
            return ()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Its line table, by address."""
        try:
            return tuple(sorted(self._rows(), key=lambda row: row.start))
        except Exception:  # noqa: BLE001 - as above
            return ()

    @cached_property
    def functions(self) -> tuple[Code, ...]:
        """Those that have code of their own."""
        try:
            return tuple(self._functions())
        except Exception:  # noqa: BLE001 - as above
            return ()

    @cached_property
    def statements(self) -> tuple[Row, ...]:
        """Where statements begin, as rows of one byte: of code that was moved elsewhere this is where it belongs."""
        try:
            return tuple(self._statements())
        except Exception:  # noqa: BLE001 - as above
            return ()

    def _files(self) -> Iterator[str]:
        program = self._dwarf.line_program_for_CU(self._unit)
        if program is None:
            return
        folders = [self.folder] if program["version"] < 5 else []
        folders += [_joined(self.folder, text(it)) for it in program["include_directory"]]
        if program["version"] < 5:
            yield ""  # numbers begin at 1
        for entry in program["file_entry"]:
            number = entry.dir_index
            yield _joined(folders[number] if number < len(folders) else "", text(entry.name))

    def _states(self) -> Iterator[LineState]:
        program = self._dwarf.line_program_for_CU(self._unit)
        yield from (it.state for it in ([] if program is None else program.get_entries()) if it.state is not None)

    def _statements(self) -> Iterator[Row]:
        for state in self._states():
            if state.is_stmt and state.line and not state.end_sequence:
                yield Row(state.address, state.address + 1, self._file(state.file), state.line)

    def _rows(self) -> Iterator[Row]:
        before = None
        for state in self._states():
            # Of several rows at one address the last holds: the others are places for break points.
            if before is not None and state.address > before.address:
                yield Row(before.address, state.address, self._file(before.file), before.line)
            before = None if state.end_sequence else state

    def _functions(self) -> Iterator[Code]:
        budget = _Budget(self._unit.size)
        for die in budget.children(self._unit.get_top_DIE()):
            if die.tag == "DW_TAG_subprogram" and (ranges := self._ranges(die)):
                yield self._code(die, ranges, inlined=tuple(self._inlined(die, budget, 1)))

    def _inlined(self, above: DIE, budget: "_Budget", depth: int) -> Iterator[Code]:
        if depth > _DEEPEST:
            return
        for die in budget.children(above) if above.has_children else ():
            if die.tag == "DW_TAG_inlined_subroutine":
                if ranges := self._ranges(die):
                    yield self._code(die, ranges, depth=depth)
                yield from self._inlined(die, budget, depth + 1)
            elif die.tag == "DW_TAG_lexical_block":
                yield from self._inlined(die, budget, depth)

    def _code(self, die: DIE, ranges: Ranges, *, depth: int = 0, inlined: tuple[Code, ...] = ()) -> Code:
        name, file, line = "", "", 0
        described: DIE | None = die
        for _ in range(4):  # an inlined call or a clone, then the function, then its declaration
            if described is None:
                break
            name = name or _words(described, "DW_AT_name")
            # File 0 is one, since version 5: no number is not number 0.
            if not file and described.cu is self._unit and "DW_AT_decl_file" in described.attributes:
                file, line = self._file(_number(described, "DW_AT_decl_file")), _number(described, "DW_AT_decl_line")
            described = _origin(described)
        entry = _number(die, "DW_AT_entry_pc") if depth and _form(die, "DW_AT_entry_pc") == "DW_FORM_addr" else 0
        return Code(
            name,
            file,
            line,
            ranges,
            entry or ranges[0][0],
            depth,
            self._file(_number(die, "DW_AT_call_file")) if depth else "",
            _number(die, "DW_AT_call_line") if depth else 0,
            inlined,
        )

    def _file(self, number: int) -> str:
        return self.files[number] if 0 <= number < len(self.files) else ""

    def _ranges(self, die: DIE) -> Ranges:
        """Where an entry's code is; nowhere for one that has none, or was dropped by the linker."""
        if "DW_AT_ranges" in die.attributes:
            lists = self._dwarf.range_lists()
            if lists is None:
                return ()
            base = _number(self._unit.get_top_DIE(), "DW_AT_low_pc")
            found = []
            for entry in lists.get_range_list_at_offset(_number(die, "DW_AT_ranges"), self._unit):
                if isinstance(entry, BaseAddressEntry):
                    base = entry.base_address
                    continue
                moved = 0 if entry.is_absolute else base
                found.append((entry.begin_offset + moved, entry.end_offset + moved))
        else:
            low, high = _number(die, "DW_AT_low_pc"), _number(die, "DW_AT_high_pc")
            found = [(low, high if _form(die, "DW_AT_high_pc") == "DW_FORM_addr" else low + high)]
        return tuple((low, high) for low, high in found if 0 < low < high)


class _Budget:
    """Counts entries: a unit has no more of them than bytes, so one that has goes round in circles."""

    def __init__(self, size: int) -> None:
        self._left = size

    def children(self, die: DIE) -> Iterator[DIE]:
        for child in die.iter_children():
            self._left -= 1
            if self._left < 0:
                raise ValueError("debug information that goes round in circles")
            yield child


def units(image: bytes) -> tuple[Unit, ...]:
    """Give the compile units of a file whose debug sections are relocated; none if it has none that can be read."""
    try:
        dwarf = ELFFile(io.BytesIO(image)).get_dwarf_info(relocate_dwarf_sections=False)
        return tuple(Unit(unit, dwarf) for unit in dwarf.iter_CUs()) if dwarf.has_debug_info else ()
    except Exception:  # noqa: BLE001 - a damaged file has pyelftools raise anything
        return ()


def _origin(die: DIE) -> DIE | None:
    for name in ("DW_AT_abstract_origin", "DW_AT_specification"):
        if name in die.attributes:
            return die.get_DIE_from_attribute(name)
    return None


def _value(die: DIE, name: str) -> Any:
    attribute = die.attributes.get(name)
    return None if attribute is None else attribute.value


def _number(die: DIE, name: str) -> int:
    value = _value(die, name)
    return value if isinstance(value, int) else 0


def _words(die: DIE, name: str) -> str:
    value = _value(die, name)
    return text(value) if isinstance(value, bytes) else ""


def _form(die: DIE, name: str) -> str:
    attribute = die.attributes.get(name)
    form = "" if attribute is None else str(attribute.form)
    return "DW_FORM_addr" if form.startswith("DW_FORM_addrx") else form


def _joined(folder: str, name: str) -> str:
    return os.path.normpath(os.path.join(folder, name)) if name else ""  # noqa: PTH118 - it need not be there
