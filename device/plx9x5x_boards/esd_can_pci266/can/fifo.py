# SPDX-License-Identifier: Apache-2.0
"""The SJA1000's receive FIFO: whole messages in 64 bytes of RAM that wrap round.

Source: SJA1000 data sheet (Philips, 2000 Jan 04), 6.2.1, 6.4.14, 6.4.16, 6.4.17. UNVERIFIED: that the start address
moves on when the last message is released.
"""

from collections import deque
from typing import Final

from plx9x5x_boards.esd_can_pci266.can.registers import FIFO_SIZE


class Fifo:
    """Messages in `ram`, of which it uses the first 64 bytes. `start` is where the oldest one begins."""

    def __init__(self, ram: bytearray) -> None:
        self._ram: Final = ram
        self._lengths: deque[int] = deque()
        self.start = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def store(self, message: bytes) -> bool:
        """Take a message whole; False if there is no room."""
        used = sum(self._lengths)
        if used + len(message) > FIFO_SIZE:
            return False
        for place, byte in enumerate(message, self.start + used):
            self._ram[place % FIFO_SIZE] = byte
        self._lengths.append(len(message))
        return True

    def release(self) -> None:
        """Drop the oldest message, if there is one."""
        if self._lengths:
            self.start = (self.start + self._lengths.popleft()) % FIFO_SIZE

    def clear(self) -> None:
        """Drop all messages; the RAM and the start stay."""
        self._lengths.clear()

    def visible(self, offset: int) -> int:
        """The byte at `offset` of the window on the oldest message; what is behind it shows too."""
        return self._ram[(self.start + offset) % FIFO_SIZE]
