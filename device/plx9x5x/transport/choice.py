# SPDX-License-Identifier: Apache-2.0
"""Which implementation of vfio-user carries the messages: libvfio-user by ctypes, or our own.

`auto` is libvfio-user, unless it is not there or cannot serve what is asked.
"""

import enum
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import BadRequest


class Transport(enum.Enum):
    """What carries the messages."""

    LIBVFIO = "libvfio"
    WIRE = "wire"


AUTO: Final = "auto"
NAMES: Final = (AUTO, *(transport.value for transport in Transport))
LIBVFIO_MAPPINGS: Final = 16
"""What libvfio-user as Debian builds it takes of a client."""


class NoSuchTransport(BadRequest):
    """A name that is no transport's."""


class TooManyMappings(BadRequest):
    """The transport that was asked for has no room for what the guest maps."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A transport, and why it is that one."""

    transport: Transport
    why: str

    def __str__(self) -> str:
        return f"transport {self.transport.value} ({self.why})"


def choose(asked: str, *, has_library: bool, many_mappings: bool = False) -> Choice:
    """Say which one to use. `many_mappings`: the guest maps each page by itself, as it does behind an IOMMU.

    Raises: NoSuchTransport, TooManyMappings.
    """
    if asked not in NAMES:
        raise NoSuchTransport(f"no transport {asked!r}: there are {', '.join(NAMES)}")
    if asked == Transport.LIBVFIO.value and many_mappings:
        raise TooManyMappings(
            f"libvfio-user takes {LIBVFIO_MAPPINGS} mappings, and a guest with an IOMMU makes one a page, so its "
            f"DMA would fail: use --transport {Transport.WIRE.value}"
        )
    if asked != AUTO:
        return Choice(Transport(asked), "as asked")
    if many_mappings:
        return Choice(Transport.WIRE, "the guest maps each page by itself, libvfio-user has no room for that")
    if not has_library:
        return Choice(Transport.WIRE, "libvfio-user is not there; `plx9x5x toolchain fetch` builds it")
    return Choice(Transport.LIBVFIO, "the default")
