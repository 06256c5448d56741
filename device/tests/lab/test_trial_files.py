# SPDX-License-Identifier: Apache-2.0
"""Files between host and guest: which folders it has, what of the command cannot start, what it sends and is kept."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.lab.guest.folder import open_to_all
from plx9x5x.lab.guest.machine import VmSpec, shared_folder
from plx9x5x.lab.trial import Folder, NothingToTry, TrySpec, Wanted, files, folders
from plx9x5x.lab.trial.image import copied, shares, start_of, undynamic

MODULES = (Wanted("a"),)


def test_outer_folders_come_before_those_that_they_hold(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert folders([inner], [tmp_path]) == (Folder(tmp_path, writable=True), Folder(inner))


def test_a_folder_has_the_name_in_the_guest_by_which_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert folders([Path("link/../link")], []) == (Folder(tmp_path / "link"),)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "use --root host"),
        ("/no/such/folder", "no folder"),
        ("/etc/passwd", "no folder"),
        ("/proc", "guest's own"),
        ("/sys/class", "guest's own"),
        ("/lib", "guest's own"),
        ("/dev/shm", "guest's own"),
    ],
)
def test_a_folder_that_the_guest_cannot_have_is_refused(path: str, says: str) -> None:
    with pytest.raises(NothingToTry, match=says):
        folders([Path(path)], [])


def test_a_folder_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(NothingToTry, match="named twice"):
        folders([tmp_path], [tmp_path])
    (tmp_path / "a\nb").mkdir()
    with pytest.raises(NothingToTry, match="more than one line"):
        folders([tmp_path / "a\nb"], [])


def test_the_command_starts_in_what_it_may_write(tmp_path: Path) -> None:
    given_folders = (Folder(Path("/a")), Folder(Path("/b"), writable=True))
    assert start_of(TrySpec(MODULES)) is None
    assert start_of(TrySpec(MODULES, host_root=True)) == Path.cwd()
    assert start_of(TrySpec(MODULES, folders=given_folders)) == Path("/b")
    assert start_of(TrySpec(MODULES, folders=given_folders[:1], host_root=True)) == Path("/a")


def test_the_hosts_root_comes_first_and_is_not_written() -> None:
    first, second = shares(TrySpec(MODULES, folders=(Folder(Path("/b"), writable=True),), host_root=True))
    assert (first.tag, first.folder) == ("folder0", Folder(Path("/")))
    assert (second.tag, second.folder.writable) == ("folder1", True)


def test_a_folders_channel_is_named_by_its_device() -> None:
    spec = VmSpec(("qemu",), Path("k"), Path("i"), devices=(shared_folder("folder0", Path("/tmp/a,b.sock")),))
    line = spec.command_line(serial=Path("s"))
    at = line.index("-chardev")
    assert line[at + 1] == "socket,id=folder0-channel,path=/tmp/a,,b.sock"
    assert '"chardev": "folder0-channel"' in line[line.index("-device", at) + 1]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("programs")
    (place / "main.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    for name, options in (("dynamic", ()), ("static", ("-static",))):
        subprocess.run(["cc", *options, "-o", place / name, place / "main.c"], check=True)
    shutil.copy(place / "main.c", place / "script")
    return place


def test_dynamic_programs_of_the_command_are_named(programs: Path) -> None:
    spec = TrySpec(MODULES, "./dynamic; ./static && /other ./script ./absent", folders=(Folder(programs),))
    (said,) = undynamic(spec)
    assert said.startswith("./dynamic is a dynamic program and the guest has no /lib64/ld-linux")
    assert not list(undynamic(TrySpec(MODULES, spec.command, folders=spec.folders, host_root=True)))
    copied = TrySpec(MODULES, "/dynamic x", files=(programs / "dynamic",))
    assert [text.split()[0] for text in undynamic(copied)] == ["/dynamic"]
    assert not list(undynamic(TrySpec(MODULES, None)))


def test_what_came_whole_is_kept(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(b"1 3\nabc0 0\n2 9\nshort")
    into = tmp_path / "here"
    got = files.keep(sent, ("/x/empty", "y", "z"), into)
    assert got == {"y": into / "y", "/x/empty": into / "empty"}
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {"y": b"abc", "empty": b""}


def test_what_could_not_be_written_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, old = tmp_path / "sent", tmp_path / "y"
    sent.write_bytes(b"0 3\nnew")
    old.write_bytes(b"old")

    def refuse(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="No space"):
            files.keep(sent, ("/tmp/y",), tmp_path)
    assert old.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sent", "y"]
    files.keep(sent, ("/tmp/y",), tmp_path)
    assert old.read_bytes() == b"new"


@given(
    st.lists(st.sampled_from([b"0 1\n", b"1 99999999999999\n", b"0 -1\n", b"7 1\n", b"\n", b"x" * 70, b"0 1", b"\xff"]))
)
def test_whatever_a_guest_sends_only_what_was_asked_for_is_written(tmp_path_factory: pytest.TempPathFactory, sent: list[bytes]) -> None:  # fmt: skip
    place = tmp_path_factory.mktemp("sent")
    (place / "sent").write_bytes(b"".join(sent))
    files.keep(place / "sent", ("/a", "/b"), place / "into")
    into = place / "into"
    held = {path.name: path.read_bytes() for path in into.iterdir()} if into.exists() else {}
    assert held.keys() <= {"a"}
    assert all(len(data) == 1 for data in held.values())


def test_one_more_than_was_asked_for_goes_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"0 1\na1 1\nb")
    got = files.keep(tmp_path / "sent", ("/dmesg.log",), tmp_path / "into", last=tmp_path / "kmsg")
    assert got == {"/dmesg.log": tmp_path / "into" / "dmesg.log"}
    assert ((tmp_path / "kmsg").read_bytes(), got["/dmesg.log"].read_bytes()) == (b"b", b"a")
    assert files.keep(tmp_path / "sent", ("/dmesg.log",), tmp_path / "into") == got


def test_the_kernels_records_become_its_log() -> None:
    records = (
        "5,0,0,-;Linux version 6.1\n6,1,101741,-;ACPI: \\x5c_SB_.GSIF\n SUBSYSTEM=pci\n DEVICE=+pci:0\n"
        "15,2,110000,-;plx-init: mark 1\n4,3,12000345,c,caller=T1;odd\nno record\n"
    )
    assert files.kernel_log(records) == (
        "[    0.000000] Linux version 6.1\n[    0.101741] ACPI: \\_SB_.GSIF\n[   12.000345] odd\n"
    )


def test_nothing_sent_is_nothing_got(tmp_path: Path) -> None:
    assert files.keep(tmp_path / "absent", ("/a",), tmp_path) == {}


@pytest.mark.parametrize("wanted", [("/",), ("..",), ("",), ("/a/x", "/b/x"), ("/a\nb",)])
def test_files_without_a_name_of_their_own_here_are_refused(wanted: tuple[str, ...]) -> None:
    with pytest.raises(files.NotGot):
        files.check(wanted)


def test_a_folder_is_open_to_all_only_with_the_way_to_it(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    outside = not all(above.stat().st_mode & 0o1 for above in tmp_path.parents)
    for place in (tmp_path, inner.parent, inner):
        place.chmod(0o755)
    assert open_to_all(inner) is not outside
    inner.chmod(0o750)
    assert not open_to_all(inner)
    inner.chmod(0o755)
    inner.parent.chmod(0o700)
    assert not open_to_all(inner)
    assert not open_to_all(tmp_path / "absent")
    assert open_to_all(Path("/"))


@pytest.mark.parametrize("name", ["a\nb", "f\udcff", "\x1b[31m"])
def test_a_name_that_cannot_be_the_guests_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(NothingToTry, match="rename it"):
        list(copied([path]))


def test_what_is_copied_has_a_limit(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(NothingToTry, match="--ro"):
        list(copied([tmp_path / "big"]))
