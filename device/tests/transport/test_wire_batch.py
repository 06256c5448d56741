# SPDX-License-Identifier: Apache-2.0
"""How long a pipeline of messages keeps everything else waiting: DMA, signals, those who want to attach."""

import socket
from typing import Any

import pytest

from plx9x5x.ports import BusMaster, IrqLine
from plx9x5x.transport.wire import codec, server
from plx9x5x.transport.wire.codec import Command
from tests.transport.fake_device import FakeDevice

MESSAGES = 6


class Time:
    ns = 0

    def monotonic_ns(self) -> int:
        return self.ns

    perf_counter_ns = monotonic_ns

    def monotonic(self) -> float:
        return self.ns / 1e9


def _served(monkeypatch: pytest.MonkeyPatch, *, each_ns: int) -> str:
    """What the device was asked for, r and s, by a client whose every read takes so long."""
    done, time = [], Time()
    monkeypatch.setattr(server, "time", time)

    class Slow(FakeDevice):
        def read(self, bar: int, offset: int, width: int) -> int:
            done.append("r")
            time.ns += each_ns
            return 0

        def step(self, budget: int) -> bool:
            done.append("s")
            return False

    def make(bus: BusMaster, irq: IrqLine) -> Any:
        return Slow(bus, irq)

    ours, theirs = socket.socketpair()
    said = codec.request(0, Command.VERSION, codec.Version().pack())
    said += codec.request(1, Command.REGION_READ, codec.REGION_ACCESS.pack(0x10, 0, 4)) * MESSAGES
    ours.sendall(said)
    ours.shutdown(socket.SHUT_WR)
    with server.WireServer(None, make, given=theirs, plane="python") as wire:
        wire.run()
    ours.close()
    return "".join(done)


def test_quick_messages_are_taken_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "r" * MESSAGES in _served(monkeypatch, each_ns=1)


def test_after_a_slow_message_everything_else_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _served(monkeypatch, each_ns=server.LOOK_NS + 1).startswith("rs" * MESSAGES)
