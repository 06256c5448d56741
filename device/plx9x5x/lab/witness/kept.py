# SPDX-License-Identifier: Apache-2.0
"""Debug information that was read once is kept in the cache folder: what is loaded again and again is read once.

One file a module, by its contents; all of JSON, with each path once. A file that is damaged is no file.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.witness.dwarf import Code, Ranges, Row, Unit

RECIPE: Final = 1
"""Counts up when a file of before would not say what is read today."""
_FILE: Final = "lines.json"


@dataclass(frozen=True, slots=True)
class KeptUnit:
    """What was read of one; as `plx9x5x.lab.witness.dwarf.Unit`."""

    ranges: Ranges
    folder: str
    source: str
    files: tuple[str, ...]
    rows: tuple[Row, ...]
    statements: tuple[Row, ...]
    functions: tuple[Code, ...]


AnyUnit = Unit | KeptUnit


def key(module: bytes) -> str:
    """The name that a module's debug information has in the cache."""
    return f"lines-r{RECIPE}-{hashlib.sha256(module).hexdigest()[:20]}"


def load(cache: Cache, module: bytes) -> tuple[KeptUnit, ...] | None:
    """What was kept of a module's file; None if nothing was."""
    if (folder := cache.built(key(module))) is None:
        return None
    try:
        return tuple(_unit(it) for it in json.loads((folder / _FILE).read_bytes()))
    except (OSError, ValueError, TypeError, IndexError, KeyError):
        return None


def store(cache: Cache, module: bytes, units: Iterable[AnyUnit]) -> None:
    """Keep it; a cache that takes nothing costs the time to read it again."""
    text = json.dumps([_told(it) for it in units], separators=(",", ":"))
    try:
        with cache.building(key(module)) as work:
            (work / _FILE).write_text(text, encoding="ascii")
    except SetupError:
        pass


def _told(unit: AnyUnit) -> dict[str, object]:
    paths: dict[str, int] = {}

    def number(path: str) -> int:
        return paths.setdefault(path, len(paths))

    def row(it: Row) -> Sequence[object]:
        return it.start, it.end, number(it.file), it.line

    def code(it: Code) -> Sequence[object]:
        inlined = [code(below) for below in it.inlined]
        caller = number(it.call_file), it.call_line
        return it.name, number(it.file), it.line, it.ranges, it.entry, it.depth, *caller, inlined

    told = {
        "ranges": unit.ranges,
        "folder": unit.folder,
        "source": unit.source,
        "files": [number(it) for it in unit.files],
        "rows": [row(it) for it in unit.rows],
        "statements": [row(it) for it in unit.statements],
        "functions": [code(it) for it in unit.functions],
    }
    return {"paths": list(paths), **told}


def _unit(told: dict[str, Any]) -> KeptUnit:
    paths = [str(it) for it in told["paths"]]

    def row(start: int, end: int, file: int, line: int) -> Row:
        return Row(int(start), int(end), paths[file], int(line))

    def code(
        name: str, file: int, line: int, ranges: Any, entry: int, depth: int, by: int, by_line: int, inlined: Any
    ) -> Code:
        below = tuple(code(*it) for it in inlined)
        where = int(line), _ranges(ranges), int(entry), int(depth)
        return Code(str(name), paths[file], *where, paths[by], int(by_line), below)

    return KeptUnit(
        _ranges(told["ranges"]),
        str(told["folder"]),
        str(told["source"]),
        tuple(paths[it] for it in told["files"]),
        tuple(row(*it) for it in told["rows"]),
        tuple(row(*it) for it in told["statements"]),
        tuple(code(*it) for it in told["functions"]),
    )


def _ranges(told: Any) -> Ranges:
    return tuple((int(low), int(high)) for low, high in told)
