# SPDX-License-Identifier: Apache-2.0
"""A card with a plan in a loopback host, with the words of tests/model/bench.py for what a driver does."""

from __future__ import annotations

from typing import Any

from plx9x5x import events
from plx9x5x.board import load_board
from plx9x5x.chip_faults import card, names
from plx9x5x.model.clock import VirtualClock
from plx9x5x.rules.room import Room
from plx9x5x.trace.tee import Tee
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import KIB
from tests.model.bench import CLEAR, DONE, DONE_INTR, MODE_RESET, TO_INTA, Bench, Trace

BOARD = "rdk-9656-lite"
LOUD = MODE_RESET | DONE_INTR | TO_INTA
DMA0_ON = 1 << 8 | 1 << 18


class Faulty(Bench):
    """As a `Bench`, with sentences of a plan. `said` are the lines about strikes, `room` judges what the driver does."""

    def __init__(
        self, *sentences: str, board: str = BOARD, seed: int = 0, enabled: bool = True, **options: Any
    ) -> None:
        self.trace = Trace(enabled=options.pop("traced", False))
        self.clock = VirtualClock()
        self.said: list[str] = []
        self.findings_said: list[str] = []
        self.kept: list[dict[str, object]] = []
        self.room = Room(self.findings_said.append, keep=self.kept.append)
        made = load_board(board)
        plan = names.plan(sentences, made)

        def make(bus: Any, irq: Any) -> Any:
            self.card = card.make(
                plan,
                made,
                bus=bus,
                irq=irq,
                clock=self.clock,
                trace=Tee(self.room, self.trace),
                seed=seed,
                say=self.said.append,
            )
            return self.card.device

        self.host: Any = Loopback(make, enabled=enabled, clock=self.clock, plane=options.pop("plane", None))
        self.chip = self.host.device
        self.ram = self.host.ram(self.RAM, 256 * KIB, fill=0xAA)
        self.inner = self.card.chip

    def local(self, at: int, length: int) -> bytes:
        return self.inner.local_bus.read(at, length)

    def put(self, at: int, raw: bytes, *, in_pci: bool = True) -> None:
        if in_pci:
            super().put(at, raw)
        else:
            self.inner.local_bus.write(at, raw)

    @property
    def struck(self) -> list[int]:
        return [live.struck for live in self.card.injector.lives]

    @property
    def rules(self) -> list[str]:
        return [finding.rule for finding in self.room.findings]

    def faults_of(self, kind: type[events.Fault]) -> list[events.Fault]:
        return [event for event in self.trace.events if isinstance(event, kind)]

    def loud(self) -> None:
        """Let channel 0 interrupt the host."""
        self.intcsr = DMA0_ON

    def move(self, length: int = 64, *, to: str = "pci", offset: int = 0, mode: int = MODE_RESET) -> int:
        """A block on channel 0 between local address 0 and memory; DMACSR0 after all that goes by itself."""
        self.channel(0).block(pci=self.RAM + offset, local=0, length=length, to=to, mode=mode)
        self.host.run()
        return self.csr

    @property
    def csr(self) -> int:
        return int(self.channel(0).csr)

    @property
    def done(self) -> bool:
        return bool(self.csr & DONE)

    def abort(self) -> None:
        self.channel(0).csr = 0
        self.channel(0).csr = 4

    def acknowledge(self) -> None:
        self.channel(0).csr = CLEAR | 1

    def wait(self, nanoseconds: int) -> None:
        self.clock.advance(nanoseconds)
        self.host.device.step(4096)
