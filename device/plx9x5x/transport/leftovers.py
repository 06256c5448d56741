# SPDX-License-Identifier: Apache-2.0
"""Closes what libvfio-user leaves open of a client.

It forgets descriptors that came with a message that it refuses or has no use for: the same DMA_MAP again, half a
header. A client that sends many would take all that this process may have, for good. They are told from everybody
else's by two marks: they came while the client was there, and they are inheritable, as the library receives them. What
Python opens never is (PEP 446), nor what C libraries open with O_CLOEXEC. A board in C that opens a file without
that flag while a client is there would lose it when the client leaves; so this is done on request only.
"""

import contextlib
import os
from typing import Final

_NOWHERE: Final = -1


class Leftovers:
    """`mark` before a client comes, `close` when it has left. No other thread may open inheritable descriptors."""

    def __init__(self) -> None:
        self._before: frozenset[int] | None = None
        self._folder = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
        """Opened now: in a jail nobody could."""
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        """For a look at what is open when nothing more can be opened."""

    def mark(self) -> None:
        """What is open now is not the next client's."""
        self._before = self._inheritable()

    def close(self) -> int:
        """Close what came since; give how many."""
        now = self._inheritable()
        if self._before is None or now is None:
            return 0
        came = now - self._before
        for fd in came:
            with contextlib.suppress(OSError):
                os.close(fd)
        return len(came)

    def end(self) -> None:
        """No more use of it. May be called twice."""
        for fd in (self._spare, self._folder):
            if fd != _NOWHERE:
                os.close(fd)
        self._spare = self._folder = _NOWHERE

    def _inheritable(self) -> frozenset[int] | None:
        """The inheritable descriptors of this process, None if nobody can tell."""
        if self._spare != _NOWHERE:
            os.close(self._spare)
            self._spare = _NOWHERE
        try:
            found = frozenset(fd for fd in map(int, os.listdir(self._folder)) if _is_inheritable(fd))  # noqa: PTH208
        except OSError:
            found = None
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        return found


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:  # the one that listed them
        return False
