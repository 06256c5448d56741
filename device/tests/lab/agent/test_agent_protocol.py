# SPDX-License-Identifier: Apache-2.0
"""The agent's words, as this side says and reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.lab.agent import protocol
from plx9x5x.lab.agent.protocol import AgentRefused, BadAnswer, Greeting, Lines


def test_request_has_its_number_verb_and_words() -> None:
    assert protocol.request(7, "write", 1, 0xA8, 1, 3) == b"7 write 0x1 0xa8 0x1 0x3\n"
    assert protocol.request(8, "put", 2, 0, b"\x00\xff") == b"8 put 0x2 0x0 00ff\n"
    assert protocol.request(9, "reset") == b"9 reset\n"


def test_longest_request_fits_the_agents_line() -> None:
    line = protocol.request(2**31, "put", 2**32 - 1, 2**32 - 1, bytes(protocol.CHUNK))
    assert len(line) <= protocol.MAX_LINE


def test_greeting_tells_the_device() -> None:
    assert protocol.greeting("ready 1 0000:01:00.0 10b5:9601 0x200 0x100") == Greeting(
        "0000:01:00.0", 0x10B5, 0x9601, (0x200, 0x100)
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("failed no PLX device on the PCI bus", "the agent cannot work: no PLX device on the PCI bus"),
        ("ready 2 0000:01:00.0 10b5:9601", "no agent of protocol 1"),
        ("ready 1 0000:01:00.0 10b5", "no agent"),
        ("ready 1", "no agent"),
        ("KTAP version 1", "no agent"),
        ("", "no agent"),
    ],
)
def test_other_first_lines_are_refused(line: str, words: str) -> None:
    with pytest.raises(BadAnswer, match=words):
        protocol.greeting(line)


def test_answer_gives_its_words() -> None:
    assert protocol.answer("3 ok 0x1 0x2", number=3) == ("0x1", "0x2")
    assert protocol.answer("3 ok", number=3) == ()


@pytest.mark.parametrize("line", ["3 error Invalid argument", "? error no request"])
def test_refusal_keeps_the_agents_reason(line: str) -> None:
    with pytest.raises(AgentRefused, match=r"argument|request"):
        protocol.answer(line, number=3)


@pytest.mark.parametrize("line", ["", "ok", "2 ok", "4 error x", "3 maybe", "3ok"])
def test_answer_to_something_else_is_no_answer(line: str) -> None:
    with pytest.raises(BadAnswer):
        protocol.answer(line, number=3)


def test_numbers_are_counted_and_read() -> None:
    assert protocol.numbers(("0x10", "10"), count=2) == (16, 10)
    for words in (("0x10",), ("0x10", "1", "2"), ("0x10", "x"), ("", ""), ("0x", "1")):
        with pytest.raises(BadAnswer):
            protocol.numbers(words, count=2)
    assert protocol.one_number(("0x7f",)) == 0x7F


@given(st.lists(st.text("abc 0x", max_size=20)), st.integers(1, 7))
def test_lines_come_whole_however_the_stream_is_cut(texts: list[str], size: int) -> None:
    stream = "".join(f"{text}\n" for text in texts).encode()
    lines, seen = Lines(), []
    for at in range(0, len(stream), size):
        seen += lines.feed(stream[at : at + size])
    assert seen == texts


def test_line_without_an_end_is_refused_and_dropped() -> None:
    lines = Lines()
    assert lines.feed(b"x" * protocol.MAX_LINE) == []
    with pytest.raises(BadAnswer, match="without an end"):
        lines.feed(b"x")
    assert lines.feed(b"1 ok\n") == ["1 ok"]
    with pytest.raises(BadAnswer):
        lines.feed(b"x" * (protocol.MAX_LINE + 1) + b"\n")
