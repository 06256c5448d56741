# SPDX-License-Identifier: Apache-2.0
"""The file that a server keeps its findings in (`serve --summary`): a JSON object a line, for each client that left."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from plx9x5x.findings.finding import Finding, from_json

_LINES: Final = 64


def records(path: Path) -> tuple[dict[str, object], ...]:
    """Give what each client came to, in order; none if there is no file.

    A line that was cut off, since the server was killed or the disk was full, says nothing.
    """
    found: list[dict[str, object]] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict):
                found.append(record)
    return tuple(found)


def findings_of(clients: Iterable[Mapping[str, object]]) -> tuple[Finding, ...]:
    """Give the findings of such records, in order."""
    found: list[Finding] = []
    for record in clients:
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            found += [from_json(one) for one in record["findings"]]  # type: ignore[attr-defined]
    return tuple(found)


def read(path: Path) -> tuple[Finding, ...]:
    """Give the findings of all clients, in order."""
    return findings_of(records(path))


def lines(findings: Sequence[Finding], file: str) -> tuple[str, ...]:
    """For people, a line each; those beyond the first ones are counted, and `file` has them."""
    shown = tuple(f"finding: {finding}" for finding in findings[:_LINES])
    more = len(findings) - len(shown)
    return (*shown, f"finding: ... and {more} more ({file})") if more else shown
