# SPDX-License-Identifier: Apache-2.0
"""How far tests of many tries go: a part of the way on every run, all of it under `PLX_LONG=1`, as .ci/run has it."""

import os
from typing import Final

LONG: Final = os.environ.get("PLX_LONG", "0") not in ("", "0")


def tries(quick: int, long: int) -> int:
    """How often, or of what size: `quick` in the fast tests' minute, else `long`."""
    return long if LONG else quick
