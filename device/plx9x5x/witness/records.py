# SPDX-License-Identifier: Apache-2.0
"""One record of the witness: a call of the guest's DMA API, an access of the device, or what else its kernel did.

Little endian, 128 bytes. All records of one guest are in the order in which things happened; calls with a value are
recorded at their return, frees and unmaps at their entry.
"""

import enum
import struct
from typing import Final, NamedTuple

RECORD_BYTES: Final = 128
FAILED: Final = (1 << 64) - 1
"""The dma address of a mapping that failed (DMA_MAPPING_ERROR)."""
TEXT_BYTES: Final = 40

_LAYOUT: Final = struct.Struct("<QBBHIQ8Q40s")
assert _LAYOUT.size == RECORD_BYTES


class Kind(enum.IntEnum):
    """What happened; a0 is the record's first argument, and so on."""

    ACCESS = 1
    """a0 guest physical address or port, a1 value; `width` bytes. Flags 1 write, 2 port, 4 by a helper."""
    ALLOC = 2
    """a0 va (0: failed), a1 handle, a2 size, a3 physical, a4 gfp, a5 attrs. Flags 1 page of a pool, 2 managed."""
    FREE = 3
    """a0 va, a1 handle, a2 size; flags as above."""
    MAP = 4
    """a0 dma address, a1 size, a2 direction, a3 physical, a5 list, a6 index, a7 segments, a4 va if known.

    Of a list `width` is how many entries were asked for, which an IOMMU may have merged to fewer segments.
    """
    UNMAP = 5
    """a0 dma address, a1 size, a2 direction; of a list a5 its pointer, a7 entries asked."""
    SYNC = 6
    """As UNMAP; flags 1 for the device."""
    MASK = 7
    """a0 mask, a1 result (0: taken); flags 1 coherent."""
    MASTER = 8
    """Flags 1 pci_set_master, 0 pci_clear_master, 2 pci_disable_device."""
    IRQ = 9
    """a0 irq, a1 handler, a2 thread_fn, a3 flags, a4 dev_id, a5 result; flags 1 free_irq."""
    POOL_CREATE = 10
    """a0 pool, a1 size, a2 align, a3 boundary."""
    POOL_ALLOC = 11
    """a0 va, a1 handle, a2 pool."""
    POOL_FREE = 12
    POOL_DESTROY = 13
    """a0 pool."""
    MODULE = 14
    """a0 struct module, a1 core text, a2 its size, a3 init text, a4 its size; text its name; flags 1 going."""
    TOUCH = 15
    """The driver's own code read or wrote its DMA memory since the last ACCESS or HANDLER: a0 first va, a1 end,
    a2 times, a3 va of the allocation's start, a4 its handle, a5 seq of that one; flags 1 write, 2 a poll."""
    CONFIG = 16
    """A call that is about to write configuration space: a0 offset, a1 value."""
    HANDLER = 17
    """An interrupt handler of a watched driver begins, or the function of its thread."""


class Access(enum.IntEnum):
    """Flags of ACCESS. No IntFlag: that does its `&` in Python, for each access of the guest."""

    WRITE = 1
    PORT = 2
    HELPER = 4


class Alloc(enum.IntEnum):
    """Flags of ALLOC and FREE."""

    POOL_PAGE = 1
    MANAGED = 2


class Mask(enum.IntEnum):
    """Flags of MASK."""

    COHERENT = 1


class Master(enum.IntFlag):
    """Flags of MASTER."""

    SET = 1
    DISABLED = 2


class Touch(enum.IntEnum):
    """Flags of TOUCH; no IntFlag, as above."""

    WRITE = 1
    POLL = 2


FOR_DEVICE: Final = 1
"""Flag of SYNC."""
GONE: Final = 1
"""Flag of MODULE and of IRQ: it goes, it was given back."""


class Record(NamedTuple):
    """One, as it stands in the ring; nothing in it is trusted. `kind` may be none of `Kind`."""

    seq: int
    kind: int
    flags: int
    cpu: int
    width: int
    pc: int
    a: tuple[int, ...]
    text: str = ""


def unpack(data: bytes | memoryview) -> list[Record]:
    """Read whole records."""
    make = tuple.__new__  # Record(...) takes twice as long, and there is one for each access of the guest
    return [
        make(
            Record,
            (seq, kind, flags, cpu, width, pc, (a0, a1, a2, a3, a4, a5, a6, a7), _text(text) if text[0] else ""),
        )
        for seq, kind, flags, cpu, width, pc, a0, a1, a2, a3, a4, a5, a6, a7, text in _LAYOUT.iter_unpack(data)
    ]


def pack(record: Record) -> bytes:
    """The bytes of one. Raises: struct.error for a number that does not fit."""
    a = (*record.a, *(0,) * (8 - len(record.a)))
    text = record.text.encode()[:TEXT_BYTES]
    return _LAYOUT.pack(record.seq, record.kind, record.flags, record.cpu, record.width, record.pc, *a, text)


def _text(data: bytes) -> str:
    """Up to the first NUL; what is no printable ASCII is left out, for the text is shown."""
    return "".join(chr(byte) for byte in data.partition(b"\0")[0] if 0x20 <= byte < 0x7F)
