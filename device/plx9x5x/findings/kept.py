# SPDX-License-Identifier: Apache-2.0
"""The file that a server keeps its findings in (`serve --summary`): a JSON object a line, for each client that left."""

import json
from pathlib import Path

from plx9x5x.findings.finding import Finding, from_json


def read(path: Path) -> tuple[Finding, ...]:
    """Give the findings of all clients, in order; none if there is no file.

    A line that was cut off, since the server was killed or the disk was full, says nothing.
    """
    found: list[Finding] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    for line in lines:
        try:
            found += [from_json(one) for one in json.loads(line)["findings"]]
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            continue
    return tuple(found)
