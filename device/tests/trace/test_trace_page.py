# SPDX-License-Identifier: Apache-2.0
"""docs/trace.md shows a trace: a sampling board is driven here, and leaves that one."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

from plx9x5x.board import Window, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.peripheral import LocalPins
from plx9x5x.trace.regnames import RegisterNames
from plx9x5x.trace.regtrace import RegisterTrace
from plx9x5x.transport.host_clock import TimeRule
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import LocalAddr

PAGE = Path(__file__).parents[3] / "docs/trace.md"
RAM = 0x10_0000


class Sampler:
    """A dword each 30 us; the third ends the transfer. A write asserts LINTi#, a write of 0 releases it."""

    size = 8

    def plug(self, pins: LocalPins) -> None:
        self._pins, self._taken = pins, 0
        pins.demand(0, lambda: 4 * (pins.now() // 30_000 - self._taken))

    def read(self, offset: int, length: int) -> bytes:
        self._taken += 1
        if self._taken == 3:
            self._pins.assert_eot(0)
        return self._taken.to_bytes(length, "little")

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._pins.drive_linti(data[0] != 0)

    def view(self, offset: int, length: int) -> None:
        return None


def traced(path: Path) -> str:
    clock = VirtualClock()
    board = replace(load_board("rdk-9656-lite"), windows=(Window("sampler", LocalAddr(0), Sampler),))
    names = RegisterNames(board.profile)
    trace = RegisterTrace(path, now=clock.now, header=f"time {TimeRule()}", names=names.of)
    host = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq, clock=clock, trace=trace), clock=clock)
    host.ram(RAM, 0x1000)
    chip = host.device
    clock.advance(2_000)
    chip.write(0, 0x69, 1, 0x09)
    for offset, value in ((0x80, 0x0002_5C43), (0x84, RAM), (0x88, 0), (0x8C, 64), (0x90, 8)):
        chip.write(0, offset, 4, value)
    chip.write(0, 0xA8, 1, 3)
    host.run()
    chip.read(0, 0xA8, 2)
    chip.write(0, 0xA8, 1, 8)
    chip.write(2, 0, 4, 1)
    chip.read(0, 0x68, 4)
    chip.write(2, 0, 4, 0)
    host.run()
    trace.close()
    return path.read_text()


def test_the_page_shows_what_is_written(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert shown == traced(tmp_path / "trace")


def test_the_pages_sed_leaves_what_older_versions_wrote(tmp_path: Path) -> None:
    (line,) = re.findall(r"^(sed -E .*) FILE$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    lines = [
        "time scale 1, max step 1000000 ns",
        "0.000002000 W 0 0x0a8 1 0x03 ; DMACSR0=0x3 enable=1 start=1  my_start_dma() my_drv.c:212",
        "0.000002000 R 2 0x000 4 0x00000001  my_isr() my_drv.c:90",
        "0.000002000 W 0 0x0a8 1 0x03 ; DMACSR0=0x3 enable=1 start=1",
        "0.000002000 start 0 chained",
    ]
    (tmp_path / "trace").write_text("\n".join(lines) + "\n", encoding="ascii")
    done = subprocess.run(["sh", "-c", f"{line} trace"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "time scale 1, max step 1000000 ns",
        "W 0 0x0a8 1 0x03",
        "R 2 0x000 4 0x00000001",
        "W 0 0x0a8 1 0x03",
        "start 0 chained",
    ]
