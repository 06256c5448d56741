# SPDX-License-Identifier: Apache-2.0
"""Which kind of DMA channel a chip gets: one that works in C where it can, if the host's memory is of that plane."""

from plx9x5x.errors import SetupError
from plx9x5x.model.engine import Channel
from plx9x5x.plane.port import Mapped
from plx9x5x.ports import BusMaster


def channel_type(bus: BusMaster) -> type[Channel]:
    """Give the class. Raises: SetupError if only half of the native plane is there."""
    if not isinstance(bus, Mapped):
        return Channel
    try:
        from plx9x5x.model.native_channel import NativeChannel  # noqa: PLC0415 - loads the compiled module
    except ImportError as exc:
        raise SetupError(
            f"the native plane lacks its walker: {exc}", hint="install the package again, or take --plane python"
        ) from exc
    return NativeChannel
