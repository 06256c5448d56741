# SPDX-License-Identifier: Apache-2.0
"""Each request: its answer, and what it is refused for."""

import struct
from contextlib import closing

import pytest

from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Command, DmaMap, DmaUnmap, IrqFlag, Refused, SetIrqs
from plx9x5x.units import MIB
from tests.transport.conformance.rules import Group, Limit, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import MEMORY
from tests.transport.support import PAGE, refused, still_serves

INFO = codec.INFO.pack(16, 0, 0, 0)
RIGHT = {
    Command.DMA_MAP: DmaMap(3, 0, 0, PAGE).pack(),
    Command.DMA_UNMAP: DmaUnmap(0, PAGE).pack(),
    Command.GET_INFO: INFO,
    Command.GET_REGION_INFO: codec.REGION_INFO.pack(32, 0, 0, 0, 0, 0),
    Command.GET_REGION_IO_FDS: INFO,
    Command.GET_IRQ_INFO: INFO,
    Command.SET_IRQS: SetIrqs(IrqFlag.NONE | IrqFlag.MASK, 0, 0, 1).pack(),
    Command.REGION_READ: codec.REGION_ACCESS.pack(0, MEMORY, 4),
    Command.REGION_WRITE: codec.REGION_ACCESS.pack(0, MEMORY, 4) + b"data",
    Command.DEVICE_RESET: b"",
}
"""A body of each request that is served; an unmap needs the map before it."""
SIZED = [
    command for command in RIGHT if command not in (Command.REGION_READ, Command.REGION_WRITE, Command.DEVICE_RESET)
]
"""Those that begin with argsz."""
NOT_LONG = (Command.DMA_UNMAP, Command.REGION_WRITE, Command.DEVICE_RESET)
"""An unmap may have a bitmap behind it, a write has data; a reset's rule is among the resets."""


def taken(client: VfioUserClient, command: Command, bodies: dict[object, bytes]) -> list[object]:
    """Which of these wrong bodies are not refused."""
    with closing(SharedRam(PAGE)) as ram:
        if command is Command.DMA_UNMAP:
            client.unmap_all()
            client.map(0, PAGE, ram.fd)
        found = [name for name, body in bodies.items() if not refused(client, command, body)]
    still_serves(client)
    return found


@rule(Group.COMMANDS)
def test_each_request_is_answered_by_its_number_and_kind(client: VfioUserClient) -> None:
    for command, right in RIGHT.items():
        with closing(SharedRam(PAGE)) as ram:
            if command is Command.DMA_UNMAP:
                client.unmap_all()
                client.map(0, PAGE, ram.fd)
            number = client.send(command, right, (ram.fd,) if command is Command.DMA_MAP else ())
            assert client.receive()[:4] == (number, command, codec.REPLY, 0)
        still_serves(client)


@rule(Group.COMMANDS)
def test_a_body_too_short_is_refused(client: VfioUserClient) -> None:
    for command in [command for command in RIGHT if command is not Command.DEVICE_RESET]:
        right = RIGHT[command]
        assert taken(client, command, {n: right[:n] for n in range(len(right))}) == []


@rule(
    Group.COMMANDS,
    libvfio=Limit("nothing: what is too much is passed over", match="taken:"),
)
def test_a_body_too_long_is_refused(client: VfioUserClient) -> None:
    for command in [command for command in RIGHT if command not in NOT_LONG]:
        found = taken(client, command, {n: RIGHT[command] + b"\0" * n for n in (1, 4, 64, 4096)})
        assert not found, f"taken: {found}"


@rule(Group.COMMANDS)
def test_an_argsz_less_than_its_structure_is_refused(client: VfioUserClient) -> None:
    for command in SIZED:
        right = RIGHT[command]
        found = taken(client, command, {n: struct.pack("<I", n) + right[4:] for n in (0, 4, len(right) - 1)})
        assert not found, f"taken: {found}"


@rule(Group.COMMANDS)
def test_an_argsz_with_room_to_spare_is_served(client: VfioUserClient) -> None:
    for command in SIZED:
        with closing(SharedRam(PAGE)) as ram:
            if command is Command.DMA_UNMAP:
                client.unmap_all()
                client.map(0, PAGE, ram.fd)
            client.call(command, struct.pack("<I", 4096) + RIGHT[command][4:])
        still_serves(client)


@rule(Group.COMMANDS)
def test_an_unknown_request_is_refused(client: VfioUserClient) -> None:
    for command in [0, 14, 16, 17, 99, 0xFFFF]:
        assert refused(client, command)
        assert refused(client, command, b"\0" * 100)
        still_serves(client)


@rule(Group.COMMANDS)
def test_what_only_a_server_asks_for_is_refused(client: VfioUserClient) -> None:
    for command in [Command.DMA_READ, Command.DMA_WRITE]:
        assert refused(client, command, codec.DMA_ACCESS.pack(0, 4) + b"data")
        still_serves(client)


@rule(Group.COMMANDS)
def test_a_request_that_wants_no_reply_gets_none(client: VfioUserClient) -> None:
    """Whether it is served or refused: what comes next is the answer to the next one."""
    for command in [*RIGHT, 0, 99]:
        for body in (RIGHT.get(Command(command), b"") if command in RIGHT else b"", b"wrong"):
            client.send(command, body, flags=codec.NO_REPLY)
            number = client.send(Command.GET_INFO, INFO)
            assert client.receive()[:2] == (number, Command.GET_INFO)
        still_serves(client)


