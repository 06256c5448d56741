# SPDX-License-Identifier: Apache-2.0
"""What most peripherals of a board are made of: registers as data, FIFOs behind a port, words by the clock, timers.

::

    class CONTROL(Register, offset=0x4, source="the card's manual, 3.1"):
        run = bit(0, Access.RW, doc="It samples.")

    class Converter(Block):
        registers = (CONTROL,)

        def plugged(self) -> None:
            self.samples = Inflow(words, Pace(1_000_000), width=2, depth=4096, now=self.pins.now, on=False)
            self.port(0, self.samples, dreq=0)

        def on_write_control(self, write: Write) -> None:
            self.samples.switch(on=CONTROL(write.new).run)

    Board(..., windows=(Converter.window("converter", 0),))

Nothing here is known to the chip: a block is a `plx9x5x.peripheral.WordTarget` (docs/writing-a-board.md).
"""

from plx9x5x.blocks.base import ByteBlock
from plx9x5x.blocks.block import Block, Port
from plx9x5x.blocks.fifo import Fifo, Level, Levels
from plx9x5x.blocks.flow import NS_PER_S, Inflow, Outflow, Pace
from plx9x5x.blocks.timer import Timer

__all__ = ["NS_PER_S", "Block", "ByteBlock", "Fifo", "Inflow", "Level", "Levels", "Outflow", "Pace", "Port", "Timer"]
