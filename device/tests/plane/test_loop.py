# SPDX-License-Identifier: Apache-2.0
"""The loop in C comes back when it has to, whatever a client sends, and does the device's work between messages."""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plx9x5x.plane import _serving
from plx9x5x.plane.line import NativeLine
from plx9x5x.plane.serving import NativeServing, Part, Served

TAKE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
PRIVATE_OF = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
SEND = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
FFI = _serving.ffi
BUDGET = 4096
MS = 1_000_000


def address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class Loop:
    """The loop over messages that are numbers: what `take` gives, then 0 for ever; one with a socket always readable."""

    def __init__(self, *, busy: bool = False, messages: int = 0) -> None:
        self.busy = busy
        self.left = messages
        self.taken = 0
        self.edges = 0
        self.looks: list[int] = []
        self.answers: list[int] = []
        self._turn = False
        self._take, self._private = TAKE(self.take), PRIVATE_OF(lambda _: self.serving.address)
        self._send = SEND(self.send)
        self.line = NativeLine()
        self.line.connect(address(self._send), 0)
        self.readable, self.writer = os.pipe()
        self.wake, self.waker = os.pipe()
        if busy:
            os.write(self.writer, b"x")
        self.serving = NativeServing(
            take=address(self._take),
            private_of=address(self._private),
            wake_fd=self.wake,
            batch=8,
            budget=BUDGET,
            line=self.line,
        )
        self.serving.attach(0, self.readable)

    def take(self, _: int) -> int:
        self._turn = not self._turn
        if self.busy and self._turn:
            self.taken += 1
            return 1
        if self.left:
            self.left -= 1
            self.taken += 1
            return 1
        return 0

    def send(self, _context: int, _number: int) -> int:
        self.edges += 1
        return 0

    def ask_part(self, *answers: int) -> None:
        self.answers = list(answers)

        def work(_part: object, budget: int) -> int:
            self.looks.append(budget)
            return self.answers.pop(0) if self.answers else _serving.lib.WORK_NONE

        self._work = FFI.callback("enum work(struct native_part *, uint64_t)", work)
        self._part = FFI.new("struct native_part *")
        self._part.work = self._work
        self.serving.ask(Part(self._part, self))

    def serve(self, wait_ns: int | None) -> Served:
        """Serve, and fail if it does not come back."""
        came: list[Served] = []
        thread = threading.Thread(target=lambda: came.append(self.serving.serve(wait_ns)), daemon=True)
        thread.start()
        thread.join(20)
        assert came, "the loop does not come back"
        return came[0]

    def close(self) -> None:
        for fd in (self.readable, self.writer, self.wake, self.waker):
            os.close(fd)


@pytest.fixture
def loop() -> Iterator[Callable[..., Loop]]:
    made: list[Loop] = []

    def make(**options: Any) -> Loop:
        made.append(Loop(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_the_device_waits_for_comes_though_a_client_reads_all_the_time(loop: Callable[..., Loop]) -> None:
    busy, longer = loop(busy=True), loop(busy=True)
    assert busy.serve(1 * MS) is Served.NOTHING_CAME
    longer.serve(None)  # until signals get their turn, which is twenty times as long
    assert 1 < 3 * busy.taken < longer.taken


def test_signals_get_their_turn_though_a_client_reads_all_the_time(loop: Callable[..., Loop]) -> None:
    busy = loop(busy=True)
    assert busy.serve(None) is Served.NOTHING_CAME
    assert busy.taken > 1


def test_a_whole_batch_lets_others_have_their_turn(loop: Callable[..., Loop]) -> None:
    one = loop(messages=20)
    assert one.serve(None) is Served.NOTHING_CAME
    assert one.taken == 8


def test_it_is_woken(loop: Callable[..., Loop]) -> None:
    one = loop()
    os.write(one.waker, b"x")
    assert one.serve(None) is Served.WOKEN


def test_the_devices_part_works_after_the_messages_until_python_has_to_look(loop: Callable[..., Loop]) -> None:
    ask, more, none = _serving.lib.WORK_ASK, _serving.lib.WORK_MORE, _serving.lib.WORK_NONE
    for answers, why in (
        ((ask,), Served.DEVICE_HAD_A_SAY),
        ((none,), Served.NOTHING_CAME),
        ((more, more, none), Served.NOTHING_CAME),
        ((more, ask), Served.DEVICE_HAD_A_SAY),
    ):
        one = loop(messages=3)
        one.ask_part(*answers)
        assert one.serve(0) is why
        assert (one.taken, one.looks) == (3, [BUDGET] * len(answers))


def test_messages_are_taken_between_two_budgets_of_work(loop: Callable[..., Loop]) -> None:
    one = loop(messages=20)  # three batches
    one.ask_part(_serving.lib.WORK_MORE, _serving.lib.WORK_MORE, _serving.lib.WORK_NONE)
    assert one.serve(0) is Served.NOTHING_CAME
    assert one.taken == 20


def test_work_without_end_lets_others_have_their_turn(loop: Callable[..., Loop]) -> None:
    one = loop()
    one.ask_part(*[_serving.lib.WORK_MORE] * 10_000_000)
    assert one.serve(None) is Served.DEVICE_HAD_A_SAY


def test_the_part_is_not_asked_once_the_device_had_a_say(loop: Callable[..., Loop]) -> None:
    one = loop()
    one.ask_part()
    one._take = TAKE(lambda _: one.serving.say() or 0)
    one.serving._serving.take = FFI.cast("take_message", address(one._take))
    assert one.serve(None) is Served.DEVICE_HAD_A_SAY
    assert one.looks == []


def test_an_edge_that_is_due_again_is_sent_after_the_messages_that_are_there(loop: Callable[..., Loop]) -> None:
    one = loop(messages=2)
    one.line.set(True)
    assert one.edges == 1
    one.line.line.masked = False
    assert one.serve(0) is Served.NOTHING_CAME
    assert (one.taken, one.edges, one.line.masked) == (2, 2, True)


def test_no_edge_is_sent_before_the_device_has_looked_at_what_it_was_told(loop: Callable[..., Loop]) -> None:
    one = loop()
    one.line.set(True)
    one.line.line.masked = False
    one._take = TAKE(lambda _: one.serving.say() or 0)
    one.serving._serving.take = FFI.cast("take_message", address(one._take))
    assert one.serve(0) is Served.DEVICE_HAD_A_SAY
    assert one.edges == 1


def test_a_cause_that_a_message_takes_back_sends_no_edge(loop: Callable[..., Loop]) -> None:
    one = loop(messages=1)
    one.line.set(True)
    one.line.line.masked = False
    take = one.take

    def lowers(context: int) -> int:
        one.line.set(False)
        return take(context)

    one._take = TAKE(lowers)
    one.serving._serving.take = FFI.cast("take_message", address(one._take))
    one.serve(0)
    assert one.edges == 1


def test_mask_and_unmask_come_by_the_librarys_callback(loop: Callable[..., Loop]) -> None:
    one = loop()
    told = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_bool)
    callback = told(one.serving.line_callback)
    callback(0, 0, 1, True)
    assert one.line.masked
    one.line.set(True)
    assert one.edges == 0
    callback(0, 0, 1, False)
    assert (one.line.masked, one.edges) == (False, 0)
    one.serve(0)
    assert one.edges == 1
