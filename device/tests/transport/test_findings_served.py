# SPDX-License-Identifier: Apache-2.0
"""Rules that count reads, with a whole chip behind a socket: who answers a read there is C, the loop or the chip."""

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.plane.choice import Plane
from plx9x5x.rules.room import Room
from plx9x5x.transport.libvfio import LibvfioServer
from plx9x5x.transport.libvfio_abi import LibVfioUser
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.units import KIB
from tests.transport.support import until

RAM = 0x10_0000
INTCSR, MBOX1, CSR = 0x68, 0x44, 0xA8
CONFIG = 7
READS = 5000

Play = Callable[[VfioUserClient], None]


@contextmanager
def served_card(folder: Path, transport: str, library: LibVfioUser, plane: Plane) -> Iterator[tuple[Path, list[str]]]:
    said: list[str] = []

    def make(bus: Any, irq: Any) -> Chip:
        return Chip(load_board("rdk-9656-lite"), bus=bus, irq=irq, trace=Room(said.append))

    path = folder / "s"
    server = (
        LibvfioServer(path, make, library=library, plane=plane)
        if transport == "libvfio"
        else WireServer(path, make, plane=plane)
    )
    with closing(server):
        loop = threading.Thread(target=server.run)
        loop.start()
        try:
            yield path, said
        finally:
            server.stop()
            loop.join(10)


def block(client: VfioUserClient, address: int) -> None:
    for offset, value in ((0x80, 0x2_0443), (0x84, address), (0x88, 0), (0x8C, 64), (0x90, 0), (INTCSR, 0x4_0100)):
        client.write(0, offset, value)
    client.write(0, CSR, 3, 1)
    while address == RAM and not client.read(0, CSR, 1) & 0x10:
        pass


def never_acknowledges(client: VfioUserClient) -> None:
    block(client, RAM)
    for _ in range(READS):
        client.read(0, INTCSR)


def leaves_soon(client: VfioUserClient) -> None:
    never_looks(client, times=20)


def never_looks(client: VfioUserClient, times: int = 1200) -> None:
    """The handler does nothing, and the interrupt is delivered again and again."""
    line = client.listen_intx()
    block(client, RAM)
    for _ in range(times):
        assert select.select([line.fd], [], [], 10)[0]  # a guest unmasks what it was given; else edges are one
        line.take()
        client.unmask_intx()
    client.close()


def waits_for_what_failed(client: VfioUserClient) -> None:
    block(client, 0x7000_0000)
    for _ in range(READS):
        client.read(0, CSR, 1)


def waits_for_the_board(client: VfioUserClient) -> None:
    client.write(0, MBOX1, 0xBEEF)
    for _ in range(READS):
        client.read(0, MBOX1)


def acknowledges(client: VfioUserClient) -> None:
    """Each of 600, after reads that C answers and others that Python does."""
    for _ in range(600):
        block(client, RAM)
        client.read(0, INTCSR)
        client.read(0, INTCSR + 2, 2)
        client.read(0, CSR)
        client.write(0, CSR, 9, 1)
        assert client.read(0, INTCSR) & 1 << 21 == 0


@pytest.mark.parametrize("plane", list(Plane), ids=lambda plane: plane.value)
@pytest.mark.parametrize(
    ("play", "rule"),
    [
        (never_acknowledges, "interrupt-not-acknowledged"),
        (never_looks, "interrupt-not-acknowledged"),
        (leaves_soon, "interrupt-left"),
        (waits_for_what_failed, "spinning"),
        (waits_for_the_board, "nobody-answers"),
        (acknowledges, None),
    ],
)
def test_reads_that_wait_for_nothing_are_named(
    folder: Path, transport: str, library: LibVfioUser, plane: Plane, play: Play, rule: str | None
) -> None:
    with served_card(folder, transport, library, plane) as (path, said):
        with VfioUserClient(path) as client, closing(SharedRam(64 * KIB)) as ram:
            client.map(RAM, 64 * KIB, ram.fd)
            client.write(CONFIG, 4, 7, 2)
            play(client)
        until(lambda: any(line.startswith("findings: ") for line in said))
        found = [line for line in said if line.startswith(("driver", "board")) and "(unmapped-address)" not in line]
    assert [line for line in found if line.endswith(f"({rule})")] == found
    assert len(found) == (rule is not None), said
