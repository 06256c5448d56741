# SPDX-License-Identifier: Apache-2.0
"""The kept inputs, one archive for each target; and what a target is called."""

import hashlib
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import chip, wire, wire_inputs
from tests.fuzz.target import Target

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Kind:
    """One thing to fuzz: its worlds, and how inputs for it are made. `unit` is what is counted."""

    name: str
    unit: str
    worlds: tuple[str, ...]
    make: Callable[[str], Target]
    seeds: Callable[[random.Random], list[bytes]]
    mutate: Callable[[random.Random, bytes, bytes], bytes]

    @property
    def archive(self) -> Path:
        """Where its corpus is kept."""
        return FOLDER / f"{self.name}.zip"

    def corpus(self) -> list[bytes]:
        """Give the inputs that are kept, always in one order; the seeds if there are none yet."""
        if not self.archive.exists():
            return self.seeds(random.Random(1))
        with zipfile.ZipFile(self.archive) as kept:
            return [kept.read(name) for name in sorted(kept.namelist())]

    def keep(self, inputs: list[bytes]) -> None:
        """Put them in place of the corpus."""
        with zipfile.ZipFile(self.archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as kept:
            for data in sorted(set(inputs)):
                kept.writestr(zipfile.ZipInfo(hashlib.sha256(data).hexdigest()[:16]), data, zipfile.ZIP_DEFLATED)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("wire", "messages", wire.WORLDS, wire.WireTarget, wire_inputs.seeds, wire_inputs.mutate),
        Kind("chip", "operations", chip.WORLDS, chip.ChipTarget, chip.seeds, chip.mutate),
    )
}
