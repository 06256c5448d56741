# SPDX-License-Identifier: Apache-2.0
"""Which bus addresses reach which bytes: maps that overlap, unmaps that split, and 65,535 of them in one file."""

import errno
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from plx9x5x.errors import MasterAbort
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import MAX_MAPPINGS, Command, DmaMap, DmaUnmap, Refused
from plx9x5x.units import MIB
from tests.length import tries
from tests.transport.conformance.rules import Group, Limit, Missing, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, COPIES, MEMORY
from tests.transport.support import (
    PAGE,
    copied,
    copy,
    host_mappings,
    map_message,
    open_descriptors,
    refused,
    serves_right,
    still_serves,
    until,
)

BUS = 0x10_0000
RANGES = Limit(
    "a guest with an IOMMU that reboots: unmaps of ranges are refused, and DMA may reach pages of the guest before",
    error=(Refused, AssertionError),
    match="No such file|range|stays",
)
OVERLAP = Limit(
    "an overlapping map is refused, and QEMU says so on its stderr; the one before stays",
    error=Refused,
    match="Invalid argument",
)


@pytest.fixture
def ram() -> Iterator[SharedRam]:
    """64 pages, each with its number in all bytes."""
    with closing(SharedRam(64 * PAGE)) as made:
        for n in range(64):
            made.bytes[n * PAGE : (n + 1) * PAGE] = bytes([n]) * PAGE
        yield made


def seen(client: VfioUserClient, ram: SharedRam, addresses: list[int]) -> list[int]:
    """Which page of `ram` is at each bus address, as the device reads it. Its last page is written over."""
    found = []
    for address in addresses:
        copied(client, address, SCRATCH, 8)
        assert len(set(ram.bytes[-8:])) == 1
        found.append(ram.bytes[-1])
    return found


SCRATCH = 0x7FFF_FFFF_FFF8
"""Where the last eight bytes of `ram` are mapped by `scratch`."""


def scratch(client: VfioUserClient, ram: SharedRam) -> None:
    client.map(0x7FFF_FFFF_F000, PAGE, ram.fd, offset=63 * PAGE)


