# SPDX-License-Identifier: Apache-2.0
"""The memory of one DMA_MAP as a view that is safe to touch: it lies inside what the library has mapped.

The library rounds a file offset down to a page and adds the rest to the address, but maps no page more for it: with
offset 0xfff and 4096 bytes the view would reach 4095 bytes into whatever lies behind. Its addresses are taken for what
they are, and checked.
"""

import ctypes as c
import mmap
import os
from typing import Final

from plx9x5x.transport import libvfio_abi as abi


class NotSafe(Exception):
    """The memory of a mapping is not to be touched; the text says why."""


class Probe:
    """Asks the kernel whether memory may be touched."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("plx9x5x-probe")

    def readable(self, view: memoryview) -> bool:
        """False if the last byte lies beyond the file's end: touching it would be SIGBUS, the kernel says EFAULT."""
        try:
            os.pwrite(self._fd, view[-1:], 0)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def view_of(info: abi.DmaInfo, probe: Probe) -> memoryview | None:
    """Give the bytes of one mapping, None if the client shares no memory that can be read. Raises: NotSafe."""
    length: Final = int(info.iova.iov_len)
    if not info.vaddr or not info.prot & abi.PROT_READ or not length:
        return None
    start, base = int(info.vaddr), int(info.mapping.iov_base or 0)
    if start % mmap.PAGESIZE:
        raise NotSafe(f"its file offset is no multiple of {mmap.PAGESIZE:#x}")
    if not base or start < base or start + length > base + int(info.mapping.iov_len):
        raise NotSafe("it reaches beyond what could be mapped of its file")
    view = memoryview((c.c_char * length).from_address(start)).cast("B")
    if not probe.readable(view):
        raise NotSafe("it reaches beyond the end of its file")
    return view
