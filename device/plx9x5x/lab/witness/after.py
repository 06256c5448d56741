# SPDX-License-Identifier: Apache-2.0
"""What comes of what QEMU's plugin saw, once guest and servers have ended: lines for findings and traces, coverage."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from plx9x5x.errors import SetupError
from plx9x5x.lab.witness import coverage, places
from plx9x5x.lab.witness.covered import TABLE, CoverageFile, Covered, without_file
from plx9x5x.lab.witness.seen import SeenCode


@dataclass(frozen=True, slots=True)
class Unseen:
    """Nothing was seen; `why`, in a few words."""

    why: str


@dataclass(frozen=True, slots=True)
class After:
    """What came of it. `troubles` are files that could not be written, a line each."""

    coverage: Covered | None = None
    troubles: tuple[str, ...] = ()


def finish(
    seen: SeenCode | Unseen,
    *,
    findings: Iterable[Path] = (),
    traces: Iterable[Path] = (),
    target: CoverageFile | None = None,
    logs: Path,
) -> After:
    """Give places in the kept `findings` and the register `traces` their lines; find out what ran.

    It is added to `target`. Without `target` nothing is said of what ran if no module was loaded.
    """
    if isinstance(seen, Unseen):
        return After(None if target is None else target.without(seen.why))
    troubles = []
    work = [(path, places.fill) for path in findings] + [(path, places.rewrite_trace) for path in traces]
    for path, rewrite in work:
        try:
            rewrite(path, seen.where)
        except OSError as exc:
            troubles.append(f"{path} has no lines of the driver: {exc.strerror}")
    covered = None
    if target is not None or seen.code.loads:
        try:
            found = coverage.measure(seen)
            covered = without_file(found) if target is None else target.add(found)
            (logs / TABLE).write_text(covered.table, encoding="utf-8")
        except SetupError as exc:
            troubles.append(str(exc))
        except OSError as exc:
            troubles.append(f"{logs / TABLE} was not written: {exc.strerror}")
    return After(covered, tuple(troubles))
