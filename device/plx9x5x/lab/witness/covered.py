# SPDX-License-Identifier: Apache-2.0
"""What the verdict says of a driver's code that ran, and what `--coverage FILE` leaves: a tracefile of lcov."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.witness import coverage, lcov
from plx9x5x.lab.witness.coverage import Coverage, Function, Totals
from plx9x5x.lab.witness.lcov import NoTracefile, Source

TABLE: Final = "coverage.txt"
"""Every function and how much of it ran, among the logs."""
_NAMES: Final = 8
"""Functions that the verdict names, of those that were never entered."""
_FEW: Final = 3
"""As many if nobody asked."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What ran in one run, and with those that the file had before (`merged`, None if it had none).

    `file` is None if nobody asked for one: then there are no more than the words.
    """

    file: Path | None
    run: Totals
    code: Totals
    merged: Totals | None = None
    unknown: tuple[str, ...] = ()
    table: str = ""
    """A line a function, for the logs."""

    why: str = ""
    """Why there is none: then nothing was added."""

    def lines(self) -> list[str]:
        """For the verdict."""
        if self.why:
            return [f"coverage: none, {self.why}; {self.file} is as it was"]
        said = []
        most = _FEW if self.file is None else _NAMES
        if self.run.lines or not self.code.lines:
            said.append(f"coverage: {_said(self.run, 'lines', most)}")
        if self.code.lines:
            said.append(f"coverage, by the code of what has no debug information: {_said(self.code, 'bytes', most)}")
        if self.merged is not None:
            said.append(f"coverage with the runs before: {_said(self.merged, 'lines', most)}")
        said += [f"coverage is not known of {text}" for text in self.unknown]
        if self.file is None:
            return said
        added = "" if self.run.lines else "nothing was added, for a tracefile is of lines: "
        return [*said, f"coverage: {added}{self.file}"]

    def json(self) -> dict[str, object]:
        """For a program."""
        return {
            "file": None if self.file is None else str(self.file),
            "run": _json(self.run),
            "code": _json(self.code),
            "merged": None if self.merged is None else _json(self.merged),
            "unknown": list(self.unknown),
            "why": self.why,
        }


def _said(totals: Totals, unit: str, most: int) -> str:
    if not totals.lines:
        return f"no {unit} of the driver's are known"
    words = f"{totals.percent} % of {totals.lines} {unit}, {totals.entered} of {totals.functions} functions"
    if not totals.never:
        return words
    names = ", ".join(map(str, totals.never[:most]))
    more = len(totals.never) - most
    return f"{words}; never entered: {names}{f' and {more} more ({TABLE})' if more > 0 else ''}"


def _json(totals: Totals) -> dict[str, object]:
    return {
        "lines": totals.lines,
        "lines_ran": totals.lines_ran,
        "functions": totals.functions,
        "functions_entered": totals.entered,
        "never_entered": [
            {"name": it.name, **({"file": it.file, "line": it.line} if it.line else {"module": it.module})}
            for it in totals.never
        ],
    }


def _table(functions: Iterator[Function]) -> Iterator[str]:
    for it in functions:
        how = f"{it.ran:>7} of {it.size:>7} bytes" if it.size else f"entered {it.entered} times"
        yield f"{it}: {how}\n"


def without_file(found: Coverage) -> Covered:
    """What ran in one run, for its verdict and its logs alone."""
    listed = (*coverage.functions_of(found.sources, found.shown), *found.functions)
    return Covered(
        None,
        coverage.totals(found.sources, found.shown),
        coverage.totals_of_bytes(found.functions),
        unknown=found.unknown,
        table="".join(_table(iter(listed))),
    )


class CoverageFile:
    """The file of `--coverage`, seen to before there is a guest: what it has is a tracefile, and it can be written.

    What a link leads to is looked at once, here, and the folder is held: whoever is given it meanwhile may lay links
    and pipes there. Raises: SetupError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            target = path.resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            self._name = target.name
            self._folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, RuntimeError) as exc:
            raise self._refused(exc) from exc
        try:
            self._before()
            self._replace(None)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the folder. May be called twice."""
        folder, self._folder = self._folder, -1
        if folder >= 0:
            os.close(folder)

    def __enter__(self) -> "CoverageFile":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def add(self, found: Coverage) -> Covered:
        """Add what ran in one run; runs that end at the same time wait for each other. Raises: SetupError."""
        with self._locked():
            before = self._before()
            both: dict[str, Source] = {}
            lcov.add(both, before)
            lcov.add(both, found.sources)
            data = lcov.write(both)
            if len(data) > lcov.MOST:
                raise SetupError(
                    f"the coverage file {self._path} stays as it was: with this run it would have {len(data)} bytes, "
                    f"and {lcov.MOST} are read",
                    hint="name another file",
                )
            self._replace(data)
        ours = {path: source for path, source in both.items() if path in found.sources}
        merged = coverage.totals(ours, found.shown) if before.keys() & found.sources.keys() else None
        return replace(without_file(found), file=self._path, merged=merged)

    def without(self, why: str) -> Covered:
        """What is said of a run of which nothing was seen."""
        nothing = coverage.totals({}, {})
        return Covered(self._path, nothing, nothing, why=why)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX)
        except OSError as exc:  # a file system without locks
            raise self._refused(exc) from exc
        try:
            yield
        finally:
            fcntl.flock(self._folder, fcntl.LOCK_UN)

    def _before(self) -> Mapping[str, Source]:
        """What the file has. Raises: SetupError."""
        if not self._name:  # the root
            raise self._no_file()
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(self._name, flags, dir_fd=self._folder)
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise self._refused(exc) from exc
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise self._no_file()
            with os.fdopen(file, "rb", closefd=False) as stream:
                data = stream.read(lcov.MOST + 1)
        except OSError as exc:  # what only looks like a file: /proc/self/mem
            raise self._refused(exc, "read") from exc
        finally:
            os.close(file)
        try:
            return lcov.parse(data)
        except NoTracefile as exc:
            raise SetupError(
                f"the coverage file {self._path} is there, and is no tracefile of lcov: {exc}",
                hint="name another file, or remove that one",
            ) from exc

    def _replace(self, data: bytes | None) -> None:
        """Write it anew; None only tries whether that can be done. Raises: SetupError."""
        fresh = f".{self._name}.{os.getpid()}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=self._folder)
            file = os.open(fresh, flags, 0o666, dir_fd=self._folder)
            try:
                with os.fdopen(file, "wb") as stream:
                    stream.write(data or b"")
                if data is not None:
                    os.replace(fresh, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(fresh, dir_fd=self._folder)
        except OSError as exc:
            raise self._refused(exc) from exc

    def _no_file(self) -> SetupError:
        return SetupError(
            f"the coverage file {self._path} is no file that runs could be added to",
            hint="name a file in a folder that you can write",
        )

    def _refused(self, exc: Exception, what: str = "write") -> SetupError:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        return SetupError(
            f"cannot {what} the coverage file {self._path}: {why}", hint="name a file in a folder that you can write"
        )
