# SPDX-License-Identifier: Apache-2.0
"""Places get their lines: in the kept findings (a JSON object a line), and at the end of a register trace's lines.

The server knows program counters, the launcher which module lay there. Both files are read as a stream and replaced
as a whole, so who reads meanwhile has the old one or the new one. What is not understood stays as it is.
"""

import contextlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from plx9x5x.lab.witness.lines import Where

Lookup = Callable[[int, int, str], Where | None]
"""From program counter, count and role of a place to what was there (`SeenCode.where`)."""

_MARK: Final = re.compile(rb"  @0x([0-9a-f]{1,16}) #([0-9]{1,20})\n?\Z")
_LONGEST: Final = 16 << 20
"""Bytes of a line that is looked at."""


def fill(path: Path, where: Lookup) -> int:
    """Give each place of the kept findings at `path` its line; give how many records got one. Raises: OSError."""

    def filled(line: bytes) -> bytes | None:
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            if sum(_place(place, where) for place in _places(record)):
                return json.dumps(record).encode() + b"\n"
        return None

    return _rewrite(path, filled)


def rewrite_trace(path: Path, where: Lookup) -> int:
    """End each line of the trace at `path` that has a place with its line; give how many. Raises: OSError."""

    def marked(line: bytes) -> bytes | None:
        mark = _MARK.search(line)
        found = where(int(mark[1], 16), int(mark[2]), "access") if mark else None
        if mark is None or found is None:
            return None
        return line[: mark.start()] + f"  {found.brief}\n".encode("ascii", "backslashreplace")

    return _rewrite(path, marked)


def _places(record: object) -> Iterator[dict[str, object]]:
    """Each place of a client's findings, as far as they have the form of such."""
    findings = record.get("findings") if isinstance(record, dict) else None
    for finding in findings if isinstance(findings, list) else ():
        places = finding.get("places") if isinstance(finding, dict) else None
        yield from (it for it in (places if isinstance(places, list) else ()) if isinstance(it, dict))


def _place(place: dict[str, object], where: Lookup) -> bool:
    """Give one place its line, if it is known and has none."""
    pc, seq, role = place.get("pc"), place.get("seq"), place.get("role")
    if place.get("where") or type(pc) is not int or type(seq) is not int or not isinstance(role, str):
        return False
    found = where(pc, seq, role)
    if found is None:
        return False
    place["where"] = str(found)
    return True


def _rewrite(path: Path, change: Callable[[bytes], bytes | None]) -> int:
    """Replace a file by one with changed lines, None for one that stays; give how many changed.

    A file in which none changes is left alone, and so is what is no file of its own: whoever is given the folder may
    have laid links and pipes there. Raises: OSError.
    """
    try:
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    with os.fdopen(source, "rb") as old:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            return 0
        count = 0
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        target = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(target, "wb") as new:
                for line in _lines(old):
                    changed = change(line)
                    count += changed is not None
                    new.write(line if changed is None else changed)
                os.fchmod(target, stat.S_IMODE(status.st_mode))
            if count:
                fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    return count


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines with their ends, in pieces if they are long."""
    while line := file.readline(_LONGEST):
        yield line
