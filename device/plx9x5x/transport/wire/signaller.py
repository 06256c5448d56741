# SPDX-License-Identifier: Apache-2.0
"""Signals an eventfd of the client's without ever waiting for it.

A write to an eventfd that is full blocks unless it is O_NONBLOCK. That flag is the open file's: set by us, the client's
own reads would fail, and the client could take it back between our look and our write. The kernel signals an eventfd by
itself, and never waits, when an asynchronous read has ended (Linux's AIO, IOCB_FLAG_RESFD): so one byte of our own
memory is read for each edge. Where a kernel or a container has no AIO it is looked at for room and then written to,
which a client that fills it just then can hold up.

Source: io_submit(2), eventfd(2); the numbers of the calls: asm/unistd.h.
"""

import ctypes as c
import errno
import os
import platform
import select
import struct
from typing import Final

from plx9x5x.transport.wire import foreign

_CALLS: Final = {"x86_64": (206, 207, 209, 208), "aarch64": (0, 1, 2, 4)}
"""io_setup, io_destroy, io_submit, io_getevents."""
_PREAD, _RESFD = 0, 1
# struct iocb: data, key, rw_flags, opcode, priority, fd, buffer, bytes, offset, reserved, flags, resfd
_IOCB: Final = struct.Struct("<QIIHhIQQqQII")
_EVENT_BYTES: Final = 32
_EDGE: Final = (1).to_bytes(8, "little")
_LIBC: Final = c.CDLL(None, use_errno=True)


def is_eventfd(fd: int) -> bool:
    """True if a descriptor is one; asked of the kernel alone, since fstat may ask somebody else."""
    return foreign.name(fd) in ("anon_inode:[eventfd]", "")


class Signaller:
    """One for a server; `close` gives back what the kernel keeps for it."""

    def __init__(self) -> None:
        self.context: int = 0
        """The kernel's, for a unit in C; 0 where there is no AIO."""
        self.memory = -1
        """One byte of our own that is read for each edge."""
        calls = _CALLS.get(platform.machine())
        if calls is None:
            return
        self._setup, self._destroy, self._submit, self._reap = calls
        context = c.c_ulong(0)
        if _LIBC.syscall(c.c_long(self._setup), c.c_long(4), c.byref(context)) == 0:
            self.context = context.value
            self.memory = os.memfd_create("plx9x5x-edge", os.MFD_CLOEXEC)
            os.write(self.memory, b"\0")
            self._into = c.create_string_buffer(1)
            self._events = c.create_string_buffer(4 * _EVENT_BYTES)
            self._now = (c.c_long * 2)(0, 0)

    def signal(self, fd: int) -> bool:
        """Add 1 to an eventfd; False if it is none, or closed. One that is full stays so, and its owner knows."""
        if not self.context:
            return _write(fd)
        block = c.create_string_buffer(
            _IOCB.pack(0, 0, 0, _PREAD, 0, self.memory, c.addressof(self._into), 1, 0, 0, _RESFD, fd), _IOCB.size
        )
        blocks = (c.c_void_p * 1)(c.addressof(block))
        done = _LIBC.syscall(c.c_long(self._submit), c.c_ulong(self.context), c.c_long(1), blocks)
        if done != 1:
            return _write(fd) if c.get_errno() in (errno.ENOSYS, errno.EPERM) else False
        _LIBC.syscall(c.c_long(self._reap), c.c_ulong(self.context), c.c_long(0), c.c_long(4), self._events, self._now)
        return True

    def close(self) -> None:
        """May be called twice."""
        if self.context:
            _LIBC.syscall(c.c_long(self._destroy), c.c_ulong(self.context))
            os.close(self.memory)
        self.context, self.memory = 0, -1


def _write(fd: int) -> bool:
    room = select.poll()
    room.register(fd, select.POLLOUT)
    try:
        if room.poll(0):
            os.write(fd, _EDGE)
    except OSError:
        return False
    return True
