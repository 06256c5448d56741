# SPDX-License-Identifier: Apache-2.0
"""Registers, memory and configuration space by messages, and what the device is asked meanwhile."""

import errno
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plx9x5x.transport.wire.client import VfioUserClient
from plx9x5x.transport.wire.codec import Refused
from plx9x5x.units import KIB
from tests.transport.conformance.rules import Group, Missing, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import CONFIG, CONTROL, FAULT, MEMORY
from tests.transport.support import until


@rule(Group.REGIONS)
def test_the_client_sees_every_region_and_one_intx(client: VfioUserClient) -> None:
    assert [client.region_info(n)[1] for n in range(8)] == [4 * KIB, 256, 128 * KIB, 0, 0, 0, 0, 256]
    assert client.info()[0] & 3 == 3  # PCI, can be reset
    assert client.irq_count(0) == 1


@rule(Group.REGIONS)
def test_a_region_access_keeps_its_width_and_offset(served: Served, client: VfioUserClient) -> None:
    for region in [CONTROL, 1, MEMORY, CONFIG]:
        for width in [1, 2, 3, 4, 8, 32]:
            served.device.accesses.clear()
            value = int.from_bytes(bytes(range(0x81, 0x81 + width)), "little")
            client.write(region, 0xC1, value, width)
            assert client.read(region, 0xC1, width) == value
            assert client.read(region, 0xC1, 1) == 0x81
            if region != CONFIG:
                assert served.device.accesses == [(region, 0xC1, width)] * 2 + [(region, 0xC1, 1)]


@rule(Group.REGIONS)
def test_a_large_block_moves_in_one_access(client: VfioUserClient) -> None:
    value = int.from_bytes(bytes(n % 253 for n in range(4 * KIB)), "little")
    for n in range(32):
        client.write(MEMORY, 4 * KIB * n, value, 4 * KIB)
    assert client.read(MEMORY, 0, 128 * KIB).to_bytes(128 * KIB, "little") == value.to_bytes(4 * KIB, "little") * 32


@rule(Group.REGIONS)
def test_posted_writes_arrive_in_order(served: Served, client: VfioUserClient) -> None:
    for n in range(500):
        client.write(CONTROL, 0xC0, n, posted=True)
        client.write(MEMORY, 4 * n, n, posted=True)
    assert client.read(CONTROL, 0xC0) == 499
    assert [client.read(MEMORY, 4 * n) for n in (0, 1, 250, 499)] == [0, 1, 250, 499]
    assert [offset // 4 for bar, offset, _ in served.device.accesses[:1000] if bar == MEMORY] == list(range(500))


@rule(Group.REGIONS)
def test_config_space_is_the_devices_own(client: VfioUserClient) -> None:
    assert client.read(CONFIG, 0) == 0x960110B5
    client.write(CONFIG, 4, 0xFFFF, 2)  # the libraries' own config space refuses the parity bit
    assert client.read(CONFIG, 4, 2) == 0xFFFF


@rule(Group.REGIONS)
def test_an_access_outside_a_region_is_refused(client: VfioUserClient) -> None:
    for region, offset in ((CONTROL, 4 * KIB), (CONTROL, 4 * KIB - 2), (MEMORY, 1 << 63), (3, 0), (9, 0), (77, 0)):
        with pytest.raises(Refused):
            client.read(region, offset, 4)
        with pytest.raises(Refused):
            client.write(region, offset, 0, 4)
    assert client.read(CONTROL, 0) == 0


@rule(Group.REGIONS)
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


@rule(Group.REGIONS)
def test_a_device_that_waits_for_nothing_is_left_alone(served: Served, client: VfioUserClient) -> None:
    client.read(MEMORY, 0, 4)
    time.sleep(0.05)
    before = served.device.steps
    time.sleep(0.1)
    assert served.device.steps == before


@rule(Group.REGIONS)
def test_a_device_that_waits_for_ever_does_not_keep_the_server_from_stopping(served: Served) -> None:
    served.device.wait = 10**15
    with served.client() as client:
        client.read(MEMORY, 0, 4)
        served.server.stop()
        served.join()


@rule(Group.REGIONS)
def test_a_bug_in_the_device_fails_the_access_and_ends_run(make_served: Callable[[Path], Served], folder: Path) -> None:
    served = make_served(folder / "s")
    served.start()
    with served.client() as client, pytest.raises(Refused) as caught:
        client.read(CONTROL, FAULT)
    assert caught.value.errno == errno.EIO
    served.join()
    assert isinstance(served.failure, RuntimeError)
    served.server.close()
    assert not served.path.exists()


@rule(Group.REGIONS)
def test_every_byte_of_config_space_is_there_and_none_behind_it(client: VfioUserClient) -> None:
    for offset in [0, 4, 0x3C, 0xF8, 0xFF]:
        for width in (1, 2, 4):
            if offset + width <= 256:
                client.write(CONFIG, offset, 0xA5A5A5A5 & (1 << 8 * width) - 1, width)
                assert client.read(CONFIG, offset, width) == 0xA5A5A5A5 & (1 << 8 * width) - 1
            else:
                with pytest.raises(Refused):
                    client.read(CONFIG, offset, width)
                with pytest.raises(Refused):
                    client.write(CONFIG, offset, 0, width)


@rule(Group.REGIONS)
def test_no_access_to_the_last_byte_and_beyond_is_cut_short(served: Served, client: VfioUserClient) -> None:
    """It is refused as a whole, and the device sees none of it."""
    with pytest.raises(Refused):
        client.write(CONTROL, 4 * KIB - 2, 0xFFFFFFFF, 4)
    assert client.read(CONTROL, 4 * KIB - 2, 2) == 0
    assert served.device.accesses == [(CONTROL, 4 * KIB - 2, 2)]


NO_WRITE_MULTIPLE = Missing("the library does not offer write_multiple, so no client sends it")


@rule(Group.REGIONS, libvfio=NO_WRITE_MULTIPLE)
def test_many_writes_in_one_message_arrive_in_order(served: Served, client: VfioUserClient) -> None:
    client.write_many([(MEMORY, 8 * n, n * 0x0101, 1 + n % 8) for n in range(200)])
    assert served.device.accesses == [(MEMORY, 8 * n, 1 + n % 8) for n in range(200)]
    assert client.read(MEMORY, 8 * 199, 8) == 199 * 0x0101


@rule(Group.REGIONS, libvfio=NO_WRITE_MULTIPLE)
def test_many_writes_of_which_one_cannot_be_are_none(served: Served, client: VfioUserClient) -> None:
    for wrong in ((MEMORY, 128 * KIB, 0, 4), (3, 0, 0, 4), (MEMORY, 0, 0, 0), (MEMORY, 0, 0, 9), (77, 0, 0, 4)):
        with pytest.raises(Refused):
            client.write_many([(MEMORY, 0, 1, 4), wrong, (MEMORY, 4, 1, 4)])
    with pytest.raises(Refused):
        client.write_many([(MEMORY, 0, 1, 4)] * 201)
    assert served.device.accesses == []
