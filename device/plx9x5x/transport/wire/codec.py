# SPDX-License-Identifier: Apache-2.0
"""vfio-user messages as values: what stands where, and every limit that can be checked without a device.

A message is a header of 16 bytes and a body; descriptors travel beside it (SCM_RIGHTS). All numbers are little-endian::

    id u16 | command u16 | size u32, header included | flags u32 | error u32

`unpack` of each class takes a body and refuses what is malformed by `Refused`, whose errno goes back to the client.
What makes the rest of the stream unreadable is `FramingLost`: no answer helps there, only hanging up.

Units: bytes. Source: reference/qemu-vfio-user.md section 17; the names of flags are those of Linux's VFIO interface.
"""

import enum
import errno
import json
import os
import struct
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Self

from plx9x5x.units import KIB, MIB

PAGE: Final = 4 * KIB
"""Mappings are multiples of this in address, length and offset."""
MAX_DATA: Final = MIB
"""Data of one message at most, unless the other side takes less."""
MAX_BODY: Final = MAX_DATA + 4 * KIB
"""Of any message: data, and what stands before it."""
MAX_FDS: Final = 16
"""Descriptors beside one message at most."""
MAX_MAPPINGS: Final = 65_535
MAX_CAPABILITIES: Final = 4 * KIB
"""Bytes of the JSON text of a VERSION message; QEMU's has about 250."""
ADDRESSES: Final = 1 << 64

HEADER: Final = struct.Struct("<HHIII")
REPLY: Final = 1
TYPE: Final = 0xF
NO_REPLY: Final = 0x10
ERROR: Final = 0x20


class Command(enum.IntEnum):
    """What a message asks for."""

    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    GET_INFO = 4
    GET_REGION_INFO = 5
    GET_REGION_IO_FDS = 6
    GET_IRQ_INFO = 7
    SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DMA_READ = 11
    DMA_WRITE = 12
    DEVICE_RESET = 13
    REGION_WRITE_MULTI = 15


# As plain numbers, for those that come with each access.
SET_IRQS: Final = int(Command.SET_IRQS)
REGION_READ: Final = int(Command.REGION_READ)
REGION_WRITE: Final = int(Command.REGION_WRITE)


class Irq(enum.IntEnum):
    """The interrupts of a VFIO PCI device, by index."""

    INTX = 0
    MSI = 1
    MSIX = 2
    ERR = 3
    REQ = 4


class IrqFlag(enum.IntFlag):
    """What SET_IRQS does, and with which kind of data."""

    NONE = 1
    BOOL = 2
    EVENTFD = 4
    MASK = 8
    UNMASK = 16
    TRIGGER = 32

    @property
    def kind(self) -> "IrqFlag":
        """The data's."""
        return self & (IrqFlag.NONE | IrqFlag.BOOL | IrqFlag.EVENTFD)

    @property
    def action(self) -> "IrqFlag":
        """What is done."""
        return self & (IrqFlag.MASK | IrqFlag.UNMASK | IrqFlag.TRIGGER)


BARS: Final = 6
CONFIG_REGION: Final = 7
REGIONS: Final = 9
"""BAR0 to BAR5, ROM, configuration space, VGA."""

DEVICE_RESET_FLAG, DEVICE_PCI_FLAG = 1, 2
REGION_READ_FLAG, REGION_WRITE_FLAG = 1, 2
IRQ_EVENTFD_FLAG, IRQ_MASKABLE_FLAG, IRQ_AUTOMASKED_FLAG = 1, 2, 4
MAP_READ, MAP_WRITE = 1, 2
UNMAP_ALL: Final = 2


def words_of(code: int) -> str:
    """An errno in words; the other side may send any number."""
    return os.strerror(code) if 0 <= code < _ERRNOS else f"error {code:#x}"


_ERRNOS: Final = 4096
"""What the kernel takes for one at most."""


class Refused(Exception):
    """A request is answered by an error, `errno`; on the client's side, the server did so."""

    def __init__(self, code: int, why: str = "") -> None:
        super().__init__(f"{words_of(code)}{f': {why}' if why else ''}")
        self.errno = code


class FramingLost(Exception):
    """The stream cannot be read any further: what follows is no message."""


class Header(NamedTuple):
    """The first 16 bytes of a message."""

    id: int
    command: int
    size: int
    flags: int
    error: int

    @property
    def is_reply(self) -> bool:
        """True if it answers a request of ours."""
        return self.flags & TYPE == REPLY

    @property
    def wants_reply(self) -> bool:
        """True unless the sender said that it does not listen."""
        return not self.flags & NO_REPLY

    @property
    def failed(self) -> bool:
        """True of a reply that says so."""
        return bool(self.flags & ERROR)

    @classmethod
    def read(cls, data: bytes | bytearray | memoryview, at: int = 0) -> "Header":
        """Take it from `data`. Raises: FramingLost for a size that no message has."""
        header = cls._make(HEADER.unpack_from(data, at))
        if not HEADER.size <= header.size <= HEADER.size + MAX_BODY:
            raise FramingLost(f"a message of {header.size} bytes: {HEADER.size} to {HEADER.size + MAX_BODY} can be")
        return header


