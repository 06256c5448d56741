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


def drawn() -> dict[str, tuple[set[str], set[str]]]:
    """Of each room on the page: the modules that it holds, and the rooms that it imports."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = page.split("## nthal's rooms\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", section, flags=re.MULTILINE)[1:]
    rooms = {}
    for name, holds, imports in rows:
        words = set() if imports == "nothing" else set(imports.split(", "))
        rooms[name.strip("`/")] = set(re.findall(r"`(\w+)`", holds)), words
    return rooms


def test_every_module_stands_in_its_room_and_imports_what_the_page_says():
    page = drawn()
    flat = {module: name for name, (modules, _) in page.items() for module in modules}

    def room(module: str) -> str:
        top, *below = module.split(".")[1:]
        return top if below or (top in page and top not in flat) else flat.get(top, f"no room has {top}")

    built: dict[str, tuple[set[str], set[str]]] = {}
    for module, imported in nthal_imports().items():
        if module == "nthal":
            assert imported == set()
            continue
        modules, rooms = built.setdefault(room(module), (set(), set()))
        modules.add(module.rpartition(".")[2])
        rooms.update(room(other) for other in imported if room(other) != room(module))
    for name, (modules, _) in built.items():
        if name not in flat:
            modules.discard(name)  # the folder itself
    assert built == page
