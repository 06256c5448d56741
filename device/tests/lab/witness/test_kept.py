# SPDX-License-Identifier: Apache-2.0
"""Debug information from the cache says what the module's own file says, and a bad one is read anew."""

import json
from pathlib import Path

import pytest

from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.witness import dwarf, kept
from plx9x5x.lab.witness.lines import Lines
from plx9x5x.lab.witness.seen import Reading
from tests.lab.witness.made import Made, make


@pytest.fixture(scope="module", params=["-gdwarf-5", "-gdwarf-4"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("kept"), request.param)


def told(lines: Lines) -> list[object]:
    places = [lines.frames(at, init=init) for init in (False, True) for at in range(lines.layout.size(init=init))]
    return [*lines.rows(), *lines.statements(), *lines.codes(), *lines.calls(), *places, lines.has_lines, lines.why]


def test_what_was_kept_says_the_same_and_is_not_read_again(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    first = Lines.of_file("drv", made.ko, cache)
    first.read()
    expected = told(first)
    assert expected == told(Lines.of_file("drv", made.ko))
    monkeypatch.setattr(dwarf, "units", lambda _: pytest.fail("read again"))
    for again in Lines.of_file("drv", made.ko, cache), Reading([("drv", made.ko)], cache).lines()["drv"]:
        again.read()
        assert told(again) == expected


def test_another_file_of_the_same_name_is_another(made: Made, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    Lines.of_file("drv", made.ko, cache).read()
    other = make(tmp_path, "-gdwarf-5", "-O0")
    assert kept.load(cache, other.ko.read_bytes()) is None
    assert told(Lines.of_file("drv", other.ko, cache)) == told(Lines.of_file("drv", other.ko))


@pytest.mark.parametrize("damage", ["", "[", "[1]", "{}", '[{"paths": []}]', "shorter path table"])
def test_a_damaged_file_is_read_anew(made: Made, tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path / "cache")
    Lines.of_file("drv", made.ko, cache).read()
    folder = cache.built(kept.key(made.ko.read_bytes()))
    assert folder is not None
    (file,) = folder.iterdir()
    if damage.startswith("shorter"):
        units = json.loads(file.read_bytes())
        damage = json.dumps([{**it, "paths": it["paths"][:1]} for it in units])
    file.write_text(damage)
    assert told(Lines.of_file("drv", made.ko, cache)) == told(Lines.of_file("drv", made.ko))


def test_a_cache_that_takes_nothing_costs_time_only(made: Made, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    lines = Lines.of_file("drv", made.ko, Cache(tmp_path / "cache"))
    lines.read()
    assert told(lines) == told(Lines.of_file("drv", made.ko))
