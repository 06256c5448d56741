# SPDX-License-Identifier: Apache-2.0
"""docs/contract-tutorial.md is followed to the letter: each driver says of itself what the page shows."""

import sys
from pathlib import Path

import pytest

from tests import pages

PAGE = pages.ROOT / "docs" / "contract-tutorial.md"


@pytest.mark.parametrize("step", pages.steps(PAGE), ids=lambda step: step.commands.splitlines()[-1])
def test_each_driver_prints_what_the_page_shows(step: pages.Step, tmp_path: Path) -> None:
    pages.write_files(PAGE, tmp_path)
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": f"{pages.ROOT / 'hal'}:{pages.ROOT / 'device'}",
    }
    done = pages.shell(step.commands, tmp_path, env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == step.prints


def test_the_page_has_a_leak_a_wrong_free_and_an_address_mistake_each_with_what_is_said() -> None:
    said = {step.commands: step.prints for step in pages.steps(PAGE)}
    assert "0xE6/0x07" in said["python leak.py\n"]
    assert "arguments of the free" in said["python wrong_free.py\n"]
    assert "physical address of the buffer" in said["python address.py\n"]
