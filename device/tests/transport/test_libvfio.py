# SPDX-License-Identifier: Apache-2.0
"""The server on the real library, driven by a client of ours: registers, memory, interrupt, reset."""

import struct
import threading
import time
from collections.abc import Callable

import pytest

from plx9x5x.errors import MasterAbort, TargetAbort
from plx9x5x.ports import ResetKind
from plx9x5x.transport.guest_memory import Unreachable
from plx9x5x.transport.wire import server as wire_server
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Command, Refused
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.units import KIB
from tests.transport.conftest import Served
from tests.transport.fake_device import (
    CONFIG,
    CONTROL,
    COPIES,
    DESTINATION,
    LENGTH,
    LINE,
    MEMORY,
    SOURCE,
    START,
)

PAGE = 4 * KIB
FLOOD = 20_000


def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for something that the server does after its reply."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


def copy(client: VfioUserClient, source: int, destination: int, length: int, *, start: int = 1) -> None:
    client.write(CONTROL, SOURCE, source, 8)
    client.write(CONTROL, DESTINATION, destination, 8)
    client.write(CONTROL, LENGTH, length, 4)
    client.write(CONTROL, START, start, 1)


def test_the_client_sees_every_region_and_one_intx(client: VfioUserClient) -> None:
    assert [client.region_info(n)[1] for n in range(8)] == [4 * KIB, 256, 128 * KIB, 0, 0, 0, 0, 256]
    assert client.info()[0] & 3 == 3  # PCI, can be reset
    assert client.irq_count(0) == 1


@pytest.mark.parametrize("wait", [0, 1, 100_000, 3_000_000])
def test_a_device_that_waits_is_stepped_again_without_a_message(
    served: Served, client: VfioUserClient, wait: int
) -> None:
    served.device.wait = wait
    client.read(MEMORY, 0, 4)
    before = served.device.steps
    until(lambda: served.device.steps > before + 5)
    client.write(MEMORY, 0, 0x1234, 4)
    assert client.read(MEMORY, 0, 4) == 0x1234


def test_a_device_that_waits_for_nothing_is_left_alone(served: Served, client: VfioUserClient) -> None:
    client.read(MEMORY, 0, 4)
    time.sleep(0.05)
    before = served.device.steps
    time.sleep(0.1)
    assert served.device.steps == before


def test_a_device_that_waits_for_ever_does_not_keep_the_server_from_stopping(served: Served) -> None:
    served.device.wait = 10**15
    with served.client() as client:
        client.read(MEMORY, 0, 4)
        served.server.stop()
        served.join()


@pytest.mark.parametrize("region", [CONTROL, 1, MEMORY, CONFIG])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 32])
def test_a_region_access_keeps_its_width_and_offset(
    served: Served, client: VfioUserClient, region: int, width: int
) -> None:
    value = int.from_bytes(bytes(range(0x81, 0x81 + width)), "little")
    client.write(region, 0xC1, value, width)
    assert client.read(region, 0xC1, width) == value
    assert client.read(region, 0xC1, 1) == 0x81
    if region != CONFIG:
        assert served.device.accesses == [(region, 0xC1, width)] * 2 + [(region, 0xC1, 1)]


def test_a_large_block_moves_in_one_access(client: VfioUserClient) -> None:
    value = int.from_bytes(bytes(n % 253 for n in range(4 * KIB)), "little")
    for n in range(32):
        client.write(MEMORY, 4 * KIB * n, value, 4 * KIB)
    assert client.read(MEMORY, 0, 128 * KIB).to_bytes(128 * KIB, "little") == value.to_bytes(4 * KIB, "little") * 32


