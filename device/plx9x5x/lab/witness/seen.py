# SPDX-License-Identifier: Apache-2.0
"""What QEMU's plugin saw of a guest, with the modules' files beside it: who was at a place."""

import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.witness.codemap import CodeMap, Load
from plx9x5x.lab.witness.lines import Lines, Where

ENTERED: Final = "handler"
"""The role of a place that is where a function begins."""
RETURNED_TO: Final = re.compile(
    r"(what it hits )?(allocated|freed|mapped|unmapped|synced|called|requested|mask set|pool \w+)( before| after)?"
)
"""Roles of places that a call into the kernel returns to. Other places are accesses, some by the kernel's helpers."""
_CALLED: Final = "called"
_MOST_KEPT: Final = 65536


class SeenCode:
    """Turns places (program counter, count) into lines. `modules` are names with .ko files, or the bytes of such.

    Nothing is read before it is asked for.
    """

    def __init__(
        self, code: CodeMap, modules: Iterable[tuple[str, Path | bytes]] = (), *, read: "Reading | None" = None
    ) -> None:
        """What `read` has of them need not be read again."""
        self.code = code
        self._files = {_canonical(name): path for name, path in modules}
        self._lines: dict[str, Lines] = {} if read is None else read.lines()
        self._known: dict[tuple[int, Load, str], Where] = {}

    def modules(self) -> Iterator[tuple[str, Lines]]:
        """Those whose files are known, loaded or not."""
        for name in self._files:
            yield name, self._of(name)

    def is_given(self, load: Load) -> bool:
        """Whether there is a file of that name."""
        return _canonical(load.name) in self._files

    def lines_of(self, load: Load) -> Lines | None:
        """The lines of a module that was loaded; None if its file is not known, or is not what was loaded."""
        if not self.is_given(load):
            return None
        lines = self._of(_canonical(load.name))
        return lines if lines.fits(core_size=load.core_size, init_size=load.init_size) else None

    def _of(self, name: str) -> Lines:
        if name not in self._lines:
            self._lines[name] = _lines(name, self._files[name])
        return self._lines[name]

    def where(self, pc: int, seq: int, role: str = "access") -> Where | None:
        """What was at a program counter then; None if it was no watched module."""
        load = self.code.load_at(pc, seq)
        if load is None:
            return None
        kind = role if role == ENTERED else _CALLED if RETURNED_TO.fullmatch(role) else ""
        key = (pc, load, kind)
        if key not in self._known:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[key] = self._found(load, pc, kind)
        return self._known[key]

    def _found(self, load: Load, pc: int, role: str) -> Where:
        init = not load.in_core(pc)
        offset = pc - (load.init if init else load.core)
        lines = self.lines_of(load)
        if lines is None:
            return Where(f"{load.name} (init)" if init else load.name, offset=offset)
        if role == ENTERED:
            return lines.beginning(offset, init=init)
        return lines.at(offset, init=init, call=True if role else None)


class Reading:
    """The lines of modules, read by a thread of its own: while their guest runs there is time for it.

    What `cache` has of them is not read again.
    """

    def __init__(self, modules: Iterable[tuple[str, Path | bytes]], cache: Cache | None = None) -> None:
        self._modules, self._cache = tuple(modules), cache
        self._read: dict[str, Lines] = {}
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def lines(self) -> dict[str, Lines]:
        """By the modules' names, once all are read."""
        self._thread.join()
        return dict(self._read)

    def _run(self) -> None:
        for name, file in self._modules:
            lines = _lines(name, file, self._cache)
            lines.read()
            self._read[_canonical(name)] = lines


def _lines(name: str, file: Path | bytes, cache: Cache | None = None) -> Lines:
    return Lines(name, file, cache) if isinstance(file, bytes) else Lines.of_file(name, file, cache)


def _canonical(name: str) -> str:
    """The kernel's spelling: it takes '-' and '_' for the same."""
    return name.replace("-", "_")
