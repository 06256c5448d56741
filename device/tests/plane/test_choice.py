# SPDX-License-Identifier: Apache-2.0
"""Which plane is taken, and what is said of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.board import load_board
from plx9x5x.errors import SetupError
from plx9x5x.model.chip import Chip
from plx9x5x.model.engine import Channel
from plx9x5x.plane import choice
from plx9x5x.plane.choice import NoSuchPlane, Plane, choose, describe
from plx9x5x.transport.loopback import Loopback


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(choice.VARIABLE, raising=False)


@pytest.fixture
def not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A package without its modules in C; the file that would say why."""
    monkeypatch.setitem(sys.modules, "plx9x5x.plane._mappings", None)
    monkeypatch.delattr("plx9x5x.plane._mappings", raising=False)
    monkeypatch.setattr(choice, "_REASON", tmp_path / "why")
    return tmp_path / "why"


def test_the_native_plane_is_the_default_if_it_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose() is Plane.NATIVE
    monkeypatch.setenv(choice.VARIABLE, "python")
    assert choose() is Plane.PYTHON
    assert choose("native") is choose(Plane.NATIVE) is Plane.NATIVE
    assert describe(Plane.NATIVE) == "plane native"
    assert describe(Plane.PYTHON) == "plane python"


@pytest.mark.usefixtures("not_built")
def test_without_it_python_is_the_default_and_says_so() -> None:
    assert choose() is Plane.PYTHON
    assert describe(choose()).startswith(
        "plane python: the native one is not there, it has not been compiled; build it"
    )


def test_why_it_was_not_built_is_kept(not_built: Path) -> None:
    not_built.write_text("no compiler: cc\n")
    assert choice.lack() == "it could not be compiled: no compiler: cc"


@pytest.mark.usefixtures("not_built")
def test_the_native_plane_forced_and_not_there_is_a_lack_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match="the native plane is not there") as caught:
        choose("native")
    assert "setup.sh" in caught.value.hint
    monkeypatch.setenv(choice.VARIABLE, "native")
    with pytest.raises(SetupError):
        choose()


def test_a_name_that_is_no_planes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.VARIABLE, "turbo")
    with pytest.raises(NoSuchPlane, match="no plane 'turbo'"):
        choose()


@pytest.mark.parametrize(("plane", "kind"), [("native", "NativeChannel"), ("python", "Channel")])
def test_a_chip_works_on_the_plane_of_its_hosts_memory(plane: str, kind: str) -> None:
    host = Loopback(lambda bus, irq: Chip(load_board("rdk-9656-lite"), bus=bus, irq=irq), plane=plane)
    assert {type(channel).__name__ for channel in host.device.channels} == {kind}
    assert all(isinstance(channel, Channel) for channel in host.device.channels)


def test_half_a_native_plane_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plx9x5x.model.native_card", None)
    with pytest.raises(SetupError, match="lacks its card"):
        Loopback(lambda bus, irq: Chip(load_board("rdk-9656-lite"), bus=bus, irq=irq), plane="native")


def test_the_python_plane_loads_nothing_compiled() -> None:
    program = (
        "import sys; from plx9x5x.model import chip; from plx9x5x.transport import libvfio, loopback;"
        "from plx9x5x.plane.choice import choose; choose('python');"
        "print([name for name in sys.modules if name.startswith(('cffi', '_cffi')) or name.endswith(('._mappings', '._card', '._serving'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
