# SPDX-License-Identifier: Apache-2.0
"""VERSION: what either side can do, and what is no VERSION."""

import random

import pytest

from plx9x5x.transport.wire.client import VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Capabilities, Command, Version
from plx9x5x.units import KIB, MIB
from tests.transport.conformance.rules import Group, Limit, Missing, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import MEMORY
from tests.transport.support import read_message, refused, serves_right, still_serves


def told(served: Served, body: bytes, **header: int) -> tuple[int, bytes] | None:
    """What a VERSION with this body is answered by: (error, body), or None if the server hangs up."""
    with VfioUserClient(served.path, negotiate=False, timeout=2) as client:
        try:
            client.send(header.get("command", Command.VERSION), body, flags=header.get("flags", 0))
            _, _, _, error, answer = client.receive()
        except ConnectionError:
            return None
        return error, answer


def turned_away(served: Served, body: bytes, **header: int) -> bool:
    """True if a VERSION is refused, and then the server hangs up on the client, or goes on without it."""
    answer = told(served, body, **header)
    return answer is None or answer[0] != 0


def text(capabilities: str) -> bytes:
    """VERSION 0.0 with this for capabilities."""
    return b"\0\0\0\0" + b'{"capabilities": ' + capabilities.encode() + b"}\0"


@rule(Group.NEGOTIATION)
def test_any_minor_version_is_answered_by_ours(served: Served) -> None:
    for minor in [0, 1, 2]:
        with VfioUserClient(served.path, negotiate=False) as client:
            body = client.call(Command.VERSION, Version(0, minor).pack())
            assert Version.unpack(body).major == 0
            still_serves(client)


@rule(Group.NEGOTIATION)
def test_another_major_version_is_refused(served: Served) -> None:
    for major in [1, 2, 0xFFFF]:
        assert turned_away(served, Version(major, 0).pack())
        serves_right(served)


@rule(Group.NEGOTIATION)
def test_the_answer_says_what_the_server_takes(client: VfioUserClient) -> None:
    assert client.accepted.max_msg_fds >= 8
    assert client.accepted.max_data_xfer_size == MIB
    assert not client.accepted.twin_socket
    assert not client.accepted.write_multiple


@rule(Group.NEGOTIATION)
def test_capabilities_that_nobody_knows_are_passed_over(served: Served) -> None:
    answer = told(served, text('{"made_up": {"deep": [1, 2, 3]}, "max_msg_fds": 3, "migration": {"pgsize": 4096}}'))
    assert answer is not None
    assert answer[0] == 0


@rule(Group.NEGOTIATION)
def test_a_version_without_capabilities_has_the_defaults(served: Served) -> None:
    for body in [b"\0\0\0\0", b"\0\0\0\0{}\0"]:
        answer = told(served, body)
        assert answer is not None
        assert answer[0] == 0


GARBAGE = {
    "half an object": b"\0\0\0\0{\0",
    "no text": b"\0\0\0\0\xff\xfe\xfd\0",
    "a word": b"\0\0\0\0hello\0",
    "capabilities of a number": text("5"),
    "descriptors of a word": text('{"max_msg_fds": "x"}'),
    "nested too deep": b"\0\0\0\0" + b"[" * 4000 + b"\0",
    "nested too deep and closed": text('{"a": ' * 600 + "1" + "}" * 600),
}


@rule(Group.NEGOTIATION)
def test_garbage_for_capabilities_is_refused(served: Served) -> None:
    for what, body in GARBAGE.items():
        assert turned_away(served, body), what
        serves_right(served)


@rule(Group.NEGOTIATION, libvfio=Limit("nothing: it is taken for one without capabilities", match="was taken"))
def test_a_text_that_is_no_object_is_refused(served: Served) -> None:
    assert turned_away(served, b"\0\0\0\0[]\0"), "it was taken"


