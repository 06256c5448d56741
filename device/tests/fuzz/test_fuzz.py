# SPDX-License-Identifier: Apache-2.0
"""The kept corpora play without a finding; what the fuzzers are there to find, they find. `make fuzz` is the volume."""

import dataclasses
import itertools
import os
import signal
import struct
from typing import Any

import pytest

from plx9x5x.model.chip import Chip
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.inbox import Message
from plx9x5x.transport.wire.session import Session
from tests.fuzz import chip, target, volume, wire
from tests.fuzz.corpus import KINDS
from tests.fuzz.target import Finding
from tests.fuzz.volume import Bounds, opened
from tests.fuzz.wire_inputs import access, message

ODD_MAP = message(2, struct.pack("<IIQQQ", 32, 3, 0, 0x1000, 0x801), fds=1)
READS = access(0, 0x69, None, 5) * 3
STEP = chip.RECORD.pack(16, 7, 0, 0)


@pytest.fixture(params=["native", "python"])
def plane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", KINDS)
def test_the_kept_corpus_finds_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "LIMIT_NS", 1 << 62)  # no test asserts a time
    kind = KINDS[name]
    corpus = kind.corpus()
    assert kind.archive.exists()
    worlds = [world for world in kind.worlds if world.startswith(("rdk-9656-lite+port", "rdk-9054-lite/"))]
    for start, world in enumerate(worlds):
        with opened(kind, world) as played:
            for data in itertools.islice(corpus, start, None, len(worlds)):
                played.play(data)
            assert played.meter.count > len(corpus) // len(worlds)


def test_the_corpora_stay_small() -> None:
    assert 0 < sum(kind.archive.stat().st_size for kind in KINDS.values()) < 200_000


def _play(data: bytes, plane: str) -> int:
    with opened(KINDS["wire"], f"rdk-9656-lite/{plane}") as played:
        before = played.meter.count
        played.play(data)
        return played.meter.count - before


def test_a_message_counts_once_it_is_answered(plane: str) -> None:
    assert _play(READS + ODD_MAP, plane) == 5  # VERSION is one


def test_a_reply_of_another_length_is_a_finding(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Session._read
    monkeypatch.setattr(Session, "_read", lambda self, message: right(self, message) + b"\0")
    with pytest.raises(Finding, match=r"command 9 .* bytes where 37 belong"):
        _play(READS, plane)


def test_a_mapping_of_no_whole_pages_is_a_finding(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_pages", lambda address, length: None)
    with pytest.raises(Finding, match=r"command 2 .* bytes where 0 belong"):
        _play(ODD_MAP, plane)


def test_a_descriptor_that_stays_open_is_a_finding(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[int] = []

    def forget(self: Message) -> None:
        lost.extend(self.fds)
        self.fds.clear()

    monkeypatch.setattr(Message, "close", forget)
    try:
        with pytest.raises(Finding, match="descriptors are open"):
            _play(ODD_MAP, plane)
    finally:
        for fd in lost:
            os.close(fd)


def test_a_descriptor_that_is_closed_twice_leaves_as_an_error(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def close(self: Message) -> None:
        for fd in self.fds:
            os.close(fd)
            os.close(fd)
        self.fds.clear()

    monkeypatch.setattr(Message, "close", close)
    with pytest.raises(OSError, match="Bad file descriptor"):
        _play(ODD_MAP, plane)


def test_an_error_of_the_device_leaves(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: int) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(Chip, "read", fails)
    with pytest.raises(ZeroDivisionError):
        _play(READS, plane)


def test_a_slow_step_is_a_finding(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "LIMIT_NS", 1)
    with pytest.raises(Finding, match="a step took"):
        chip.ChipTarget(f"rdk-9656-lite/{plane}").play(STEP)


def test_a_chip_that_is_not_new_for_the_next_client_is_a_finding(plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    played = chip.ChipTarget(f"rdk-9656-lite/{plane}")
    written = chip.RECORD.pack(6, 0, 0x40, 5)  # a mailbox
    played.play(written)
    monkeypatch.setattr(Chip, "reset", lambda self, kind: None)
    with pytest.raises(Finding, match="as new"):
        played.play(written)


class _Odd:
    """A target that does what an input's first byte says."""

    def __init__(self, world: str) -> None:
        self.meter = target.Meter()

    def play(self, data: bytes) -> None:
        self.meter.count += 1
        if data == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"hang":
            signal.pause()
        if data == b"keep":
            os.dup(1)
        if data == b"raise":
            raise ZeroDivisionError

    def close(self) -> None:
        pass


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # a test runner's threads
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"die", "SIGKILL"),
        (b"hang", "it hangs"),
        (b"raise", "ZeroDivisionError"),
        (b"keep", "not flat"),
        (b"well", None),
    ],
)
def test_the_parent_tells_what_ended_a_worker(data: bytes, why: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if data == b"hang":
        monkeypatch.setattr(volume, "HANGS_S", 0.3)
    monkeypatch.setattr(volume, "SERIES", 5)
    kind: Any = dataclasses.replace(
        KINDS["chip"],
        name="odd",
        worlds=("w",),
        make=_Odd,
        seeds=lambda rng: [data],
        mutate=lambda rng, one, other: one,
    )
    ((_, books, failure),) = volume.fuzz([kind], Bounds(count=40), jobs=1, seed=1)
    if why is None:
        assert failure is None
        assert books.count == 40
    else:
        assert failure is not None
        assert why in failure.why
        assert failure.data == (b"" if data == b"keep" else data)


def test_any_bytes_are_an_input(plane: str) -> None:
    for data in (b"", b"\xff" * 41, bytes(range(256))):
        chip.ChipTarget(f"rdk-9656-lite/{plane}").play(data)
        assert _play(data, plane) >= 0
    assert list(wire.items(wire.item(3, 4, b"ab") + b"\0")) == [(3, 4, b"ab")]
