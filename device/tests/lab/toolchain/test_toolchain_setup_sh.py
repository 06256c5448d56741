# SPDX-License-Identifier: Apache-2.0
"""scripts/setup.sh: a host that lacks things is told in one line, and is never half set up."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[4] / "scripts/setup.sh"
_PYTHON = """#!/bin/sh
echo "python $*" >>{log}
case "$*" in
  *"import ensurepip"*) exit {ensurepip} ;;
  *sysconfig*) echo {include} ;;
  *hashlib*) echo stamp ;;
  "-m venv --without-pip .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  "-m ensurepip"*) printf %s "{venv_says}"; [ -z "{venv_says}" ] ;;
  *"pip install"*) printf %s "{says}"; exit {pip} ;;
esac
"""
_SHELL_TOOLS = ("sh", "cat", "dirname", "tr", "sed", "rm", "mkdir", "cp", "env", "id", "flock", "ls")


class Box:
    """A checkout and a PATH that holds exactly what a test wants."""

    def __init__(self, top: Path) -> None:
        self.top, self.bin, self.log = top, top / "bin", top / "log"
        self.root = top / "checkout"
        (self.root / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        (self.root / "pyproject.toml").touch()
        shutil.copy(SCRIPT, self.root / "scripts")
        (top / "Python.h").touch()
        self.log.touch()
        for name in _SHELL_TOOLS:
            found = shutil.which(name)
            assert found
            (self.bin / name).symlink_to(found)
        for name in ("gcc", "make", "ld", "dpkg-deb"):
            self.tool(name)
        self.tool("apt-get", 'echo "apt-get $*" >>' + str(self.log))
        self.user(1000)
        self.python()

    def tool(self, name: str, body: str = "exit 0") -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def user(self, number: int) -> None:
        self.tool("id", f"echo {number}")

    def python(self, *, ensurepip: int = 0, pip: int = 0, says: str = "", venv_says: str = "") -> None:
        text = _PYTHON.format(
            log=self.log, ensurepip=ensurepip, include=self.top, pip=pip, says=says, venv_says=venv_says
        )
        self.tool("python3", text.partition("\n")[2])

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "HOME": str(self.top)}
        script = self.root / "scripts/setup.sh"
        return subprocess.run(
            [str(self.bin / "sh"), script, *args], env=env, capture_output=True, text=True, check=False
        )

    def installs(self) -> int:
        return self.log.read_text().count("pip install")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_complete_host_is_set_up_and_the_second_run_does_nothing(box: Box) -> None:
    first = box.run()
    assert (first.returncode, first.stderr) == (0, "")
    assert (box.root / ".venv/.plx9x5x-stamp").read_text() == "stamp\n"
    second = box.run()
    assert (second.returncode, second.stdout) == (0, "")
    assert box.installs() == 1


@pytest.mark.parametrize(
    ("tool", "packages"),
    [("gcc", "gcc libc6-dev"), ("make", "make"), ("ld", "binutils"), ("python3", "python3 python3-venv python3-dev")],
)
def test_a_user_without_root_gets_one_line_to_paste_and_nothing_is_changed(box: Box, tool: str, packages: str) -> None:
    (box.bin / tool).unlink()
    done = box.run()
    assert done.returncode == 69
    (hint,) = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    assert hint.startswith("hint: sudo apt-get update && sudo apt-get install")
    assert hint.endswith(f" {packages}")
    assert not (box.root / ".venv").exists()
    assert "apt-get" not in box.log.read_text()


def test_missing_python_parts_are_named(box: Box) -> None:
    box.python(ensurepip=1)
    (box.top / "Python.h").unlink()
    assert "python3-venv python3-dev" in box.run().stderr


def test_root_installs_what_is_missing_and_upgrades_nothing(box: Box) -> None:
    box.user(0)
    (box.bin / "make").unlink()
    install = f'echo "apt-get $*" >>{box.log}; case "$*" in *install*) cp {box.bin}/ld {box.bin}/make ;; esac'
    box.tool("apt-get", install)
    assert box.run().returncode == 0
    assert "install --no-install-recommends --no-upgrade -y make" in box.log.read_text()


def test_root_with_a_failing_apt_gets_an_error(box: Box) -> None:
    box.user(0)
    (box.bin / "make").unlink()
    box.tool("apt-get", "exit 100")
    done = box.run()
    assert done.returncode == 69
    assert "could not install: make" in done.stderr
    assert not (box.root / ".venv").exists()


def test_check_changes_nothing_even_as_root(box: Box) -> None:
    box.user(0)
    (box.bin / "make").unlink()
    assert box.run("--check").returncode == 69
    assert "apt-get" not in box.log.read_text()


def test_a_failed_pip_leaves_no_stamp_and_the_next_run_makes_the_environment_anew(box: Box) -> None:
    box.python(pip=1)
    failed = box.run()
    assert failed.returncode == 69
    assert "pip could not install" in failed.stderr
    assert not (box.root / ".venv/.plx9x5x-stamp").exists()
    (box.root / ".venv/left").touch()
    box.python()
    assert box.run().returncode == 0
    assert not (box.root / ".venv/left").exists()


@pytest.mark.parametrize(
    ("says", "wanted"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "make room for 300 MB"),
        ("OSError: [Errno 122] Disk quota exceeded", "make room for 300 MB"),
        ("ERROR: No matching distribution found", "check the network"),
    ],
)
def test_a_failed_pip_is_told_by_what_it_said(box: Box, says: str, wanted: str) -> None:
    box.python(pip=1, says=says)
    failed = box.run()
    assert failed.returncode == 69
    assert says in failed.stderr
    (hint,) = [line for line in failed.stderr.splitlines() if line.startswith("hint: ")]
    assert wanted in hint


def test_a_disk_that_is_full_before_pip_is_there_is_told(box: Box) -> None:
    box.python(venv_says="OSError: [Errno 28] No space left on device")
    failed = box.run()
    assert failed.returncode == 69
    assert "hint: make room for 300 MB" in failed.stderr


def test_an_environment_of_the_users_own_is_kept(box: Box) -> None:
    (box.root / ".venv/bin").mkdir(parents=True)
    shutil.copy(box.bin / "python3", box.root / ".venv/bin/python")
    (box.root / ".venv/own").touch()
    assert box.run().returncode == 0
    assert (box.root / ".venv/own").exists()


def test_help_and_nonsense(box: Box) -> None:
    assert "usage" in box.run("--help").stdout
    assert box.run("--nonsense").returncode == 2
