# SPDX-License-Identifier: Apache-2.0
"""What a reset clears, and that a lost client is one."""

from plx9x5x.ports import ResetKind
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import Command
from tests.transport.conformance.rules import Group, Limit, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, COPIES, LINE, MEMORY, START
from tests.transport.support import PAGE, copied, copy, refused, until


@rule(Group.RESETS)
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


@rule(Group.RESETS)
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


@rule(Group.RESETS)
def test_a_reset_keeps_the_clients_memory_and_who_listens(served: Served, client: VfioUserClient) -> None:
    """A guest that reboots maps nothing anew."""
    ram = SharedRam(2 * PAGE)
    client.map(0, 2 * PAGE, ram.fd)
    intx = client.listen_intx()
    client.reset()
    ram.bytes[:4] = b"data"
    copied(client, 0, PAGE, 4)
    assert ram.bytes[PAGE : PAGE + 4] == b"data"
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 1
    assert served.device.resets == [ResetKind.POWER_ON]
    ram.close()


@rule(Group.RESETS)
def test_a_reset_ends_dma_that_never_would(served: Served, client: VfioUserClient) -> None:
    ram = SharedRam(2 * PAGE)
    client.map(0, 2 * PAGE, ram.fd)
    copy(client, 0, PAGE, PAGE, start=2)
    until(lambda: client.read(CONTROL, COPIES) > 3)
    client.reset()
    assert client.read(CONTROL, COPIES) == client.read(CONTROL, START, 1) == 0
    ram.close()


@rule(Group.RESETS)
def test_each_way_to_leave_is_one_reset_of_its_kind(served: Served) -> None:
    for left in range(1, 4):
        with served.client() as client:
            client.reset()
        until(lambda left=left: served.device.resets == [ResetKind.POWER_ON, ResetKind.LOST_CLIENT] * left)


@rule(Group.RESETS, libvfio=Limit("nothing: the body is passed over", match="a reset with a body"))
def test_a_reset_of_another_size_resets_nothing(served: Served, client: VfioUserClient) -> None:
    client.write(MEMORY, 0, 1)
    assert refused(client, Command.DEVICE_RESET, b"\0" * 4), "a reset with a body"
    assert client.read(MEMORY, 0) == 1
    assert served.device.resets == []