@rule(Group.COMMANDS)
def test_a_write_with_other_data_than_it_says_is_refused(served: Served, client: VfioUserClient) -> None:
    right = RIGHT[Command.REGION_WRITE]
    for body in (right[:-1], right + b"\0", right + bytes(PAGE)):
        assert refused(client, Command.REGION_WRITE, body)
    assert served.device.accesses == []
    still_serves(client)


OUT_OF_STEP = "the connection is out of step and ends; no client known does this, and QEMU is asked for nothing"


@rule(
    Group.COMMANDS,
    libvfio=Limit(OUT_OF_STEP, error=(AssertionError, ConnectionError), match="a reply was answered|pipe|hung up"),
)
def test_a_reply_that_nobody_waits_for_is_dropped(client: VfioUserClient) -> None:
    for command in [Command.REGION_READ, Command.DMA_READ, Command.DMA_WRITE, 0, 99]:
        client.send(command, b"\0" * 20, flags=codec.REPLY)
        number = client.send(Command.GET_INFO, INFO)
        assert client.receive()[:2] == (number, Command.GET_INFO), "a reply was answered"
        still_serves(client)


@rule(Group.COMMANDS, libvfio=Limit(OUT_OF_STEP, error=(ConnectionError, Refused)))
def test_a_message_that_is_neither_request_nor_reply_is_refused(served: Served, client: VfioUserClient) -> None:
    for kind in [2, 3, 0xF]:
        client.send(Command.REGION_WRITE, RIGHT[Command.REGION_WRITE], flags=kind)
        assert client.receive()[3] != 0
        assert served.device.accesses == []
    still_serves(client)


@rule(Group.COMMANDS)
def test_an_error_in_a_request_says_nothing(client: VfioUserClient) -> None:
    """The field is the reply's."""
    client.socket.sendall(HEADER.pack(9, Command.GET_INFO, HEADER.size + len(INFO), 0, 5) + INFO)
    assert client.receive()[:4] == (9, Command.GET_INFO, codec.REPLY, 0)
    still_serves(client)


@rule(Group.COMMANDS)
def test_no_region_has_descriptors_of_its_own(client: VfioUserClient) -> None:
    answer = client.call(Command.GET_REGION_IO_FDS, codec.INFO.pack(4096, 0, 0, 0))
    assert codec.INFO.unpack(answer[: codec.INFO.size])[3] == 0
    assert refused(client, Command.GET_REGION_IO_FDS, codec.INFO.pack(4096, 0, 99, 0))


@rule(Group.COMMANDS)
def test_there_is_one_intx_and_no_message_interrupt(client: VfioUserClient) -> None:
    assert [client.irq_count(index) for index in range(3)] == [1, 0, 0]
    assert refused(client, Command.GET_IRQ_INFO, codec.INFO.pack(16, 0, 5, 0))


@rule(Group.COMMANDS, libvfio=Limit("nothing: it is answered by no data", match="was served"))
def test_an_access_of_no_bytes_is_refused(client: VfioUserClient) -> None:
    none = codec.REGION_ACCESS.pack(0, MEMORY, 0)
    assert refused(client, Command.REGION_READ, none), "it was served"
    assert refused(client, Command.REGION_WRITE, none), "it was served"


@rule(Group.COMMANDS)
def test_an_access_of_more_than_a_message_has_is_refused(client: VfioUserClient) -> None:
    for count in [MIB + 1, 1 << 31, 0xFFFFFFFF]:
        assert refused(client, Command.REGION_READ, codec.REGION_ACCESS.pack(0, MEMORY, count))
        assert refused(client, Command.REGION_WRITE, codec.REGION_ACCESS.pack(0, MEMORY, count) + b"data")
        still_serves(client)


@rule(Group.COMMANDS)
def test_a_malformed_message_is_refused_and_the_next_one_served(client: VfioUserClient) -> None:
    for command, body in [
        (0, b"\0" * 8),
        (99, b"\0" * 8),
        (Command.VERSION, b"\0" * 4),
        (Command.GET_INFO, b""),
        (Command.GET_INFO, b"\0" * 3),
        (Command.GET_REGION_INFO, struct.pack("<IIIIQQ", 32, 0, 1 << 31, 0, 0, 0)),
        (Command.GET_IRQ_INFO, struct.pack("<IIII", 16, 0, 0xFFFFFFFF, 0)),
        (Command.SET_IRQS, struct.pack("<IIIII", 20, 0x3F, 0, 0, 1)),
        (Command.SET_IRQS, struct.pack("<IIIII", 20, 0x21, 0, 1, 0xFFFFFFFF)),
        (Command.SET_IRQS, struct.pack("<IIIII", 20, 0x11, 4, 0, 1)),
        (Command.DMA_MAP, b"\0" * 4),
        (Command.DMA_MAP, struct.pack("<IIQQQ", 32, 0xFF, 0, 0, 4096)),
        (Command.DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, 1 << 63)),
        (Command.DMA_UNMAP, struct.pack("<IIQQ", 24, 0, 0x123, 4096)),
        (Command.REGION_READ, b"\0" * 5),
        (Command.REGION_READ, struct.pack("<QII", 0, 0, 0x7FFFFFFF)),
        (Command.REGION_READ, struct.pack("<QII", 0xFFFFFFFFFFFFFFFF, 0, 8)),
        (Command.REGION_WRITE, struct.pack("<QII", 0, 0, 64) + b"short"),
    ]:
        with pytest.raises(Refused):
            client.call(command, body)
        client.write(MEMORY, 0, 0xCAFE)
        assert client.read(MEMORY, 0) == 0xCAFE
