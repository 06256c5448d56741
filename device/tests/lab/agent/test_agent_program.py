# SPDX-License-Identifier: Apache-2.0
"""The guest's agent itself (guest-tests/user/agent.c), on a stub of its driver: nothing that arrives breaks it."""

import os
import random
import select
import subprocess
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plx9x5x.lab.agent import protocol
from plx9x5x.lab.agent.protocol import CHUNK, MAX_LINE, AgentRefused, Lines
from plx9x5x.lab.guest import sources as guest_sources

STUB = Path(__file__).with_name("agent_stub.c")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = guest_sources.find()
    built = tmp_path_factory.mktemp("agent") / "agent"
    # A sanitizer sees what a test of answers cannot.
    flags = ("-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    agent = sources.root / "user/agent.c"
    subprocess.run(["gcc", *flags, f"-I{sources.root / 'user'}", "-o", built, agent, STUB], check=True)
    return built


class Talk:
    """The program at the other end of a raw terminal, which stands for the virtio-serial port."""

    def __init__(self, program: Path, **environment: str) -> None:
        self.port, far = os.openpty()
        tty.setraw(far)
        self.lines = Lines()
        self.arrived: list[str] = []
        self.number = 0
        self.process = subprocess.Popen(
            [program, os.ttyname(far)], env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0", **environment}
        )
        self.far = far

    def line(self) -> str:
        while not self.arrived:
            assert select.select([self.port], [], [], 10)[0], "the agent says nothing"
            self.arrived += self.lines.feed(os.read(self.port, 65536))
        return self.arrived.pop(0)

    def send(self, data: bytes) -> None:
        while data:
            _, writable, _ = select.select([], [self.port], [], 10)
            assert writable, "the agent takes nothing"
            data = data[os.write(self.port, data[:1024]) :]

    def ask(self, verb: str, *words: int | bytes) -> tuple[str, ...]:
        self.number += 1
        self.send(protocol.request(self.number, verb, *words))
        return protocol.answer(self.line(), number=self.number)

    def say(self, text: str) -> str:
        self.send(text.encode("latin-1") + b"\n")
        return self.line()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.port)
        os.close(self.far)


Start = Callable[..., Talk]


@pytest.fixture
def start(program: Path) -> Iterator[Start]:
    talks: list[Talk] = []

    def begin(**environment: str) -> Talk:
        talks.append(Talk(program, **environment))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.close()


@pytest.fixture
def talk(start: Start) -> Talk:
    made = start()
    assert protocol.greeting(made.line()).device_id == 0x9601
    return made


def test_registers_are_written_and_read(talk: Talk) -> None:
    assert talk.ask("write", 0, 4, 4, 0x1122_3344) == ()
    assert talk.ask("read", 0, 4, 4) == ("0x11223344",)
    assert talk.ask("read", 0, 5, 1) == ("0x33",)
    assert talk.ask("config-read", 0, 2) == ("0x10b5",)


def test_buffers_hold_what_was_put(talk: Talk) -> None:
    handle, bus = protocol.numbers(talk.ask("alloc", CHUNK + 16), count=2)
    assert bus == handle << 12
    data = bytes(range(256)) * (CHUNK // 256)
    assert talk.ask("get", handle, 0, 4) == ("a5a5a5a5",)
    assert talk.ask("put", handle, 16, data) == ()
    assert talk.ask("get", handle, 16, CHUNK) == (data.hex(),)
    assert talk.ask("get", handle, 0, 0) == ("",)
    assert talk.ask("free", handle) == ()


def test_a_reset_frees_every_buffer(talk: Talk) -> None:
    handles = [protocol.numbers(talk.ask("alloc", 16), count=2)[0] for _ in range(64)]
    with pytest.raises(AgentRefused, match="Too many open files"):
        talk.ask("alloc", 16)
    talk.ask("reset")
    with pytest.raises(AgentRefused, match="No such file"):
        talk.ask("get", handles[0], 0, 1)
    talk.ask("alloc", 16)


def test_the_level_is_asked_for(talk: Talk) -> None:
    assert talk.ask("level", 10) == ("0",)
    talk.ask("write", 0, 63, 1, 1)
    assert talk.ask("level", 10) == ("1",)


@pytest.mark.parametrize(
    "request_",
    [
        "read 0 0",
        "read 0 0 4 4",
        "read 0 0 8",
        "read 0 0 3",
        "read 0 64 4",
        "read x 0 4",
        "read -1 0 4",
        "read 0 0x100000000 4",
        "read 0 99999999999999999999999 4",
        "read 0  4",
        "write 0 0 4 0x100000000",
        "alloc 0",
        "alloc",
        "free 7",
        "free 0",
        "get 0 0 1",
        "get 7 0 1",
        "put 7 0 00",
        "put 1 0",
        "put 1 0 0",
        "put 1 0 AB",
        "put 1 0 zz",
        "put 1 x 00",
        "level 10001",
        "reset 1",
        "explode",
        " read 0 0 4",
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(talk: Talk, request_: str) -> None:
    assert talk.say(f"5 {request_}").startswith("5 error ")
    assert talk.ask("read", 0, 0, 1) == ("0x0",)


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "read 0 0 4",
        "5",
        "x read 0 0 4",
        "-5 read 0 0 4",
        "1 2 3 4 5 6 7 8 9",
        "5 re\xe4d",
        "5\tread",
        "x" * 20000,
    ],
    ids=lambda line: line[:12],
)
def test_what_is_no_request_is_answered_once_and_forgotten(talk: Talk, line: str) -> None:
    assert talk.say(line).startswith("? error ")
    assert talk.ask("read", 0, 0, 1) == ("0x0",)


def test_a_line_of_just_the_limit_is_read(talk: Talk) -> None:
    handle, _ = protocol.numbers(talk.ask("alloc", CHUNK), count=2)
    prefix = f"5 put {handle} 0 "
    assert talk.say(prefix + "00" * CHUNK) == "5 ok"
    assert talk.say(prefix + "00" * (CHUNK + 1)) == "5 error Invalid argument"
    assert talk.say("5 put 1 0 " + "0" * (MAX_LINE - 10)).startswith("? error")


def test_noise_gets_answers_and_the_next_request_counts(talk: Talk) -> None:
    noise = random.Random(9656)
    for _ in range(200):
        raw = bytes(noise.choice(b"0123456789 abcdefx\xff\x00readwriteput-") for _ in range(noise.randrange(1, 60)))
        talk.send(raw.replace(b"\n", b"") + b"\n")
        assert " " in talk.line()
    talk.send(noise.randbytes(100_000).replace(b"\n", b"") + b"\n")
    assert talk.line().startswith("? error")
    assert talk.ask("write", 0, 0, 1, 7) == ()
    assert talk.process.poll() is None


@pytest.mark.parametrize(
    ("environment", "words"),
    [({"STUB_TROUBLE": "no PLX device"}, "no PLX device"), ({"STUB_HANDS_ON": "1"}, "loaded without hands_off")],
)
def test_an_agent_that_cannot_work_says_why(start: Start, environment: dict[str, str], words: str) -> None:
    talk = start(**environment)
    assert talk.line() in (f"failed {words}", f"failed the driver was {words}")
    assert talk.process.wait(10) == 1


def test_it_ends_when_told(talk: Talk) -> None:
    talk.ask("quit")
    assert talk.process.wait(10) == 0