def request(number: int, command: int, body: bytes = b"", *, flags: int = 0) -> bytes:
    """Make a message that asks for something."""
    return HEADER.pack(number, command, HEADER.size + len(body), flags, 0) + body


def answer(to: Header, body: bytes | bytearray | memoryview = b"") -> bytes:
    """Make the reply to a request."""
    return HEADER.pack(to.id, to.command, HEADER.size + len(body), REPLY, 0) + body


def refusal(to: Header, code: int) -> bytes:
    """Make the reply that says why not."""
    return HEADER.pack(to.id, to.command, HEADER.size, REPLY | ERROR, code)


def _fields(layout: struct.Struct, body: bytes | memoryview, *, exact: bool = True) -> tuple[int, ...]:
    if len(body) < layout.size or (exact and len(body) > layout.size):
        raise Refused(errno.EINVAL, f"a body of {len(body)} bytes where {layout.size} belong")
    return layout.unpack_from(body)


def _sized(argsz: int, least: int) -> None:
    if argsz < least:
        raise Refused(errno.EINVAL, f"argsz {argsz} is less than {least}")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a side can do, as far as we mind: limits on what is sent to it, and the two extensions."""

    max_msg_fds: int = 1
    max_data_xfer_size: int = MAX_DATA
    twin_socket: bool = False
    write_multiple: bool = False

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Take them from the JSON text of a VERSION message; what is not there is the default. Raises: Refused."""
        if len(text) > MAX_CAPABILITIES:
            raise Refused(errno.EINVAL, f"{len(text)} bytes of capabilities")
        try:
            found = json.loads(text.rstrip(b"\0") or b"{}")
            said = found.get("capabilities", {})
            return cls(
                max_msg_fds=_number(said, "max_msg_fds", 1, low=0),
                max_data_xfer_size=_number(said, "max_data_xfer_size", MAX_DATA, low=PAGE),
                twin_socket=said.get("twin_socket", {}).get("supported", False) is True,
                write_multiple=said.get("write_multiple", False) is True,
            )
        # A text may be no JSON, nest too deep for the parser, hold other types than these, or digits without end.
        except (ValueError, RecursionError, AttributeError) as exc:
            raise Refused(errno.EINVAL, f"capabilities: {exc}") from exc


def _number(said: dict[str, object], name: str, default: int, *, low: int) -> int:
    value = said.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name} is {value!r:.40}")
    return value


@dataclass(frozen=True, slots=True)
class Version:
    """VERSION, of either side. `twin_fd` is the place of the second socket among the reply's descriptors."""

    major: int = 0
    minor: int = 0
    capabilities: Capabilities = Capabilities()
    twin_fd: int | None = None

    _LAYOUT: ClassVar = struct.Struct("<HH")

    def pack(self) -> bytes:
        """Make the body."""
        own = self.capabilities
        said: dict[str, object] = {
            "max_msg_fds": own.max_msg_fds,
            "max_data_xfer_size": own.max_data_xfer_size,
            "pgsizes": PAGE,
            "max_dma_maps": MAX_MAPPINGS,
        }
        if own.twin_socket:
            place = {} if self.twin_fd is None else {"fd_index": self.twin_fd}
            said["twin_socket"] = {"supported": True, **place}
        if own.write_multiple:
            said["write_multiple"] = True
        text = json.dumps({"capabilities": said}).encode()
        return self._LAYOUT.pack(self.major, self.minor) + text + b"\0"

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Self:
        """Take it from a body. Raises: Refused, also for a major version that is not ours."""
        major, minor = _fields(cls._LAYOUT, body, exact=False)
        if major != 0:
            raise Refused(errno.EINVAL, f"version {major}.{minor} is none of ours")
        return cls(major, minor, Capabilities.read(bytes(body[cls._LAYOUT.size :])))


@dataclass(frozen=True, slots=True)
class DmaMap:
    """DMA_MAP: `length` bytes at the bus address `address` are the file's from `offset` on, if one comes along."""

    flags: int
    offset: int
    address: int
    length: int

    _LAYOUT: ClassVar = struct.Struct("<IIQQQ")

    def pack(self) -> bytes:
        """Make the body."""
        return self._LAYOUT.pack(self._LAYOUT.size, self.flags, self.offset, self.address, self.length)

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Self:
        """Take it from a body. Raises: Refused for anything but whole pages inside the address space."""
        argsz, flags, offset, address, length = _fields(cls._LAYOUT, body)
        _sized(argsz, cls._LAYOUT.size)
        if flags & ~(MAP_READ | MAP_WRITE):
            raise Refused(errno.EINVAL, f"flags {flags:#x}")
        _pages(address, length)
        if offset % PAGE or offset + length >= ADDRESSES // 2:  # a file's offsets are signed
            raise Refused(errno.EINVAL, f"{length:#x} bytes from file offset {offset:#x} on")
        return cls(flags, offset, address, length)


