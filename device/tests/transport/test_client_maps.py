# SPDX-License-Identifier: Apache-2.0
"""DMA_MAP as a hostile client sends it: no byte outside the shared file is read or written."""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import product

import pytest

from plx9x5x.errors import BusAbort, MasterAbort
from plx9x5x.transport.client_view import NotSafe, Probe, view_of
from plx9x5x.transport.guest_memory import GuestMemory, Unreachable
from plx9x5x.transport.libvfio_abi import DmaInfo, IoVec, LibVfioUser
from plx9x5x.transport.native_memory import NativeGuestMemory
from plx9x5x.transport.refusals import MOST, LibraryRefusals, Refusals, TurnedAway, Unmapped
from plx9x5x.transport.wire.client import Refused, SharedRam, VfioUserClient
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.units import KIB, BusAddr
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, COPIES, MEMORY
from tests.transport.support import copy, serves_right, until

PAGE = 4 * KIB
BUS = 0x10_0000


def try_to_map(client: VfioUserClient, iova: int, length: int, fd: int, offset: int) -> bool:
    try:
        client.map(iova, length, fd, offset=offset)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("offset", [1, 0xFFF, PAGE + 0x800])
@pytest.mark.parametrize("to_client", [True, False])
def test_a_mapping_at_no_page_of_its_file_has_no_memory(
    served: Served, client: VfioUserClient, offset: int, to_client: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ram, own = SharedRam(4 * PAGE), SharedRam(PAGE)
    client.map(0, PAGE, own.fd)
    if not try_to_map(client, BUS, PAGE, ram.fd, offset):
        return
    source, destination = (0, BUS) if to_client else (BUS, 0)
    copy(client, source, destination, PAGE)
    until(lambda: len(served.device.aborts) == 1)
    assert isinstance(served.device.aborts[0], Unreachable)
    assert ram.bytes[:] == bytes(4 * PAGE)
    assert any("is not used: its file offset" in line for line in caplog.messages)
    client.close()
    serves_right(served)


def test_no_length_or_offset_reaches_outside_the_file(served: Served, client: VfioUserClient) -> None:
    """Every accepted mapping is copied from and to as a whole: what is not ours to touch would end this process."""
    own = SharedRam(4 * PAGE)
    client.map(0, 4 * PAGE, own.fd)
    marks = bytes(n % 251 for n in range(2 * PAGE))
    lengths = (1, 100, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE)
    offsets = (0, 1, 100, PAGE - 1, PAGE, 2 * PAGE - 1, 2 * PAGE, 1 << 40, (1 << 63) - PAGE, (1 << 63) - 1, 1 << 63)
    copies = mapped = 0
    for length, offset in product(lengths, (*offsets, (1 << 64) - PAGE, (1 << 64) - 1)):
        ram = SharedRam(2 * PAGE)
        ram.bytes[:] = marks
        if not try_to_map(client, BUS, length, ram.fd, offset):
            continue
        mapped += 1
        for source, destination in ((BUS, 0), (0, BUS)):
            aborts = len(served.device.aborts)
            copy(client, source, destination, length)
            until(
                lambda before=aborts, done=copies: (
                    len(served.device.aborts) > before or client.read(CONTROL, COPIES) > done
                )
            )
            copies = client.read(CONTROL, COPIES)
            if len(served.device.aborts) == aborts:
                assert own.bytes[:length] == marks[offset : offset + length], (length, offset)
        assert ram.bytes[:] == marks
        client.unmap(BUS, length)
    if isinstance(served.server, WireServer):
        assert mapped == 3, "whole pages alone, and no more than the file has"
        assert copies == 2 * 3
    else:
        assert mapped > 8
        assert copies >= 2 * 7, "aligned mappings inside the file do work"


@pytest.mark.parametrize("iova", [(1 << 64) - PAGE, (1 << 64) - 1, 1 << 63])
def test_a_mapping_that_wraps_around_the_address_space_does_no_harm(
    served: Served, client: VfioUserClient, iova: int
) -> None:
    ram = SharedRam(2 * PAGE)
    for length, offset in product((1, PAGE, 2 * PAGE), (0, 0xFFF)):
        with suppress(Refused):
            client.map(iova, length, ram.fd, offset=offset)
            copy(client, iova, iova, 2 * PAGE)
            client.read(MEMORY, 0)
            client.unmap(iova, length)
    client.close()
    serves_right(served)


def offer(client: VfioUserClient, count: int) -> list[int]:
    """Offer so many pages, each a mapping of its own; give the bus addresses of those that were refused."""
    ram = SharedRam(count * PAGE)
    pages = [(BUS + 2 * number * PAGE, number * PAGE) for number in range(count)]
    return [address for address, offset in pages if not try_to_map(client, address, PAGE, ram.fd, offset)]


def aborts_at(served: Served, client: VfioUserClient, address: int) -> BusAbort:
    before = len(served.device.aborts)
    copy(client, address, address, 8)
    until(lambda: len(served.device.aborts) > before)
    return served.device.aborts[-1]


def test_a_mapping_without_room_is_named_at_its_addresses_and_nowhere_else(
    served: Served, client: VfioUserClient, library: LibVfioUser
) -> None:
    room = library.max_dma_regions
    if room > 100 or isinstance(served.server, WireServer):
        assert offer(client, 17) == [], "the new library and the wire have room for all"
        return
    first, last = offer(client, room + 2)
    for address in (first, first + PAGE - 8, last):
        abort = aborts_at(served, client, address)
        assert isinstance(abort, TurnedAway)
        assert f"the client offered memory for bus address {address:#x}, but" in str(abort)
        assert f"it takes {room} mappings" in str(abort)
        assert "--transport wire" in str(abort)
        assert abort.nearest
    for address in (first + PAGE, first - PAGE, 0):
        abort = aborts_at(served, client, address)
        assert type(abort) is MasterAbort
        assert "nothing is mapped" in str(abort)
    # Room again, and the same offer is taken; then gone again, it was mapped and is not any more.
    client.unmap(BUS, PAGE)
    ram = SharedRam(PAGE)
    client.map(first, PAGE, ram.fd)
    client.unmap(first, PAGE)
    assert type(aborts_at(served, client, first)) is Unmapped
    client.close()
    with served.client() as another:
        assert type(aborts_at(served, another, last)) is MasterAbort


def test_what_is_remembered_of_a_hostile_client_is_bounded(served: Served, client: VfioUserClient) -> None:
    offer(client, 17)
    ram = SharedRam(PAGE)
    for number in range(MOST + 50):
        try_to_map(client, (1 << 40) + number * PAGE, PAGE, ram.fd, 0)
    assert len(served.server.memory.refused) <= MOST
    client.close()
    serves_right(served)
    until(lambda: len(served.server.memory.refused) == 0)


def test_other_refusals_are_told_too_and_unknown_lines_are_not_taken() -> None:
    refusals = Refusals()
    library = LibraryRefusals(refusals)
    for line in (
        b"hit max regions 16",
        b"failed to add DMA region [0x1000, 0x3000) offset=0 flags=0x3: Invalid argument",
        b"failed to add DMA region [0, 0x1000) offset=0x1000 flags=0x3: Too many open files",
        b"failed to add DMA region [odd, 12z) offset=0x1000 flags=0x3: why",
        b"msg0x12: cmd 2 failed: Invalid argument",
    ):
        library.hear(line)
    assert len(refusals) == 2
    assert "it takes 16 mappings" in str(refusals.abort(BusAddr(0x2FFF), moved=0, nearest=()))
    assert "refused it (Too many open files)" in str(refusals.abort(BusAddr(0), moved=0, nearest=()))
    assert "nothing is mapped" in str(refusals.abort(BusAddr(0x3000), moved=0, nearest=()))


@pytest.fixture
def probe() -> Iterator[Probe]:
    with closing(Probe()) as made:
        yield made


@pytest.mark.parametrize(
    ("start", "length", "mapped", "safe"),
    [
        (0, 2 * PAGE, 2 * PAGE, True),
        (PAGE, PAGE, 2 * PAGE, True),
        (0, 2 * PAGE + 1, 2 * PAGE, False),
        (PAGE, 2 * PAGE, 2 * PAGE, False),  # as the library does where the file's pages are larger than the machine's
        (2 * PAGE, 1, 2 * PAGE, False),
        (-PAGE, PAGE, 2 * PAGE, False),
        (0, 1, 0, False),
    ],
)
def test_a_view_lies_inside_the_mapping(probe: Probe, start: int, length: int, mapped: int, safe: bool) -> None:
    """Pages of ours lie on both sides, so only the check can tell."""
    with mmap.mmap(-1, 4 * PAGE) as memory:
        inside = (ctypes.c_char * (4 * PAGE)).from_buffer(memory)
        base = ctypes.addressof(inside) + PAGE
        del inside
        info = DmaInfo(IoVec(0, length), base + start, IoVec(base, mapped), PAGE, 3)
        if safe:
            view = view_of(info, probe)
            assert view is not None
            assert view.nbytes == length
        else:
            with pytest.raises(NotSafe, match="beyond what could be mapped"):
                view_of(info, probe)


@pytest.mark.parametrize("memory", [GuestMemory, NativeGuestMemory])
def test_what_was_never_mapped_was_not_taken_back(memory: type[GuestMemory | NativeGuestMemory]) -> None:
    """An unmap may name more than was mapped, even everything."""
    table = memory()
    for at in range(3):
        table.map(BUS + 4 * at * PAGE, PAGE, memoryview(bytearray(PAGE)), writable=True)
    table.unmap(BUS + 10, 1 << 63)
    for address, kind in (
        (BUS, Unmapped),
        (BUS + 8 * PAGE, Unmapped),
        (BUS + PAGE, MasterAbort),
        (1 << 40, MasterAbort),
    ):
        with pytest.raises(MasterAbort) as caught:
            table.read_into(BusAddr(address + 16), memoryview(bytearray(4)))
        assert type(caught.value) is kind, hex(address)


@pytest.mark.parametrize("memory", [GuestMemory, NativeGuestMemory])
def test_a_guests_first_memory_was_no_buffer(memory: type[GuestMemory | NativeGuestMemory]) -> None:
    """It was mapped until the guest's IOMMU was on: a driver that gives address 0 freed nothing too early."""
    table = memory()
    table.map(0, 0xA_0000, memoryview(bytearray(0xA_0000)), writable=True)
    table.unmap(0, 1 << 63)
    with pytest.raises(MasterAbort) as caught:
        table.read_into(BusAddr(0), memoryview(bytearray(4)))
    assert type(caught.value) is MasterAbort
