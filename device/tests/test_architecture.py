# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md says of each room of plx9x5x what it imports, and it is so; every path that it names is there.

The cards on top are held to docs/writing-a-board.md as well: what it names is all that they are made of.
"""

import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
FLOOR = {"errors", "units"}
BOARDS = "plx9x5x_boards"
PACKAGES = {"plx9x5x", "plx9x5x.lab"}
"""Folders of rooms, themselves none."""


def room(module: str) -> str:
    package, top, *below = module.split(".")
    if package == BOARDS:
        return BOARDS
    if top in FLOOR:
        return "floor"
    if top == "regs":
        return "regs/kernel" if below[:1] == ["kernel"] else "regs"
    return f"lab/{below[0]}" if top == "lab" and below else top


def built() -> dict[str, set[str]]:
    graph = grimp.build_graph("plx9x5x", BOARDS, cache_dir=None, exclude_type_checking_imports=False)
    assert not any(graph.find_modules_directly_imported_by(package) for package in PACKAGES)
    rooms: dict[str, set[str]] = {}
    for module in graph.modules - PACKAGES - {"plx9x5x.__main__", BOARDS}:
        there = {room(name) for name in graph.find_modules_directly_imported_by(module) - PACKAGES}
        rooms.setdefault(room(module), set()).update(there - {room(module)})
    return rooms


def drawn() -> dict[str, set[str]]:
    table = PAGE.split("| room | what it is about | imports |\n|---|---|---|\n")[1].split("\n\n")[0]
    rooms = {}
    for line in table.splitlines():
        names, _, imports = (cell.strip() for cell in line.strip("|").split(" | "))
        name = "floor" if "the floor" in names else names.strip("`")
        rooms[name] = set(re.findall(r"`([\w/]+)`", imports)) | ({"floor"} if "floor" in imports else set())
    return rooms


def test_each_room_imports_what_the_page_says() -> None:
    there = built()
    assert there.pop("cli")
    said = drawn()
    assert said.pop("cli") == set()
    assert said == there


def test_the_cards_of_drivers_are_made_of_what_the_page_for_authors_names() -> None:
    page = (ROOT / "docs/writing-a-board.md").read_text(encoding="utf-8")
    (board,) = re.findall(r"^# file: digitizer/digitizer\.py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    named = re.findall(r"^from (plx9x5x\S*) import", board, re.MULTILINE)
    advice = page.split("What to know:\n")[1].split("\n## ")[0]
    named += re.findall(r"`(plx9x5x(?:\.[a-z_]+)+)", advice)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (allowed,) = (it["ignore_imports"] for it in contracts if it.get("source_modules") == [BOARDS])
    assert allowed == [f"{BOARDS}.** -> {module}" for module in sorted(set(named))]


def test_the_rooms_of_faults_have_a_type_for_everything() -> None:
    rooms = [*(ROOT / "device/plx9x5x/faults").glob("*.py"), *(ROOT / "device/plx9x5x/chip_faults").glob("*.py")]
    files = [*rooms, ROOT / "device/plx9x5x/cli/fault_options.py"]
    assert len(files) > len(rooms) > 10
    assert [path.name for path in files if re.search(r"\bAny\b(?! )", path.read_text(encoding="utf-8"))] == []


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:[\w-]+/)+[\w.-]*)`", PAGE))
    places = (ROOT, ROOT / "device", ROOT / "device/plx9x5x", ROOT / "guest-tests", ROOT / "hal/nthal")
    missing = {
        name
        for name in named
        if not any((place / name).exists() or (place / f"{name}.py").exists() for place in places)
    }
    assert missing == set()
