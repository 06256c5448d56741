# SPDX-License-Identifier: Apache-2.0
"""The vector that the silicon lacks: where it is listed, and when it sends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plx9x5x.board import board_names, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.plane.choice import NAMES
from plx9x5x.ports import BusMaster, IrqLine, PciDevice, RegionSpec, ResetKind
from plx9x5x.transport.loopback import Loopback
from plx9x5x.transport.msix import AT, BAR, NoRoom, with_messages
from plx9x5x.transport.wire.client import EventFd, VfioUserClient
from plx9x5x.transport.wire.codec import Irq, IrqFlag
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.units import KIB
from tests.transport.fake_device import CONTROL, LINE, MEMORY, FakeDevice
from tests.transport.support import until

LISTED = 0x10


def fake(bus: BusMaster, irq: IrqLine) -> PciDevice:
    return FakeDevice(bus, irq)


@contextmanager
def serving(path: Path, plane: str) -> Iterator[None]:
    with WireServer(path, with_messages(fake), plane=plane) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield
        finally:
            server.stop()
            thread.join(10)


@pytest.fixture(params=NAMES)
def client(request: pytest.FixtureRequest, folder: Path) -> Iterator[VfioUserClient]:
    with serving(folder / "s", request.param), VfioUserClient(folder / "s") as connected:
        yield connected


def listen(client: VfioUserClient) -> EventFd:
    event = EventFd()
    client.set_irqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, index=Irq.MSIX, fds=(event.fd,))
    return event


def test_a_device_without_the_extension_has_no_vector(folder: Path) -> None:
    with WireServer(folder / "s", fake) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        with VfioUserClient(folder / "s") as client:
            assert client.irq_count(Irq.MSIX) == 0
        server.stop()
        thread.join(10)


def test_there_is_one_vector_and_a_bar_for_its_table(client: VfioUserClient) -> None:
    assert client.irq_count(Irq.MSIX) == 1
    assert client.irq_count(Irq.INTX) == 1
    assert client.region_info(BAR)[1] == 4 * KIB
    client.write(BAR, 0, 0xFEE0_0000)
    client.write(BAR, 2 * KIB, 0xFFFF_FFFF)
    assert (client.read(BAR, 0), client.read(BAR, 2 * KIB)) == (0xFEE0_0000, 0), "pending bits are not to be written"
    client.reset()
    assert client.read(BAR, 0) == 0


def test_who_listens_to_the_vector_hears_by_it_and_not_by_inta(client: VfioUserClient) -> None:
    intx, vector = client.listen_intx(), listen(client)
    client.write(CONTROL, LINE, 1)
    until(lambda: vector.take() == 1)
    client.write(CONTROL, LINE, 0)
    client.write(CONTROL, LINE, 1)
    until(lambda: vector.take() == 1)
    assert intx.take() == 0


def test_a_write_that_leaves_a_cause_sends_once_more(client: VfioUserClient) -> None:
    vector = listen(client)
    client.write(CONTROL, LINE, 1)
    until(lambda: vector.take() == 1)
    client.write(MEMORY, 0, 7)
    until(lambda: vector.take() == 1)
    client.read(MEMORY, 0)
    assert vector.take() == 0, "a read says nothing"
    client.write(CONTROL, LINE, 0)
    client.write(MEMORY, 0, 7)
    assert vector.take() == 0, "no cause is left"


def test_without_anybody_at_the_vector_it_is_inta(client: VfioUserClient) -> None:
    intx, vector = client.listen_intx(), listen(client)
    client.set_irqs(IrqFlag.NONE | IrqFlag.TRIGGER, index=Irq.MSIX, count=0)
    client.write(CONTROL, LINE, 1)
    until(lambda: intx.take() == 1)
    assert vector.take() == 0


@pytest.mark.parametrize("name", board_names())
def test_the_capability_is_the_last_of_the_list_and_changes_nothing_else(name: str) -> None:
    board = load_board(name)
    plain = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq)).device
    device = Loopback(with_messages(lambda bus, irq: Chip(board, bus=bus, irq=irq))).device
    before = [plain.config_read(at, 1) for at in range(256)]
    after = [device.config_read(at, 1) for at in range(256)]
    changed = {at for at in range(256) if before[at] != after[at]}
    found, at = [], 0x34
    while at := after[at]:
        found.append(after[at])
        at += 1
    assert found[-1] == 0x11
    assert after[6] & LISTED
    assert len(changed - set(range(AT, AT + 12))) <= 2, "a pointer, and the status of a chip that had no list"
    assert after[AT : AT + 12] == [0x11, 0, 0, 0, BAR, 0, 0, 0, BAR, 8, 0, 0]


def test_enable_and_mask_are_all_that_can_be_written_until_a_reset() -> None:
    device = Loopback(with_messages(fake)).device
    device.config_write(AT, 4, 0xFFFF_FFFF)
    assert device.config_read(AT, 4) == 0xC000_0011
    device.config_write(AT + 4, 4, 0xFFFF_FFFF)
    assert device.config_read(AT + 4, 4) == BAR
    device.config_write(AT - 2, 4, 0x1234_5678)
    assert device.config_read(AT - 2, 2) == 0x5678, "what stands before it is the device's"
    device.reset(ResetKind.POWER_ON)
    assert device.config_read(AT, 4) == 0x11


def test_a_list_without_end_is_no_hang() -> None:
    device = Loopback(with_messages(fake)).device
    device.config_write(6, 1, LISTED)
    device.config_write(0x34, 1, 0x40)
    device.config_write(0x41, 1, 0x40)
    assert device.config_read(AT, 1) == 0x11


def test_a_device_that_uses_the_bar_is_refused() -> None:
    def full(bus: BusMaster, irq: IrqLine) -> PciDevice:
        return FakeDevice(bus, irq, regions=(RegionSpec(4 * KIB),) * 6)

    with pytest.raises(NoRoom, match="BAR5"):
        Loopback(with_messages(full))
