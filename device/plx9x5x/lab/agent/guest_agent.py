# SPDX-License-Identifier: Apache-2.0
"""A chip under QEMU, driven from out here through a Linux guest: every access is the guest's own.

::

    here                          guest                                      server
    agent.write(0, 0x90, 4, v) -> plx_test --agent -> driver: writel() -> QEMU -> chip -> register trace
    agent.settle()  <------------------------------------------------------------------------'

The guest's driver makes no register access of its own (hands_off), its program does what this side asks for by a
virtio-serial port. The chip's state is learned from the server's register trace (`chipwatch`), never by an access.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from plx9x5x import boards
from plx9x5x.lab.agent import protocol
from plx9x5x.lab.agent.chipwatch import ChipWatch
from plx9x5x.lab.agent.protocol import CHUNK, AgentRefused, BadAnswer, Greeting
from plx9x5x.lab.card import driver
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.guest import accel as accelerators
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.machine import pci_bridge
from plx9x5x.lab.guest.vm import GuestVm
from plx9x5x.lab.host import runs
from plx9x5x.lab.toolchain import Progress, load
from plx9x5x.trace.regtrace import Access, ConfigWrite

MODE: Final = "agent"
HANDS_OFF: Final = "hands_off=1"
TRACE: Final = "registers.trace"

BOOT_LIMIT_S: Final = 240.0
CALL_LIMIT_S: Final = 30.0
"""A request takes a millisecond; on a host whose cores are taken by others, seconds were seen."""
SETTLE_LIMIT_S: Final = 20.0
LIFE_S: Final = 3600.0
LISTEN_MS: Final = 10
"""How long the guest listens for an interrupt that may not come. One that is due has come before the question does."""
LINE_LIMIT_S: Final = 3.0

_BRIDGE: Final = "plxbus"


@dataclass(frozen=True, slots=True)
class GuestBuffer:
    """A common buffer of the guest's driver. `bus` is what the device is given; bytes beyond `length` are not ours."""

    agent: "GuestAgent"
    handle: int
    bus: int
    length: int

    def read(self, offset: int, length: int) -> bytes:
        """Read as the guest's CPU does. Raises: AgentRefused outside the buffer, LostVm."""
        pieces = []
        for at in range(offset, offset + length, CHUNK):
            wanted = min(CHUNK, offset + length - at)
            pieces.append(self.agent.ask_data(wanted, "get", self.handle, at, wanted))
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> None:
        """Write as the guest's CPU does. Raises: AgentRefused outside the buffer, LostVm."""
        for at in range(0, len(data), CHUNK):
            self.agent.ask("put", self.handle, offset + at, data[at : at + CHUNK])


