# SPDX-License-Identifier: Apache-2.0
"""Waits for descriptors, to the nanosecond: the kernel's ppoll(2).

`select.poll` knows no time below a millisecond, and `select.select` no descriptor above 1023. Python has no ppoll, so
it is called by ctypes; from what the process has loaded already, because looking for a library may start a program.
"""

import ctypes as c
import errno
import os
import select
import time
from typing import Final

NS_PER_S: Final = 1_000_000_000
LONGEST_NS: Final = 3600 * NS_PER_S
"""Longer waits end after that: nobody minds one look an hour, and the seconds fit whatever the C library has."""


class _PollFd(c.Structure):
    """struct pollfd { int fd; short events; short revents; }."""

    _fields_ = (("fd", c.c_int), ("events", c.c_short), ("revents", c.c_short))


class _TimeSpec(c.Structure):
    """struct timespec { time_t tv_sec; long tv_nsec; }."""

    _fields_ = (("seconds", c.c_long), ("nanoseconds", c.c_long))


# int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *tmo_p, const sigset_t *sigmask)
_ppoll: Final = c.CDLL(None, use_errno=True).ppoll
_ppoll.restype = c.c_int
_ppoll.argtypes = (c.POINTER(_PollFd), c.c_ulong, c.POINTER(_TimeSpec), c.c_void_p)


class NanoPoll:
    """Like `select.poll`, with nanoseconds. Not for two threads at once."""

    def __init__(self) -> None:
        self._for_ever = select.poll()  # quicker, where no time is to be kept
        self._events: dict[int, int] = {}
        self._fds: c.Array[_PollFd] | None = None

    def register(self, fd: int, events: int = select.POLLIN) -> None:
        """Wait for `events` of `fd` from now on, in place of those before."""
        self._for_ever.register(fd, events)
        self._events[fd] = events
        self._fds = None

    def unregister(self, fd: int) -> None:
        """Wait for it no longer. Raises: KeyError if nobody did."""
        self._for_ever.unregister(fd)
        del self._events[fd]
        self._fds = None

    def poll(self, wait_ns: int | None) -> list[tuple[int, int]]:
        """Wait until something is ready or `wait_ns` are over (None: for ever); give (fd, events) of what is ready.

        A signal does not end the wait, unless its handler raises; an end of the other side, an error or a closed
        descriptor does. Raises: OSError (ENOMEM).
        """
        if wait_ns is None:
            return self._for_ever.poll()
        fds = self._fds
        if fds is None:
            fds = self._fds = (_PollFd * len(self._events))(
                *(_PollFd(fd, events) for fd, events in self._events.items())
            )
        until, left = time.monotonic_ns() + wait_ns, wait_ns
        while True:
            timeout = _TimeSpec(*divmod(min(max(left, 0), LONGEST_NS), NS_PER_S))
            ready = _ppoll(fds, len(fds), c.byref(timeout), None)
            if ready > 0:
                return [(it.fd, it.revents) for it in fds if it.revents]
            if ready == 0:
                return []
            code = c.get_errno()
            if code != errno.EINTR:
                raise OSError(code, os.strerror(code))
            left = until - time.monotonic_ns()
