# SPDX-License-Identifier: Apache-2.0
"""docs/writing-a-board.md is followed to the letter: its files are written, its commands run, its output compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/writing-a-board.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder after every file was written, and an environment in which pip installs there, without a network."""
    folder = tmp_path_factory.mktemp("tutorial")
    for block in (*blocks("toml"), *blocks("python")):
        first, _, text = block.partition("\n")
        path = folder / first.removeprefix("# file: ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    site = folder / "site"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(site),
        "PIP_TARGET": str(site),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's negated options read the other way round here
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return folder, environment


def run(followed: tuple[Path, dict[str, str]], *argv: str) -> str:
    folder, environment = followed
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_board_installs_is_listed_and_runs_as_the_page_says(followed: tuple[Path, dict[str, str]]) -> None:
    (commands,) = blocks("sh")
    said = run(followed, "sh", "-e", "-c", commands)
    assert "digitizer        An invented digitizer, PCI 9080 (1234:0d16)" in said
    assert "--set rate=1000000             samples a second (a whole number from 1)" in said
    assert "local 10000000-1000ffff  memory" in said
    assert "0x2c  PCISVID" in said
    (expected,) = blocks("text")
    assert run(followed, sys.executable, "try_it.py") == expected
    assert "1 passed" in run(
        followed, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_digitizer.py"
    )
