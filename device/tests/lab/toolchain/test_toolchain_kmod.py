# SPDX-License-Identifier: Apache-2.0
"""Modules and programs for the guest: warnings count, the compiler is heard, nothing is built twice."""

import re
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import build_static, kernels, kmod
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.toolchain.kernels import GuestKernel

_MAKE = """#!/bin/sh
echo "$*" >>{log}
echo "$KCFLAGS" >{log}.flags
for word; do case $word in M=*) folder=${{word#M=}};; esac; done
echo '{said}'
touch "$folder/own.ko"
exit {code}
"""


@pytest.fixture
def kernel(tmp_path: Path) -> GuestKernel:
    headers = tmp_path / "headers"
    headers.mkdir()
    (headers / "Makefile").touch()
    return GuestKernel("6.1", "6.1.0-x", tmp_path, tmp_path, headers, ("CC=cc",))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "kmod"
    (folder / "sub").mkdir(parents=True)
    (folder / "Makefile").write_text("obj-m := own.o\n")
    (folder / "sub/own.h").write_text("1")
    (folder / "own.o").write_text("made elsewhere")
    return folder


@pytest.fixture
def make(host: Any, tmp_path: Path) -> Any:
    def fake(said: str = "CC [M] own.o", code: int = 0) -> Path:
        log = tmp_path / "make.log"
        host.program("make", _MAKE.format(log=log, said=said, code=code))
        return log

    return fake


def build(cache_root: Path, kernel: GuestKernel, source: Path) -> Path:
    return kmod.module(Cache(cache_root), kernel, source, name="own")


def test_a_module_is_built_from_a_copy_with_all_warnings_on(
    make: Any, cache_root: Path, kernel: GuestKernel, source: Path
) -> None:
    log = make()
    assert build(cache_root, kernel, source).name == "own.ko"
    assert "W=1 CC=cc modules" in log.read_text()
    assert f"M={source}" not in log.read_text()
    assert sorted(p.name for p in source.iterdir()) == ["Makefile", "own.o", "sub"]


def test_its_debug_information_names_the_folder_and_not_the_copy(
    make: Any, cache_root: Path, kernel: GuestKernel, source: Path
) -> None:
    log = make()
    first = build(cache_root, kernel, source)
    flags = Path(f"{log}.flags").read_text().strip()
    assert re.fullmatch(rf"-ffile-prefix-map=\S+/build={source}", flags)
    elsewhere = source.rename(source.with_name("elsewhere"))
    assert build(cache_root, kernel, elsewhere) != first


def test_the_same_sources_are_built_once_and_a_change_counts(
    make: Any, cache_root: Path, kernel: GuestKernel, source: Path
) -> None:
    log = make()
    first = build(cache_root, kernel, source)
    (source / "own.o").write_text("made again elsewhere")
    assert build(cache_root, kernel, source) == first
    (source / "sub/own.h").write_text("2")
    assert build(cache_root, kernel, source) != first
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize("said", ["own.c:3:5: warning: unused variable", "WARNING: modpost: missing MODULE_LICENSE()"])
def test_a_warning_fails_the_build_and_keeps_nothing(
    make: Any, cache_root: Path, kernel: GuestKernel, source: Path, said: str
) -> None:
    make(said)
    with pytest.raises(SetupError, match="gave warnings") as caught:
        build(cache_root, kernel, source)
    assert said in str(caught.value)
    assert list((cache_root / "built").iterdir()) == []


def test_the_remark_on_another_compiler_version_is_no_warning(
    make: Any, cache_root: Path, kernel: GuestKernel, source: Path
) -> None:
    make("warning: the compiler differs from the one used to build the kernel")
    assert build(cache_root, kernel, source).exists()


def test_an_error_shows_the_compilers_words(make: Any, cache_root: Path, kernel: GuestKernel, source: Path) -> None:
    make("own.c:1: error: strange thing", code=2)
    with pytest.raises(SetupError, match="strange thing"):
        build(cache_root, kernel, source)


def test_a_kernel_without_headers_is_refused(cache_root: Path, kernel: GuestKernel, source: Path) -> None:
    (kernel.headers / "Makefile").unlink()
    with pytest.raises(SetupError, match=r"no headers") as caught:
        build(cache_root, kernel, source)
    assert "linux-headers-6.1.0-x" in caught.value.hint


def test_a_shared_header_is_found_and_counts(tmp_path: Path) -> None:
    folder, shared = tmp_path / "p", tmp_path / "shared"
    folder.mkdir()
    shared.mkdir()
    (folder / "p.c").write_text('#include "fact.h"\nint main(void) { return FACT; }\n')
    (shared / "fact.h").write_text("#define FACT 1\n")
    first = build_static(folder, name="p", include=(shared,))
    (shared / "fact.h").write_text("#define FACT 2\n")
    assert build_static(folder, name="p", include=(shared,)) != first


def test_a_static_program_is_built_once_and_a_header_counts(tmp_path: Path) -> None:
    folder = tmp_path / "prog"
    folder.mkdir()
    (folder / "n.h").write_text("#define N 0\n")
    (folder / "p.c").write_text('#include "n.h"\nint main(void) { return N; }\n')
    first = build_static(folder / "p.c", name="p")
    stamp = first.stat().st_mtime_ns
    assert build_static(folder / "p.c", name="p") == first
    assert first.stat().st_mtime_ns == stamp
    assert not kernels._has_interpreter(first)
    (folder / "n.h").write_text("#define N 1\n")
    assert build_static(folder / "p.c", name="p") != first


def test_a_warning_in_a_program_is_an_error_with_the_compilers_words(tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text("int main(void) { int unused; return 0; }\n")
    with pytest.raises(SetupError, match="unused"):
        build_static(tmp_path / "p.c", name="p")


def test_headers_include_by_their_own_place_and_tools_run_by_their_own_loader(tmp_path: Path) -> None:
    root = tmp_path / "root"
    headers = root / "usr/src/linux-headers-9.0"
    headers.mkdir(parents=True)
    (headers / "Makefile").write_text("include /usr/src/linux-headers-9.0-common/Makefile\n")
    (root / "boot").mkdir()
    (root / "boot/vmlinuz-9.0").touch()
    (root / "lib/modules/9.0").mkdir(parents=True)
    (root / "lib/modules/9.0/build").symlink_to("/usr/src/linux-headers-9.0")
    tool = root / "usr/lib/linux-kbuild-9/scripts/mod/tool"
    tool.parent.mkdir(parents=True)
    tool.write_bytes(Path("/bin/true").read_bytes())
    tool.chmod(0o755)
    loader = tmp_path / "runtime/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    loader.parent.mkdir(parents=True)
    loader.write_text('#!/bin/sh\necho "$@"\n')
    loader.chmod(0o755)
    facts = kernels.adapt(tmp_path)
    assert facts["release"] == "9.0"
    assert (
        (headers / "Makefile")
        .read_text()
        .startswith("include $(dir $(lastword $(MAKEFILE_LIST)))../linux-headers-9.0-c")
    )
    assert tool.read_bytes().startswith(b"#!/bin/sh")
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    import subprocess

    said = subprocess.run([moved / tool.relative_to(tmp_path), "x"], capture_output=True, text=True, check=True).stdout
    moved.rename(tmp_path)
    assert said.split()[:2] == ["--argv0", str(moved / tool.relative_to(tmp_path))]
    assert said.split()[-1] == "x"
