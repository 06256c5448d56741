# SPDX-License-Identifier: Apache-2.0
"""The switches of wrong.ko, read from corpus.toml and from the sources beside it, which have to agree."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from plx9x5x.errors import BadRequest
from plx9x5x.lab.guest.shapes import SHAPES
from plx9x5x.lab.toolchain import KERNEL_SERIES

TABLE: Final = "corpus.toml"
MODULE: Final = "wrong"

_MARK: Final = re.compile(r"/\* WRONG: ([\w-]+) \*/$")
_CASE: Final = re.compile(r'^\t\{ "([\w-]+)", \w+', re.MULTILINE)
_RIGHT: Final = "right_"
"""How the files begin whose switches do right."""
KEYS: Final = frozenset(("name", "what", "had", "rule", "in", "unseen", "also", "kernel", "last", "board"))
_KEYS_OF_RIGHT: Final = frozenset(("name", "what", "board"))


class CorpusWrong(BadRequest):
    """The table of the corpus is not that of its sources, or says what cannot be meant."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One thing that the driver does, wrong or right.

    `lines` are the places that are at fault, as `FILE:LINE`. `rule` is to be named, in the guests of `in_shapes`
    another one, or none where that is empty: nobody could see it there, nor with the kernels of `unseen`. `also` are
    rules that may be named beside it, `kernel` is its function in which Linux itself may complain. `last`: in its guest
    nothing comes after it. `board` is another card than the usual one.
    """

    name: str
    right: bool
    what: str
    had: str = ""
    rule: str = ""
    also: frozenset[str] = frozenset()
    kernel: str = ""
    in_shapes: Mapping[str, str] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    last: bool = False
    board: str | None = None
    lines: tuple[str, ...] = ()

    @property
    def parameter(self) -> str:
        """The module's, that throws it."""
        return f"{'right' if self.right else 'bug'}={self.name}" if self.name else "(no switch)"

    def rule_in(self, shape: str, kernel: str) -> str:
        """The rule that is to be named in such a guest; empty if none may be."""
        return "" if kernel in self.unseen else self.in_shapes.get(shape, self.rule)


REST: Final = Switch("", right=True, what="what belongs to no switch")
"""A guest's first load, which throws none, and all else that is said of a guest and of none of its switches."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """All switches, in the table's order, and the folder that the driver is built from."""

    folder: Path
    switches: tuple[Switch, ...]

    @property
    def bugs(self) -> tuple[Switch, ...]:
        """Those that do wrong."""
        return tuple(it for it in self.switches if not it.right)

    @property
    def rights(self) -> tuple[Switch, ...]:
        """Those that only look so."""
        return tuple(it for it in self.switches if it.right)

    def select(self, names: tuple[str, ...]) -> tuple[Switch, ...]:
        """Those of these names, or all if there are none. Raises: CorpusWrong for one that nobody has."""
        known = {it.name for it in self.switches}
        if missing := [name for name in names if name not in known]:
            raise CorpusWrong(f"wrong.ko has no switch '{missing[0]}': {', '.join(sorted(known))}")
        return tuple(it for it in self.switches if not names or it.name in names)


def read(folder: Path) -> Corpus:
    """Read the corpus in `folder`. Raises: CorpusWrong, OSError."""
    table = tomllib.loads((folder / TABLE).read_text(encoding="utf-8"))
    marks = dict(_marks(folder))
    switches = (
        *(_bug(row, marks) for row in table.pop("bug", ())),
        *(_right(row) for row in table.pop("right", ())),
    )
    if table:
        raise CorpusWrong(f"{TABLE} has a table '{next(iter(table))}': there are [[bug]] and [[right]]")
    for right in (False, True):
        _agree([it.name for it in switches if it.right is right], list(_cases(folder, right=right)))
    if astray := marks.keys() - {it.name for it in switches if not it.right}:
        raise CorpusWrong(f"a line is marked as that of '{min(astray)}', which is no bug of {TABLE}")
    return Corpus(folder, switches)


def _bug(row: Mapping[str, Any], marks: Mapping[str, tuple[str, ...]]) -> Switch:
    _check(row, KEYS, needs=("name", "what", "had", "rule"))
    in_shapes = row.get("in", {})
    if strange := [name for name in in_shapes if name not in SHAPES]:
        raise CorpusWrong(f"{row['name']}: there is no guest shape '{strange[0]}'")
    if strange := [name for name in row.get("unseen", ()) if name not in KERNEL_SERIES]:
        raise CorpusWrong(f"{row['name']}: there is no kernel '{strange[0]}'")
    if row["name"] not in marks:
        raise CorpusWrong(f"{row['name']}: no line of the sources ends in /* WRONG: {row['name']} */")
    return Switch(
        row["name"],
        right=False,
        what=row["what"],
        had=row["had"],
        rule=row["rule"],
        also=frozenset(row.get("also", ())),
        kernel=row.get("kernel", ""),
        in_shapes=in_shapes,
        unseen=frozenset(row.get("unseen", ())),
        last=row.get("last", False),
        board=row.get("board"),
        lines=marks[row["name"]],
    )


def _right(row: Mapping[str, Any]) -> Switch:
    _check(row, _KEYS_OF_RIGHT, needs=("name", "what"))
    return Switch(row["name"], right=True, what=row["what"], board=row.get("board"))


def _check(row: Mapping[str, Any], known: frozenset[str], *, needs: tuple[str, ...]) -> None:
    name = row.get("name", "a row without a name")
    if lacks := [key for key in needs if not row.get(key)]:
        raise CorpusWrong(f"{name} lacks '{lacks[0]}'")
    if strange := [key for key in row if key not in known]:
        raise CorpusWrong(f"{name} has '{strange[0]}', which means nothing: {', '.join(sorted(known))}")


def _agree(said: list[str], there: list[str]) -> None:
    for name in said:
        if said.count(name) > 1 or there.count(name) != 1:
            raise CorpusWrong(
                f"'{name}' stands {said.count(name)} times in {TABLE}, {there.count(name)} in the sources"
            )
    if more := [name for name in there if name not in said]:
        raise CorpusWrong(f"the sources have a switch '{more[0]}', and {TABLE} has not")


def _sources(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.c"))


def _cases(folder: Path, *, right: bool) -> Iterator[str]:
    for path in _sources(folder):
        if path.name.startswith(_RIGHT) is right:
            yield from _CASE.findall(path.read_text(encoding="utf-8"))


def _marks(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The marked lines by the switch's name."""
    found: dict[str, list[str]] = {}
    for path in _sources(folder):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if (mark := _MARK.search(line)) is not None:
                found.setdefault(mark[1], []).append(f"{path.name}:{number}")
    for name, lines in found.items():
        yield name, tuple(lines)
