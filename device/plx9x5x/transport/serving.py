# SPDX-License-Identifier: Apache-2.0
"""What both servers go by, libvfio.py and wire/server.py: how much they do at a time, and how INTA# is driven."""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from plx9x5x.plane.choice import Plane
from plx9x5x.transport.intx import IntxLine
from plx9x5x.units import KIB

if TYPE_CHECKING:
    from plx9x5x.plane.line import NativeLine

BUDGET: Final = 256 * KIB
"""Bytes of DMA between two looks at the socket: some 10 us of copying, so the look (about 1 us) costs little, and a
register access waits no longer than it does for the client's own wake-up."""

BATCH: Final = 64
"""Messages between two steps: a flood of posted writes holds DMA back for less than a millisecond."""

LONGEST_WAIT_NS: Final = 1_000_000_000
"""The device is asked again at least so often, whatever it says."""

CONFIG_SPACE: Final = 256
"""Bytes of a conventional PCI device's configuration space."""

NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""What a host that lacks something says."""


def is_want_of_room(exc: BaseException) -> bool:
    """Whether the host had no descriptor or no memory: the client pays, and nobody else."""
    return isinstance(exc, MemoryError) or (isinstance(exc, OSError) and exc.errno in NO_ROOM)


DrivenLine: TypeAlias = "IntxLine | NativeLine"


def make_line(plane: Plane, trigger: Callable[[], bool]) -> DrivenLine:
    """INTA#, for the loop that will serve it; `trigger` sends an edge where that is Python's."""
    if plane is Plane.PYTHON:
        return IntxLine(trigger)
    from plx9x5x.plane.line import NativeLine  # noqa: PLC0415 - there only if it was compiled

    return NativeLine()
