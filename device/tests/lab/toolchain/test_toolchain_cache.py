# SPDX-License-Identifier: Apache-2.0
"""Nothing half-made is ever visible in the cache, and what it refuses it refuses in words."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain.cache import Cache, Package, Record
from plx9x5x.lab.toolchain.progress import Silent
from plx9x5x.lab.toolchain.table import Part

PART = Part("thing", "a thing", 3, (), 1)
OTHER = Part("thing-two", "another", 1, (), 1)


def publish(cache: Cache, part: Part = PART, *, variant: str = "", keep: tuple[str, ...] = ("a",)) -> None:
    with cache.lock(Silent()), cache.stage() as stage:
        tree = stage / part.name
        tree.mkdir()
        (tree / "a").write_text("a")
        packages = (Package("p", "1.2", "00", 7),)
        cache.publish(part, tree, Record(part.name, part.recipe, "1.2", keep, packages, {"k": "v"}), variant)


@pytest.fixture
def cache(cache_root: Path) -> Cache:
    return Cache.locate()


def test_the_folder_is_the_named_one_then_xdg_then_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLX9X5X_CACHE", str(tmp_path / "own"))
    assert Cache.locate().root == tmp_path / "own"
    monkeypatch.delenv("PLX9X5X_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache.locate().root == tmp_path / "xdg/plx9x5x"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Cache.locate().root == tmp_path / ".cache/plx9x5x"


def test_a_published_part_is_found_with_all_that_it_recorded(cache: Cache) -> None:
    publish(cache)
    found = cache.find(PART)
    assert found
    assert found.record.packages == (Package("p", "1.2", "00", 7),)
    manifest = json.loads((cache.root / "manifest.json").read_text())
    assert manifest["parts"]["thing-r3"]["packages"][0]["sha256"] == "00"
    assert not (cache.root / "stage").exists()


@pytest.mark.parametrize("damage", ["file", "record", "text"])
def test_a_damaged_part_counts_as_absent(cache: Cache, damage: str) -> None:
    publish(cache)
    place = cache.place(PART)
    if damage == "file":
        (place / "a").unlink()
    elif damage == "record":
        (place / "part.json").unlink()
    else:
        (place / "part.json").write_text('{"part": "thing"')
    assert cache.find(PART) is None
    publish(cache)
    assert cache.find(PART)


def test_another_recipe_replaces_that_part_and_no_other(cache: Cache) -> None:
    publish(cache)
    publish(cache, OTHER)
    newer = Part("thing", "a thing", 4, (), 1)
    assert cache.find(newer) is None
    publish(cache, newer)
    assert sorted(p.name for p in (cache.root / "parts").iterdir()) == ["thing-r4", "thing-two-r1"]


def test_an_older_recipe_leaves_a_newer_one_alone(cache: Cache) -> None:
    publish(cache, Part("thing", "a thing", 4, (), 1))
    publish(cache)
    assert sorted(p.name for p in (cache.root / "parts").iterdir()) == ["thing-r3", "thing-r4"]


def test_variants_for_different_hosts_live_side_by_side(cache: Cache) -> None:
    publish(cache, variant="glibc2.36")
    assert cache.find(PART, "glibc2.41") is None
    publish(cache, variant="glibc2.41")
    assert cache.find(PART, "glibc2.36")


def test_a_tree_without_a_needed_file_is_not_published(cache: Cache) -> None:
    with pytest.raises(SetupError, match="no longer hold b"):
        publish(cache, keep=("a", "b"))
    assert cache.installed() == []


def test_an_interrupted_stage_leaves_nothing(cache: Cache) -> None:
    def interrupted() -> None:
        with cache.lock(Silent()), cache.stage() as stage:
            (stage / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not (cache.root / "stage").exists()


def test_what_a_killed_run_left_in_the_stage_is_removed(cache: Cache) -> None:
    (cache.root / "stage/tmpdead").mkdir(parents=True)
    with cache.lock(Silent()), cache.stage() as stage:
        assert [p.name for p in (cache.root / "stage").iterdir()] == [stage.name]


HOLDER = """
import sys, time
from pathlib import Path
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.toolchain.progress import Silent
with Cache(Path(sys.argv[1])).lock(Silent()):
    print("locked", flush=True)
    time.sleep(0.5)
