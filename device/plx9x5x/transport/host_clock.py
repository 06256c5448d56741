# SPDX-License-Identifier: Apache-2.0
"""The host's time for a model that a guest looks at: there it passes whether anybody looks or not.

But a host that takes the processor away must not break a correct driver: a card's FIFO would overrun in the device's
time while neither device nor driver had any. So between two looks at the clock no more passes than `max_step_ns`,
unless the device itself said that it need not be looked at for longer.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import BadRequest

MAX_STEP_MS: Final = 1.0
"""Well above what a look takes (0.05 ms) and a scheduler's usual turn, well below what fills a card's FIFO: 10 MB/s put
10 KB into it meanwhile."""

_NS_PER_MS: Final = 1_000_000
_SLOWEST, _FASTEST = 1e-6, 1e3
_LONGEST_NS: Final = 1 << 62
"""Of a wait, of the device's time: beyond it, floats end in the end."""


class NoSuchTime(BadRequest):
    """Time cannot pass like that."""


@dataclass(frozen=True, slots=True)
class TimeRule:
    """How the device's time follows the host's: `scale` times as fast, with bounded steps.

    Between two looks at most `max_step_ns` of the host's time count; None is however much. Raises: NoSuchTime.
    """

    scale: float = 1.0
    max_step_ns: int | None = round(MAX_STEP_MS * _NS_PER_MS)

    def __post_init__(self) -> None:
        if not _SLOWEST <= self.scale <= _FASTEST:
            raise NoSuchTime(f"a time scale of {self.scale} is none: from {_SLOWEST} (slow) to {_FASTEST:.0f} (fast)")
        if self.max_step_ns is not None and self.max_step_ns <= 0:
            raise NoSuchTime("the longest step of time is a number above 0, or 0 for no bound")

    @classmethod
    def of(cls, *, scale: float, max_step_ms: float) -> "TimeRule":
        """Make one from what people write: 0 ms is no bound. Raises: NoSuchTime."""
        if not math.isfinite(max_step_ms) or max_step_ms < 0:
            raise NoSuchTime(f"{max_step_ms} ms is no longest step of time: a number above 0, or 0 for no bound")
        return cls(scale, round(max_step_ms * _NS_PER_MS) or None)

    def __str__(self) -> str:
        most = "any" if self.max_step_ns is None else f"{self.max_step_ns} ns"
        return f"scale {self.scale:g}, max step {most}"


class HostClock:
    """Nanoseconds of the host's monotonic clock by a `rule`. `source` is that clock."""

    def __init__(self, rule: TimeRule | None = None, *, source: Callable[[], int] = time.monotonic_ns) -> None:
        self._source = source
        self._rule: Final = rule or TimeRule()
        self._seen = self._began = source()
        self._left_out = 0
        self._most = self._rule.max_step_ns

    def now(self) -> int:
        """Nanoseconds since the clock was made, by the rule."""
        host = self._source()
        passed, self._seen = host - self._seen, host
        if self._most is not None and passed > self._most:
            self._left_out += passed - self._most
        self._most = self._rule.max_step_ns
        return int((host - self._began - self._left_out) * self._rule.scale)

    @property
    def left_out_ns(self) -> int:
        """How much of the host's time has not been the device's."""
        return self._left_out

    def expect(self, wait_ns: int | None) -> int | None:
        """The device need not be looked at for `wait_ns` of its time, or until somebody asks (None): let that pass.

        Gives the host's time for it.
        """
        if wait_ns is None:
            self._most = None
            return None
        wait = math.ceil(min(wait_ns, _LONGEST_NS) / self._rule.scale)
        self._most = None if self._rule.max_step_ns is None else wait + self._rule.max_step_ns
        return wait
