# SPDX-License-Identifier: Apache-2.0
"""Why a dump cannot become a board."""

import codecs
from pathlib import Path
from typing import Final

from plx9x5x.errors import BadRequest

LARGEST: Final = 1 << 20
"""Bytes of a file that are looked at; a dump of every device of a large machine is smaller."""

_ASCII: Final = 0x80


class BadDump(BadRequest):
    """The file is no dump that can be read, or it does not say enough; the message says what would."""


def content(file: Path) -> bytes:
    """Give what is in a file. Raises: BadDump if it cannot be read or is far too long."""
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except (OSError, ValueError) as exc:
        raise BadDump(f"{file} cannot be read: {exc.strerror if isinstance(exc, OSError) else exc}") from exc
    if len(data) > LARGEST:
        raise BadDump(f"{file} has more than {LARGEST} bytes: that is no dump of a card")
    if not data:
        raise BadDump(f"{file} is empty")
    return data


def text(data: bytes) -> str | None:
    """Give it as text with plain line ends; None if it is none.

    UTF-8; UTF-16 that says so by its mark, as Windows writes it; or bytes of which most are ASCII, of Latin-1.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        found = _decoded(data, "utf-16")
    else:
        found = _decoded(data, "utf-8-sig")
        if found is None and sum(byte >= _ASCII for byte in data) <= len(data) // 2:
            found = _decoded(data, "latin-1")
    return None if found is None else "\n".join(found.splitlines())


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        found = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    # A zero byte is UTF-8, and in no text.
    return None if any(ord(char) < ord(" ") and char not in "\t\n\r\f" for char in found) else found
