# SPDX-License-Identifier: Apache-2.0
"""Messages as values: what is packed is unpacked, and anything else is refused and nothing worse."""

import errno
import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.codec import (
    HEADER,
    MAX_BODY,
    PAGE,
    Capabilities,
    DmaMap,
    DmaUnmap,
    FramingLost,
    Header,
    IrqFlag,
    Refused,
    SetIrqs,
    Version,
)
from plx9x5x.units import MIB
from tests.length import tries

few = settings(max_examples=tries(20, 60))
pages = st.integers(1, 1 << 40).map(lambda n: n * PAGE)
READERS: list[Callable[[bytes], object]] = [
    Version.unpack,
    DmaMap.unpack,
    DmaUnmap.unpack,
    SetIrqs.unpack,
    codec.read_info,
    codec.read_region_index,
    codec.read_multi,
    Capabilities.read,
]


@few
@given(st.binary(max_size=80), st.sampled_from(READERS))
def test_a_random_body_is_read_or_refused(body: bytes, read: Callable[[bytes], object]) -> None:
    with suppress(Refused):
        read(body)


VALUES = st.sampled_from(
    [None, True, 0, 1, -1, 4096, 1 << 70, 1.5, "x", [], [[]], {}, {"supported": 1}, {"supported": True}]
)
NAMES = ["max_msg_fds", "max_data_xfer_size", "twin_socket", "write_multiple", "capabilities"]
JSON = VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)


@few
@given(JSON)
def test_any_json_is_capabilities_within_limits_or_refused(said: object) -> None:
    for text in (said, {"capabilities": said}):
        try:
            found = Capabilities.read(json.dumps(text).encode() + b"\0")
        except Refused:
            continue
        assert found.max_msg_fds >= 0
        assert found.max_data_xfer_size >= PAGE


@few
@given(st.integers(0, 3), st.integers(0, 1 << 30), st.integers(0, 1 << 40), pages)
def test_a_map_is_what_was_packed(flags: int, offset: int, address: int, length: int) -> None:
    asked = DmaMap(flags, offset * PAGE, address * PAGE, length)
    assert DmaMap.unpack(asked.pack()) == asked


@few
@given(st.integers(0, 1 << 40), pages)
def test_an_unmap_is_what_was_packed(address: int, length: int) -> None:
    assert DmaUnmap.unpack(DmaUnmap(address * PAGE, length).pack()) == DmaUnmap(address * PAGE, length)


@few
@given(
    st.sampled_from([IrqFlag.NONE, IrqFlag.BOOL, IrqFlag.EVENTFD]),
    st.sampled_from([IrqFlag.MASK, IrqFlag.UNMASK, IrqFlag.TRIGGER]),
    st.integers(0, 4),
    st.integers(0, 0xFFFFFFFF),
    st.binary(min_size=1, max_size=9),
)
def test_interrupts_are_what_was_packed(kind: IrqFlag, action: IrqFlag, index: int, start: int, data: bytes) -> None:
    asked = SetIrqs(kind | action, index, start, len(data), data if kind is IrqFlag.BOOL else b"")
    assert SetIrqs.unpack(asked.pack()) == asked


@few
@given(st.integers(0, 16), st.integers(PAGE, 1 << 30), st.booleans(), st.booleans())
def test_a_version_is_what_was_packed(fds: int, size: int, twin: bool, multiple: bool) -> None:
    said = Version(0, 3, Capabilities(fds, size, twin, multiple), twin_fd=0 if twin else None)
    found = Version.unpack(said.pack())
    assert (found.major, found.minor, found.capabilities) == (0, 3, said.capabilities)


@few
@given(
    st.lists(
        st.tuples(
            st.integers(0, (1 << 64) - 1), st.integers(0, 9), st.integers(0, 8), st.binary(min_size=8, max_size=8)
        ),
        min_size=1,
        max_size=codec.MULTI_MOST,
    )
)
def test_many_writes_are_what_was_packed(writes: list[tuple[int, int, int, bytes]]) -> None:
    body = codec.MULTI_HEAD.pack(len(writes)) + b"".join(codec.MULTI_ONE.pack(*one) for one in writes)
    assert codec.read_multi(body) == writes
    for wrong in (body[:-1], body + b"\0", codec.MULTI_HEAD.pack(len(writes) + 1) + body[8:], codec.MULTI_HEAD.pack(0)):
        with pytest.raises(Refused):
            codec.read_multi(wrong)


