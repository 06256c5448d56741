# SPDX-License-Identifier: Apache-2.0
"""Files that a guest sends when its command has ended, and what is left of them here: what it wrote is not trusted.

As they come, one after the other: a line `NUMBER SIZE`, both decimal, and SIZE bytes; NUMBER is the place in the list
of those that were asked for (initramfs/try).
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from plx9x5x.errors import BadRequest
from plx9x5x.lab.host.symptoms import clean
from plx9x5x.units import MIB

SENT: Final = "files"
"""What the guest sent, among the logs."""
MOST: Final = 1024 * MIB
"""As many bytes are taken of a guest, in all."""
_RECORD: Final = re.compile(r"^\d+,\d+,(\d{1,18}),[^;]*;(.*)")
_MARK: Final = "plx-init: mark "
_ESCAPED: Final = re.compile(r"\\x([0-9a-f]{2})")
_HEADER_MAX: Final = 64
_PIECE: Final = MIB


class NotGot(BadRequest):
    """A file that was asked for cannot be had so."""


def check(wanted: Sequence[str]) -> None:
    """See that each file of the guest has a name of its own here. Raises: NotGot."""
    names: set[str] = set()
    for path in wanted:
        name = Path(path).name
        if not name or name == ".." or "\n" in path:
            raise NotGot(f"'{path}' names no file of the guest")
        if name in names:
            raise NotGot(f"two files that are to be got are called {name}: get one of them, or rename it in the guest")
        names.add(name)


def keep(sent: Path, wanted: Sequence[str], into: Path, *, last: Path | None = None) -> Mapping[str, Path]:
    """Write the files of the stream `sent` into a folder; give those that came whole, by the names asked for.

    One more than `wanted` may come, which is written to `last`.
    Raises: OSError if one cannot be written; it is then as it was.
    """
    got: dict[str, Path] = {}
    seen: set[int] = set()
    with contextlib.suppress(FileNotFoundError), sent.open("rb") as stream:
        left = sent.stat().st_size
        while header := stream.readline(_HEADER_MAX):
            left -= len(header)
            number, _, size = header.partition(b" ")
            if not (number.isdigit() and size.strip().isdigit() and size.endswith(b"\n")):
                break
            index, length = int(number), int(size)
            if index > len(wanted) or length > left or index in seen:
                break
            left -= length
            seen.add(index)
            final = last if index == len(wanted) else into / Path(wanted[index]).name
            if final is None:
                break
            final.parent.mkdir(parents=True, exist_ok=True)
            _write(final, _pieces(stream, length))
            if index < len(wanted):
                got[wanted[index]] = final
    return got


def _pieces(stream: IO[bytes], length: int) -> Iterator[bytes]:
    while length > 0 and (data := stream.read(min(length, _PIECE))):
        length -= len(data)
        yield data


def _write(final: Path, pieces: Iterator[bytes]) -> None:
    """Write beside and rename: a file of that name is replaced whole or not at all."""
    fresh = final.with_name(f".{final.name[:100]}.{os.getpid()}")
    try:
        with fresh.open("xb") as file:
            for data in pieces:
                file.write(data)
        fresh.replace(final)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def kernel_log(records: str) -> str:
    """The kernel's log as people read it, of records of /dev/kmsg; our own marks are left out.

    Source: Linux, Documentation/ABI/testing/dev-kmsg.
    """
    lines = []
    for record in records.splitlines():
        found = _RECORD.match(record)
        if found and not found[2].startswith(_MARK):
            text = _ESCAPED.sub(lambda it: chr(int(it[1], 16)), found[2])
            lines.append(f"[{int(found[1]) / 1e6:12.6f}] {clean(text)}\n")
    return "".join(lines)
