# SPDX-License-Identifier: Apache-2.0
"""The file of `serve --summary`: a JSON object for each client, on a line of its own (docs/findings.md)."""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.units import MIB

MOST: Final = 64 * MIB
"""Bytes of the file: clients may come and go for ever."""

_LOG: Final = logging.getLogger("plx9x5x.findings")


class Summaries:
    """Adds to a file that is open for appending. What cannot be written costs the line, and not the server."""

    def __init__(self, fd: int, board: str) -> None:
        self._fd, self._board = fd, board
        self._client = 0
        self.lost = 0
        """Summaries that are not in the file, or not whole."""
        # A server that was killed, or a full disk, may have left a line without its end.
        self._torn = os.fstat(fd).st_size > 0

    def keep(self, summary: dict[str, object]) -> None:
        """Add a client's."""
        self._client += 1
        self.lost += 1  # until it is there
        ended = datetime.now(UTC).isoformat(timespec="milliseconds")
        head: dict[str, object] = {"board": self._board, "client": self._client, "ended": ended}
        line = f"{chr(10) if self._torn else ''}{json.dumps(head | summary)}\n".encode()
        try:
            if os.fstat(self._fd).st_size + len(line) > MOST:
                _LOG.warning("a summary was not written: the file has its %d MiB", MOST // MIB)
                return
            written = os.write(self._fd, line)
        except OSError as exc:
            _LOG.warning("a summary could not be written: %s", exc.strerror)
            return
        self._torn = written < len(line)
        if not self._torn:
            self.lost -= 1
        else:
            _LOG.warning("a summary was cut off after %d of %d bytes: is the disk full?", written, len(line))


@contextlib.contextmanager
def opened(path: Path, board: str) -> Iterator[Summaries]:
    """Open the file, to be added to: before the jail closes. Raises: SetupError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise SetupError(f"cannot write the summaries {path}: {exc.strerror}", hint="name another file") from exc
    try:
        yield Summaries(fd, board)
    finally:
        os.close(fd)