TOP = 1 << 64


@pytest.mark.parametrize(
    ("asked", "fine"),
    [
        (DmaMap(3, 0, 0, PAGE), True),
        (DmaMap(0, 0, TOP - PAGE, PAGE), True),
        (DmaMap(3, (TOP // 2) - 2 * PAGE, 0, PAGE), True),
        (DmaMap(3, (TOP // 2) - PAGE, 0, PAGE), False),
        (DmaMap(3, 0, TOP - PAGE, 2 * PAGE), False),
        (DmaMap(3, 0, 0, 0), False),
        (DmaMap(3, 0, 1, PAGE), False),
        (DmaMap(3, 0, 0, PAGE - 1), False),
        (DmaMap(3, 0x800, 0, PAGE), False),
        (DmaMap(4, 0, 0, PAGE), False),
        (DmaUnmap(TOP - PAGE, PAGE), True),
        (DmaUnmap(TOP - PAGE, 2 * PAGE), False),
        (DmaUnmap(1, PAGE), False),
        (DmaUnmap(0, 0), False),
        (DmaUnmap(0, 0, codec.UNMAP_ALL), True),
        (DmaUnmap(PAGE, 0, codec.UNMAP_ALL), False),
        (DmaUnmap(0, PAGE, codec.UNMAP_ALL), False),
        (DmaUnmap(0, PAGE, 1), False),
    ],
    ids=str,
)
def test_the_limits_of_a_map_and_an_unmap(asked: DmaMap | DmaUnmap, fine: bool) -> None:
    if fine:
        asked.unpack(asked.pack())
    else:
        with pytest.raises(Refused):
            asked.unpack(asked.pack())


def test_an_unmap_of_all_is_of_the_whole_space() -> None:
    assert DmaUnmap.unpack(DmaUnmap(0, 0, codec.UNMAP_ALL).pack()) == DmaUnmap(0, TOP, codec.UNMAP_ALL)


@pytest.mark.parametrize("size", [0, 1, HEADER.size - 1, HEADER.size + MAX_BODY + 1, 0xFFFFFFFF])
def test_a_size_that_no_message_has_ends_the_stream(size: int) -> None:
    with pytest.raises(FramingLost):
        Header.read(HEADER.pack(1, 2, size, 0, 0))


@pytest.mark.parametrize("size", [HEADER.size, HEADER.size + MAX_BODY])
def test_the_least_and_the_most_are_read(size: int) -> None:
    assert Header.read(b"xx" + HEADER.pack(1, 2, size, 0x31, 5), 2) == (1, 2, size, 0x31, 5)


def test_answers_go_with_their_question() -> None:
    asked = Header.read(codec.request(7, 9, b"body", flags=codec.NO_REPLY))
    assert not asked.wants_reply
    assert not asked.is_reply
    answered = Header.read(codec.answer(asked, b"data"))
    assert (answered.id, answered.command, answered.is_reply, answered.failed, answered.size) == (7, 9, True, False, 20)
    refused = Header.read(codec.refusal(asked, errno.EPERM))
    assert (refused.id, refused.command, refused.is_reply, refused.failed, refused.error) == (7, 9, True, True, 1)


def test_what_is_not_said_is_the_default() -> None:
    assert Capabilities.read(b"") == Capabilities.read(b'{"capabilities": {}}\0') == Capabilities(1, MIB, False, False)


def test_a_text_of_4_kib_is_read_and_one_byte_more_is_not() -> None:
    text = b'{"capabilities": {"x": "' + b"y" * (codec.MAX_CAPABILITIES - 27) + b'"}}'
    assert len(text) == codec.MAX_CAPABILITIES
    Capabilities.read(text)
    with pytest.raises(Refused):
        Capabilities.read(text + b" ")
