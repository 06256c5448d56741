# SPDX-License-Identifier: Apache-2.0
"""The ring that QEMU writes records into and a card's server reads: shared memory, a header and the records.

::

    launcher    memfd, magic, capacity, the card's name       QEMU    records, head, lost, state
    server      tail, where the guest has put the BARs

QEMU is hostile once its guest is. A file that is sealed against shrinking is mapped, any other is read by calls: then
one that shrinks gives short reads and no SIGBUS. The capacity is taken once, when the file is opened, and `head` is
believed as far as the capacity goes; what is beyond makes the ring `broken` for good.
"""

import fcntl
import mmap
import os
import stat
import struct
from typing import Final, Literal

from plx9x5x.errors import BadRequest
from plx9x5x.witness.records import RECORD_BYTES, Kind, Record, pack, unpack

MAGIC: Final = b"PLXWIT1\0"
VERSION: Final = 1
HEADER_BYTES: Final = 4096
CAPACITY: Final = 1 << 16
"""Records: 8 MiB. A guest that allocates and accesses at its fastest makes some 100,000 a second."""
MOST_CAPACITY: Final = 1 << 20

HEAD_AT, TAIL_AT, LOST_AT, UNRETURNED_AT, STATE_AT, DEVICE_AT, BARS_AT = 24, 32, 40, 48, 56, 64, 256
DEVICE_BYTES: Final = 32
BARS: Final = 6

NOT_THERE, LOADED, SAW_KERNEL, ENDED = range(4)
"""Values of the state: the plugin is not there, loaded, saw the guest's kernel at the expected addresses, ended."""

_START: Final = struct.Struct("<8sIIQ")
_PLUGIN: Final = struct.Struct("<QQQQI")
"""From HEAD_AT on: head, tail, lost, unreturned, state."""
_HEADER_END: Final = HEAD_AT + _PLUGIN.size
_BAR: Final = struct.Struct("<QQII")
_BATCH: Final = 4096
"""Records that one read takes at most: half a MiB."""


class RingRefused(BadRequest):
    """The file is no ring; the message says why."""