@rule(Group.MAPS)
def test_the_same_mapping_twice_is_one(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(PAGE)
    client.map(0, PAGE, ram.fd)
    client.map(0, PAGE, ram.fd)
    assert served.server.memory.ranges == ((0, PAGE),)
    copy(client, 0, 8, 8)
    until(lambda: client.read(CONTROL, COPIES) == 1)


@rule(Group.MAPS)
@pytest.mark.parametrize(
    "region", [(0, 0), ((1 << 64) - 4096, 8192), ((1 << 64) - 1, 1)], ids=["empty", "wraps", "last"]
)
def test_a_mapping_at_the_edges_of_the_address_space_does_no_harm(
    served: Served, client: VfioUserClient, region: tuple[int, int]
) -> None:
    with suppress(Refused):
        client.map(*region, None)
    client.read(MEMORY, 0)
    client.close()
    serves_right(served)


@rule(Group.MAPS, libvfio=OVERLAP)
def test_of_maps_that_overlap_the_newest_wins(served: Served, client: VfioUserClient, ram: SharedRam) -> None:
    scratch(client, ram)
    client.map(BUS, 8 * PAGE, ram.fd)
    client.map(BUS + 2 * PAGE, 2 * PAGE, ram.fd, offset=16 * PAGE)
    client.map(BUS + 3 * PAGE, 4 * PAGE, ram.fd, offset=32 * PAGE)
    client.map(BUS - PAGE, 2 * PAGE, ram.fd, offset=48 * PAGE)
    assert seen(client, ram, [BUS + n * PAGE for n in range(-1, 8)]) == [48, 49, 1, 16, 32, 33, 34, 35, 7]
    client.map(BUS - PAGE, 9 * PAGE, ram.fd, offset=40 * PAGE)
    assert served.server.memory.ranges == ((BUS - PAGE, 9 * PAGE), (0x7FFF_FFFF_F000, PAGE))
    assert seen(client, ram, [BUS + n * PAGE for n in range(-1, 8)]) == list(range(40, 49))


@rule(Group.MAPS, libvfio=RANGES)
def test_an_unmap_within_a_map_leaves_both_sides(served: Served, client: VfioUserClient, ram: SharedRam) -> None:
    scratch(client, ram)
    client.map(BUS, 8 * PAGE, ram.fd)
    client.unmap(BUS + 2 * PAGE, PAGE)
    client.unmap(BUS + 5 * PAGE, PAGE)
    assert served.server.memory.ranges[:-1] == ((BUS, 2 * PAGE), (BUS + 3 * PAGE, 2 * PAGE), (BUS + 6 * PAGE, 2 * PAGE))
    assert seen(client, ram, [BUS + n * PAGE for n in (1, 3, 4, 6)]) == [1, 3, 4, 6]
    for gone in (2, 5):
        copy(client, BUS + gone * PAGE, SCRATCH, 8)
        until(
            lambda gone=gone: served.device.aborts[-1:] != [] and served.device.aborts[-1].address == BUS + gone * PAGE
        )
        assert isinstance(served.device.aborts[-1], MasterAbort)


@rule(Group.MAPS, libvfio=RANGES)
def test_an_unmap_over_many_maps_takes_all_within(served: Served, client: VfioUserClient, ram: SharedRam) -> None:
    for n in range(12):
        client.map(BUS + 2 * n * PAGE, PAGE, ram.fd, offset=n * PAGE)
    client.unmap(BUS + 4 * PAGE, 17 * PAGE)
    assert [(at - BUS) // PAGE for at, _ in served.server.memory.ranges] == [0, 2, 22]
    client.unmap(0, 1 << 40)
    assert served.server.memory.ranges == ()


@rule(Group.MAPS, libvfio=RANGES)
def test_an_unmap_of_what_is_not_mapped_is_served(client: VfioUserClient) -> None:
    client.unmap(BUS, PAGE)
    still_serves(client)


@rule(Group.MAPS)
def test_an_unmap_of_all_takes_all(served: Served, client: VfioUserClient, ram: SharedRam) -> None:
    for n in range(12):
        client.map(BUS + 2 * n * PAGE, PAGE, ram.fd, offset=n * PAGE)
    client.unmap_all()
    assert served.server.memory.ranges == ()
    client.unmap_all()
    client.map(BUS, PAGE, ram.fd)
    still_serves(client)


@rule(Group.MAPS)
def test_an_unmap_of_what_was_mapped_is_answered_by_itself(client: VfioUserClient, ram: SharedRam) -> None:
    client.map(BUS, PAGE, ram.fd)
    assert client.call(Command.DMA_UNMAP, DmaUnmap(BUS, PAGE).pack()) == DmaUnmap(BUS, PAGE).pack()


@rule(Group.MAPS)
def test_an_unmap_that_asks_for_dirty_pages_is_refused(client: VfioUserClient, ram: SharedRam) -> None:
    client.map(BUS, PAGE, ram.fd)
    assert refused(client, Command.DMA_UNMAP, DmaUnmap(BUS, PAGE, 1).pack() + bytes(32))
    still_serves(client)


@rule(
    Group.MAPS,
    libvfio=Limit("memory at such an offset is not used, and DMA to it aborts with words", match="was mapped"),
)
def test_a_file_offset_within_a_page_is_refused(client: VfioUserClient, ram: SharedRam) -> None:
    for offset in [1, 0x800, 0xFFF, PAGE + 1]:
        assert refused(client, Command.DMA_MAP, DmaMap(3, offset, BUS, PAGE).pack(), (ram.fd,)), "was mapped"


@rule(Group.MAPS, libvfio=Limit("such a range is mapped as asked; QEMU maps whole pages alone", match="was mapped"))
def test_a_range_of_other_than_whole_pages_is_refused(client: VfioUserClient, ram: SharedRam) -> None:
    for address, length in [(BUS + 1, PAGE), (BUS, 1), (BUS, PAGE + 1), (BUS + 0x800, 0x800)]:
        assert refused(client, Command.DMA_MAP, DmaMap(3, 0, address, length).pack(), (ram.fd,)), "was mapped"


@rule(Group.MAPS)
@pytest.mark.parametrize(
    ("address", "length", "offset"),
    [
        (0, 0, 0),
        ((1 << 64) - PAGE, 2 * PAGE, 0),
        (BUS, 1 << 63, 0),
        (BUS, PAGE, 1 << 63),
        (BUS, PAGE, (1 << 63) - PAGE),
        (BUS, PAGE, (1 << 64) - PAGE),
    ],
)
def test_a_range_or_an_offset_beyond_all_numbers_does_no_harm(
    served: Served, client: VfioUserClient, ram: SharedRam, address: int, length: int, offset: int
) -> None:
    with suppress(Refused):
        client.call(Command.DMA_MAP, codec.DmaMap(3, offset, address, length).pack(), (ram.fd,))
    copy(client, address, address, 8)
    still_serves(client)
    client.close()
    serves_right(served)


@rule(Group.MAPS)
def test_flags_that_no_map_has_are_refused(client: VfioUserClient, ram: SharedRam) -> None:
    for flags in [4, 8, 0x10, 1 << 31]:
        assert refused(client, Command.DMA_MAP, DmaMap(flags | 3, 0, BUS, PAGE).pack(), (ram.fd,))
        still_serves(client)


@rule(Group.MAPS)
def test_the_same_file_by_two_descriptors_is_the_same_memory(client: VfioUserClient, ram: SharedRam) -> None:
    with open(f"/proc/self/fd/{ram.fd}", "r+b", buffering=0) as again:  # noqa: PTH123 - a descriptor, no path
        client.map(BUS, PAGE, ram.fd)
        client.map(BUS + PAGE, PAGE, again.fileno(), offset=PAGE)
    copied(client, BUS, BUS + PAGE, PAGE)
    assert ram.bytes[PAGE : 2 * PAGE] == ram.bytes[:PAGE]


SCATTERED = Limit(
    "16 maps at a time: no guest with an IOMMU. Upstream's head keeps a host mapping and a descriptor for each",
    error=(Refused, AssertionError, ConnectionError, TimeoutError),
)


def map_scattered(client: VfioUserClient, ram: SharedRam, pages: list[int]) -> None:
    """Map each of these pages of the file somewhere else, without waiting."""
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, ram.fd.to_bytes(4, sys.byteorder))]
    for n, page in enumerate(pages):
        message = map_message(BUS + 2 * n * PAGE, PAGE, offset=page * PAGE, number=n & 0xFFFF, flags=codec.NO_REPLY)
        client.socket.sendmsg([message], beside)


