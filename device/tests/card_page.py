# SPDX-License-Identifier: Apache-2.0
"""docs/your-card.md, followed: for a test without a guest, and for one with."""

import os
import sys
from pathlib import Path

from tests import pages

# Two builds by setuptools are most of the page's time. Module and entry points go where pip would put them, by the same
# pyproject.toml; that setuptools reads it so is seen wherever pip itself is run.
_PIP = """\
#!{python} -IS
import pathlib, shutil, sys, tomllib
assert sys.argv[1:-1] == ["install", "-q"], sys.argv
source, site = pathlib.Path(sys.argv[-1]), pathlib.Path({site!r})
made = tomllib.loads((source / "pyproject.toml").read_text())
name, version = made["project"]["name"], made["project"]["version"]
info = site / f"{{name.replace('-', '_')}}-{{version}}.dist-info"
info.mkdir(parents=True)
for module in made["tool"]["setuptools"]["py-modules"]:
    shutil.copy(source / f"{{module}}.py", site)
(info / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n")
(info / "entry_points.txt").write_text("".join(
    f"[{{group}}]\\n" + "".join(f"{{key}} = {{value}}\\n" for key, value in entries.items())
    for group, entries in made["project"]["entry-points"].items()
))
"""

PAGE = pages.ROOT / "docs" / "your-card.md"


def environment(folder: Path) -> dict[str, str]:
    """Where pip installs into the folder, without a network, and what it installs there is found."""
    site = str(folder / "site")
    return {
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": site,
        "PIP_TARGET": site,
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's negated options read the other way round here
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }


def follow(folder: Path, *, guest: bool, pip: bool) -> int:
    """Run the page's commands one after the other and compare what they print; give how many blocks were run.

    Without `guest` not those that boot one; without `pip` something quicker puts packages where it would.
    """
    pages.write_files(PAGE, folder)
    if not pip:
        (folder / "bin").mkdir()
        (folder / "bin" / "pip").write_text(_PIP.format(python=sys.executable, site=str(folder / "site")))
        (folder / "bin" / "pip").chmod(0o755)
    ran = 0
    for step in pages.steps(PAGE):
        if "plx9x5x try" in step.commands and not guest:
            continue
        done = pages.shell(step.commands, folder, environment(folder))
        assert done.returncode == 0, step.commands + done.stdout + done.stderr
        if step.prints is not None:
            assert pages.lasting(done.stdout) == pages.lasting(step.prints), step.commands + done.stdout
        ran += 1
    return ran
