# SPDX-License-Identifier: Apache-2.0
"""The memory of one client, as the plane wants it that moves data."""

from typing import TYPE_CHECKING, TypeAlias

from plx9x5x.plane.choice import Plane
from plx9x5x.transport.guest_memory import GuestMemory

if TYPE_CHECKING:
    from plx9x5x.transport.native_memory import NativeGuestMemory

ClientMemory: TypeAlias = "GuestMemory | NativeGuestMemory"


def client_memory(plane: Plane) -> ClientMemory:
    """Make it, empty."""
    if plane is Plane.PYTHON:
        return GuestMemory()
    from plx9x5x.transport.native_memory import NativeGuestMemory  # noqa: PLC0415 - loads the compiled module

    return NativeGuestMemory()
