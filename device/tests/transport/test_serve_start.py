# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x serve` listens before anything is imported that it does not need for that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.transport.libvfio_find import ENV_VAR

HEAVY = {"numpy", "rich", "cffi", "pytest", "plx9x5x.lab.session", "nthal"}


def imported_until_it_listens(folder: Path, library: Path) -> set[str]:
    argv = [sys.executable, "-X", "importtime", "-m", "plx9x5x", "serve", "--socket-path", str(folder / "s")]
    env = {**os.environ, ENV_VAR: str(library)}
    log = folder / "imports"
    with (
        log.open("w") as said,
        subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=said, text=True) as serve,
    ):
        assert serve.stdout is not None
        assert any(line.startswith("listening on") for line in serve.stdout)
        serve.terminate()
        assert serve.wait(10) == 0
    lines = (line.rpartition("|") for line in log.read_text().splitlines() if line.startswith("import time:"))
    return {name.strip() for _, _, name in lines}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, library_path: Path) -> set[str]:
    return imported_until_it_listens(tmp_path_factory.mktemp("s"), library_path)


def test_serve_brings_along_only_what_it_serves_with(imported: set[str]) -> None:
    assert {"plx9x5x.model.chip", "plx9x5x.transport.libvfio", "plx9x5x.boards.reference"} <= imported
    assert imported & HEAVY == set()
