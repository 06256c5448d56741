# SPDX-License-Identifier: Apache-2.0
"""What docs/your-own-device.md calls stable is there, and as it was when the kit's version was given.

What is promised of each name is in `interface.txt`: its members, and its arguments, those by name marked `*`. What goes,
or can no longer be called so, is a change of the first number of `plx9x5x.ports.KIT`.
"""

import dataclasses
import importlib
import inspect
import re
from enum import Enum
from pathlib import Path

import pytest

from plx9x5x.ports import KIT

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs/your-own-device.md").read_text(encoding="utf-8")


def stable() -> list[tuple[str, str]]:
    """Module and name, as the page's table has them."""
    table = PAGE.split("| module | names |\n|---|---|\n")[1].split("\n\n")[0]
    found = []
    for line in table.splitlines():
        module, names = (re.findall(r"`([\w.]+)`", cell) for cell in line.strip("|").split("|"))
        found += [(module[0], name) for name in names]
    return found


@pytest.mark.parametrize("page", ["your-own-device", "vfio-user", "testing-your-driver"])
def test_pages_count_the_methods_of_a_device_as_they_are(page: str) -> None:
    lines = (HERE / "interface.txt").read_text(encoding="utf-8").splitlines()
    methods = sum(line.startswith("plx9x5x.ports.PciDevice.") and line.endswith(")") for line in lines)
    text = (HERE.parents[2] / f"docs/{page}.md").read_text(encoding="utf-8")
    said = re.findall(r"a class with (\w+) methods and its `regions`", text)
    assert said == [{7: "seven", 8: "eight", 9: "nine"}[methods]]


def arguments(thing: object) -> str:
    """Names, kinds and whether there is a default: types may get better, and defaults are not promised."""
    words = []
    for it in inspect.signature(thing).parameters.values():  # type: ignore[arg-type]
        mark = {it.KEYWORD_ONLY: "*", it.VAR_POSITIONAL: "..."}.get(it.kind, "")
        words.append(f"{mark}{it.name}{'=' if it.default is not it.empty else ''}")
    return f"({', '.join(words)})"


def described(module: str, name: str) -> list[str]:
    thing = getattr(importlib.import_module(module), name)
    head = f"{module}.{name}"
    if not isinstance(thing, type):
        return [head + (arguments(thing) if inspect.isfunction(thing) else "")]
    if issubclass(thing, Enum):
        return [f"{head}.{member}" for member in thing.__members__]
    takes = "" if getattr(thing, "_is_protocol", False) or issubclass(thing, BaseException) else arguments(thing)
    lines = [f"{head}{takes}"]
    fields = {it.name for it in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
    for member in sorted(
        {*(n for klass in thing.__mro__[:-1] if klass.__module__.startswith("plx9x5x") for n in vars(klass))}
    ):
        if member.startswith("_") or member in fields:
            continue
        value = inspect.getattr_static(thing, member)
        value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        lines.append(f"{head}.{member}{arguments(value) if inspect.isfunction(value) else ''}")
    return lines


def taken_apart(line: str) -> tuple[str, list[str]]:
    head, _, rest = line.partition("(")
    return head, [word for word in rest.rstrip(")").split(", ") if word]


def still_holds(old: str, now: dict[str, list[str]]) -> bool:
    """True if what was called so can be called so: no argument went, none moved, and new ones may be left out."""
    head, before = taken_apart(old)
    if head not in now:
        return False
    left = iter(now[head])
    for word in before:
        # One that had to be given may have a default now.
        while (new := next(left, None)) not in (word, f"{word}="):
            if new is None or not new.endswith("=") or (not word.startswith("*") and not new.startswith("*")):
                return False
    return all(word.endswith("=") or word.startswith("...") for word in left)


def test_what_is_stable_is_as_it_was_when_the_version_was_given() -> None:
    now = dict(taken_apart(line) for it in stable() for line in described(*it))
    version, *promised = (HERE / "interface.txt").read_text(encoding="utf-8").splitlines()
    assert version == f"version {'.'.join(map(str, KIT))}"
    assert [line for line in promised if not still_holds(line, now)] == []
    heads = {line.partition("(")[0] for line in promised}
    assert {f"{module}.{name}" for module, name in stable() if f"{module}.{name}" not in heads} <= {
        "plx9x5x.ports.ResetKind",  # by their members
        "plx9x5x.regs.kernel.Access",
    }


@pytest.mark.parametrize(
    ("old", "new", "holds"),
    [
        ("f(a, b=)", ["a", "b="], True),
        ("f(a, b=)", ["a", "b=", "c="], True),
        ("f(a, *k=)", ["a", "*j=", "*k="], True),
        ("f(a, *k)", ["a", "*k="], True),
        ("f(a, b=)", ["a"], False),
        ("f(a, b=)", ["a", "c=", "b="], False),
        ("f(a)", ["a", "b"], False),
        ("f(a)", ["b"], False),
        ("f(a, *k=)", ["a", "*k"], False),
    ],
)
def test_a_change_that_breaks_is_told_from_one_that_does_not(old: str, new: list[str], holds: bool) -> None:
    assert still_holds(old, {"f": new}) is holds
    assert not still_holds(old, {"g": new})


def test_the_page_names_the_version() -> None:
    version = ".".join(map(str, KIT))
    assert f"this is version {version}." in PAGE
    assert f"Of version {version} are:" in PAGE
    assert f"`kit = {KIT}`" in PAGE
