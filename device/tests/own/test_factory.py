# SPDX-License-Identifier: Apache-2.0
"""A device of one's own by its name: it is found, or what was wrong with the name, or the module, is said."""

import sys
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.host.server import DeviceServer, device_backend
from plx9x5x.own.factory import NoFactory, absolute, find
from tests.own.devices import FOLDER


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("nothing", "names no factory"),
        (":x", "names no factory"),
        ("no.such.module:X", "there is no module 'no', neither installed nor in"),
        ("json:nothing", "json has no 'nothing'"),
        ("json:__name__", "cannot be called"),
        ("/no/such/file.py:X", "there is no file /no/such/file.py"),
    ],
)
def test_a_factory_that_is_none_is_explained(tmp_path: Path, factory: str, says: str) -> None:
    with pytest.raises(NoFactory, match=says):
        find(factory)
    with (
        DeviceServer.start(backend=device_backend(factory), logs=tmp_path) as server,
        pytest.raises(SetupError, match=says),
    ):
        server.wait_ready()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n1 / 0\n", r"wrong.py:2, in <module>: ZeroDivisionError: division by zero"),
        ("def f(:\n", r"wrong.py:1: SyntaxError"),
        ("import json\n\njson.loads('')\n", r"wrong.py:3, in <module>: JSONDecodeError"),
        ("import sys\nsys.exit()\n", r"wrong.py:2, in <module>: SystemExit"),
        ("import no_such_thing\n", r"wrong.py:1, in <module>: ModuleNotFoundError"),
    ],
)
def test_a_module_that_does_not_run_is_named_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.py").write_text(text, encoding="utf-8")
    with pytest.raises(NoFactory, match=rf"cannot be imported: {says}"):
        find("wrong.py:X")


def test_a_file_that_is_called_as_a_module_of_pythons_own_does_not_replace_it(tmp_path: Path) -> None:
    before = sys.modules["struct"]
    (tmp_path / "struct.py").write_text("def device(bus, irq): ...\n", encoding="utf-8")
    assert callable(find(f"{tmp_path}/struct.py:device"))
    assert sys.modules["struct"] is before


def test_what_lies_beside_is_found_and_the_path_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside_it.py").write_text("def device(bus, irq): ...\n", encoding="utf-8")
    (tmp_path / "main_part.py").write_text("from beside_it import device\n", encoding="utf-8")
    before = list(sys.path)
    assert callable(find(f"{tmp_path}/main_part.py:device"))
    monkeypatch.chdir(tmp_path)
    assert callable(find("main_part:device"))
    assert sys.path == before
    for name in ("beside_it", "main_part", "_device_main_part"):
        monkeypatch.delitem(sys.modules, name)


def test_a_name_for_elsewhere_has_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a.b:C") == "a.b:C"
    assert absolute("x/y.py:C") == f"{tmp_path}/x/y.py:C"
    assert absolute(f"{FOLDER}/devices.py:C") == f"{FOLDER}/devices.py:C"
    with pytest.raises(NoFactory):
        absolute("y.py")
