# SPDX-License-Identifier: Apache-2.0
"""The files that a client shares its memory by: what we may touch of them, and how, so that their owner can do no harm.

A mapping of a file that shrinks is a SIGBUS, which ends the process. So a file is mapped only if it is sealed against
that (QEMU's memory-backend-memfd is), once and as a whole, however many ranges of it the client maps: a process has
about 65,000 mappings, and a guest with an IOMMU a range a page. Any other file in memory (tmpfs) is read and written by
calls, where the end of the file and a full file system are errors like others.

The first question about a descriptor is for its seals, which the kernel answers by itself: of a file on FUSE or on a
network even fstat asks a daemon, which may never answer. What has no seals is not touched, and the client is asked for
its content by messages instead; likewise huge pages, which no seal keeps in their place and no call can write.

What a descriptor allows is asked of the kernel, never believed; none is kept for a range, one for each file.
"""

import ctypes as c
import errno
import fcntl
import logging
import mmap
import os
import stat
from dataclasses import dataclass
from typing import Final

from plx9x5x.transport.wire import foreign
from plx9x5x.transport.wire.codec import Refused

MAX_FILES: Final = 64
"""Of one client, with what is left of those that grew; QEMU has one for each piece of memory that is plugged in."""

MAX_MAPPED: Final = 1 << 43
"""Bytes of files that are mapped for one client: more than a guest has, less than our address space."""

_LIBC: Final = c.CDLL(None, use_errno=True)
_STATFS_BYTES: Final = 256
"""struct statfs has 120; the type is its first long."""

_TMPFS: Final = 0x01021994
"""The type of a file system in memory. Source: linux/magic.h."""


@dataclass(slots=True)
class MappedFile:
    """A file that cannot shrink, mapped as a whole."""

    memory: mmap.mmap
    writable: bool

    def holds(self, offset: int, length: int, *, writable: bool) -> bool:
        """True if all of a range is in it, with that right."""
        return offset + length <= len(self.memory) and (self.writable or not writable)

    def view(self, offset: int, length: int) -> memoryview:
        """Give a range that the file holds."""
        return memoryview(self.memory)[offset : offset + length]

    def close(self) -> bool:
        """Let go of it; False while views on it are in use."""
        try:
            self.memory.close()
        except BufferError:
            return False
        return True


class CalledFile:
    """A file that its owner may truncate: each access is a call, and one that does not come whole is an abort."""

    piece: Final = 1 << 62
    """A call does nothing else."""

    def __init__(self, fd: int, *, writable: bool) -> None:
        self._fd = fd
        self._writable = writable
        self.reason = ""

    def holds(self, offset: int, length: int, *, writable: bool) -> bool:
        """True if all of a range is in it now, with that right."""
        return offset + length <= os.fstat(self._fd).st_size and (self._writable or not writable)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Read from the file; give the bytes that came."""
        done = 0
        self.reason = _ENDS
        try:
            while done < len(into) and (count := os.preadv(self._fd, [into[done:]], offset + done)):
                done += count
        except OSError as exc:
            self.reason = _refused(exc)
        return done

    def write_from(self, offset: int, data: memoryview) -> int:
        """Write to the file, but not beyond its end; give the bytes that went."""
        done = 0
        self.reason = _ENDS
        try:
            length = min(len(data), os.fstat(self._fd).st_size - offset)
            while done < length and (count := os.pwrite(self._fd, data[done:length], offset + done)):
                done += count
        except OSError as exc:
            self.reason = _refused(exc)
        return done

    def close(self) -> bool:
        """Let go of it; views there are none."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        return True


_ENDS: Final = "the client's file ends before there"


def _refused(exc: OSError) -> str:
    return f"the client's file: {os.strerror(exc.errno or errno.EIO)}"


