# SPDX-License-Identifier: Apache-2.0
"""What tests of `plx9x5x try` share: one call for a trial, with what it said as it went."""

from dataclasses import dataclass, field, replace

from plx9x5x.lab import trial
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.trial import TryResult, TrySpec


def folder(name: str) -> str:
    return str(guest_sources.find().root / "try" / name)


@dataclass
class Ear(trial.Listener):
    phases: list[str] = field(default_factory=list)
    heard: bytes = b""

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def output(self, data: bytes) -> None:
        self.heard += data


def tried(*words: str, **options: object) -> tuple[TryResult, Ear]:
    ear = Ear()
    spec = replace(TrySpec(trial.parse(words)), **options)  # type: ignore[arg-type]
    return trial.run(spec, listener=ear), ear