NO_LIMITS = {
    "fewer than no descriptors": text('{"max_msg_fds": -1}'),
    "true descriptors": text('{"max_msg_fds": true}'),
    "1.5 descriptors": text('{"max_msg_fds": 1.5}'),
    "infinite data": text('{"max_data_xfer_size": Infinity}'),
}


@rule(Group.NEGOTIATION)
def test_a_limit_that_is_none_is_refused(served: Served) -> None:
    for what, body in NO_LIMITS.items():
        assert turned_away(served, body), what
        serves_right(served)


@rule(Group.NEGOTIATION, libvfio=Limit("nothing: it sends no data unasked", match="was taken"))
def test_a_client_that_takes_no_data_is_refused(served: Served) -> None:
    for size in [0, 1]:
        assert turned_away(served, text(f'{{"max_data_xfer_size": {size}}}')), "it was taken"


WITHOUT_END = {
    "5 KiB": text('{"a": "' + "x" * 5 * KIB + '"}'),
    "a MiB": text('{"a": "' + "x" * 1020 * KIB + '"}'),
    "3000 digits": text('{"max_data_xfer_size": ' + "9" * 3000 + "}"),
    "5000 digits": text('{"max_data_xfer_size": ' + "9" * 5000 + "}"),
}


@rule(Group.NEGOTIATION)
def test_a_text_without_end_does_no_harm(served: Served) -> None:
    for body in WITHOUT_END.values():
        told(served, body)
        serves_right(served)


@rule(Group.NEGOTIATION)
def test_a_version_too_short_is_refused(served: Served) -> None:
    for length in [0, 1, 3]:
        assert turned_away(served, b"\0" * length)
        serves_right(served)


@rule(Group.NEGOTIATION)
def test_a_version_that_is_no_request_is_refused(served: Served) -> None:
    for flags in [1, 2, 0xF]:
        assert turned_away(served, Version().pack(), flags=flags)
        serves_right(served)


@rule(Group.NEGOTIATION)
def test_nothing_is_served_before_a_version(served: Served) -> None:
    for command in [c for c in Command if c is not Command.VERSION]:
        assert turned_away(served, read_message(MEMORY, 0, 4)[HEADER.size :], command=command)
        serves_right(served)
        assert served.device.accesses.count((MEMORY, 0, 4)) == 0


@rule(Group.NEGOTIATION)
def test_a_second_version_is_refused(client: VfioUserClient) -> None:
    assert refused(client, Command.VERSION, Version().pack())
    still_serves(client)


NO_TWIN = Missing("the library does not offer twin_socket")


@rule(Group.NEGOTIATION, libvfio=NO_TWIN)
def test_a_second_socket_and_many_writes_are_there_for_who_asks(served: Served) -> None:
    asked = Capabilities(max_msg_fds=8, twin_socket=True, write_multiple=True)
    with VfioUserClient(served.path, capabilities=asked) as client:
        assert client.twin is not None
        assert client.accepted.twin_socket
        assert client.accepted.write_multiple
        still_serves(client)


@rule(Group.NEGOTIATION)
def test_a_second_socket_goes_to_nobody_who_takes_no_descriptor(served: Served) -> None:
    asked = Capabilities(max_msg_fds=0, twin_socket=True)
    with VfioUserClient(served.path, capabilities=asked) as client:
        assert client.twin is None
        assert not client.accepted.twin_socket
        still_serves(client)


@rule(Group.NEGOTIATION)
@pytest.mark.parametrize(
    "first",
    [b"", b"\0" * 16, HEADER.pack(1, Command.DEVICE_RESET, 16, 0, 0), random.Random(1).randbytes(64)],
    ids=["nothing", "zeros", "reset", "noise"],
)
def test_a_client_that_negotiates_nonsense_is_passed_over(served: Served, first: bytes) -> None:
    with VfioUserClient(served.path, negotiate=False) as client:
        client.socket.sendall(first)
    serves_right(served)
