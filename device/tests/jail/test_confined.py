# SPDX-License-Identifier: Apache-2.0
"""A program that is not ours, run where it has some files and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.jail import confined, offered

KERNEL = offered()
SHELL = [Path(place) for place in ("/bin", "/usr", "/lib", "/lib64", "/etc/ld.so.cache")]
ROOT = os.geteuid() == 0


def inside(line: str, *, read: Path, write: Path, nobody: bool = False) -> subprocess.CompletedProcess[str]:
    argv = confined.command(["/bin/sh", "-c", line], run=SHELL, read=[read], write=[write], nobody=nobody)
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    for name in ("read", "write", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"{name}\n", encoding="utf-8")
    return tmp_path / "read", tmp_path / "write", tmp_path / "other"


def test_it_has_the_folders_that_are_named(places: tuple[Path, Path, Path]) -> None:
    read, write, _ = places
    line = f"cat {read}/file; cd {write} && cat file && mkdir -p a/b && echo new > a/b/c && mv a/b/c d && ln -s d e && rm file"
    done = inside(line, read=read, write=write)
    assert (done.returncode, done.stdout, done.stderr) == (0, "read\nwrite\n", "")
    assert sorted(path.name for path in write.iterdir()) == ["a", "d", "e"]


@pytest.mark.parametrize(
    "line",
    [
        "cat {other}/file",
        "echo x > {other}/file",
        "rm {other}/file",
        "echo x > {read}/file",
        "rm {read}/file",
        "mkdir {read}/new",
        "cp /bin/true {write}/it && {write}/it",
        "mknod {write}/null c 1 3",
        "cat /etc/passwd",
    ],
)
def test_it_has_no_others(places: tuple[Path, Path, Path], line: str) -> None:
    read, write, other = places
    done = inside(line.format(read=read, write=write, other=other), read=read, write=write)
    assert (done.returncode != 0) is bool(KERNEL.landlock)
    assert ("not jailed: no Landlock" in done.stderr) is not KERNEL.landlock
    if KERNEL.landlock:
        assert (other / "file").read_text(encoding="utf-8") == "other\n"
        assert [path.name for path in read.iterdir()] == ["file"]


def test_root_becomes_nobody_who_need_not_get_to_the_folders(places: tuple[Path, Path, Path]) -> None:
    read, write, _ = places
    read.parent.chmod(0o700)
    done = inside(f"id -u; cat {read}/file", read=read, write=write, nobody=True)
    if ROOT:
        # A shell's words are not paths, so it gets to nothing by them; a word that is one would be by descriptor.
        assert done.stdout == "65534\n"
        assert "denied" in done.stderr
        named = confined.command(["/bin/ls", str(read)], run=SHELL, read=[read], nobody=True)
        assert subprocess.run(named, capture_output=True, text=True, check=True).stdout == "file\n"
    else:
        assert done.returncode == confined.NOT_RUN
        assert "cannot run /bin/sh" in done.stderr


def test_a_colon_in_a_folders_name_is_part_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "file").touch()
    tmp_path.chmod(0o700)
    argv = confined.command(["/bin/ls", str(folder)], run=SHELL, read=[folder], nobody=ROOT)
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "file\n"


def test_the_package_need_not_be_installed(places: tuple[Path, Path, Path]) -> None:
    """It may be a bare checkout, and what the caller's folder holds is not imported."""
    read, _, other = places
    (other / "argparse.py").write_text("raise SystemExit(9)\n", encoding="utf-8")
    argv = confined.command(["/bin/cat", str(read / "file")], run=SHELL, read=[read])
    bare = [word if word != sys.executable else "/usr/bin/python3" for word in argv]
    for command in (argv, bare) if Path("/usr/bin/python3").exists() else (argv,):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=other, env={})
        assert (done.returncode, done.stdout) == (0, "read\n"), done.stderr


def test_a_program_that_is_not_there_is_named() -> None:
    argv = confined.command(["/no/such/program"], run=[])
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, "cannot run /no/such/program" in done.stderr) == (confined.NOT_RUN, True)


def test_it_has_no_core_file_and_all_the_descriptors_that_it_may_have(places: tuple[Path, Path, Path]) -> None:
    read, write, _ = places
    done = inside("ulimit -c; ulimit -Sn; ulimit -Hn", read=read, write=write)
    core, soft, hard = done.stdout.split()
    assert (core, soft) == ("0", hard)


def test_it_ends_with_its_parent(places: tuple[Path, Path, Path]) -> None:
    read, write, _ = places
    argv = confined.command(["/bin/sleep", "60"], run=SHELL, read=[read], write=[write], nobody=ROOT)
    script = (
        "import subprocess, sys, time; sys.path[:] = sys.argv.pop().split(':');"
        "from plx9x5x.lab.host.process import Child; from pathlib import Path;"
        f"child = Child(sys.argv[1:], name='it', log=Path({str(write / 'log')!r})); time.sleep(0.5); print(child.pid)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *argv, ":".join(sys.path)], capture_output=True, text=True, check=True
    )
    with pytest.raises(ProcessLookupError):
        _until_gone(int(done.stdout))


def _until_gone(pid: int) -> None:
    """Raises: ProcessLookupError once it is."""
    import time

    end = time.monotonic() + 5
    while time.monotonic() < end:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text(encoding="utf-8").rpartition(") ")[2][0] == "Z":
            raise ProcessLookupError
        time.sleep(0.02)
