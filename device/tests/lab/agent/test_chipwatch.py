# SPDX-License-Identifier: Apache-2.0
"""How a caller outside the guest learns that the chip has come to rest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plx9x5x.lab.agent.chipwatch import ChipWatch, NotSettled
from plx9x5x.trace.regtrace import Access, ConfigWrite

Write = Callable[..., None]

START = ("W 0 0x0a8 1 0x03", "start 0")
DONE = ("done 0", "latched 0", "line 1", "idle")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    path = tmp_path / "trace"
    path.touch()

    def more(*lines: str, end: str = "\n") -> None:
        with path.open("a") as file:
            file.write("\n".join(lines) + end)

    return more


@pytest.fixture
def watch(write: Write, tmp_path: Path) -> Iterator[ChipWatch]:
    with ChipWatch(tmp_path / "trace") as made:
        yield made


def test_accesses_are_counted_from_the_restart(watch: ChipWatch, write: Write) -> None:
    write("reset power-on", "R 0 0x000 4 0x00000000", "idle")
    watch.restart()
    assert watch.accesses == []
    assert watch.idle
    write(*START)
    watch.poll()
    assert watch.accesses == [Access(True, 0, 0xA8, 1, 3)]
    assert not watch.idle


@pytest.mark.parametrize(
    "end",
    [
        ("done 0",),
        ("done 0 aborted",),
        ("held 0 bus mastering is off",),
        ("error 0 master abort at 0x7000, data",),
        ("reset software reset",),
        (),
    ],
)
def test_chip_is_at_rest_when_it_says_so_whatever_became_of_the_transfer(
    watch: ChipWatch, write: Write, end: tuple[str, ...]
) -> None:
    write(*START, *end)
    settled = watch.settled()
    watch.poll()
    assert not settled()
    write("idle")
    watch.until(settled, "come to rest", limit_s=1)


def test_half_a_line_is_no_line(watch: ChipWatch, write: Write) -> None:
    write("idl", end="")
    watch.poll()
    assert not watch.idle
    write("e")
    watch.poll()
    assert watch.idle


def test_chip_that_waits_must_have_looked_since_the_question(watch: ChipWatch, write: Write) -> None:
    write(*START, "waiting", "waiting")
    settled = watch.settled()
    for expected in (False, True):
        write("waiting")
        watch.poll()
        assert settled() is expected


def test_chip_that_found_something_is_not_at_rest_before_it_waits_again(watch: ChipWatch, write: Write) -> None:
    write(*START, "waiting")
    settled = watch.settled()
    write("waiting", "waiting", "latched 0")
    watch.poll()
    assert not settled()
    write("waiting")
    watch.poll()
    assert settled()


def test_times_and_names_are_for_others(watch: ChipWatch, write: Write) -> None:
    write(
        "0.000000001 C 0x004 2 0x0007 ; PCICR=0x7 io=1 memory=1 bus_master=1",
        "0.000000002 W 0 0x0a8 1 0x03 ; DMACSR0=0x3 enable=1 start=1",
        "0.000000003 line 1",
        "0.000000004 reset power-on",
        "1.000000000 idle",
    )
    watch.poll()
    assert watch.config_writes == [ConfigWrite(4, 2, 7)]
    assert watch.accesses == [Access(True, 0, 0xA8, 1, 3)]
    assert (watch.line, watch.resets, watch.idle) == (True, 1, True)


def test_config_writes_and_resets_are_told_apart(watch: ChipWatch, write: Write) -> None:
    write("C 0x004 2 0x0007", "reset power-on")
    watch.poll()
    assert watch.config_writes == [ConfigWrite(4, 2, 7)]
    assert watch.resets == 1
    assert watch.accesses == []


def test_wait_has_a_limit_and_shows_where_the_trace_ends(watch: ChipWatch, write: Write) -> None:
    write(*START)
    with pytest.raises(NotSettled, match=r"was to come to rest: not within 0.01 s. The trace ends with: .*start 0"):
        watch.until(watch.settled(), "come to rest", limit_s=0.01)


def test_full_trace_ends_the_wait_at_once(watch: ChipWatch, write: Write) -> None:
    write(*START, "full")
    with pytest.raises(NotSettled, match="its trace is full"):
        watch.until(watch.settled(), "come to rest", limit_s=60)


def test_the_waiter_looks_round_and_may_give_up(watch: ChipWatch) -> None:
    def gone() -> None:
        raise ConnectionError("the guest is gone")

    with pytest.raises(ConnectionError):
        watch.until(lambda: False, "ever end", limit_s=60, look_round=gone)


class TestLine:
    def test_it_is_what_the_chip_drives(self, watch: ChipWatch, write: Write) -> None:
        write(*START, *DONE)
        watch.poll()
        assert watch.line
        write("W 0 0x0a8 1 0x08", "line 0", "idle")
        watch.poll()
        assert not watch.line
        assert not watch.fell_unseen, "QEMU lowered its pin at that very access"

    def test_a_fall_by_configuration_space_is_unseen_until_the_next_access(
        self, watch: ChipWatch, write: Write
    ) -> None:
        write("line 1", "idle", "C 0x006 2 0x2000", "line 0", "idle")
        watch.poll()
        assert watch.fell_unseen
        write("R 0 0x068 4 0x0f010500", "idle")
        watch.poll()
        assert not watch.fell_unseen

    @pytest.mark.parametrize("pin", ["linti 0", "eot 0 ignored", "dreq 0 free"])
    def test_what_the_board_does_in_between_changes_nothing(self, watch: ChipWatch, write: Write, pin: str) -> None:
        write("line 1", "idle", "C 0x00f 1 0x40", pin, "line 0", "idle")
        watch.poll()
        assert watch.fell_unseen

    def test_a_rise_after_it_is_seen(self, watch: ChipWatch, write: Write) -> None:
        write("line 1", "C 0x006 2 0x2000", "line 0", "idle", "line 1")
        watch.poll()
        assert not watch.fell_unseen


def test_file_that_is_no_trace_is_refused(watch: ChipWatch, write: Write) -> None:
    write("R what is this")
    with pytest.raises(ValueError, match="not a line"):
        watch.poll()
