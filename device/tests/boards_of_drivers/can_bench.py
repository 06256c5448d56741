# SPDX-License-Identifier: Apache-2.0
"""The card with two CAN controllers, and a driver's hand on it: registers by byte, frames, time."""

from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.ports import TraceSink
from plx9x5x.transport.loopback import Loopback
from plx9x5x_boards.esd_can_pci266.can.frame import Frame
from plx9x5x_boards.esd_can_pci266.can.registers import Cmr, Info, Mod, Pelican, Sr

CNTRL, INTCSR = 0x6C, 0x68
LOCAL_RESET, RELOAD = 1 << 30, 1 << 29
LINTI_TO_INTA = 0x900
SPACING = 0x100
TRANSMIT_BUFFER = Pelican.RAM + 64
EVERYTHING, NORMAL = 0xFF, 0
MS = 1_000_000
MBIT, KBIT500, KBIT250 = (0x00, 0x14), (0x00, 0x1C), (0x01, 0x1C)
"""BTR0 and BTR1 with 16 MHz."""


class CanBench:
    """Two controllers, in PeliCAN mode and on the bus once `start` was called for them."""

    def __init__(self, plane: str = "python", trace: TraceSink | None = None) -> None:
        self.clock = VirtualClock()
        self.host = Loopback(
            lambda bus, irq: Chip(load_board("esd-can-pci266"), bus=bus, irq=irq, clock=self.clock, trace=trace),
            clock=self.clock,
            plane=plane,
        )
        self.chip = self.host.device

    def read(self, which: int, register: int) -> int:
        return self.chip.read(2, SPACING * which + register, 1)

    def write(self, which: int, register: int, value: int) -> None:
        self.chip.write(2, SPACING * which + register, 1, value)

    def status(self, which: int) -> int:
        return self.read(which, Pelican.SR)

    def causes(self, which: int) -> int:
        return self.read(which, Pelican.IR)

    def local_reset(self) -> None:
        """What plx_pci does before it looks for controllers."""
        control = self.chip.read(0, CNTRL, 4)
        for value in (control | LOCAL_RESET, control, control | RELOAD, control):
            self.chip.write(0, CNTRL, 4, value)

    def start(
        self, which: int, timing: tuple[int, int] = KBIT500, mode: int = NORMAL, enabled: int = EVERYTHING
    ) -> None:
        """Bring a controller up, with a filter that lets everything pass, and let it join the bus."""
        self.write(which, Pelican.CDR, 0xC7)
        self.write(which, Pelican.MOD, Mod.RESET)
        for place in range(4):
            self.write(which, Pelican.WINDOW + place, 0x00)
            self.write(which, Pelican.WINDOW + 4 + place, 0xFF)
        self.write(which, Pelican.BTR0, timing[0])
        self.write(which, Pelican.BTR1, timing[1])
        self.write(which, Pelican.MOD, Mod.RESET | mode)
        self.write(which, Pelican.IER, enabled)
        self.write(which, Pelican.MOD, mode)
        self.run(100_000)

    def both(self, timing: tuple[int, int] = KBIT500) -> "CanBench":
        for which in (0, 1):
            self.start(which, timing)
        self.chip.write(0, INTCSR, 4, LINTI_TO_INTA)
        return self

    def fill(self, which: int, frame: Frame) -> None:
        """Write the transmit buffer."""
        info = (Info.EXTENDED if frame.extended else 0) | (Info.REMOTE if frame.remote else 0) | frame.code
        width, shift = (4, 3) if frame.extended else (2, 5)
        content = bytes((info,)) + (frame.identifier << shift).to_bytes(width, "big") + frame.data
        for place, byte in enumerate(content):
            self.write(which, Pelican.WINDOW + place, byte)

    def send(self, which: int, frame: Frame, command: int = Cmr.TRANSMIT) -> None:
        self.fill(which, frame)
        self.write(which, Pelican.CMR, command)

    def receive(self, which: int) -> Frame:
        """Take the oldest frame out of the FIFO."""
        assert self.status(which) & Sr.MESSAGE
        info, *rest = (self.read(which, Pelican.WINDOW + place) for place in range(13))
        extended, remote, code = bool(info & Info.EXTENDED), bool(info & Info.REMOTE), info & 0xF
        width, shift = (4, 3) if extended else (2, 5)
        identifier = int.from_bytes(bytes(rest[:width]), "big") >> shift
        self.write(which, Pelican.CMR, Cmr.RELEASE)
        data = b"" if remote else bytes(rest[width : width + min(code, 8)])
        return Frame(identifier, extended, remote, code, data)

    def idle(self, which: int) -> bool:
        """Tell whether the controller takes part, and the bus is free."""
        return not self.status(which) & (Sr.RECEIVING | Sr.TRANSMITTING)

    def run(self, nanoseconds: int) -> None:
        """Let time pass as a server does: the card is stepped at each time that it asked for."""
        end = self.clock.now() + nanoseconds
        while self.clock.now() < end:
            self.chip.step(1 << 16)
            wait = self.chip.wait_ns()
            self.clock.advance(min(end - self.clock.now(), max(1, end if wait is None else wait)))
        self.chip.step(1 << 16)


def standard(identifier: int, data: bytes = b"") -> Frame:
    return Frame(identifier, extended=False, remote=False, code=len(data), data=data)


def extended(identifier: int, data: bytes = b"") -> Frame:
    return Frame(identifier, extended=True, remote=False, code=len(data), data=data)


FRAME = standard(0x123, b"\x11\x22\x33")