def create(device: str, capacity: int = CAPACITY) -> int:
    """Make a ring for the card that the guest calls `device`; give its descriptor. It can neither shrink nor grow.

    Raises: RingRefused for a capacity that is no power of two or a name that is too long.
    """
    name = device.encode()
    if not 0 < capacity <= MOST_CAPACITY or capacity & (capacity - 1):
        raise RingRefused(f"a ring of {capacity} records: the capacity is a power of two, at most {MOST_CAPACITY}")
    if len(name) >= DEVICE_BYTES:
        raise RingRefused(f"the device's name '{device}' is longer than {DEVICE_BYTES - 1} bytes")
    fd = os.memfd_create("plx9x5x-witness", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, HEADER_BYTES + capacity * RECORD_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    os.pwrite(fd, _START.pack(MAGIC, VERSION, RECORD_BYTES, capacity), 0)
    os.pwrite(fd, name, DEVICE_AT)
    return fd


class _Ring:
    """A ring's file, checked. Raises: RingRefused."""

    def __init__(self, fd: int) -> None:
        try:
            status = os.fstat(fd)
            start, name = os.pread(fd, _START.size, 0), os.pread(fd, DEVICE_BYTES, DEVICE_AT)
        except OSError as exc:
            raise RingRefused(f"descriptor {fd} is no ring: {exc.strerror}") from exc
        if not stat.S_ISREG(status.st_mode) or len(start) < _START.size:
            raise RingRefused(f"descriptor {fd} is no ring: a file in memory with a header is wanted")
        magic, version, size, capacity = _START.unpack(start)
        if magic != MAGIC or version != VERSION or size != RECORD_BYTES:
            raise RingRefused(f"descriptor {fd} is no ring of version {VERSION} with records of {RECORD_BYTES} bytes")
        if not 0 < capacity <= MOST_CAPACITY or capacity & (capacity - 1):
            raise RingRefused(f"descriptor {fd}: a ring's capacity is a power of two, not {capacity}")
        if status.st_size < HEADER_BYTES + capacity * RECORD_BYTES:
            raise RingRefused(f"descriptor {fd}: {status.st_size} bytes do not hold {capacity} records")
        self._fd: Final = fd
        self.capacity: Final[int] = capacity
        self.device: Final = name.partition(b"\0")[0].decode("ascii", "replace")
        """The guest's name of the card."""


class RingReader(_Ring):
    """The server's end. Nothing here raises on what QEMU wrote."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._mapped = _mapped(fd, HEADER_BYTES + self.capacity * RECORD_BYTES)
        self._tail = 0
        self._header = b""
        """As it was when all had been taken."""
        self.lost = self.unreturned = self.state = 0
        """As the header has them; looked at by `drain`."""
        self.left = 0
        """Records that were there, and not taken, when `drain` looked last."""
        self.broken = ""
        """Why nothing can be read any more, in words."""

    @property
    def is_idle(self) -> bool:
        """True if nothing has been recorded, and nothing said, since `drain` had taken all."""
        mapped = self._mapped
        return mapped is not None and mapped[HEAD_AT:_HEADER_END] == self._header

    def drain(self, most: int = MOST_CAPACITY) -> list[Record]:
        """Take the records that are there, `most` at most, and make room for others."""
        if self.broken:
            return []
        try:
            return self._drain(most)
        except (OSError, struct.error):
            self.broken = "the ring's file cannot be read"
            return []

    def _drain(self, most: int) -> list[Record]:
        header = self._read(_PLUGIN.size, HEAD_AT)
        head, _, self.lost, self.unreturned, self.state = _PLUGIN.unpack(header)
        there = head - self._tail
        if not 0 <= there <= self.capacity:
            self.broken = "the ring's head makes no sense"
            return []
        self.left = max(there - most, 0)
        there = min(there, most)
        found: list[Record] = []
        while there:
            at = self._tail % self.capacity
            count = min(there, self.capacity - at, _BATCH)
            found += unpack(self._read(count * RECORD_BYTES, HEADER_BYTES + at * RECORD_BYTES))
            self._tail += count
            there -= count
        tail = self._tail.to_bytes(8, "little")
        if found:
            os.pwrite(self._fd, tail, TAIL_AT)
        self._header = b"" if self.left else header[: TAIL_AT - HEAD_AT] + tail + header[LOST_AT - HEAD_AT :]
        return found

    def _read(self, count: int, at: int) -> bytes:
        """Bytes of the file. QEMU writes the head after the records, and processors here keep such an order."""
        if self._mapped is not None:
            return self._mapped[at : at + count]
        return os.pread(self._fd, count, at)

    def publish(self, bar: int, base: int, size: int, *, io: bool) -> None:
        """Tell where the guest has put a BAR; `size` 0 if it decodes nothing."""
        at = BARS_AT + bar * _BAR.size
        try:
            os.pwrite(self._fd, bytes(8), at + 8)
            os.pwrite(self._fd, base.to_bytes(8, "little"), at)
            os.pwrite(self._fd, int(io).to_bytes(4, "little"), at + 16)
            os.pwrite(self._fd, size.to_bytes(8, "little"), at + 8)
        except OSError:
            self.broken = "the ring's file cannot be written"


def _mapped(fd: int, size: int) -> mmap.mmap | None:
    """Map a file that cannot shrink; None for one that can."""
    try:
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
            return mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
    except OSError:
        pass
    return None


class RingWriter(_Ring):
    """QEMU's end, in Python: for tests, and for whoever plays a guest."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._head = 0
        self._seq = 0

    def put(
        self,
        kind: Kind | int,
        *a: int,
        flags: int = 0,
        width: int = 0,
        pc: int = 0,
        cpu: int = 0,
        text: str = "",
        seq: int | None = None,
    ) -> int | None:
        """Add a record; give its seq, or None where there is no room: then it is counted as lost."""
        self._seq = self._seq + 1 if seq is None else seq
        if self._head - self._number(TAIL_AT) >= self.capacity:
            self._set(LOST_AT, self._number(LOST_AT) + 1)
            return None
        record = Record(self._seq, int(kind), int(flags), cpu, width, pc, a, text)
        os.pwrite(self._fd, pack(record), HEADER_BYTES + self._head % self.capacity * RECORD_BYTES)
        self._head += 1
        self._set(HEAD_AT, self._head)
        return self._seq

    def state(self, value: Literal[0, 1, 2, 3]) -> None:
        """Say how far the plugin is."""
        os.pwrite(self._fd, value.to_bytes(4, "little"), STATE_AT)

    def unreturned(self, count: int) -> None:
        """Say how many calls were never seen to return."""
        self._set(UNRETURNED_AT, count)

    def header(self, at: int, data: bytes) -> None:
        """Write anything into the header, as a hostile QEMU would."""
        os.pwrite(self._fd, data, at)

    def bar(self, bar: int) -> tuple[int, int, bool]:
        """Where the server says that a BAR is: base, size, and whether it is I/O."""
        base, size, io, _ = _BAR.unpack(os.pread(self._fd, _BAR.size, BARS_AT + bar * _BAR.size))
        return base, size, bool(io)

    def _number(self, at: int) -> int:
        return int.from_bytes(os.pread(self._fd, 8, at), "little")

    def _set(self, at: int, value: int) -> None:
        os.pwrite(self._fd, value.to_bytes(8, "little"), at)
