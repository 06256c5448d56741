# SPDX-License-Identifier: Apache-2.0
"""Tracefiles of lcov: read, added to each other, written.

What others wrote is read in lcov's forms of version 1 and 2; branches and what else a record has that is neither line
nor function stay as they are, and are not added up.

Source: geninfo(1) of lcov 1.16 and 2.3, "TRACEFILE FORMAT".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 64 << 20
"""Bytes of a tracefile that is read."""

_TEST: Final = re.compile(r"\w*(,diff)?", re.ASCII)
_TOP: Final = 1 << 63
_SUMS: Final = frozenset(("FNF", "FNH", "LF", "LH", "VER"))
"""What is counted anew, and a check sum that would no longer be right."""


class NoTracefile(Exception):
    """The text is no tracefile of lcov's; which line is none, the message says."""


@dataclass(slots=True)
class Source:
    """One source file: executions by line, and of each function its line and how often it was entered."""

    lines: dict[int, int] = field(default_factory=dict)
    functions: dict[str, tuple[int, int]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def add(self, other: "Source") -> None:
        """Add the counts of another; a function is where that one says that it is."""
        for line, count in other.lines.items():
            self.lines[line] = _sum(self.lines.get(line, 0), count)
        for name, (line, count) in other.functions.items():
            self.functions[name] = (line, _sum(self.functions.get(name, (0, 0))[1], count))
        self.others += [it for it in other.others if it not in self.others]


def add(into: dict[str, Source], more: Mapping[str, Source]) -> None:
    """Add one tracefile's counts, by source file, to another's."""
    for path, source in more.items():
        into.setdefault(path, Source()).add(source)


def write(sources: Mapping[str, Source]) -> bytes:
    """Give the tracefile, in the form that every version of lcov reads.

    What debug information may say and that form cannot is left out: lines that are none, names that would end a line or
    be read as others. Counts end at the highest that is read.
    """
    paths = sorted(path for path in sources if _is_text(path))
    return "".join(f"{line}\n" for path in paths for line in _record(path, sources[path])).encode()


def _record(path: str, source: Source) -> Iterator[str]:
    yield "TN:"
    yield f"SF:{path}"
    known = (
        (name, (line, _sum(count)))
        for name, (line, count) in source.functions.items()
        if _is_line(line) and _is_text(name) and not name.partition(",")[0].isdigit()
    )
    functions = sorted(known, key=lambda item: (item[1][0], item[0]))
    lines = {line: _sum(source.lines[line]) for line in sorted(source.lines) if _is_line(line)}
    yield from (f"FN:{line},{name}" for name, (line, _) in functions)
    yield from (f"FNDA:{count},{name}" for name, (_, count) in functions)
    yield f"FNF:{len(functions)}"
    yield f"FNH:{sum(count > 0 for _, (_, count) in functions)}"
    yield from source.others
    yield from (f"DA:{line},{count}" for line, count in lines.items())
    yield f"LF:{len(lines)}"
    yield f"LH:{sum(count > 0 for count in lines.values())}"
    yield "end_of_record"


def _is_line(number: int) -> bool:
    return 0 < number < _TOP


def _is_text(name: str) -> bool:
    """Whether a reader finds the same behind a comma or a colon; readers take off what is blank at a line's end."""
    return (
        bool(name.strip())
        and name.splitlines() == [name.strip()] == [name]
        and not any("\ud800" <= letter <= "\udfff" for letter in name)
    )


def _sum(*counts: int) -> int:
    return min(max(sum(counts), 0), _TOP - 1)


def parse(data: bytes) -> dict[str, Source]:
    """Read a tracefile; one without a record is one too. Raises: NoTracefile."""
    if len(data) > MOST:
        raise NoTracefile(f"it has more than {MOST} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise NoTracefile("it is no text") from exc
    found: dict[str, Source] = {}
    record: _Record | None = None
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        try:
            if record is None:
                record = _begun(line)
            elif line != "end_of_record":
                record.take(line)
            else:
                add(found, {record.path: record.source()})
                record = None
        except ValueError as exc:
            raise NoTracefile(f"line {number} is not lcov's ({exc})") from exc
    if record is not None:
        raise NoTracefile("its last record has no end")
    return found


def _begun(line: str) -> "_Record | None":
    """The record that a line begins; None for a test's name. Raises: ValueError."""
    kind, _, rest = line.partition(":")
    if kind == "SF" and rest:
        return _Record(rest)
    if kind != "TN" or not _TEST.fullmatch(rest):
        raise ValueError("no record begins so")
    return None


class _Record:
    """A record as far as it has been read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._source = Source()
        self._lines: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._leaders: dict[str, int] = {}

    def take(self, line: str) -> None:
        """One line of it. Raises: ValueError."""
        kind, colon, rest = line.partition(":")
        if not colon or not kind.isupper():
            raise ValueError("no entry of a record")
        match kind, rest.split(","):
            case "DA", [number, count, *_]:
                at = _count(number)
                self._source.lines[at] = _sum(self._source.lines.get(at, 0), _count(count))
            case "FN", [start, name]:
                self._lines[name] = _count(start)
            case "FN", [start, end, *name] if name:
                # Names of C++ have commas; the second is then no number.
                self._lines[",".join(name) if end.isdigit() else f"{end},{','.join(name)}"] = _count(start)
            case "FNDA", [count, *name] if name:
                full = ",".join(name)
                self._counts[full] = _sum(self._counts.get(full, 0), _count(count))
            case "FNL", [index, start, *_]:
                self._leaders[index] = _count(start)
            case "FNA", [index, count, *name] if name and index in self._leaders:
                full = ",".join(name)
                self._lines[full] = self._leaders[index]
                self._counts[full] = _sum(self._counts.get(full, 0), _count(count))
            case (("DA" | "FN" | "FNDA" | "FNL" | "FNA"), _):
                raise ValueError(f"{kind} lacks a part")
            case _ if kind not in _SUMS:
                self._source.others.append(line)

    def source(self) -> Source:
        """All of it."""
        for name in {**self._lines, **self._counts}:
            self._source.functions[name] = (self._lines.get(name, 0), self._counts.get(name, 0))
        return self._source


def _count(text: str) -> int:
    """A number that is not negative. Raises: ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < _TOP):
        raise ValueError(f"{text[:20]!r} is no count")
    return int(text)
