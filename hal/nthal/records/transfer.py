# SPDX-License-Identifier: Apache-2.0
"""DMA_TRANSFER_CONTEXT (stand-in)."""

from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class TransferContext:
    """Context."""

    initialized: bool = False

    def initialize(self) -> None:
        """Initialize."""
        self.initialized = True
