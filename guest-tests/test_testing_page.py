# SPDX-License-Identifier: Apache-2.0
"""The example of docs/testing-your-driver.md, as it is printed there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.lab.guest import sources as guest_sources

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

PAGE = Path(__file__).parents[1] / "docs" / "testing-your-driver.md"


def printed(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def run_pytest(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_mydrv.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(guest_sources.find().root / "try" / "blink", tmp_path / "mydrv")
    return tmp_path


def test_the_example_passes_as_it_is_printed(folder: Path) -> None:
    done = run_pytest(folder, printed("python")[0])
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_the_example_of_a_device_of_ones_own_passes_as_it_is_printed(tmp_path: Path) -> None:
    shutil.copy(PAGE.parents[1] / "guest-tests" / "own_device.py", tmp_path / "mydevice.py")
    (script,) = printed("sh")
    (tmp_path / "check").write_text(script, encoding="utf-8")
    done = run_pytest(tmp_path, printed("python")[1])
    assert "1 passed" in done.stdout, done.stdout


def test_a_test_that_fails_shows_the_verdict(folder: Path) -> None:
    done = run_pytest(folder, 'def test_it(plx_try):\n    assert plx_try("./mydrv", "forget=1").exit_code == 0\n')
    assert done.returncode == 1
    assert "call pci_set_master() in probe (bus-master-never)" in done.stdout
    assert "failed with error -110" in done.stdout
    assert "listening on" in done.stdout
