# SPDX-License-Identifier: Apache-2.0
"""What of a chip is in C: nothing, unless the host's memory is of that plane."""

from typing import TYPE_CHECKING, Final

from plx9x5x.errors import SetupError
from plx9x5x.plane.port import Mapped
from plx9x5x.ports import BusMaster, IrqLine
from plx9x5x.regs import local

if TYPE_CHECKING:
    from plx9x5x.model.native_card import NativeCard

BIG_ENDIAN: Final = (local.BIGEND.dma0.mask, local.BIGEND.dma1.mask)
"""The bit of BIGEND that turns a channel's words, by channel."""

MORE: Final = 1
ASK: Final = 2
INTA_DUE: Final = 4
"""What the card says of its work, in bits: it could go on; the reference has to; INTA# may have to be driven."""


def native_card(bus: BusMaster, irq: IrqLine, window: int) -> "NativeCard | None":
    """Make it. Raises: SetupError if only half of the native plane is there."""
    if not isinstance(bus, Mapped):
        return None
    try:
        from plx9x5x.model.native_card import NativeCard  # noqa: PLC0415 - loads the compiled module
    except ImportError as exc:
        raise SetupError(
            f"the native plane lacks its card: {exc}", hint="install the package again, or take --plane python"
        ) from exc
    return NativeCard(bus, irq, window)