class GuestFiles:
    """The files of one client, told apart by device and inode. `log` hears what makes it slow."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._files: dict[tuple[int, int, bool], MappedFile | CalledFile] = {}
        self._outgrown: list[MappedFile] = []
        """Mappings of files that have grown since; ranges still use them."""
        self._told = False

    def take(self, fd: int, *, offset: int, length: int, writable: bool) -> MappedFile | CalledFile | None:
        """Give the file of a descriptor, which stays the caller's, if it holds the range; None if it is not touched.

        Raises: Refused.
        """
        mode = fcntl.fcntl(fd, fcntl.F_GETFL)
        if mode & os.O_PATH or mode & os.O_ACCMODE == os.O_WRONLY:
            raise Refused(errno.EACCES, "the descriptor does not allow reading")
        if writable and mode & os.O_ACCMODE != os.O_RDWR:
            raise Refused(errno.EACCES, "the descriptor does not allow writing")
        seals = foreign.seals(fd)
        if seals is None:
            name = foreign.name(fd)
            if not name.startswith("/") or name.startswith("/dev/"):
                raise Refused(errno.EINVAL, "the descriptor is no file's")
        if seals is None or _file_system(fd) != _TMPFS:
            self._tell("is no file in memory, so that it is asked for by messages")
            return None
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise Refused(errno.EINVAL, "the descriptor is no regular file's")
        if mode & os.O_APPEND:
            raise Refused(errno.EINVAL, "the descriptor writes at the file's end alone")
        key = about.st_dev, about.st_ino, mode & os.O_ACCMODE == os.O_RDWR
        file = self._files.get(key)
        if file is None or not file.holds(offset, length, writable=writable):
            if offset + length > about.st_size or isinstance(file, CalledFile):
                raise Refused(errno.EINVAL, f"the range ends at {offset + length:#x}, the file at {about.st_size:#x}")
            file = self._open(key, fd, about.st_size, sealed=bool(seals & fcntl.F_SEAL_SHRINK))
        return file

    def release_unused(self) -> None:
        """Let go of files that no range uses any more. One that is read by calls stays until `clear`."""
        for key, file in list(self._files.items()):
            if isinstance(file, MappedFile) and file.close():
                del self._files[key]
        self._outgrown = [file for file in self._outgrown if not file.close()]

    def clear(self) -> None:
        """Let go of all; views on them are released already."""
        for file in (*self._files.values(), *self._outgrown):
            file.close()
        self._files.clear()
        self._outgrown.clear()

    def _open(self, key: tuple[int, int, bool], fd: int, size: int, *, sealed: bool) -> MappedFile | CalledFile:
        self.release_unused()
        in_use = [*self._files.values(), *self._outgrown]
        if len(in_use) >= MAX_FILES:
            raise Refused(errno.ENOSPC, f"{MAX_FILES} files are in use")
        mapped = sum(len(file.memory) for file in in_use if isinstance(file, MappedFile))
        if sealed and mapped + size > MAX_MAPPED:
            raise Refused(errno.ENOSPC, f"more than {MAX_MAPPED:#x} bytes of files")
        writable = key[2]
        try:
            file = self._map(fd, size, writable=writable) if sealed else self._call(fd, writable=writable)
        except (OSError, ValueError, OverflowError) as exc:
            raise Refused(getattr(exc, "errno", None) or errno.ENOMEM, str(exc)) from exc
        old = self._files.get(key)
        if isinstance(old, MappedFile):
            self._outgrown.append(old)
        self._files[key] = file
        return file

    @staticmethod
    def _map(fd: int, size: int, *, writable: bool) -> MappedFile:
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        return MappedFile(mmap.mmap(fd, size, flags=mmap.MAP_SHARED, prot=protection), writable)

    def _call(self, fd: int, *, writable: bool) -> CalledFile:
        self._tell("is a file that may be truncated, so that it is read and written by calls")
        return CalledFile(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 0), writable=writable)

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            self._log.warning(
                "the client's memory %s, which is slow; with QEMU: memory-backend-memfd,share=on without huge pages",
                what,
            )


def _file_system(fd: int) -> int:
    """What kind of file system a file in memory is on, as statfs says."""
    about = c.create_string_buffer(_STATFS_BYTES)
    if _LIBC.fstatfs(fd, about) != 0:
        code = c.get_errno()
        raise OSError(code, os.strerror(code))
    return c.c_ulong.from_buffer(about).value & 0xFFFFFFFF