def test_posted_writes_arrive_in_order(served: Served, client: VfioUserClient) -> None:
    for n in range(500):
        client.write(CONTROL, 0xC0, n, posted=True)
        client.write(MEMORY, 4 * n, n, posted=True)
    assert client.read(CONTROL, 0xC0) == 499
    assert [client.read(MEMORY, 4 * n) for n in (0, 1, 250, 499)] == [0, 1, 250, 499]
    assert [offset // 4 for bar, offset, _ in served.device.accesses[:1000] if bar == MEMORY] == list(range(500))


def test_config_space_is_the_devices_own(client: VfioUserClient) -> None:
    assert client.read(CONFIG, 0) == 0x960110B5
    client.write(CONFIG, 4, 0xFFFF, 2)  # the libraries' own config space refuses the parity bit
    assert client.read(CONFIG, 4, 2) == 0xFFFF


def test_dma_copies_through_mapped_memory(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(64 * KIB)
    client.map(0x1_0000_0000, 64 * KIB, ram.fd)
    ram.bytes[:5000] = data = bytes(n % 249 for n in range(5000))
    copy(client, 0x1_0000_0000, 0x1_0000_8001, 5000)
    until(lambda: client.read(CONTROL, COPIES) == 1)
    assert ram.bytes[0x8000 : 0x8001 + 5001] == b"\0" + data + b"\0"
    assert not served.device.aborts


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


def test_the_same_mapping_twice_is_one(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(PAGE)
    client.map(0, PAGE, ram.fd)
    client.map(0, PAGE, ram.fd)
    assert served.server.memory.ranges == ((0, PAGE),)
    copy(client, 0, 8, 8)
    until(lambda: client.read(CONTROL, COPIES) == 1)


def test_read_only_memory_takes_no_dma_write(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(2 * PAGE)
    client.map(0, PAGE, ram.fd, prot=1)
    client.map(PAGE, PAGE, ram.fd, offset=PAGE)
    copy(client, 0, PAGE, PAGE)
    until(lambda: client.read(CONTROL, COPIES) == 1)
    copy(client, PAGE, 0, PAGE)
    until(lambda: len(served.device.aborts) == 1)
    assert isinstance(served.device.aborts[0], TargetAbort)


@pytest.mark.parametrize("prot", [0, 2, 3])
def test_memory_that_cannot_be_reached_aborts_and_says_why(
    served: Served, client: VfioUserClient, prot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_server, "STALL_S", 0.1)  # without a file it is asked for by messages, and answers none
    if prot == 3:
        client.map(0, PAGE, None)
    else:
        client.map(0, PAGE, SharedRam(PAGE).fd, prot=prot)
    copy(client, 0, 8, 8)
    until(lambda: len(served.device.aborts) == 1)
    assert isinstance(served.device.aborts[0], Unreachable)


def test_a_mapping_beyond_its_file_is_not_touched(served: Served, client: VfioUserClient) -> None:
    """Touching it would be SIGBUS, the end of the server."""
    if isinstance(served.server, WireServer):
        with pytest.raises(Refused):
            client.map(0, 16 * PAGE, SharedRam(PAGE).fd)
        return
    client.map(0, 16 * PAGE, SharedRam(PAGE).fd)
    copy(client, 0, 8 * PAGE, PAGE)
    until(lambda: len(served.device.aborts) == 1)
    assert isinstance(served.device.aborts[0], Unreachable)


def test_a_rising_line_signals_once_until_unmask(client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 1
    client.write(CONTROL, LINE, 0)
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 0
    client.unmask_intx()
    until(lambda: intx.take() == 1)  # the line is still up, so it signals again
    client.write(CONTROL, LINE, 0)
    client.unmask_intx()
    assert intx.take() == 0
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 1


def test_a_masked_line_is_held_until_unmask(client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.mask_intx()
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 0
    client.unmask_intx()
    until(lambda: intx.take() == 1)


def test_a_thousand_rounds_lose_no_interrupt(client: VfioUserClient) -> None:
    intx = client.listen_intx()
    for _ in range(1000):
        client.write(CONTROL, LINE, 1, posted=True)
        client.write(CONTROL, LINE, 0, posted=True)
        client.unmask_intx()
    assert intx.take() == 1000


def test_an_interrupt_raised_before_anybody_listens_is_delivered(client: VfioUserClient) -> None:
    client.write(CONTROL, LINE, 1)
    intx = client.listen_intx()
    until(lambda: intx.take() == 1)


def test_reset_reaches_the_device_and_clears_the_interrupt(served: Served, client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.write(CONTROL, LINE, 1)
    client.write(MEMORY, 0, 0x1234)
    assert intx.take() == 1
    client.reset()
    assert served.device.resets == [ResetKind.POWER_ON]
    assert served.device.line_at_reset == [True]
    assert client.read(MEMORY, 0) == 0
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 1, "the reset has unmasked the line"


def test_the_next_client_finds_a_fresh_device(served: Served) -> None:
    ram = SharedRam(PAGE)
    for _ in range(3):
        with served.client() as client:
            assert client.read(MEMORY, 0) == 0
            assert served.server.memory.ranges == ()
            client.map(0, PAGE, ram.fd)
            intx = client.listen_intx()
            client.write(MEMORY, 0, 0x1234)
            client.write(CONTROL, LINE, 1)
            assert intx.take() == 1
            copy(client, 0, 0, PAGE, start=2)
    until(lambda: served.device.resets == [ResetKind.LOST_CLIENT] * 3)
    assert served.server.memory.ranges == ()


def test_a_second_client_waits_for_its_turn(served: Served, client: VfioUserClient) -> None:
    second = VfioUserClient(served.path, negotiate=False)
    client.write(MEMORY, 0, 1)
    assert client.read(MEMORY, 0) == 1
    client.close()
    second.negotiate()
    assert second.read(MEMORY, 0) == 0
    second.close()


def test_endless_dma_leaves_registers_quick(client: VfioUserClient) -> None:
    ram = SharedRam(1024 * KIB)
    client.map(0, 1024 * KIB, ram.fd)
    copy(client, 0, 512 * KIB, 512 * KIB, start=2)
    slowest = 0.0
    for _ in range(200):
        begin = time.perf_counter()
        client.read(CONTROL, COPIES)
        slowest = max(slowest, time.perf_counter() - begin)
    assert slowest < 0.5
    client.write(CONTROL, START, 0, 1)
    copies = client.read(CONTROL, COPIES)
    assert copies > 10
    assert client.read(CONTROL, COPIES) == copies, "a stop stops"


def test_a_flood_of_posted_writes_does_not_stop_dma(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(512 * KIB)
    client.map(0, 512 * KIB, ram.fd)
    copy(client, 0, 256 * KIB, 256 * KIB, start=2)
    body = struct.pack("<QII", 0xC0, CONTROL, 4) + b"abcd"
    for _ in range(3000):
        client.send(Command.REGION_WRITE, body, flags=0x10)
    assert client.read(CONTROL, COPIES) > 10
    assert client.read(CONTROL, 0xC0) == int.from_bytes(b"abcd", "little")


def test_a_flood_of_posted_writes_does_not_hold_an_interrupt_back(served: Served, client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.write(CONTROL, LINE, 1)
    until(lambda: intx.take() == 1)
    unmask = struct.pack("<IIIII", 20, 0x11, 0, 0, 1)
    write = struct.pack("<QII", 0xC0, CONTROL, 4) + b"abcd"
    one = HEADER.pack(7, Command.REGION_WRITE, HEADER.size + len(write), 0x10, 0) + write
    first = HEADER.pack(6, Command.SET_IRQS, HEADER.size + len(unmask), 0x10, 0) + unmask
    before = len(served.device.accesses)

    def send() -> None:
        # A few whole messages at a time: the kernel cuts a long buffer within one, and the library reads no pieces.
        client.socket.sendall(first)
        for _ in range(FLOOD // 50):
            client.socket.sendall(one * 50)

    flood = threading.Thread(target=send, daemon=True)
    flood.start()
    until(lambda: intx.take() == 1)
    came_at = len(served.device.accesses) - before
    flood.join(30)
    until(lambda: len(served.device.accesses) - before == FLOOD)
    assert came_at < FLOOD // 2


def test_an_access_outside_a_region_is_refused(client: VfioUserClient) -> None:
    for region, offset in ((CONTROL, 4 * KIB), (CONTROL, 4 * KIB - 2), (MEMORY, 1 << 63), (3, 0), (9, 0), (77, 0)):
        with pytest.raises(Refused):
            client.read(region, offset, 4)
        with pytest.raises(Refused):
            client.write(region, offset, 0, 4)
    assert client.read(CONTROL, 0) == 0
