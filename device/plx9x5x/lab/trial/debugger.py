# SPDX-License-Identifier: Apache-2.0
"""Attaching gdb to a guest before a driver's probe: where modules lie, what to type."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from plx9x5x.lab.guest.vm import Nobody
from plx9x5x.lab.report.ktap import Case
from plx9x5x.lab.trial.verdict import LOAD

_AT: Final = "at "


class GdbWatcher(Nobody):
    """Tells, once the modules are loaded and nothing is probed yet, how to attach.

    `files` are the modules' files by name; those of the guest's kernel are not among them.
    """

    def __init__(self, place: Path, files: Mapping[str, Path], tell: Callable[[str], None]) -> None:
        self._place, self._files, self._tell = place, files, tell

    def case(self, case: Case, *, planned: int | None) -> None:
        """Look whether it is that moment."""
        del planned
        if case.name != LOAD or not case.verdict.good:
            return
        symbols = []
        for line in case.diagnostics:
            if not line.startswith(_AT):
                continue
            name, _, address = line.removeprefix(_AT).partition(" ")
            self._tell(f"{name} lies at {address}")
            if name in self._files:
                symbols.append(f"add-symbol-file {self._files[name].absolute()} {address}")
        words = ["gdb", *(word for line in (f"target remote {self._place}", *symbols) for word in ("-ex", line))]
        self._tell(f"attach:  {shlex.join(words)}")
        self._tell("then let the guest go on in gdb ('continue'), and press Enter here: the card is probed")
