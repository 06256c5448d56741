# SPDX-License-Identifier: Apache-2.0
"""nthal's modules import in one direction, type-only imports counted, and every one of them has a room on the page.

import-linter holds the order of the rooms; this looks at single modules, so that a circle inside a room is seen too.
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]


def circle(imports: Mapping[str, Collection[str]]) -> list[str]:
    """Modules of which each imports another up to the first again; empty if there is no such round."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@cache
def nthal_imports() -> dict[str, set[str]]:
    graph = grimp.build_graph("nthal", cache_dir=None, exclude_type_checking_imports=False)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_nthals_modules_import_in_one_direction():
    assert circle(nthal_imports()) == []


def test_imports_for_types_alone_are_counted():
    path = ROOT / "hal/nthal/operations/mdl.py"
    at_run_time = path.read_text(encoding="utf-8").split("if TYPE_CHECKING:")[0]
    assert "nthal.machine" not in at_run_time
    assert "nthal.machine" in nthal_imports()["nthal.operations.mdl"]


@pytest.mark.parametrize(
    ("imports", "round_trip"),
    [
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, set()),
        ({"a": {"b"}, "b": {"a"}}, {"a", "b"}),
        ({"top": {"a"}, "a": {"b"}, "b": {"c"}, "c": {"a", "floor"}, "floor": set()}, {"a", "b", "c"}),
        ({"a": {"a"}}, {"a"}),
    ],
    ids=["a tree", "two", "three among five", "one with itself"],
)
def test_a_circle_is_noticed_and_named(imports, round_trip):
    assert set(circle(imports)) == round_trip


def test_every_module_has_its_room_on_the_page():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = page.split("## nthal's rooms\n")[1].split("\n## ")[0]
    drawn: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (.+?) \| (.+?) \|.*\|$", section, flags=re.MULTILINE):
        folder = re.fullmatch(r"`(\w+)/`", row[0])
        drawn.setdefault(folder[1] if folder else "", set()).update(re.findall(r"`(\w+)`", row[1]))
    modules = {tuple(module.split(".")[1:]) for module in nthal_imports()} - {()}
    folders = {path[0] for path in modules if len(path) == 2}
    built = {folder: {path[1] for path in modules if len(path) == 2 and path[0] == folder} for folder in folders}
    built[""] = {path[0] for path in modules if len(path) == 1} - folders
    assert drawn == built
