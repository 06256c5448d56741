# SPDX-License-Identifier: Apache-2.0
"""Why a dump cannot become a board."""

from pathlib import Path
from typing import Final

from plx9x5x.errors import BadRequest

LARGEST: Final = 1 << 20
"""Bytes of a file that are looked at; a dump of every device of a large machine is smaller."""


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
    """Give it as text with plain line ends; None if it is none."""
    try:
        found = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    # A zero byte is UTF-8, and in no text.
    if any(ord(char) < ord(" ") and char not in "\t\n\r\f" for char in found):
        return None
    return "\n".join(found.splitlines())
