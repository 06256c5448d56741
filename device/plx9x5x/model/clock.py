# SPDX-License-Identifier: Apache-2.0
"""Time that only its owner moves."""


class VirtualClock:
    """A clock in nanoseconds; a test or a host advances it by hand."""

    def __init__(self) -> None:
        self._now = 0

    def now(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._now

    def expect(self, wait_ns: int | None) -> int | None:
        """Nothing passes unexpectedly here."""
        return wait_ns

    def advance(self, nanoseconds: int) -> None:
        """Let time pass. Raises: ValueError if it would run backwards."""
        if nanoseconds < 0:
            raise ValueError(f"time cannot run backwards by {-nanoseconds} ns")
        self._now += nanoseconds
