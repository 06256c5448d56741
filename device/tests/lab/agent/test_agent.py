# SPDX-License-Identifier: Apache-2.0
"""The driver in a guest, call by call, with an agent and a chip that are played here."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from plx9x5x.errors import LostVm
from plx9x5x.lab.agent import guest_agent as agent_module
from plx9x5x.lab.agent.chipwatch import ChipWatch, NotSettled
from plx9x5x.lab.agent.guest_agent import GuestAgent, GuestBuffer
from plx9x5x.lab.agent.protocol import CHUNK, AgentRefused
from plx9x5x.lab.guest.vm import GuestVm
from plx9x5x.trace.regtrace import Access, ConfigWrite

READY = "ready 1 0000:01:00.0 10b5:9601 0x200 0x100 0x20000 0x0 0x0 0x0"


class PlayedVm:
    """A guest that lives until it is told not to."""

    def __init__(self) -> None:
        self.alive = True
        self.oopses: tuple[object, ...] = ()

    def check(self) -> None:
        if not self.alive:
            raise LostVm("the guest has ended")

    def lost(self, reason: str) -> LostVm:
        return LostVm(reason)

    def vfio_errors(self) -> tuple[str, ...]:
        return ("vfio: no",)


class Played:
    """The far end of the channel, and the chip's trace: `says` is what a verb gets for an answer."""

    def __init__(self, folder: Path) -> None:
        self.trace = folder / "trace"
        self.trace.touch()
        self.vm = PlayedVm()
        self.near, self.far = socket.socketpair()
        self.asked: list[str] = []
        self.says: dict[str, Callable[[list[str]], str]] = {}
        self.chip_is_deaf = False
        self.heard = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def chip(self, *lines: str) -> None:
        with self.trace.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def start(self, first: str = READY) -> GuestAgent:
        self.far.sendall(f"{first}\n".encode())
        self._thread.start()
        return GuestAgent(cast("GuestVm", self.vm), self.near, ChipWatch(self.trace))

    def deaf(self) -> None:
        """Answer ahead of time, and stop reading at the next request."""
        self.far.sendall("".join(f"{number} ok\n" for number in range(1, 500)).encode())

        def wait(_: list[str]) -> str:
            self.heard.wait(30)
            return "nothing"

        self.says["put"] = wait

    def drip(self, seconds: float) -> None:
        """Send a byte now and then, and never the end of a line."""
        self.dripping = True
        end = time.monotonic() + seconds
        while self.dripping and time.monotonic() < end:
            with contextlib.suppress(OSError):
                self.far.sendall(b"x")
            time.sleep(0.02)

    def close(self) -> None:
        self.heard.set()
        self.near.close()
        with contextlib.suppress(OSError):
            self.far.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self.far.close()

    def _serve(self) -> None:
        with self.far.makefile("r") as lines, contextlib.suppress(OSError):
            for line in lines:
                number, verb, *words = line.split()
                self.asked.append(" ".join((verb, *words)))
                if verb in self.says:
                    reply = self.says[verb](words)
                    if reply == "nothing":
                        continue
                    self.far.sendall(f"{number} {reply}\n".encode())
                    continue
                values = [int(word, 16) for word in words]
                # The chip hears of a posted write after the guest was told that it is done.
                self.far.sendall(f"{number} ok{' 0x0' if verb in ('read', 'config-read', 'level') else ''}\n".encode())
                if self.chip_is_deaf:
                    continue
                if verb == "write":
                    self.chip(str(Access(True, values[0], values[1], values[2], values[3])), "idle")
                elif verb == "read":
                    self.chip(str(Access(False, values[0], values[1], values[2], 0)), "idle")
                elif verb == "config-write":
                    self.chip(str(ConfigWrite(values[0], values[1], values[2])), "idle")
                elif verb == "reset":
                    self.chip("reset power-on", "idle")


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    for limit in ("BOOT_LIMIT_S", "CALL_LIMIT_S", "SETTLE_LIMIT_S", "LINE_LIMIT_S"):
        monkeypatch.setattr(agent_module, limit, 0.3)
    made = Played(tmp_path)
    yield made
    made.close()


def test_greeting_tells_the_device(played: Played) -> None:
    assert played.start().found.bars[:3] == (0x200, 0x100, 0x20000)


@pytest.mark.parametrize("first", ["failed no PLX device on the PCI bus", "Welcome to Linux"])
def test_agent_that_cannot_work_is_a_lost_guest(played: Played, first: str) -> None:
    with pytest.raises(LostVm, match="agent"):
        played.start(first)


