# SPDX-License-Identifier: Apache-2.0
"""What a run of the benchmark is told."""

from dataclasses import dataclass

from plx9x5x.lab.toolchain import Toolchain


@dataclass(frozen=True, slots=True)
class Options:
    """How often, on what, and how much. `quick` proves that the harness works; its figures mean nothing.

    `cpus` is the one core that a server and its client share, None for any; `plane` the data plane of ours, '' for the
    one that runs unless told otherwise.
    """

    tc: Toolchain
    rounds: int = 7
    quick: bool = False
    cpus: frozenset[int] | None = None
    plane: str = ""

    def count(self, usual: int) -> int:
        """How many operations a round has: `usual`, or few for a quick run."""
        return max(1, usual // 50) if self.quick else usual
