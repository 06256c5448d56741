# SPDX-License-Identifier: Apache-2.0
"""DMA_MAP as a hostile client sends it: no byte outside the shared file is read or written."""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import product

import pytest

from plx9x5x.transport.client_view import NotSafe, Probe, view_of
from plx9x5x.transport.guest_memory import Unreachable
from plx9x5x.transport.libvfio_abi import DmaInfo, IoVec
from plx9x5x.transport.wire.client import Refused, SharedRam, VfioUserClient
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.units import KIB
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