@pytest.mark.parametrize(
    ("verb", "answer", "call"),
    [
        ("read", "ok", lambda agent: agent.read(0, 0x68)),
        ("read", "ok 0xzz", lambda agent: agent.read(0, 0x68)),
        ("read", "ok -5", lambda agent: agent.read(0, 0x68)),
        ("read", "ok 1_0", lambda agent: agent.read(0, 0x68)),
        ("read", "ok 0x100", lambda agent: agent.read(0, 0x68, 1)),
        ("read", "ok " + 8000 * "9", lambda agent: agent.read(0, 0x68)),
        ("level", "ok 2", lambda agent: agent.inta()),
        ("alloc", "ok 0x1 0x1" + 16 * "0", lambda agent: agent.allocate(16)),
        ("config-read", "ok 0x1 0x2", lambda agent: agent.config_read(4)),
        ("level", "ok up", lambda agent: agent.inta()),
        ("alloc", "ok 0x1", lambda agent: agent.allocate(16)),
        ("get", "ok 0g0g", lambda agent: GuestBuffer(agent, 0, 0, 2).read(0, 2)),
        ("get", "ok 00", lambda agent: GuestBuffer(agent, 0, 0, 2).read(0, 2)),
        ("get", "ok 00 00", lambda agent: GuestBuffer(agent, 0, 0, 2).read(0, 2)),
        ("reset", "okay", lambda agent: agent.reset()),
        ("reset", "ok" + 9000 * "x", lambda agent: agent.reset()),
    ],
)
def test_answer_that_nobody_understands_is_a_lost_guest(
    played: Played, verb: str, answer: str, call: Callable[[GuestAgent], object]
) -> None:
    agent = played.start()
    played.says[verb] = lambda _: answer
    with pytest.raises(LostVm, match=r"had to come, not|no answer to request|line without an end"):
        call(agent)


@pytest.mark.parametrize(
    "first",
    [
        "ready 1 x -1:-2 0x0 0x0 0x0 0x0 0x0 0x0",
        "ready 1 x 10b5:9601",
        "ready 1 x 10b5:9601" + 6 * (" 0x1" + 9000 * "0"),
    ],
)
def test_greeting_that_makes_no_sense_is_a_lost_guest(played: Played, first: str) -> None:
    with pytest.raises(LostVm, match=r"no agent of protocol|had to come|line without an end"):
        played.start(first)


def test_agent_that_takes_nothing_is_a_lost_guest(played: Played) -> None:
    agent = played.start()
    played.deaf()

    def put_on() -> None:
        for _ in range(500):
            agent.ask("put", 1, 0, bytes(CHUNK))

    with pytest.raises(LostVm, match=r"nothing was taken for 0\.3 s"):
        put_on()


def test_agent_that_drips_does_not_stretch_the_limit(played: Played) -> None:
    agent = played.start()
    dripping = threading.Thread(target=played.drip, args=(3.0,))
    played.says["read"] = lambda _: "nothing"
    dripping.start()
    began = time.monotonic()
    with pytest.raises(LostVm, match="did not answer 'read' within"):
        agent.read(0, 0x68)
    passed = time.monotonic() - began
    played.dripping = False
    dripping.join()
    assert passed < 2.5  # the limit is 0.3 s, the drip goes on for 3


def test_guest_that_answers_for_a_card_that_is_gone_is_lost(played: Played) -> None:
    agent = played.start()
    agent.write(0, 0x90, 4, 8)
    played.vm.alive = False
    for call in (lambda: agent.read(0, 0x68), lambda: agent.config_read(0), agent.settle, agent.accesses, agent.inta):
        with pytest.raises(LostVm, match="the guest has ended"):
            call()


def test_accesses_are_those_that_the_chip_saw(played: Played) -> None:
    agent = played.start()
    agent.write(0, 0x90, 4, 8)
    assert agent.read(0, 0x68) == 0
    assert agent.accesses() == (Access(True, 0, 0x90, 4, 8), Access(False, 0, 0x68, 4, 0))
    assert played.asked == ["write 0x0 0x90 0x4 0x8", "read 0x0 0x68 0x4"]


def test_write_that_never_reaches_the_chip_is_noticed(played: Played) -> None:
    agent = played.start()
    played.chip_is_deaf = True
    with pytest.raises(NotSettled, match=r"see 1 accesses \(is the BAR's decoding off"):
        agent.write(0, 0x90, 4, 8)
    with pytest.raises(NotSettled, match=r"get the write C 0x004 2 0x0007"):
        agent.config_write(4, 2, 7)


@pytest.mark.parametrize(("offset", "width"), [(0x0D, 2), (0x66, 4), (0x68, 8), (0x68, 3)])
def test_access_that_qemu_would_take_apart_is_refused_before_it_is_made(
    played: Played, offset: int, width: int
) -> None:
    agent = played.start()
    with pytest.raises(AgentRefused, match="not aligned"):
        agent.read(0, offset, width)
    with pytest.raises(AgentRefused, match="not aligned"):
        agent.write(0, offset, width, 0)
    assert played.asked == []


def test_settling_waits_for_the_chip(played: Played) -> None:
    agent = played.start()
    agent.write(0, 0xA8, 1, 3)
    agent.settle()
    played.chip("start 0")
    timer = threading.Timer(0.05, played.chip, ("done 0", "idle"))
    timer.start()
    agent.settle()
    timer.join()
    played.chip("start 0")
    with pytest.raises(NotSettled, match="come to rest"):
        agent.settle()


