# SPDX-License-Identifier: Apache-2.0
"""Somebody's driver put to the test once: built, loaded in a guest beside the card, a command run, a verdict.

The guest reports in KTAP (guest-tests/initramfs/try): cases `load`, `bind` and, if there is one, `command`. What the
command writes comes by a port of its own, as it is written.
"""

from plx9x5x.lab.trial.once import Listener, run
from plx9x5x.lab.trial.verdict import TryResult
from plx9x5x.lab.trial.wanted import Folder, NothingToTry, TrySpec, Wanted, folders, parse

__all__ = ["Folder", "Listener", "NothingToTry", "TryResult", "TrySpec", "Wanted", "folders", "parse", "run"]