def check_scattered(client: VfioUserClient, ram: SharedRam, pages: list[int], rng: random.Random) -> None:
    for n in [0, len(pages) - 1, *(rng.randrange(len(pages)) for _ in range(20))]:
        ram.bytes[pages[n] * PAGE : pages[n] * PAGE + 8] = n.to_bytes(8, "little")
        copied(client, BUS + 2 * n * PAGE, SCRATCH, 8)
        assert ram.bytes[-8:] == n.to_bytes(8, "little")


@rule(Group.MAPS, libvfio=SCATTERED)
def test_a_thousand_scattered_pages_of_one_file_cost_one_host_mapping_and_no_descriptor(
    served: Served, client: VfioUserClient
) -> None:
    rng = random.Random(9054)
    with closing(SharedRam(4 * MIB)) as ram:
        scratch_at = len(ram.bytes) - PAGE
        pages = rng.sample(range(scratch_at // PAGE), 1000)
        before, mapped = open_descriptors(), host_mappings(ram.fd)
        map_scattered(client, ram, pages)
        still_serves(client)
        assert served.server.memory.count == 1000
        assert open_descriptors() - before <= 1
        assert host_mappings(ram.fd) - mapped == 1
        client.map(0x7FFF_FFFF_F000, PAGE, ram.fd, offset=scratch_at)
        check_scattered(client, ram, pages, rng)
        client.unmap_all()
        assert host_mappings(ram.fd) == mapped


EVERY = Missing("see the thousand pages")


@rule(Group.MAPS, libvfio=EVERY)
def test_65535_scattered_pages_are_mapped_and_not_one_more(
    served: Served, client: VfioUserClient, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lower limit is the same code: on the Python plane, and where tests have to be fast. All of them take seconds."""
    limit = tries(8192, MAX_MAPPINGS) if native else 2000
    monkeypatch.setattr(codec, "MAX_MAPPINGS", limit)
    rng = random.Random(9656)
    with closing(SharedRam((limit + 1) * PAGE)) as ram:
        pages = list(range(limit))
        rng.shuffle(pages)
        before, mapped = open_descriptors(), host_mappings(ram.fd)
        client.map(SCRATCH & -PAGE, PAGE, ram.fd, offset=limit * PAGE)
        map_scattered(client, ram, pages[1:])
        still_serves(client)
        assert served.server.memory.count == limit
        assert open_descriptors() - before <= 1
        assert host_mappings(ram.fd) - mapped == 1
        check_scattered(client, ram, pages[1:], rng)
        with pytest.raises(Refused) as caught:
            client.map(0, PAGE, ram.fd)
        assert caught.value.errno == errno.ENOSPC
        client.unmap(BUS, PAGE)
        client.map(0, PAGE, ram.fd)
        client.unmap(0, SCRATCH & -PAGE)
        assert served.server.memory.count == 1
