# SPDX-License-Identifier: Apache-2.0
"""The ring: what is written is read once and in order; whatever QEMU writes, nothing raises or grows."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.witness import ring
from plx9x5x.witness.records import RECORD_BYTES, Kind, Record
from plx9x5x.witness.ring import RingReader, RingRefused, RingWriter


@pytest.fixture
def fd() -> Iterator[int]:
    made = ring.create("0000:00:02.0", 8)
    yield made
    os.close(made)


def test_what_is_written_is_read_once_and_in_order(fd: int) -> None:
    writer, reader = RingWriter(fd), RingReader(fd)
    assert reader.device == "0000:00:02.0"
    for turn in range(5):
        writer.put(Kind.ALLOC, turn, 2, pc=7, flags=3, cpu=1)
        writer.put(Kind.MODULE, text="my_drv", width=4)
        assert reader.drain() == [
            Record(2 * turn + 1, Kind.ALLOC, 3, 1, 0, 7, (turn, 2, 0, 0, 0, 0, 0, 0)),
            Record(2 * turn + 2, Kind.MODULE, 0, 0, 4, 0, (0,) * 8, "my_drv"),
        ]
        assert reader.drain() == []


def test_a_full_ring_loses_and_says_so(fd: int) -> None:
    writer, reader = RingWriter(fd), RingReader(fd)
    seqs = [writer.put(Kind.ACCESS) for _ in range(10)]
    assert seqs == [*range(1, 9), None, None]
    assert [it.seq for it in reader.drain(3)] == [1, 2, 3]
    assert reader.lost == 2
    assert writer.put(Kind.ACCESS) == 11
    assert [it.seq for it in reader.drain()] == [4, 5, 6, 7, 8, 11]


def test_state_and_calls_without_return(fd: int) -> None:
    writer, reader = RingWriter(fd), RingReader(fd)
    writer.state(ring.SAW_KERNEL)
    writer.unreturned(3)
    assert reader.drain() == []
    assert (reader.state, reader.unreturned, reader.broken) == (ring.SAW_KERNEL, 3, "")


def test_bars_are_published(fd: int) -> None:
    writer, reader = RingWriter(fd), RingReader(fd)
    reader.publish(1, 0xC000, 0x100, io=True)
    reader.publish(5, 1 << 40, 0x1000, io=False)
    assert (writer.bar(0), writer.bar(1), writer.bar(5)) == (
        (0, 0, False),
        (0xC000, 0x100, True),
        (1 << 40, 4096, False),
    )


@pytest.mark.parametrize("head", [9, 1 << 63, (1 << 64) - 1])
def test_a_head_beyond_the_capacity_breaks_the_ring_for_good(fd: int, head: int) -> None:
    writer, reader = RingWriter(fd), RingReader(fd)
    writer.header(ring.HEAD_AT, head.to_bytes(8, "little"))
    assert reader.drain() == []
    assert reader.broken
    writer.header(ring.HEAD_AT, (1).to_bytes(8, "little"))
    assert reader.drain() == []


def test_a_head_that_goes_back_breaks_it(fd: int) -> None:
    writer, reader = RingWriter(fd), RingReader(fd)
    writer.put(Kind.ACCESS)
    assert len(reader.drain()) == 1
    writer.header(ring.HEAD_AT, bytes(8))
    assert reader.drain() == []
    assert reader.broken


def test_a_capacity_that_grows_later_is_not_believed(fd: int) -> None:
    writer, reader = RingWriter(fd), RingReader(fd)
    writer.header(16, (1 << 40).to_bytes(8, "little"))
    writer.header(ring.HEAD_AT, (100).to_bytes(8, "little"))
    assert reader.drain() == []
    assert reader.broken


def test_a_file_that_shrinks_breaks_it() -> None:
    fd = os.memfd_create("unsealed")
    try:
        os.truncate(fd, ring.HEADER_BYTES + 8 * RECORD_BYTES)
        os.pwrite(
            fd, ring.MAGIC + (1).to_bytes(4, "little") + (128).to_bytes(4, "little") + (8).to_bytes(8, "little"), 0
        )
        reader, writer = RingReader(fd), RingWriter(fd)
        writer.put(Kind.ACCESS)
        os.truncate(fd, ring.HEADER_BYTES + 100)
        assert reader.drain() == []
        assert reader.broken
    finally:
        os.close(fd)


def test_what_is_no_ring_is_refused(fd: int) -> None:
    def refused(at: int, data: bytes, word: str) -> None:
        before = os.pread(fd, len(data), at)
        os.pwrite(fd, data, at)
        with pytest.raises(RingRefused, match=word):
            RingReader(fd)
        os.pwrite(fd, before, at)

    refused(0, b"PLXWIT2", "version")
    refused(8, b"\2", "version")
    refused(12, b"\x40", "version")
    refused(16, b"\0", "power of two")
    refused(16, b"\3", "power of two")
    refused(16, b"\x10", "do not hold")
    refused(16, b"\xff" * 8, "power of two")
    read, write = os.pipe()
    with pytest.raises(RingRefused):
        RingReader(read)
    os.close(read)
    os.close(write)
    with pytest.raises(RingRefused):
        RingReader(read)
    with pytest.raises(RingRefused):
        ring.create("d", 3)
    with pytest.raises(RingRefused):
        ring.create("d" * 32, 4)


@given(
    st.lists(st.tuples(st.integers(0, 4095), st.binary(min_size=1, max_size=200)), max_size=8), st.binary(max_size=1024)
)
def test_any_bytes_give_few_records_and_no_exception(headers: list[tuple[int, bytes]], body: bytes) -> None:
    fd = ring.create("0000:00:02.0", 8)
    try:
        reader, writer = RingReader(fd), RingWriter(fd)
        os.pwrite(fd, body, ring.HEADER_BYTES)
        for at, data in headers:
            writer.header(at, data[: ring.HEADER_BYTES - at])
            assert len(reader.drain()) <= 8
            assert all(0 <= it.kind < 256 and len(it.a) == 8 and it.text.isprintable() for it in reader.drain())
    finally:
        os.close(fd)
