# SPDX-License-Identifier: Apache-2.0
"""What a program prints, taken from a pipe into a file that has a limit: a flood fills neither memory nor the disk.

The first `limit` bytes are in the file as they came; of the rest, the last 64 KiB, which follow at the end. A thread
does it, so that the program never waits for whoever started it.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from plx9x5x.units import KIB, MIB

LIMIT: Final = 16 * MIB
TAIL: Final = 64 * KIB
_READ: Final = 64 * KIB
_PIPE: Final = MIB
"""What may wait while the host is busy elsewhere; a guest's console loses letters if nothing takes them."""
_PATIENCE_S: Final = 1.0


class Drain:
    """A pipe whose other end, `writer`, a child is given. `log` is appended to; `taker` gets all the bytes as well.

    `taker` is called in the thread. Raises: OSError if the file cannot be opened.
    """

    def __init__(self, log: Path, *, limit: int = LIMIT, taker: Callable[[bytes], None] | None = None) -> None:
        self._file = log.open("ab", buffering=0)
        try:
            self._reader, self.writer = os.pipe2(os.O_CLOEXEC)
        except OSError:
            self._file.close()
            raise
        with contextlib.suppress(OSError):  # a user's pipes have a limit in sum
            fcntl.fcntl(self._reader, fcntl.F_SETPIPE_SZ, _PIPE)
        self._left = limit
        self._taker = taker
        self._tail = bytearray()
        self._missing = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"drain of {log.name}", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def giving(self) -> Iterator[None]:
        """Within, a child is given `writer`: what it prints ends when it, and whatever it started, is gone."""
        try:
            yield
        finally:
            os.close(self.writer)
            self.writer = -1

    def finish(self, patience_s: float = _PATIENCE_S) -> None:
        """Wait until all that was printed is in the file; no longer than that, should a grandchild hold the pipe."""
        self._thread.join(patience_s)

    def tail(self) -> str:
        """The last 64 KiB, as text."""
        with self._lock:
            return self._tail.decode("utf-8", errors="replace")

    def _run(self) -> None:
        with self._file:
            try:
                while data := os.read(self._reader, _READ):
                    self._take(data)
                    if self._taker is not None:
                        self._taker(data)
            finally:
                os.close(self._reader)
                self._conclude()

    def _take(self, data: bytes) -> None:
        if self._left > 0:
            self._store(data[: self._left])
        self._missing += max(0, len(data) - self._left)
        self._left = max(0, self._left - len(data))
        with self._lock:
            self._tail += data
            del self._tail[:-TAIL]

    def _conclude(self) -> None:
        """Put the end below what is left out."""
        if self._missing:
            end = bytes(self._tail[-min(self._missing, TAIL) :])
            left_out = self._missing - len(end)
            self._store(b"\n[the log is full: %d bytes are left out here]\n" % left_out + end)

    def _store(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk must not stop whoever prints
            self._file.write(data)
