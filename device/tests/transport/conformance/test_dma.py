# SPDX-License-Identifier: Apache-2.0
"""DMA through files that the client shares: right bytes, no more of them, and registers that stay quick."""

import os
import resource
import statistics
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plx9x5x.errors import BusAbort, MasterAbort, TargetAbort
from plx9x5x.transport.guest_memory import FarFault, Unreachable
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import Command, Refused
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.units import KIB
from tests.transport.conformance.rules import Group, Limit, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, COPIES, START
from tests.transport.support import PAGE, copied, copy, host_mappings, serves_right, until

BUS = 0x10_0000


@rule(Group.DMA)
def test_dma_copies_through_mapped_memory(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(64 * KIB)
    client.map(0x1_0000_0000, 64 * KIB, ram.fd)
    ram.bytes[:5000] = data = bytes(n % 249 for n in range(5000))
    copy(client, 0x1_0000_0000, 0x1_0000_8001, 5000)
    until(lambda: client.read(CONTROL, COPIES) == 1)
    assert ram.bytes[0x8000 : 0x8001 + 5001] == b"\0" + data + b"\0"
    assert not served.device.aborts


@rule(Group.DMA)
def test_dma_crosses_mappings_with_their_own_offsets(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(4 * PAGE)
    for bus_page, file_page in enumerate((2, 0, 3, 1)):
        client.map(PAGE * bus_page, PAGE, ram.fd, offset=PAGE * file_page)
    ram.bytes[2 * PAGE : 3 * PAGE], ram.bytes[:PAGE] = b"a" * PAGE, b"b" * PAGE
    copy(client, PAGE - 4, 3 * PAGE - 4, 8)
    until(lambda: client.read(CONTROL, COPIES) == 1)
    assert ram.bytes[4 * PAGE - 4 :] == b"aaaa"
    assert ram.bytes[PAGE : PAGE + 5] == b"bbbb\0"
    assert not served.device.aborts


@rule(Group.DMA)
def test_dma_after_an_unmap_aborts(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(4 * PAGE)
    client.map(0, 2 * PAGE, ram.fd)
    client.map(2 * PAGE, 2 * PAGE, ram.fd, offset=2 * PAGE)
    copy(client, 0, 2 * PAGE, PAGE)
    until(lambda: client.read(CONTROL, COPIES) == 1)
    client.unmap(2 * PAGE, 2 * PAGE)
    assert served.server.memory.ranges == ((0, 2 * PAGE),)
    copy(client, 0, 2 * PAGE, PAGE)
    until(lambda: len(served.device.aborts) == 1)
    (abort,) = served.device.aborts
    assert isinstance(abort, MasterAbort)
    assert (abort.address, abort.nearest) == (2 * PAGE, ((0, 2 * PAGE),))


@rule(Group.DMA)
def test_read_only_memory_takes_no_dma_write(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(2 * PAGE)
    client.map(0, PAGE, ram.fd, prot=1)
    client.map(PAGE, PAGE, ram.fd, offset=PAGE)
    copy(client, 0, PAGE, PAGE)
    until(lambda: client.read(CONTROL, COPIES) == 1)
    copy(client, PAGE, 0, PAGE)
    until(lambda: len(served.device.aborts) == 1)
    assert isinstance(served.device.aborts[0], TargetAbort)


@rule(Group.DMA)
def test_a_mapping_beyond_its_file_is_not_touched(served: Served, client: VfioUserClient) -> None:
    """Touching it would be SIGBUS, the end of the server."""
    ram = SharedRam(PAGE)
    if isinstance(served.server, WireServer):
        with pytest.raises(Refused):
            client.map(0, 16 * PAGE, ram.fd)
        return
    client.map(0, 16 * PAGE, ram.fd)
    copy(client, 0, 8 * PAGE, PAGE)
    until(lambda: len(served.device.aborts) == 1)
    assert isinstance(served.device.aborts[0], Unreachable)


@rule(Group.DMA)
def test_endless_dma_leaves_registers_quick(client: VfioUserClient) -> None:
    ram = SharedRam(1024 * KIB)
    client.map(0, 1024 * KIB, ram.fd)
    copy(client, 0, 512 * KIB, 512 * KIB, start=2)
    times = []
    for _ in range(200):
        begin = time.perf_counter()
        client.read(CONTROL, COPIES)
        times.append(time.perf_counter() - begin)
    assert statistics.median(times) < 0.5  # not the slowest: the host may have had other things to do
    client.write(CONTROL, START, 0, 1)
    copies = client.read(CONTROL, COPIES)
    assert copies > 10
    assert client.read(CONTROL, COPIES) == copies, "a stop stops"


@rule(Group.DMA)
def test_a_flood_of_posted_writes_does_not_stop_dma(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(512 * KIB)
    client.map(0, 512 * KIB, ram.fd)
    copy(client, 0, 256 * KIB, 256 * KIB, start=2)
    body = struct.pack("<QII", 0xC0, CONTROL, 4) + b"abcd"
    for _ in range(3000):
        client.send(Command.REGION_WRITE, body, flags=0x10)
    assert client.read(CONTROL, COPIES) > 10
    assert client.read(CONTROL, 0xC0) == int.from_bytes(b"abcd", "little")


SIGBUS = Limit(
    "a client that truncates the file ends the server by SIGBUS; QEMU seals its memory against that",
    match="it is mapped",
)


@pytest.fixture
def unsealed() -> Iterator[int]:
    """Four pages of a file that may shrink."""
    fd = os.memfd_create("unsealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.pwrite(fd, bytes(n % 251 for n in range(4 * PAGE)), 0)
    yield fd
    os.close(fd)


def aborted(served: Served, client: VfioUserClient, source: int, destination: int, length: int) -> BusAbort:
    """What a copy ends with."""
    before = len(served.device.aborts)
    copy(client, source, destination, length)
    until(lambda: len(served.device.aborts) > before)
    return served.device.aborts[-1]


@rule(Group.DMA, libvfio=SIGBUS)
def test_a_file_that_shrinks_under_a_mapping_is_a_bus_abort(
    served: Served, client: VfioUserClient, unsealed: int
) -> None:
    client.map(BUS, 4 * PAGE, unsealed)
    assert host_mappings(unsealed) == 0, "it is mapped: touching it once it has shrunk would end this process"
    copied(client, BUS, BUS + 3 * PAGE, PAGE)
    assert os.pread(unsealed, PAGE, 3 * PAGE) == os.pread(unsealed, PAGE, 0)
    os.ftruncate(unsealed, 2 * PAGE - 8)
    abort = aborted(served, client, BUS + PAGE, BUS, 2 * PAGE)
    assert isinstance(abort, FarFault)
    assert (abort.address, abort.moved) == (BUS + 2 * PAGE - 8, PAGE - 8)
    assert "ends before there" in str(abort)
    assert isinstance(aborted(served, client, BUS, BUS + 3 * PAGE, 8), FarFault)
    assert os.fstat(unsealed).st_size == 2 * PAGE - 8, "no write makes it longer"
    copied(client, BUS, BUS + PAGE, 8)
    client.close()
    serves_right(served)


@rule(Group.DMA, libvfio=SIGBUS)
def test_a_file_system_without_room_is_a_bus_abort(served: Served, client: VfioUserClient, folder: Path) -> None:
    """A limit on the size of files stands for a full one: the kernel refuses the write alike."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(SharedRam(4 * PAGE, sealed=False)) as ram:
        before = host_mappings(ram.fd)
        client.map(BUS, 4 * PAGE, ram.fd)
        assert host_mappings(ram.fd) == before, "it is mapped: touching a page that there is no room for is SIGBUS"
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * PAGE, hard))
        try:
            abort = aborted(served, client, BUS, BUS + PAGE, 2 * PAGE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert isinstance(abort, FarFault)
        assert (abort.address, abort.moved) == (BUS + 2 * PAGE, PAGE)
        assert "the client's file: File too large" in str(abort)
        copied(client, BUS, BUS + 3 * PAGE, PAGE)


@rule(
    Group.DMA,
    libvfio=Limit("a guest with an IOMMU or many mappings: DMA to those that are refused aborts", error=Refused),
)
def test_neighbours_on_the_bus_need_not_be_neighbours_in_the_file(client: VfioUserClient) -> None:
    """64 pages in reverse, and one transfer over all."""
    count = 64
    with closing(SharedRam(2 * count * PAGE)) as ram:
        for n in range(count):
            client.map(BUS + n * PAGE, PAGE, ram.fd, offset=(count - 1 - n) * PAGE)
        client.map(0, count * PAGE, ram.fd, offset=count * PAGE)
        for n in range(count):
            ram.bytes[n * PAGE : (n + 1) * PAGE] = bytes([n]) * PAGE
        copied(client, BUS + 1, 1, count * PAGE - 2)
        right = b"".join(bytes([count - 1 - n]) * PAGE for n in range(count))
        assert ram.bytes[count * PAGE :] == b"\0" + right[1:-1] + b"\0"
