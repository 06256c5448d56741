# SPDX-License-Identifier: Apache-2.0
"""The cards that drivers expect: each is registered and listed, and what is built and installed holds them."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from plx9x5x.board import BOARD_GROUP, load_board
from plx9x5x.cli.main import main

ROOT = Path(__file__).parents[3]
ROOM = ROOT / "device/plx9x5x_boards"
NAMES = sorted(one.name for one in entry_points(group=BOARD_GROUP) if one.module.startswith("plx9x5x_boards."))
NOT_BUILT = shutil.ignore_patterns("__pycache__", "*.so", "tests", "*.c.o")


def test_every_folder_of_the_room_is_a_registered_card() -> None:
    folders = {path.parent.name for path in ROOM.glob("*/__init__.py")}
    modules = {one.module for one in entry_points(group=BOARD_GROUP)}
    assert folders == {module.split(".")[1] for module in modules if module.startswith("plx9x5x_boards.")}
    assert folders


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_listed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    assert re.search(rf"^{name} +{re.escape(load_board(name).summary)}$", capsys.readouterr().out, re.MULTILINE)


def test_a_wheel_and_a_source_distribution_hold_every_file(tmp_path: Path) -> None:
    tree, out = tmp_path / "tree", tmp_path / "dist"
    for folder in ("device", "hal", "guest-tests", "scripts", "docs", "LICENSES"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=NOT_BUILT)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    # Hatchling is not told of a compiler: what is asked here is the files, and C would take seconds.
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    env = {"CC": "no-such-compiler", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(build, cwd=tree, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    files = {
        path.relative_to(ROOT / "device").as_posix() for path in ROOM.rglob("*") if path.suffix in {".py", ".typed"}
    }
    assert "plx9x5x_boards/py.typed" in files
    headers = {path.relative_to(ROOT / "hal").as_posix() for path in (ROOT / "hal/nthal_c").rglob("*.h")}
    assert "nthal_c/include/wdf.h" in headers
    (wheel,), (source,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        assert files | headers <= set(archive.namelist())
        (registered,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        lines = archive.read(registered).decode().splitlines()
        assert set(NAMES) <= {line.split(" = ")[0] for line in lines if "= plx9x5x_boards." in line}
    with tarfile.open(source) as archive:
        assert {f"device/{file}" for file in files} <= {name.partition("/")[2] for name in archive.getnames()}


def test_sources_are_such_as_a_reader_can_find() -> None:
    private = re.compile(r"\breference,? (?:section )?\d", re.IGNORECASE)
    files = [*ROOM.rglob("*.py"), *Path(__file__).parent.glob("*.py"), ROOT / "device/tests/scenarios/gsc_hpdi.py"]
    assert [path.name for path in files if private.search(path.read_text(encoding="utf-8"))] == []