"""


def test_the_second_one_waits_and_says_for_whom(cache: Cache, heard: Any) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, cache.root], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with cache.lock(heard):
            assert holder.wait(10) == 0, "we came in after it went"
    assert len(heard.notes) == 1
    assert f"waiting for process {holder.pid}" in heard.notes[0]


@pytest.mark.parametrize("name", ["with space", "co:lon", "com,ma", "per%cent"])
def test_a_cache_path_that_make_cannot_take_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PLX9X5X_CACHE", str(tmp_path / name))
    with pytest.raises(SetupError, match="which make cannot take"):
        Cache.locate()


@pytest.mark.parametrize(
    ("value", "words"),
    [("", "is set and empty"), ("/x" * 3000, "cannot be: "), ("/tmp/" + "x" * 300, "cannot be: ")],
)
def test_a_variable_that_names_no_place_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setenv("PLX9X5X_CACHE", value)
    with pytest.raises(SetupError, match=words) as caught:
        Cache.locate()
    assert "a folder that you can write" in caught.value.hint


def test_a_relative_place_counts_from_here_and_here_may_be_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLX9X5X_CACHE", "mine")
    assert Cache.locate().root == tmp_path / "mine"
    monkeypatch.delenv("PLX9X5X_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "here")
    assert Cache.locate().root == tmp_path / "here/.cache/plx9x5x"
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SetupError, match="the cache folder cannot be: "):
        Cache.locate()


def test_a_place_below_a_file_or_a_link_to_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("file", "file/below", "link", "link/below"):
        monkeypatch.setenv("PLX9X5X_CACHE", str(tmp_path / name))
        with pytest.raises(SetupError, match=r"the cache folder cannot be: .*Not a directory"):
            Cache.locate()


def test_a_place_where_nothing_can_be_made_is_refused_whoever_asks_first(
    monkeypatch: pytest.MonkeyPatch, heard: Any
) -> None:
    monkeypatch.setenv("PLX9X5X_CACHE", "/proc/nope")
    for use in (lambda cache: cache.lock(heard), lambda cache: cache.building("key")):
        with pytest.raises(SetupError, match="cannot write to the cache /proc/nope") as caught, use(Cache.locate()):
            pass
        assert "PLX9X5X_CACHE" in caught.value.hint


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PLX9X5X_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(SetupError, match="no home folder") as caught:
        Cache.locate()
    assert "PLX9X5X_CACHE" in caught.value.hint


def test_a_free_lock_is_taken_without_a_word(cache: Cache, heard: Any) -> None:
    with cache.lock(heard):
        pass
    assert heard.notes == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EROFS, "cannot write"),
        (errno.EACCES, "cannot write"),
    ],
)
def test_the_file_systems_refusals_become_words(cache: Cache, number: int, words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught, cache.guard():
        raise OSError(number, os.strerror(number))
    assert "PLX9X5X_CACHE" in caught.value.hint


def test_other_errors_are_not_hidden(cache: Cache) -> None:
    with pytest.raises(OSError, match="odd"), cache.guard():
        raise OSError(errno.EIO, "odd")


def test_a_cache_under_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot write"), Cache(tmp_path / "file/cache").lock(Silent()):
        pass


def test_a_disk_that_cannot_hold_the_work_is_refused_before_it_starts(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 100 * 1024 * 1024))
    cache.check_space(100)
    with pytest.raises(SetupError, match="100 MiB are free, 101 MiB are needed"):
        cache.check_space(101)


def test_clean_removes_ours_and_nothing_else(cache: Cache) -> None:
    publish(cache)
    (cache.root / "precious").write_text("x")
    assert cache.clean(Silent()) > 0
    assert sorted(p.name for p in cache.root.iterdir()) == ["lock", "precious"]


def test_what_is_built_appears_whole_or_not_at_all(cache: Cache) -> None:
    def failing() -> None:
        with cache.building("k") as work:
            (work / "f").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert cache.built("k") is None
    assert list((cache.root / "built").iterdir()) == []
    with cache.building("k") as work:
        (work / "f").touch()
    assert (cache.root / "built/k/f").exists()


def test_of_two_that_build_the_same_the_first_one_stays(cache: Cache) -> None:
    with cache.building("k") as late:
        (late / "f").write_text("late")
        with cache.building("k") as early:
            (early / "f").write_text("early")
    assert (cache.root / "built/k/f").read_text() == "early"
    assert [p.name for p in (cache.root / "built").iterdir()] == ["k"]
