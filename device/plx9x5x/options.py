# SPDX-License-Identifier: Apache-2.0
"""Options of a board: what can be set from outside when it is served, each with a type, a default and a line of help.

::

    RATE = integer("rate", 1_000_000, "samples a second", least=1)

    def build(chosen: Chosen) -> Board:
        return Board(..., windows=(Converter.window("converter", 0, chosen[RATE]),))

    BOARD = configurable(build, RATE)          # plx9x5x.board

`--set rate=40e6` sets it. A file is opened when it is set, before `serve` goes into its jail, once all else that was
set is found right. Who only looks (`config`) makes no file, and has a copy of one that is written.
"""

import contextlib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from plx9x5x.errors import BadRequest

T = TypeVar("T")

_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_YES: Final = ("yes", "on", "true", "1")
_NO: Final = ("no", "off", "false", "0")
_FILE: Final = "file:"

COPIED: Final = 64 << 20
"""Bytes of a file that is written which one who only looks gets."""


class BadOption(BadRequest):
    """A setting of a board that it does not have, or a value that it does not take; the message has those there are."""


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """One option: `told` is a line of help, `takes` says what its values are, `read` makes one of a text.

    `opens`: a value is a file: its descriptor's flags; None for an option whose values are none. Raises: TypeError.
    """

    name: str
    default: T
    told: str
    takes: str
    read: Callable[[str], T] = field(compare=False)
    opens: int | None = None
    names: tuple[str, ...] = ()
    """Values of an option with `opens` that are words and no files; a file is `file:PATH` then."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise TypeError(f"option {self.name!r}: a name is small letters, digits and '-'")
        if not self.told or "\n" in self.told:
            raise TypeError(f"option {self.name}: told={self.told!r} is no line of help")

    def shown(self) -> str:
        """`name=default`, as one would set it."""
        value: object = self.default
        if value is None:
            return f"{self.name}=PATH"
        if isinstance(value, bool):
            return f"{self.name}={_YES[0] if value else _NO[0]}"
        return f"{self.name}={value:g}" if isinstance(value, float) else f"{self.name}={value}"

    def path(self, text: str) -> str | None:
        """The file that a value names; None if it names none."""
        if self.opens is None or text in self.names:
            return None
        if text.startswith(_FILE):
            return text.removeprefix(_FILE)
        return None if self.names else text


class Chosen:
    """The value of each option of a board. `made` are files of the values that were not there before."""

    def __init__(self, values: Mapping[str, object], made: Iterable[Path] = ()) -> None:
        self._values: Final = dict(values)
        self._made: Final = tuple(made)

    def __getitem__(self, option: Option[T]) -> T:
        """Give its value. Raises: KeyError for an option that the board was not declared with."""
        value: Any = self._values[option.name]
        return value  # type: ignore[no-any-return] # what `read` gave, or the default

    def give_up(self) -> None:
        """Close its files, and remove those that were made for it, if they are still empty."""
        for value in self._values.values():
            if isinstance(value, FileIO):
                value.close()
        for path in self._made:
            with contextlib.suppress(OSError):
                if path.stat().st_size == 0:
                    path.unlink()

    def __repr__(self) -> str:
        return f"Chosen({self._values})"


def integer(
    name: str,
    default: int,
    told: str,
    *,
    least: int | None = None,
    most: int | None = None,
) -> Option[int]:
    """Declare a whole number: 40000000, 40_000_000, 40e6, 0x100."""
    return Option(name, default, told, f"a whole number{_range(least, most)}", _between(_whole, least, most))


def real(
    name: str,
    default: float,
    told: str,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Option[float]:
    """Declare a number."""
    return Option(name, default, told, f"a number{_range(least, most)}", _between(float, least, most))


def flag(name: str, default: bool, told: str) -> Option[bool]:
    """Declare a yes or no."""

    def read(text: str) -> bool:
        if text not in (*_YES, *_NO):
            raise ValueError
        return text in _YES

    return Option(name, default, told, f"{_YES[0]} or {_NO[0]}", read)


def choice(name: str, default: str, told: str, of: Sequence[str]) -> Option[str]:
    """Declare one of some words. Raises: TypeError if the default is none of them."""
    return Option(name, _one_of(name, default, of), told, " or ".join(of), _word_of(of))


def size(
    name: str,
    default: int,
    told: str,
    *,
    least: int | None = None,
    most: int | None = None,
) -> Option[int]:
    """Declare a number of bytes: 4096, 0x1000, 4K, 16M, 1G."""

    def read(text: str) -> int:
        unit = text[-1:].upper() if text[-1:].upper() in _UNITS else ""
        return _whole(text[: len(text) - len(unit)]) * _UNITS[unit]

    return Option(name, default, told, f"bytes, as 4096, 64K, 16M{_range(least, most)}", _between(read, least, most))


def file(name: str, told: str, *, write: bool = False) -> Option[FileIO | None]:
    """Declare a file, None if it is not set: opened without a buffer, to be read, or to be read and written.

    One that is written is made if it is not there; it is never cut short.
    """
    what = "a file that is read and written" if write else "a file that is read"
    flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
    return Option(name, None, told, what, _opener(flags), flags)


def source(name: str, default: str, told: str, of: Sequence[str]) -> Option[str | FileIO]:
    """Declare one of some words, or a file that is read, `file:PATH`. Raises: TypeError as for `choice`."""
    opened = _opener(os.O_RDONLY)

    def read(text: str) -> str | FileIO:
        return opened(text) if text.startswith(_FILE) else _word_of(of)(text)

    takes = f"{', '.join(of)} or {_FILE}PATH"
    return Option(name, _one_of(name, default, of), told, takes, read, os.O_RDONLY, tuple(of))


def chosen(board: str, options: Sequence[Option[Any]], words: Iterable[str], *, look: bool = False) -> Chosen:
    """Take the settings `name=value`, in words, of the board of that name: files are open then.

    `look`: no file is made or written: one that would be is a copy without a name, its first `COPIED` bytes, of the
    same length. Raises: BadOption; no file is made then.
    """
    told = list(_told_apart(board, options, words))
    values = {option.name: option.default for option in options}
    paths = {it.name: Path(path).absolute() for it, text in told if (path := it.path(text)) is not None}
    for option, text in told:
        if option.name in paths:
            _look(board, option, text, paths[option.name])
        else:
            values[option.name] = _read(board, option, text)
    made: list[Path] = []
    try:
        for option, text in told:
            if option.name not in paths:
                continue
            at = paths[option.name]
            if look and _writes(option):
                with _refused(board, option, text):
                    values[option.name] = _copy(at)
                continue
            there = os.path.lexists(at)
            values[option.name] = _read(board, option, text)
            if not there:
                made.append(at)
    except BaseException:
        Chosen(values, made).give_up()
        raise
    return Chosen(values, made)


def checked(
    board: str, options: Sequence[Option[Any]], words: Iterable[str], *, folder: Path | None = None
) -> tuple[str, ...]:
    """Look at settings that another process will take: they come back with whole paths, from `folder` on.

    Nothing stays open, and no file is made. Raises: BadOption.
    """
    kept = []
    for option, text in _told_apart(board, options, words):
        path = option.path(text)
        if path is None:
            _read(board, option, text)
            kept.append(f"{option.name}={text}")
            continue
        whole = ((folder or Path.cwd()) / path).absolute()
        _look(board, option, f"{_FILE}{whole}", whole)
        kept.append(f"{option.name}={_FILE}{whole}")
    return tuple(kept)


def check(board: str, options: object) -> None:
    """Refuse what is no tuple of options with names of their own. Raises: TypeError."""
    if not isinstance(options, tuple) or not all(isinstance(option, Option) for option in options):
        raise TypeError(f"board {board}: options={options!r} is no tuple of plx9x5x.options")
    names = [option.name for option in options]
    if len({*names}) < len(names):
        raise TypeError(f"board {board}: two of its options have one name: {', '.join(names)}")


def listed(options: Sequence[Option[Any]]) -> str:
    """Those that there are, in one line."""
    return "; ".join(f"{option.name} ({option.takes})" for option in options) or "it has none"


def _told_apart(board: str, options: Sequence[Option[Any]], words: Iterable[str]) -> Iterable[tuple[Option[Any], str]]:
    named = {option.name: option for option in options}
    seen: set[str] = set()
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise BadOption(f"--set {word!r}: it takes NAME=VALUE; options of {board}: {listed(options)}")
        if name not in named:
            raise BadOption(f"--set {word!r}: {board} has no option {name!r}; options: {listed(options)}")
        if name in seen:
            raise BadOption(f"--set {word!r}: {name} is set twice")
        seen.add(name)
        yield named[name], text


def _read(board: str, option: Option[Any], text: str) -> object:
    """Make a value of a text. Raises: BadOption."""
    with _refused(board, option, text):
        return option.read(text)


def _look(board: str, option: Option[Any], text: str, path: Path) -> None:
    """See whether a file could be opened; nothing stays open, none is made. Raises: BadOption."""
    flags = option.opens or 0
    with _refused(board, option, text):
        try:
            path.stat()
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            # Through links: that is where it would be made.
            folder = Path(os.path.realpath(path)).parent
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
        else:
            _opener(flags & ~os.O_CREAT)(str(path)).close()


@contextlib.contextmanager
def _refused(board: str, option: Option[Any], text: str) -> Iterator[None]:
    """Say what is wrong with a value. Raises: BadOption."""
    try:
        yield
    except OSError as exc:
        raise BadOption(f"--set {option.name}={text}: cannot open it: {exc.strerror or exc}") from exc
    except (ValueError, OverflowError) as exc:
        raise BadOption(f"--set {option.name}={text}: {board} takes {option.takes} there") from exc


def _writes(option: Option[Any]) -> bool:
    return bool((option.opens or 0) & (os.O_RDWR | os.O_WRONLY))


def _copy(path: Path) -> FileIO:
    """A file without a name, of the same length and beginning; an empty one if there is none at `path`."""
    with tempfile.TemporaryFile(buffering=0) as copy:
        if path.exists():
            with path.open("rb", buffering=0) as of:
                while (left := COPIED - copy.tell()) > 0 and (data := of.read(min(left, 1 << 20))):
                    copy.write(data)
                copy.truncate(path.stat().st_size)
        copy.seek(0)
        return _File(os.dup(copy.fileno()), "r+")


def _opener(flags: int) -> Callable[[str], FileIO]:
    def opened(text: str) -> FileIO:
        # Not to wait for whoever opens the other end, should it be a pipe: that is refused right after.
        fd = os.open(text.removeprefix(_FILE), flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0o644)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError("it is no regular file")
        os.set_blocking(fd, True)
        return _File(fd, "r+" if flags & os.O_RDWR else "r")

    return opened


class _File(FileIO):
    """Closed when nobody has it any more: that is as long as the board is there, which nobody closes."""

    def __del__(self) -> None:
        self.close()


def _whole(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        value = float(text)
        if value != int(value):
            raise ValueError(text) from None
        return int(value)


def _between(read: Callable[[str], Any], least: float | None, most: float | None) -> Callable[[str], Any]:
    def bounded(text: str) -> Any:
        value = read(text)
        if not ((least is None or value >= least) and (most is None or value <= most) and abs(value) < float("inf")):
            raise ValueError(text)
        return value

    return bounded


def _range(least: float | None, most: float | None) -> str:
    return f"{'' if least is None else f' from {least:,}'}{'' if most is None else f' to {most:,}'}".replace(",", "_")


def _one_of(name: str, default: str, of: Sequence[str]) -> str:
    if default not in of:
        raise TypeError(f"option {name}: its default {default!r} is none of {', '.join(of)}")
    return default


def _word_of(of: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in of:
            raise ValueError(text)
        return text

    return read
