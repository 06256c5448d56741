# SPDX-License-Identifier: Apache-2.0
"""docs/your-own-device.md is followed to the letter; and what `try` says of a device that fails under its driver."""

import re
import shutil
from pathlib import Path

import pytest
from trying import tried

from tests import pages

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

PAGE = pages.ROOT / "docs" / "your-own-device.md"
BAD = re.compile(r"^bad \(exit (\d+)\): ", re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's folder, with this checkout where the tutorial clones one."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "plx9x5x").symlink_to(pages.ROOT)
    pages.write_files(PAGE, folder)
    (folder / "turner").mkdir()
    (folder / "turner" / "turner.c").write_text("".join(pages.fenced(PAGE, "c")), encoding="utf-8")
    return folder


def test_the_page_does_what_it_prints(place: Path) -> None:
    for step in pages.steps(PAGE):
        done = pages.shell(f". plx9x5x/.venv/bin/activate\n{step.commands}", place)
        verdict = BAD.search(step.prints or "")
        assert done.returncode == (int(verdict[1]) if verdict else 0), step.commands + done.stdout + done.stderr
        assert step.prints is not None
        assert pages.lasting(done.stdout) == pages.lasting(step.prints), step.commands


def test_a_device_that_fails_under_its_driver_is_named(place: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    text = (place / "turner.py").read_text(encoding="utf-8")
    wrong = text.replace("bytearray(self._registers[LENGTH])", "bytearray(1 // (self._registers[LENGTH] - 4096))")
    assert wrong != text
    broken.write_text(wrong, encoding="utf-8")
    shutil.copytree(place / "turner", tmp_path / "turner")
    (tmp_path / "turner" / "Makefile").write_text("obj-m := turner.o\n", encoding="utf-8")
    result, _ = tried(str(tmp_path / "turner"), boards=(), devices=(f"{broken}:Turner",))
    assert result.exit_code == 1
    (trouble,) = result.problems
    assert re.search(r"the card's own code failed: .*broken\.py:\d+, in step: ZeroDivisionError", trouble)


def test_a_board_and_a_device_are_two_cards_of_one_guest(place: Path) -> None:
    (place / "turner" / "Makefile").write_text("obj-m := turner.o\n", encoding="utf-8")
    command = "cat /sys/bus/pci/devices/*/device"
    result, ear = tried(str(place / "turner"), command=command, devices=(f"{place}/turner.py:Turner",))
    assert (result.exit_code, result.problems, result.findings) == (0, (), ()), result.lines()
    assert [card.board.rpartition("/")[2] for card in result.cards] == ["rdk-9656-lite", "turner.py:Turner"]
    assert b"0x9601\n0x7042\n" in ear.heard
    assert any("turner.py:Turner): " in line and "4096 bytes to memory" in line for line in result.transfers)


IN_PYTEST = """
import pytest


def test_by_name(plx_try):
    result = plx_try("./turner", device="turner.py:Turner")
    assert result.exit_code == 0, result.problems


@pytest.mark.plx_device("turner.py:Turner")
def test_by_the_marker(plx_try):
    assert plx_try("./turner").cards[0].board.endswith("turner.py:Turner")
"""


def test_the_fixture_takes_a_device_beside_the_test(place: Path) -> None:
    (place / "turner" / "Makefile").write_text("obj-m := turner.o\n", encoding="utf-8")
    (place / "test_turner.py").write_text(IN_PYTEST, encoding="utf-8")
    command = ". plx9x5x/.venv/bin/activate\ncd /\npython -m pytest -q -p no:cacheprovider"
    done = pages.shell(f"{command} {place}/test_turner.py", place)
    assert "2 passed" in done.stdout, done.stdout
