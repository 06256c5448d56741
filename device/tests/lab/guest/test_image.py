# SPDX-License-Identifier: Apache-2.0
"""The guest's archive: its bytes, its contents, its place in the cache."""

import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.guest import image
from plx9x5x.lab.guest.cpio import Archive
from plx9x5x.lab.guest.image import GuestFile, GuestImage, UnwritableWord, program
from tests.lab.elf import module


@dataclass(frozen=True)
class Entry:
    mode: int
    data: bytes
    device: tuple[int, int]


def unpack(archive: bytes) -> Mapping[str, Entry]:
    """An independent reader of newc."""
    found: dict[str, Entry] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        values = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = values[1], values[6], values[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        start = at + 110 + name_size
        start += -start % 4
        if name == "TRAILER!!!":
            return found
        assert name not in found
        found[name] = Entry(mode, archive[start : start + size], (values[9], values[10]))
        at = start + size
        at += -at % 4


@pytest.fixture
def kernel_modules(tmp_path: Path) -> Path:
    folder = tmp_path / "modules" / "kernel"
    folder.mkdir(parents=True)
    (folder / "virtio.ko").write_bytes(module(depends=""))
    (folder / "console.ko").write_bytes(module(depends="virtio"))
    return folder.parent


@pytest.fixture
def guest(tmp_path: Path) -> GuestImage:
    init, driver = tmp_path / "init", tmp_path / "my-driver.ko"
    init.write_text("#!/bin/sh\n")
    driver.write_bytes(module(depends="virtio"))
    return GuestImage({"init": program(init), "etc/x": GuestFile(init)}, modules=("console",), own_modules=(driver,))


def test_archive_holds_every_kind_of_entry() -> None:
    archive = Archive()
    archive.file("a/b/c", b"12345", mode=0o755)
    archive.link("a/link", "b/c")
    archive.char_device("dev/console", major=5, minor=1)
    got = unpack(archive.close())
    assert list(got) == ["a", "a/b", "a/b/c", "a/link", "dev", "dev/console"]
    assert stat.S_ISDIR(got["a"].mode)
    assert got["a/b/c"] == Entry(stat.S_IFREG | 0o755, b"12345", (0, 0))
    assert (stat.S_ISLNK(got["a/link"].mode), got["a/link"].data) == (True, b"b/c")
    assert (stat.S_ISCHR(got["dev/console"].mode), got["dev/console"].device) == (True, (5, 1))


def test_path_that_is_taken_is_refused() -> None:
    archive = Archive()
    archive.file("a", b"")
    with pytest.raises(ValueError, match="it is there"):
        archive.file("/./a", b"")


def test_image_lists_modules_in_loading_order(guest: GuestImage, kernel_modules: Path, tmp_path: Path) -> None:
    guest = replace(guest, parameters={"my-driver": ("debug=1", "x=2")})
    got = unpack(guest.build(kernel_modules, tmp_path).read_bytes())
    assert got["modules.list"].data.decode().splitlines() == [
        "/lib/modules/virtio.ko",
        "/lib/modules/console.ko",
        "/lib/modules/my_driver.ko debug=1 x=2",
    ]
    assert got["lib/modules/my_driver.ko"].data.startswith(b"\x7fELF")
    assert stat.S_IMODE(got["init"].mode) == 0o755
    assert stat.S_IMODE(got["etc/x"].mode) == 0o644
    assert got["dev/console"].device == (5, 1)


def test_same_contents_are_built_once(guest: GuestImage, kernel_modules: Path, tmp_path: Path) -> None:
    first = guest.build(kernel_modules, tmp_path)
    inode = first.stat().st_ino
    assert guest.build(kernel_modules, tmp_path) == first
    assert replace(guest, mode="bench", arguments=("x",)).build(kernel_modules, tmp_path) == first
    assert first.stat().st_ino == inode


def test_change_of_a_file_gives_another_image(guest: GuestImage, kernel_modules: Path, tmp_path: Path) -> None:
    first = guest.build(kernel_modules, tmp_path)
    guest.files["init"].source.write_text("#!/bin/other\n")
    assert guest.build(kernel_modules, tmp_path) != first


def test_old_images_go_and_young_ones_stay(guest: GuestImage, kernel_modules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(image.KEPT + 5):
        path = folder / f"{number}.cpio"
        path.touch()
        age = 2 * 3600 if number < 5 else 0
        os.utime(path, (time.time() - age, time.time() - age))
    built = guest.build(kernel_modules, tmp_path)
    left = {p.name for p in folder.iterdir()}
    assert built.name in left
    assert not {f"{n}.cpio" for n in range(5)} & left
    assert {f"{n}.cpio" for n in range(5, image.KEPT + 5)} <= left


def test_absent_file_is_named(guest: GuestImage, kernel_modules: Path, tmp_path: Path) -> None:
    guest = replace(guest, files={**guest.files, "bin/tool": program(tmp_path / "none")})
    with pytest.raises(SetupError, match=r"the guest's bin/tool cannot be read: No such file"):
        guest.build(kernel_modules, tmp_path)


def test_cache_that_cannot_be_written_is_named(guest: GuestImage, kernel_modules: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot write the guest image"):
        guest.build(kernel_modules, tmp_path / "file")


def test_failed_write_leaves_nothing(
    guest: GuestImage, kernel_modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, mode: str) -> object:
        os.close(fd)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image.os, "fdopen", full)
    with pytest.raises(SetupError, match="No space left"):
        guest.build(kernel_modules, tmp_path)
    assert list((tmp_path / "images").iterdir()) == []


def test_words_for_the_kernel() -> None:
    guest = GuestImage({}, mode="fail", arguments=("--only", "x"), words=("mem=1G",))
    assert guest.kernel_words() == ("plx.mode=fail", "plx.args=--only,x", "mem=1G")
    assert GuestImage({}).kernel_words() == ("plx.mode=test",)


@pytest.mark.parametrize("bad", ["a b", 'a"b', "a,b", "a\nb"])
def test_argument_that_the_command_line_cannot_hold_is_refused(bad: str) -> None:
    with pytest.raises(UnwritableWord, match="cannot be passed"):
        GuestImage({}, arguments=(bad,)).kernel_words()