class GuestAgent:
    """The guest's driver, call by call. Widths in bytes, values little-endian; every call may raise LostVm.

    A write of a register returns once the chip has it, although the guest's own write is posted: what is asked for
    next, INTA# before all, is then asked of a chip that knows of it.
    """

    def __init__(self, vm: GuestVm, channel: socket.socket, watch: ChipWatch) -> None:
        self._vm = vm
        self._channel = channel
        self._watch = watch
        self._lines = protocol.Lines()
        self._arrived: list[str] = []
        self._number = 0
        self._made = 0
        with self._understood():
            self.found: Greeting = protocol.greeting(self._line(BOOT_LIMIT_S, "come up"))

    @property
    def logs(self) -> Path:
        """Where the logs are."""
        return self._vm.logs

    @property
    def alive(self) -> bool:
        """False once the guest is gone."""
        return self._vm.alive

    # -- the device --------------------------------------------------------------------------------

    def read(self, bar: int, offset: int, width: int = 4) -> int:
        """Read a BAR. Raises: AgentRefused for what the BAR does not hold."""
        _check_aligned(offset, width)
        value = self._ask_number("read", bar, offset, width, bits=8 * width)
        self._made += 1
        return value

    def write(self, bar: int, offset: int, width: int, value: int) -> None:
        """Write a BAR. Raises: AgentRefused for what the BAR does not hold, NotSettled if it never reaches the chip."""
        _check_aligned(offset, width)
        self.ask("write", bar, offset, width, value)
        self._made += 1
        self._seen()

    def config_read(self, offset: int, width: int = 4) -> int:
        """Read configuration space; QEMU answers most of it by itself."""
        return self._ask_number("config-read", offset, width, bits=8 * width)

    def config_write(self, offset: int, width: int, value: int) -> None:
        """Write configuration space. Raises: NotSettled if it never reaches the chip."""
        wanted = ConfigWrite(offset, width, value)
        self._watch.poll()
        before = self._watch.config_writes.count(wanted)
        self.ask("config-write", offset, width, value)
        self._until(lambda: self._watch.config_writes.count(wanted) > before, f"get the write {wanted}")

    def allocate(self, length: int) -> GuestBuffer:
        """Allocate a common buffer, every byte 0xA5; it lives until `free` or `reset`. Raises: AgentRefused."""
        with self._understood():
            handle, bus = protocol.numbers(self.ask("alloc", length), count=2)
        return GuestBuffer(self, handle, bus, length)

    def free(self, buffer: GuestBuffer) -> None:
        """Free a buffer before its time. Raises: AgentRefused."""
        self.ask("free", buffer.handle)

    def inta(self) -> bool:
        """Say whether INTA# is asserted in the guest now; no register is touched, as `accesses` tells.

        The answer is the guest's. Three things of the way there are allowed for: a host slow to deliver what the
        chip asserts, a pin that QEMU could not lower yet (`ChipWatch.fell_unseen`), and one that it raised late, after
        the access that made the chip's fall.
        """
        self._seen()
        deadline = time.monotonic() + LINE_LIMIT_S
        while True:
            up = bool(self._ask_number("level", LISTEN_MS, bits=1))
            self._watch.poll()
            if up:
                return not self._watch.fell_unseen and (self._watch.line or self._still_up())
            if not self._watch.line or time.monotonic() > deadline:
                return False

    def _still_up(self) -> bool:
        """Have QEMU lower its pin, as any access to a BAR does, and ask again; that access is none of the test's.

        QEMU raises the pin from its main loop, some ms after the chip's word of an earlier time.
        """
        before = len(self._watch.accesses)
        self.read(0, 0)
        self._seen()
        del self._watch.accesses[before:]
        self._made -= 1
        return bool(self._ask_number("level", LISTEN_MS, bits=1))

    # -- the chip's state --------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until the chip has done all that it can do by itself; no register is touched. Raises: NotSettled."""
        self._seen()
        self._until(self._watch.settled(), "come to rest")

    def accesses(self) -> tuple[Access, ...]:
        """The accesses to BARs since the last reset, as the chip saw them."""
        self._seen()
        return tuple(self._watch.accesses)

    def reset(self) -> None:
        """RST# for the chip, configuration space as after the driver's probe, all buffers freed. Raises: NotSettled."""
        self._watch.restart()
        self.ask("reset")
        self._until(lambda: self._watch.resets > 0 and self._watch.idle, "be reset")
        self._watch.restart()
        self._made = 0

    def problems(self) -> tuple[str, ...]:
        """What the guest's kernel and QEMU complained about so far, a line each."""
        self._vm.check()
        return (*(oops.title for oops in self._vm.oopses), *self._vm.vfio_errors())

    # -- the channel -------------------------------------------------------------------------------

    def ask(self, verb: str, *words: int | bytes) -> tuple[str, ...]:
        """Send one request and wait for its answer. Raises: AgentRefused, LostVm."""
        self._number += 1
        line = protocol.request(self._number, verb, *words)
        try:
            self._channel.settimeout(CALL_LIMIT_S)
            self._channel.sendall(line)
        except OSError as exc:
            self._vm.check()
            why = f"nothing was taken for {CALL_LIMIT_S:g} s" if isinstance(exc, TimeoutError) else exc.strerror
            raise self._vm.lost(f"the agent's channel broke: {why}") from exc
        with self._understood():
            said = protocol.answer(self._line(CALL_LIMIT_S, f"answer '{verb}'"), number=self._number)
        self._vm.check()  # a guest whose card is gone reads ones, and answers
        return said

    def _ask_number(self, verb: str, *words: int | bytes, bits: int) -> int:
        """Send a request that one number of at most `bits` bits answers."""
        with self._understood():
            return protocol.one_number(self.ask(verb, *words), bits=bits)

    def ask_data(self, length: int, verb: str, *words: int | bytes) -> bytes:
        """Send a request that `length` bytes answer. Raises: AgentRefused, LostVm."""
        with self._understood():
            return protocol.data(self.ask(verb, *words), length=length)

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """What the guest says may be anything: an answer that cannot be understood ends as a lost guest."""
        try:
            yield
        except BadAnswer as exc:
            raise self._vm.lost(str(exc)) from exc

    def _line(self, limit_s: float, what: str) -> str:
        deadline = time.monotonic() + limit_s
        while not self._arrived:
            if time.monotonic() > deadline:
                raise self._vm.lost(f"the agent did not {what} within {limit_s:g} s")
            if not select.select([self._channel], [], [], 0.05)[0]:
                self._vm.check()
                continue
            data = self._receive()
            if not data:
                time.sleep(0.1)  # QEMU is about to end, and then the reason is known
                self._vm.check()
                raise self._vm.lost("the agent's channel was closed")
            with self._understood():
                self._arrived += self._lines.feed(data)
        return self._arrived.pop(0)

    def _receive(self) -> bytes:
        with contextlib.suppress(ConnectionError):
            return self._channel.recv(64 * 1024)
        return b""

    def _seen(self) -> None:
        """Wait until every access has reached the chip."""
        self._vm.check()
        self._until(
            lambda: len(self._watch.accesses) >= self._made,
            f"see {self._made} accesses (is the BAR's decoding off, or the chip in D3?)",
        )

    def _until(self, done: Callable[[], bool], what: str) -> None:
        self._watch.until(done, what, limit_s=SETTLE_LIMIT_S, look_round=self._vm.check)


