# SPDX-License-Identifier: Apache-2.0
"""What stands where in the register window, and what of it a native transport may answer by itself.

In valid mode the size, PCI address and local address registers of a channel trade places; the queue ports hide behind
mailboxes until they are turned on. Two BARs show the registers: BAR0 all of them, BAR1 the first part, in I/O.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from plx9x5x.model.windows import IO_WINDOW, Bar
from plx9x5x.regs import dma, intr
from plx9x5x.regs.kernel import SHADOW, RegisterFile

if TYPE_CHECKING:
    from plx9x5x.model.native_card import NativeCard
    from plx9x5x.plane.serving import RegisterPage


class Places:
    """Keeps the register file's places, and the pages as file and windows are; `native` None offers nothing."""

    def __init__(self, registers: RegisterFile, native: "NativeCard | None", window: int) -> None:
        self._registers = registers
        self._pages = None if native is None else native.pages
        self.pages: Final[Mapping[int, RegisterPage]] = (
            {}
            if native is None
            else {bar: native.pages.page(size, native.part) for bar, size in enumerate((window, IO_WINDOW))}
        )

    def open(self, decoding: Mapping[int, Bar], *, traced: bool) -> None:
        """Open the pages of the BARs that show registers now: none while a trace wants to hear of each access."""
        for index, page in self.pages.items():
            bar = decoding.get(index)
            page.open(bar is not None and bar.registers > 0 and not traced)

    def arrange(self) -> None:
        """Look at all that decides, after a reset."""
        self._move({**self._of_channel(0), **self._of_channel(1), **self._of_ports()})

    def arrange_channel(self, index: int) -> None:
        """Look at the mode of a DMA channel."""
        self._move(self._of_channel(index))

    def arrange_ports(self) -> None:
        """Show the queue ports or the mailboxes."""
        self._move(self._of_ports())

    def _of_channel(self, index: int) -> dict[int, int]:
        names = dma.CHANNELS[index]
        order = (names.pci_address.offset, names.local_address.offset, names.size.offset)
        valid = self._registers[names.mode] & dma.DmaMode.valid_mode.mask
        shown = (order[2], order[0], order[1]) if valid else order
        return dict(zip(order, shown, strict=True))

    def _of_ports(self) -> dict[int, int]:
        ports = self._registers[intr.QSR] & intr.QSR.i2o_enable.mask
        return {port.offset: port.offset | (SHADOW if ports else 0) for port in (intr.IQP, intr.OQP)}

    def _move(self, where: Mapping[int, int]) -> None:
        """Show some dwords elsewhere from now on. A driver writes DMAMODE before each transfer and moves nothing."""
        moved = self._registers.moved
        if all(moved.get(dword) == place for dword, place in where.items()):
            return
        moved.update(where)
        if self._pages is not None:
            self._pages.show(self._registers.plain())
