# SPDX-License-Identifier: Apache-2.0
"""What a fuzzer drives: something that plays an input, and says what it did and how long the slowest step of it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

LIMIT_NS = 100_000_000
"""CPU time of one step at most. Not the host's time: others use the machine too."""
ASKED_NS = 5_000_000


class Finding(AssertionError):
    """What was played broke a rule, though nothing was raised."""


class Meter:
    """The slowest step, and how much was played.

    A step takes at most the host's time that passed, and at most the CPU time of this thread since the kernel was last
    asked for it. That is done every ASKED_NS and for the slowest steps alone: it takes longer than many a step. So the
    slowest step may be told too long, by what was done before it since, and never too short.
    """

    def __init__(self) -> None:
        self.count = 0
        self.slowest_ns = 0
        self._ask()

    def _ask(self) -> None:
        self._cpu = time.thread_time_ns()
        self._since = self._asked = time.perf_counter_ns()

    def start(self) -> None:
        """What passed until now is no step's."""
        self._since = time.perf_counter_ns()
        if self._since - self._asked > ASKED_NS:
            self._ask()

    def stop(self, what: str = "") -> None:
        """A step has ended, and the next begins."""
        now = time.perf_counter_ns()
        spent, self._since = now - self._since, now
        if spent > self.slowest_ns:
            self._slow(spent, what)
        elif now - self._asked > ASKED_NS:
            self._ask()

    def _slow(self, spent: int, what: str) -> None:
        spent = min(spent, time.thread_time_ns() - self._cpu)
        self.slowest_ns = max(self.slowest_ns, spent)
        if spent > LIMIT_NS:
            raise Finding(f"a step took {spent / 1e6:.0f} ms of CPU time{what and ': ' + what}")
        self._ask()


class Target(Protocol):
    """A world with something to fuzz in it. Inputs follow one another in it: each finds it as new."""

    meter: Meter

    def play(self, data: bytes) -> None:
        """Do what an input says. Raises: Finding, and whatever should never have been raised."""
        ...

    def settle(self) -> None:
        """Take the process as it is for what the next input has to leave behind: others open files too."""
        ...

    def close(self) -> None:
        """Let go of the world."""
        ...


@contextmanager
def nothing_unraisable() -> Iterator[None]:
    """What Python can only print, as a failure in a destructor, is a finding too."""
    seen: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, seen.append
    try:
        yield
        if seen:
            raise Finding(f"unraisable: {seen[0].exc_value!r} in {seen[0].object!r}") from seen[0].exc_value
    finally:
        sys.unraisablehook = before
