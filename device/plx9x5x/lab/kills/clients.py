# SPDX-License-Identifier: Apache-2.0
"""Clients killed at any instant of their lives: the next one is served at once, by a server as it was before."""

import random
import signal
import time
from pathlib import Path
from typing import Final

from plx9x5x.lab.kills.tally import Tally
from plx9x5x.lab.kills.traces import (
    CLEAN_LIMIT_S,
    Footprint,
    Readings,
    Wrong,
    newcomer,
    prove_dma,
    settled,
)
from plx9x5x.lab.kills.victims import Victims

AUDIT: Final = 50
"""So many kills lie between two looks at what the server holds when nobody is there."""
ANSWERED: Final = "next client answered"
CLEAN: Final = "as before the client came"
_LIVES_S: Final = (0.004, 0.03)
"""Half of them die while they attach, half within the longer time."""
_RSS_KIB: Final = 4096
"""What memory may grow by from one half of the audits to the other, at their lowest: allocators keep some of it."""


class Watch:
    """What a server is like with nobody there, and with a client that has only come: what it has to be like again.

    `now` looks at it for the first time. Raises: Wrong, OSError.
    """

    def __init__(self, pid: int, path: Path, tally: Tally) -> None:
        self._pid, self._path, self._tally = pid, path, tally
        with newcomer(path) as (client, self._readings):
            prove_dma(client)  # what is imported late is there then
        self._idle = self._when_quiet()
        with newcomer(path, self._readings):
            # The thread that closes what the client before left may still be at it.
            self._attended = self._when_quiet()
        self._rss_kib: list[int] = []
        settled(pid, self._idle)

    @property
    def readings(self) -> Readings:
        """What the first client read."""
        return self._readings

    def next_client(self, since: float, what: str) -> None:
        """Be the next client after a kill at the moment `since`; `what` was killed."""
        tally = self._tally
        tally.kills += 1
        try:
            with newcomer(self._path, self._readings):
                tally.took(ANSWERED, time.monotonic() - since)
                there = settled(self._pid, self._attended)
                if there == self._attended:
                    tally.took(CLEAN, time.monotonic() - since)
                    return
                tally.leaks.append(f"after {what}: {there.more_than(self._attended)}")
                self._attended = there
            self._idle = self._when_quiet()
        except (Wrong, OSError) as exc:
            tally.wrong.append(f"after {what}: {exc}")

    def audit(self) -> None:
        """Have a client use the card, and see that nothing is left of all before once it has gone."""
        tally = self._tally
        try:
            with newcomer(self._path, self._readings) as (client, _):
                prove_dma(client)
        except (Wrong, OSError) as exc:
            tally.wrong.append(f"after {tally.kills} kills: {exc}")
        there = settled(self._pid, self._idle)
        if there != self._idle:
            tally.leaks.append(f"{tally.kills} kills, nobody there: {there.more_than(self._idle)}")
            self._idle = there
        self._rss_kib.append(there.rss_kib)

    def conclude(self) -> None:
        """After the last audit: see whether memory has grown all the time."""
        half = len(self._rss_kib) // 2
        lows = [min(part) for part in (self._rss_kib[:half], self._rss_kib[half:]) if part]
        if lows[-1] > lows[0] + _RSS_KIB:
            self._tally.leaks.append(f"{lows[-1] - lows[0]} KiB of memory from one half of the kills to the other")
        low, high, last = (value / 1024 for value in (min(self._rss_kib), max(self._rss_kib), self._rss_kib[-1]))
        self._tally.notes.append(f"memory of the server, nobody there: {low:.0f} to {high:.0f} MiB, last {last:.0f}")

    def _when_quiet(self) -> Footprint:
        """What it holds once that stays the same for a moment."""
        end = time.monotonic() + CLEAN_LIMIT_S
        there = Footprint.of(self._pid)
        since = time.monotonic()
        while time.monotonic() - since < 0.03 and time.monotonic() < end:
            time.sleep(0.005)
            if (now := Footprint.of(self._pid)) != there:
                there, since = now, time.monotonic()
        return there


def kill_clients(
    pid: int,
    path: Path,
    count: int,
    *,
    seed: int,
    victims: Victims,
    what: str = "raw client",
    whole: bool = False,
    limit: str = "",
) -> Tally:
    """Kill so many of them; the server is the process `pid`, and listens at `path`.

    `whole` has their messages come at once or not at all; `limit` is the tally's. Raises: LostVm, Wrong, OSError.
    """
    tally = Tally(what, limit=limit)
    watch = Watch(pid, path, tally)
    for number in range(count):
        draw = random.Random(f"{seed} client {number}")  # noqa: S311 - the same instants each time
        life = draw.getrandbits(32)
        victims.start(path, life, whole=whole)
        time.sleep(draw.uniform(0, draw.choice(_LIVES_S)))
        killed = time.monotonic()
        victims.kill()
        watch.next_client(killed, f"client {number} (seed {life})")
        if (code := victims.ended()) != -signal.SIGKILL:
            tally.hung_up.append(f"client {number} (seed {life}, exit code {code})")
        if (number + 1) % AUDIT == 0 or number + 1 == count:
            watch.audit()
    watch.conclude()
    return tally