@dataclass(frozen=True, slots=True)
class DmaUnmap:
    """DMA_UNMAP: whatever lies within `length` bytes from `address` on is no longer the device's to reach."""

    address: int
    length: int
    flags: int = 0

    _LAYOUT: ClassVar = struct.Struct("<IIQQ")

    def pack(self) -> bytes:
        """Make the body."""
        return self._LAYOUT.pack(self._LAYOUT.size, self.flags, self.address, self.length)

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Self:
        """Take it from a body. Raises: Refused."""
        argsz, flags, address, length = _fields(cls._LAYOUT, body)
        _sized(argsz, cls._LAYOUT.size)
        if flags & ~UNMAP_ALL:
            raise Refused(errno.ENOTSUP, f"flags {flags:#x}: of dirty pages no record is kept")
        if flags & UNMAP_ALL:
            if address or length:
                raise Refused(errno.EINVAL, "an unmap of all with an address")
            return cls(0, ADDRESSES, flags)
        _pages(address, length)
        return cls(address, length, flags)


def _pages(address: int, length: int) -> None:
    if address % PAGE or length % PAGE or not length or address + length > ADDRESSES:
        raise Refused(errno.EINVAL, f"{length:#x} bytes at {address:#x} are no whole pages of the address space")


class _Info(NamedTuple):
    argsz: int
    flags: int
    first: int
    second: int


INFO: Final = struct.Struct("<IIII")
"""GET_INFO: argsz, flags, regions, interrupts. GET_IRQ_INFO: argsz, flags, index, count. GET_REGION_IO_FDS: alike."""

REGION_INFO: Final = struct.Struct("<IIIIQQ")
"""argsz, flags, index, offset of capabilities, size, offset of mapped memory."""


def read_info(body: bytes | memoryview) -> _Info:
    """Take what the three requests with `INFO` as body hold. Raises: Refused."""
    found = _Info._make(_fields(INFO, body))
    _sized(found.argsz, INFO.size)
    return found


def read_region_index(body: bytes | memoryview) -> int:
    """Which region GET_REGION_INFO is about. Raises: Refused, also for one that no PCI device has."""
    argsz, _, index, *_ = _fields(REGION_INFO, body)
    _sized(argsz, REGION_INFO.size)
    if index >= REGIONS:
        raise Refused(errno.EINVAL, f"region {index}")
    return index


@dataclass(frozen=True, slots=True)
class SetIrqs:
    """SET_IRQS. `flags` has one kind and one action; `switches` are the data of BOOL."""

    flags: IrqFlag
    index: int
    start: int
    count: int
    switches: bytes = b""

    _LAYOUT: ClassVar = struct.Struct("<IIIII")

    def pack(self) -> bytes:
        """Make the body."""
        argsz = self._LAYOUT.size + len(self.switches)
        return self._LAYOUT.pack(argsz, self.flags, self.index, self.start, self.count) + self.switches

    @classmethod
    def unpack(cls, body: bytes | memoryview) -> Self:
        """Take it from a body. Raises: Refused for what no device could do."""
        argsz, flags, index, start, count = _fields(cls._LAYOUT, body, exact=False)
        _sized(argsz, cls._LAYOUT.size)
        asked = IrqFlag(flags & 0x3F)
        if flags & ~0x3F or asked.kind.bit_count() != 1 or asked.action.bit_count() != 1:
            raise Refused(errno.EINVAL, f"interrupt flags {flags:#x}")
        if index >= len(Irq):
            raise Refused(errno.EINVAL, f"interrupt index {index}")
        if count == 0 and (start or asked != IrqFlag.NONE | IrqFlag.TRIGGER):
            raise Refused(errno.EINVAL, "no interrupt named")
        data = bytes(body[cls._LAYOUT.size :])
        if len(data) != (count if asked & IrqFlag.BOOL else 0):
            raise Refused(errno.EINVAL, f"{len(data)} bytes of data for {count} interrupts")
        return cls(asked, index, start, count, data)


REGION_ACCESS: Final = struct.Struct("<QII")
"""offset, region, count; then the data. The same begins the reply."""

ACCESS: Final = struct.Struct("<HHIIIQII")
"""A header, and what a region access has behind it: what a server meets most, in one piece."""

UNMASK: Final = struct.Struct("<HHIIIIIIII")
"""A header, and SET_IRQS without data behind it: what it meets next to most."""

DMA_ACCESS: Final = struct.Struct("<QQ")
"""bus address, count; then the data. The same begins the reply."""

MULTI_HEAD: Final = struct.Struct("<Q")
MULTI_ONE: Final = struct.Struct("<QII8s")
MULTI_MOST: Final = 200
"""Writes in one REGION_WRITE_MULTI at most."""


def read_multi(body: bytes | memoryview) -> list[tuple[int, int, int, bytes]]:
    """Take (offset, region, count, data of 8 bytes) of each write of REGION_WRITE_MULTI. Raises: Refused."""
    (count,) = _fields(MULTI_HEAD, body, exact=False)
    rest = body[MULTI_HEAD.size :]
    if not 1 <= count <= MULTI_MOST or len(rest) != count * MULTI_ONE.size:
        raise Refused(errno.EINVAL, f"{count} writes in {len(rest)} bytes")
    return list(MULTI_ONE.iter_unpack(rest))
