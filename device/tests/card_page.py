# SPDX-License-Identifier: Apache-2.0
"""docs/your-card.md, followed: for a test without a guest, and for one with."""

import os
import sys
from pathlib import Path

from tests import pages

PAGE = pages.ROOT / "docs" / "your-card.md"


def environment(folder: Path) -> dict[str, str]:
    """Where pip installs into the folder, without a network, and what it installs there is found."""
    site = str(folder / "site")
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": site,
        "PIP_TARGET": site,
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's negated options read the other way round here
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }


CARDS = 2
"""How many the page makes packages of, and installs."""


def follow(folder: Path, *, guest: bool, cards: int = CARDS) -> int:
    """Run the page's commands one after the other and compare what they print; give how many blocks were run.

    Without `guest` not those that boot one; of packages only the first `cards` are installed, pip being slow.
    """
    pages.write_files(PAGE, folder)
    ran = installed = 0
    for step in pages.steps(PAGE):
        if "plx9x5x try" in step.commands and not guest:
            continue
        if "pip install" in step.commands:
            if installed == cards:
                continue
            installed += 1
        done = pages.shell(step.commands, folder, environment(folder))
        assert done.returncode == 0, step.commands + done.stdout + done.stderr
        if step.prints is not None:
            assert pages.lasting(done.stdout) == pages.lasting(step.prints), step.commands + done.stdout
        ran += 1
    return ran