def test_reset_forgets_what_was_accessed(played: Played) -> None:
    agent = played.start()
    agent.write(0, 0x90, 4, 8)
    agent.reset()
    assert agent.accesses() == ()
    agent.write(0, 0x94, 4, 8)
    assert agent.accesses() == (Access(True, 0, 0x94, 4, 8),)


def test_reset_that_the_chip_does_not_see_is_noticed(played: Played) -> None:
    agent = played.start()
    played.chip_is_deaf = True
    with pytest.raises(NotSettled, match="be reset"):
        agent.reset()


def test_long_buffer_goes_in_pieces(played: Played) -> None:
    agent = played.start()
    played.says["alloc"] = lambda _: "ok 3 0x5000"
    played.says["get"] = lambda words: "ok " + "5a" * int(words[2], 16)
    buffer = agent.allocate(3 * CHUNK)
    assert (buffer.bus, buffer.length) == (0x5000, 3 * CHUNK)
    assert buffer.read(8, 2 * CHUNK + 1) == b"\x5a" * (2 * CHUNK + 1)
    assert played.asked[1:] == [f"get 0x3 {8 + CHUNK * n:#x} {size:#x}" for n, size in enumerate((CHUNK, CHUNK, 1))]
    buffer.write(4, bytes(CHUNK + 2))
    assert [asked.split()[2] for asked in played.asked[4:]] == ["0x4", hex(4 + CHUNK)]


def test_refusal_is_passed_on_and_the_guest_lives(played: Played) -> None:
    agent = played.start()
    played.says["read"] = lambda _: "error Numerical result out of range"
    with pytest.raises(AgentRefused, match="out of range"):
        agent.read(0, 0x1000)
    assert agent.config_read(0) == 0


class TestInta:
    def test_it_is_what_the_guest_says(self, played: Played) -> None:
        agent = played.start()
        assert not agent.inta()
        played.chip("line 1")
        played.says["level"] = lambda _: "ok 1"
        assert agent.inta()

    def test_host_that_is_slow_to_deliver_is_waited_for(self, played: Played) -> None:
        agent = played.start()
        played.chip("line 1")
        answers = iter(("ok 0", "ok 0", "ok 1"))
        played.says["level"] = lambda _: next(answers)
        assert agent.inta()

    def test_interrupt_that_never_comes_is_none(self, played: Played) -> None:
        agent = played.start()
        played.chip("line 1")
        assert not agent.inta()

    def test_interrupt_that_the_chip_does_not_drive_is_one_all_the_same(self, played: Played) -> None:
        agent = played.start()
        played.says["level"] = lambda _: "ok 1"
        played.says["read"] = lambda _: played.chip("R 0 0x000 4 0x0") or "ok 0"
        assert agent.inta(), "a pin stuck in the guest must not be hidden"

    def test_pin_that_qemu_raised_late_is_lowered_by_an_access_that_is_none_of_the_tests(self, played: Played) -> None:
        agent = played.start()
        played.chip("line 1", "line 0")
        answers = iter(("ok 1", "ok 0"))
        played.says["level"] = lambda _: next(answers)
        played.says["read"] = lambda _: played.chip("R 0 0x000 4 0x0") or "ok 0"
        assert not agent.inta()
        assert agent.accesses() == ()

    def test_pin_that_qemu_could_not_lower_yet_is_down(self, played: Played) -> None:
        agent = played.start()
        played.says["level"] = lambda _: "ok 1"
        played.chip("line 1", "idle", "C 0x006 2 0x2000", "line 0", "idle")
        assert not agent.inta()


class TestLostGuest:
    def test_agent_that_says_nothing(self, played: Played) -> None:
        agent = played.start()
        played.says["read"] = lambda _: "nothing"
        with pytest.raises(LostVm, match=r"did not answer 'read' within 0.3 s"):
            agent.read(0, 0)

    def test_agent_that_answers_something_else(self, played: Played) -> None:
        agent = played.start()
        played.says["read"] = lambda _: "perhaps"
        with pytest.raises(LostVm, match="no answer to request 1"):
            agent.read(0, 0)

    def test_guest_that_ends_meanwhile(self, played: Played) -> None:
        agent = played.start()
        played.says["read"] = lambda _: "nothing"
        played.vm.alive = False
        with pytest.raises(LostVm, match="the guest has ended"):
            agent.read(0, 0)
        assert not agent.alive
        with pytest.raises(LostVm):
            agent.problems()

    def test_guest_that_ends_while_the_chip_is_awaited(self, played: Played) -> None:
        agent = played.start()
        played.chip("start 0")
        played.vm.alive = False
        with pytest.raises(LostVm, match="the guest has ended"):
            agent.settle()

    @pytest.mark.parametrize("alive", [True, False])
    def test_channel_that_breaks(self, played: Played, alive: bool) -> None:
        agent = played.start()
        played.vm.alive = alive
        played.far.shutdown(socket.SHUT_RDWR)
        with pytest.raises(LostVm, match="channel" if alive else "the guest has ended"):
            agent.read(0, 0)


def test_complaints_of_kernel_and_qemu_are_told(played: Played) -> None:
    assert played.start().problems() == ("vfio: no",)
