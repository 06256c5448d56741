# SPDX-License-Identifier: Apache-2.0
"""What a process in the jail can still do, tried from inside (inside.py), and what it says of a kernel that lacks parts.

Landlock answers EACCES and seccomp EPERM, so it shows whose refusal it is. On a kernel without one of them its
refusals are asserted not to happen: nothing is skipped.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.jail import MAX_FILES, landlock, offered
from plx9x5x.jail.paths import python_paths

HERE = Path(__file__).parent
KERNEL = offered()
BY_LANDLOCK = (
    ("read /etc/passwd", 1, "EACCES"),
    ("list /", 1, "EACCES"),
    ("read a file of the current folder", 1, "EACCES"),
    ("make a file elsewhere", 1, "EACCES"),
    ("write a file elsewhere", 1, "EACCES"),
    ("make a file beside the socket", 1, "EACCES"),
    ("write a file beside the socket", 1, "EACCES"),
    ("rename beside the socket", 1, "EACCES"),
    ("make a folder beside the socket", 1, "EACCES"),
    ("remove elsewhere", 1, "EACCES"),
    ("write to a place to read", 1, "EACCES"),
    ("bind TCP", 4, "EPERM"),  # by the filter, before Landlock
    ("connect by TCP", 4, "EPERM"),
    ("connect to an abstract socket", 6, "EPERM"),
)
BY_SECCOMP = (
    "exec",
    "fork",
    "subprocess",
    "posix_spawn",
    "socket",
    "ptrace",
    "mount",
    "a namespace",
    "io_uring",
    "chmod",
    "truncate by path",
    "signal the parent",
    "signal the group",
    "type into a terminal",
)
STAYS = (
    "signal itself",
    "another ioctl",
    "a thread",
    "shared memory of a client",
    "a late import",
    "a late import from PYTHONPATH",
    "a late import of numpy",
    "a late import of a package of this folder",
    "a traceback with source",
    "the null device",
    "read where it may",
    "write an open file",
    "memory",
    "remove the socket",
)


def run(folder: Path, *options: str) -> dict[str, Any]:
    """Give what inside.py says, run in `folder` as a server is by `python -m`."""
    for name in ("own", "other", "more", "site", "guest_package"):
        (folder / name).mkdir()
    for name in ("secret", "own/file", "other/file", "more/file", "guest_package/__init__.py", "site/late_module.py"):
        (folder / name).touch()
    (folder / "guest_package/late.py").write_text("VALUE = 7\n")
    shutil.copy(HERE / "inside.py", folder)
    # Python 3.12 and newer warn of a fork beside threads.
    argv = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "inside", *options]
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parents[1]}{os.pathsep}{folder / 'site'}"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("jail"))


@pytest.mark.parametrize(("attempt", "since", "answer"), BY_LANDLOCK)
def test_landlock_refuses_files_and_peers(inside: dict[str, Any], attempt: str, since: int, answer: str) -> None:
    if KERNEL.landlock >= since:
        assert inside[attempt] == answer
    else:
        assert inside[attempt] in ("ok", "ECONNREFUSED")


@pytest.mark.parametrize(
    ("version", "files", "tcp", "scopes"),
    [(1, 13, 0, 0), (2, 14, 0, 0), (3, 15, 0, 0), (4, 15, 3, 0), (5, 16, 3, 0), (6, 16, 3, 3), (9, 16, 3, 3)],
)
def test_each_landlock_is_asked_for_all_that_it_knows(version: int, files: int, tcp: int, scopes: int) -> None:
    assert landlock.handled(version) == ((1 << files) - 1, tcp, scopes)


def test_an_environment_s_own_libraries_can_be_loaded_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/of-its-own")
    assert Path("/of-its-own/lib") in python_paths()


@pytest.mark.parametrize("attempt", BY_SECCOMP)
def test_seccomp_refuses_what_no_server_needs(inside: dict[str, Any], attempt: str) -> None:
    assert inside[attempt] == "EPERM" or not KERNEL.seccomp


def test_clone3_says_that_it_is_not_there_so_that_libraries_take_clone(inside: dict[str, Any]) -> None:
    assert inside["clone3"] == ("ENOSYS" if KERNEL.seccomp else "EINVAL")


@pytest.mark.parametrize("attempt", STAYS)
def test_what_a_server_needs_stays(inside: dict[str, Any], attempt: str) -> None:
    assert inside[attempt] == "ok"


def test_the_kernel_confirms_it(inside: dict[str, Any]) -> None:
    assert inside["status"]["NoNewPrivs:"] == "1"
    assert inside["status"]["Seccomp:"] == "2" or not KERNEL.seccomp


def test_no_core_file_and_no_more_files_than_a_server_needs(inside: dict[str, Any]) -> None:
    assert inside["core"] == [0, 0]
    assert 0 < inside["files"][0] <= inside["files"][1] <= MAX_FILES


def test_it_says_what_is_on(inside: dict[str, Any]) -> None:
    assert inside["says"] == KERNEL.describe()
    assert inside["says"].startswith("jail: no_new_privs")
    assert ("seccomp" in inside["says"].split(";")[0]) == KERNEL.seccomp
    assert (f"Landlock ABI {KERNEL.landlock}" in inside["says"]) == bool(KERNEL.landlock)


def test_without_landlock_the_rest_is_kept(tmp_path: Path) -> None:
    inside = run(tmp_path, "landlock_create_ruleset=ENOSYS")
    assert inside["says"] == "jail: no_new_privs, seccomp; no Landlock: the kernel says: Function not implemented"
    assert (inside["read /etc/passwd"], inside["fork"]) == ("ok", "EPERM")


def test_without_seccomp_the_rest_is_kept(tmp_path: Path) -> None:
    inside = run(tmp_path, "seccomp=ENOSYS")
    assert "no seccomp: the kernel says: Function not implemented" in inside["says"]
    assert inside["fork"] == "ok"
    assert inside["read /etc/passwd"] == ("EACCES" if KERNEL.landlock else "ok")
    assert inside["signal the parent"] == ("EPERM" if KERNEL.landlock >= 6 else "ok")
    assert inside["status"]["NoNewPrivs:"] == "1"


def test_a_part_that_is_there_and_refused_is_an_error_that_says_how_to_do_without(tmp_path: Path) -> None:
    inside = run(tmp_path, "landlock_restrict_self=EPERM")
    if KERNEL.landlock:
        assert inside["refused"] == "the kernel refuses the jail (Landlock: Operation not permitted)"
        assert "--no-jail" in inside["hint"]
    else:
        assert inside["says"] == KERNEL.describe()


def test_a_thread_from_before_is_told_of_and_has_the_filter(tmp_path: Path) -> None:
    inside = run(tmp_path, "thread")
    assert inside["socket in a thread from before"] == "EPERM" or not KERNEL.seccomp
    assert ("no Landlock in 1 thread" in inside["says"]) == bool(KERNEL.landlock)
