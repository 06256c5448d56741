# SPDX-License-Identifier: Apache-2.0
"""What a bus master and a device offer beyond `plx9x5x.ports`, so that data moves and registers are answered in C."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plx9x5x.plane.serving import Part, RegisterPage
    from plx9x5x.plane.table import MappingTable


@runtime_checkable
class Mapped(Protocol):
    """A bus master whose memory C may use."""

    @property
    def mappings(self) -> "MappingTable | None":
        """All that it can reach, and the same table every time; None while it has a say in each access."""
        ...

    @property
    def may_watch(self) -> bool:
        """True if `mappings` may be None one day: then it is asked before each transfer."""
        ...


class PlainDword(Protocol):
    """What a dword of a page is: the places of the values that it reads and writes (-1: the device's), and bits."""

    @property
    def offset(self) -> int:
        """Where it stands."""
        ...

    @property
    def read(self) -> int:
        """Place of the value that a read gives, or -1."""
        ...

    @property
    def write(self) -> int:
        """Place of the value that a write changes, or -1."""
        ...

    @property
    def stored(self) -> int:
        """Bits that a write stores."""
        ...

    @property
    def known(self) -> int:
        """Bits that mean anything; a write of another one is the device's."""
        ...

    @property
    def watched(self) -> int:
        """Bits whose change is the device's."""
        ...


@runtime_checkable
class Paged(Protocol):
    """A device that offers pages of plain registers."""

    @property
    def pages(self) -> "Mapping[int, RegisterPage]":
        """Those that it has, by BAR."""
        ...

    @property
    def part(self) -> "Part | None":
        """What a loop in C may ask in place of the device, None if there is nothing; asked once."""
        ...
