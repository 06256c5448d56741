# SPDX-License-Identifier: Apache-2.0
"""Which of the host's cores the server and the guest share.

A register access is a message each way. On one core the answer comes at the next switch of tasks; on two, each side
has to be woken first, which takes several times as long. So both get the same core: the one that idles most.
"""

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/stat")
_IDLE_FIELDS: Final = slice(3, 5)  # idle, iowait


class CorePicker:
    """Watches the cores from its construction on; `pick` then names the one that was the least busy."""

    def __init__(self) -> None:
        self._before = _idle_ticks()

    def pick(self) -> frozenset[int] | None:
        """One core for server and guest, or None when there is nothing to choose from."""
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            return None
        now = _idle_ticks()
        random.shuffle(allowed)  # several runs that start at once shall not all take the first
        return frozenset({max(allowed, key=lambda core: now.get(core, 0) - self._before.get(core, 0))})


def _idle_ticks() -> Mapping[int, int]:
    try:
        lines = _STAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    cores = (line.split() for line in lines if line.startswith("cpu") and line[3:4].isdigit())
    return {int(words[0][3:]): sum(map(int, words[1:][_IDLE_FIELDS])) for words in cores}
