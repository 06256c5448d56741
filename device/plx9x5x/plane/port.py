# SPDX-License-Identifier: Apache-2.0
"""What a bus master offers beyond `plx9x5x.ports.BusMaster`, so that a device may move data in C."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from plx9x5x.plane.table import MappingTable


@runtime_checkable
class Mapped(Protocol):
    """A bus master whose memory C may use."""

    @property
    def mappings(self) -> "MappingTable | None":
        """All that it can reach, and the same table every time; None while it has a say in each access."""
        ...