def _check_aligned(offset: int, width: int) -> None:
    if width not in (1, 2, 4) or offset % width:
        raise AgentRefused(
            f"an access of {width} bytes at {offset:#x} is not aligned to 1, 2 or 4 bytes: on its way to the chip QEMU "
            "would take it apart, so a guest cannot make it"
        )


@contextlib.contextmanager
def boot(
    *,
    board: str = boards.DEFAULT,
    kernel: str | None = None,
    accel: str = "tcg",
    logs: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[GuestAgent]:
    """Serve `board`, boot a guest with it and wait for its agent; at the end nothing of them is left.

    The chip sits on a PCI bus of its own, whose bridge can reset it. Logs go to `logs`, by default a folder among
    those of other runs. Raises: SetupError, LostVm.
    """
    tc = load(kernel=kernel, progress=progress)
    accelerator, _ = accelerators.choose(accel, tc)
    logs = logs or runs.make(tc.cache)
    sources = guest_sources.find()
    image = driver.driver_image(tc, sources, driver.build(tc, sources), mode=MODE)
    image = replace(image, parameters={driver.DRIVER: (HANDS_OFF,)})
    trace = logs / TRACE
    backend = board_backend(board, libvfio_user=tc.libvfio_user, trace=trace)
    with contextlib.ExitStack() as stack:
        ready = stack.enter_context(prepared(tc, image, backend=backend, logs=logs))
        devices = (pci_bridge(_BRIDGE), *ready.device(bus=_BRIDGE))
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        with theirs:
            vm = stack.enter_context(
                ready.boot(devices=devices, logs=logs, timeout_s=LIFE_S, accel=accelerator, agent=theirs)
            )
        watch = stack.enter_context(ChipWatch(trace))
        yield GuestAgent(vm, ours, watch)
