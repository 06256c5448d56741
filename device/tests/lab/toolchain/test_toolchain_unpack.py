# SPDX-License-Identifier: Apache-2.0
"""What comes out of archives: only what is wanted, with plain modes."""

import io
import tarfile
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import qemu, unpack

MARKER = "subprojects/libvfio-user"


def archive(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return path


def test_one_folder_is_taken_and_its_namesakes_are_not(tmp_path: Path) -> None:
    names = (
        "q-1/subprojects/libvfio-user.wrap",
        "q-1/subprojects/libvfio-user-ab/lib/a.c",
        "q-1/subprojects/other/b.c",
    )
    tree = unpack.subtree(archive(tmp_path / "a.tar.xz", *names), MARKER, tmp_path / "out")
    assert sorted(p.relative_to(tree).as_posix() for p in tree.rglob("*")) == ["lib", "lib/a.c"]


def test_reading_stops_once_the_folder_is_behind(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", "q/subprojects/libvfio-user/a.c", "q/subprojects/z.c")
    with path.open("r+b") as handle:  # everything behind the folder is unreadable
        handle.seek(2048)
        handle.write(b"\xff" * 512)
    assert (unpack.subtree(path, MARKER, tmp_path / "out") / "a.c").exists()


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    inside = "q/subprojects/libvfio-user"
    path = archive(tmp_path / "a.tar.xz", f"{inside}/a.c", f"{inside}/../../../../../escape")
    assert (unpack.subtree(path, MARKER, tmp_path / "out") / "a.c").exists()
    assert not (tmp_path / "escape").exists()


def test_an_archive_without_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="holds no folder"):
        unpack.subtree(archive(tmp_path / "a.tar", "q/x.c"), MARKER, tmp_path / "out")


def test_a_broken_archive_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.tar.xz").write_bytes(b"no archive")
    with pytest.raises(SetupError, match="cannot be unpacked"):
        unpack.subtree(tmp_path / "a.tar.xz", MARKER, tmp_path / "out")


def test_no_set_user_id_program_and_no_closed_folder_stays(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "su").touch()
    (folder / "su").chmod(0o4755)
    folder.chmod(0o500)
    unpack.plain_modes(tmp_path)
    assert (folder / "su").stat().st_mode & 0o7777 == 0o755
    assert folder.stat().st_mode & 0o700 == 0o700


def test_qemu_keeps_its_program_libraries_and_firmware_only(tmp_path: Path) -> None:
    libraries = "usr/lib/x86_64-linux-gnu"
    kept = (
        f"usr/bin/{qemu.PROGRAM}",
        f"{libraries}/{unpack.LOADER}",
        f"{libraries}/libz.so",
        "usr/share/qemu/a.rom",
        "usr/share/seabios/b.bin",
    )
    for name in (*kept, "etc/x", "usr/bin/other", "usr/share/doc/x", f"{libraries}/gconv/x.so", "usr/sbin/x", "var/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    qemu.prune(tmp_path)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == sorted(kept)
    argv = qemu.argv_of(tmp_path)
    assert argv[0] == str(tmp_path / libraries / unpack.LOADER)
    assert argv[3] == str(tmp_path / kept[0])
    assert argv[4:] == ("-L", str(tmp_path / "usr/share/qemu"), "-L", str(tmp_path / "usr/share/seabios"))


def test_a_tree_without_a_loader_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="ld-linux"):
        unpack.loader(tmp_path)
