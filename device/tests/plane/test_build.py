# SPDX-License-Identifier: Apache-2.0
"""The build hook: all units or none, and why not in words."""

import importlib.util
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """hatch_build.py, working on a copy of the sources. Hatch itself is there only while a package is built."""
    interface = types.ModuleType("hatchling.builders.hooks.plugin.interface")
    interface.BuildHookInterface = object  # type: ignore[attr-defined]
    parts = interface.__name__.split(".")
    for end in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(parts[end - 1]))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    spec = importlib.util.spec_from_file_location("hatch_build_under_test", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    package = tmp_path / "plx9x5x"
    for unit in module.UNITS:
        for name in (*unit.headers, *unit.sources, "model/latch.h"):
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "device/plx9x5x" / name, package / name)
    monkeypatch.setattr(module, "PACKAGE", package)
    monkeypatch.setattr(module, "FLAGS", (*module.FLAGS, "-O0"))  # sooner done
    monkeypatch.setattr(module, "REASON", package / "plane/not-built.txt")
    return module


def made(hook: Any) -> list[str]:
    return sorted(path.name for path in hook.PACKAGE.glob("**/*.abi3.so"))


def test_all_units_or_none(hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    two = tuple(unit for unit in hook.UNITS if unit.module.startswith("plx9x5x.plane."))  # set-up compiles them all
    monkeypatch.setattr(hook, "UNITS", two)
    assert hook.build() == ""
    assert made(hook) == ["_mappings.abi3.so", "_serving.abi3.so"]
    (hook.PACKAGE / "plane/serving.c").write_text("this is no C")
    reason = hook.build()
    assert "failed" in reason
    assert made(hook) == []
    assert hook.REASON.read_text() == reason + "\n"
    shutil.copy(ROOT / "device/plx9x5x/plane/serving.c", hook.PACKAGE / "plane/serving.c")
    assert hook.build() == ""
    assert not hook.REASON.exists()


def test_without_a_compiler_the_reason_is_kept(hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert hook.build() == "there is no compiler no-such-compiler"
    assert made(hook) == []
    assert hook.REASON.read_text() == "there is no compiler no-such-compiler\n"


def test_a_word_of_c_that_cffi_cannot_read_is_not_in_a_header(hook: Any) -> None:
    text = hook.declarations("#include <x>\nint f(void);\n#endif\n")
    assert text == "int f(void);"
