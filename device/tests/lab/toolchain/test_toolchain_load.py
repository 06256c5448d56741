# SPDX-License-Identifier: Apache-2.0
"""`load`: where each part comes from, and what is left when it ends early."""

import gzip
import multiprocessing
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import which_kernel

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import KERNEL_SERIES, KERNELS, load
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.toolchain.kernels import NoSuchKernel
from plx9x5x.lab.toolchain.loader import NoSuchPart

NEED = {"busybox"}
_QEMU = """#!{python}
import sys
print('QEMU emulator version {version} (x)' if '--version' in sys.argv else '{devices}')
"""


def qemu(path: Path, version: str = "10.1.2", devices: str = 'name "vfio-user-pci", bus PCI') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_QEMU.format(python=sys.executable, version=version, devices=devices))
    path.chmod(0o755)
    return path


def image(path: Path, release: str) -> Path:
    """The head of a bzImage that says its release."""
    head = bytearray(0x1000)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x300).to_bytes(2, "little")
    text = f"{release} (someone) #1\0".encode()
    head[0x500 : 0x500 + len(text)] = text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head)
    return path


def test_a_missing_part_is_fetched_and_recorded(host: Any, cache_root: Path, heard: Any) -> None:
    tc = load(need=NEED, progress=heard)
    assert tc.busybox.read_text() == "#!/bin/sh\n"
    assert tc.versions()["busybox"] == "1:1.0-1"
    assert not tc.busybox.stat().st_mode & 0o4000
    assert not list(cache_root.rglob("*.deb"))


def test_the_second_time_nothing_is_called(host: Any, heard: Any) -> None:
    load(need=NEED)
    before = host.calls
    load(need=NEED, progress=heard)
    assert host.calls == before
    assert heard.notes == []


def test_a_filled_cache_needs_no_write_access(host: Any, cache_root: Path) -> None:
    load(need=NEED)
    (cache_root / "lock").unlink()
    load(need=NEED)
    assert not (cache_root / "lock").exists()


@pytest.mark.parametrize("stage", ["update", "download", "unpack"])
def test_a_failure_leaves_an_empty_cache_and_the_next_run_works(host: Any, cache_root: Path, stage: str) -> None:
    host.say(stage, "E: No space left on device", "ok")
    with pytest.raises(SetupError, match="is full"):
        load(need=NEED)
    assert sorted(p.name for p in cache_root.iterdir()) == ["lock"]
    assert load(need=NEED).busybox.exists()


def _load() -> None:
    load(need=NEED)


def _start(host: Any) -> Any:
    """A fetch in another process, stopped in the middle of its download."""
    process = multiprocessing.get_context("fork").Process(target=_load)
    process.start()
    deadline = time.monotonic() + 30
    while not (host.top / "sleeping").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("stage", ["download", "unpack"])
def test_a_killed_fetch_leaves_no_part_and_the_next_run_works(
    host: Any, cache_root: Path, number: signal.Signals, stage: str
) -> None:
    host.say(stage, "sleep 2", "ok")
    process = _start(host)
    os.kill(process.pid, number)
    process.join(10)
    assert Cache(cache_root).installed() == []
    assert load(need=NEED).busybox.exists()
    assert sorted(p.name for p in cache_root.iterdir()) == ["lock", "manifest.json", "parts"]


def test_two_at_once_fetch_once(host: Any, heard: Any) -> None:
    host.say("download", "sleep 1", "ok")
    process = _start(host)
    load(need=NEED, progress=heard)
    process.join(10)
    assert process.exitcode == 0
    assert any("waiting for process" in note for note in heard.notes)
    assert host.count("download") == 1


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(NoSuchPart, match="no part gcc"):
        load(need={"gcc"})


def test_another_machine_is_refused_before_anything_is_fetched(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(SetupError, match="aarch64"):
        load(need=NEED)
    assert host.calls == []


# QEMU of the host's own


def test_the_named_qemu_is_used(tmp_path: Path, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = qemu(tmp_path / "own/q")
    monkeypatch.setenv("PLX9X5X_QEMU", str(own))
    tc = load(need={"qemu"})
    assert (tc.qemu.argv, tc.qemu.version, tc.qemu.source) == ((str(own),), "10.1.2", "$PLX9X5X_QEMU")
    assert host.calls == []


@pytest.mark.parametrize(
    ("version", "devices", "why"),
    [
        ("10.0.9", 'name "vfio-user-pci"', "version 10.0"),
        ("9.2.0", 'name "vfio-user-pci"', "version 9.2"),
        ("11.0.0", 'name "edu"', "without the device"),
    ],
)
def test_a_named_qemu_that_will_not_do_is_an_error_naming_the_variable(
    tmp_path: Path, host: Any, monkeypatch: pytest.MonkeyPatch, version: str, devices: str, why: str
) -> None:
    monkeypatch.setenv("PLX9X5X_QEMU", str(qemu(tmp_path / "own/q", version, devices)))
    with pytest.raises(SetupError, match=rf"PLX9X5X_QEMU=.*{why}"):
        load(need={"qemu"})


def test_a_named_qemu_that_is_absent_is_an_error_naming_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLX9X5X_QEMU", "/nowhere/qemu")
    with pytest.raises(SetupError, match="PLX9X5X_QEMU=/nowhere/qemu"):
        load(need={"qemu"})


def test_a_new_enough_qemu_on_path_is_used(host: Any) -> None:
    own = qemu(host.bin / "qemu-system-x86_64", "12.0.0")
    assert load(need={"qemu"}).qemu.argv == (str(own),)


def test_an_old_qemu_on_path_is_passed_over(host: Any) -> None:
    qemu(host.bin / "qemu-system-x86_64", "9.0.0")
    with pytest.raises(SetupError, match="qemu-system-x86"):  # the fake mirror has none: it was asked
        load(need={"qemu"})


# libvfio-user and kernels


@pytest.mark.parametrize("kind", ["absent", "text", "another"])
def test_a_named_library_that_will_not_do_is_an_error_naming_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "lib.so"
    if kind == "text":
        path.write_text("no library")
    elif kind == "another":
        path = Path(
            next(
                line.split()[-1]
                for line in Path("/proc/self/maps").read_text().splitlines()
                if re.search(r"/libc[.-]", line)
            )
        )
    monkeypatch.setenv("PLX9X5X_LIBVFIO_USER", str(path))
    with pytest.raises(SetupError, match="PLX9X5X_LIBVFIO_USER="):
        load(need={"libvfio-user"})


def test_build_tools_are_looked_for_before_anything_is_fetched(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError, match="meson, ninja, pkgconf") as caught:
        load(need={"libvfio-user"})
    assert "pip install" in caught.value.hint
    assert host.calls == []


def test_a_missing_compiler_is_named_with_its_package(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(host.bin))
    with pytest.raises(SetupError, match="'gcc' is missing") as caught:
        load(need={"libvfio-user"})
    assert "gcc libc6-dev" in caught.value.hint
    assert host.calls == []


def test_a_kernel_in_an_unpacked_tree_is_used(tmp_path: Path) -> None:
    vmlinuz = image(tmp_path / "boot/vmlinuz-7.1.2-own", "7.1.2-own")
    (tmp_path / "lib/modules/7.1.2-own").mkdir(parents=True)
    for wish in (str(tmp_path), str(vmlinuz)):
        kernel = load(kernel=wish, need=()).kernel
        assert (kernel.series, kernel.release, kernel.vmlinuz) == ("7.1", "7.1.2-own", vmlinuz)
        assert kernel.modules == tmp_path / "lib/modules/7.1.2-own"


def test_the_environment_chooses_the_kernel_and_the_argument_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLX9X5X_KERNEL", KERNEL_SERIES[1])
    assert load(need=()).kernel.series == KERNEL_SERIES[1]
    assert load(kernel=KERNEL_SERIES[0], need=()).kernel.series == KERNEL_SERIES[0]


@pytest.mark.parametrize("name", ["empty", "not-an-image", "no-modules"])
def test_a_named_kernel_that_will_not_do_says_what_is_missing(tmp_path: Path, name: str) -> None:
    if name == "not-an-image":
        (tmp_path / "boot").mkdir()
        (tmp_path / "boot/vmlinuz-1").write_text("x")
    elif name == "no-modules":
        image(tmp_path / "boot/vmlinuz-1", "1.2.3")
    said = {"empty": "boot/vmlinuz", "not-an-image": "not a bootable", "no-modules": "no folder lib/modules/1.2.3"}
    with pytest.raises(SetupError, match=said[name]):
        load(kernel=str(tmp_path), need=())


def test_a_series_that_does_not_exist_is_refused_with_those_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoSuchKernel, match=r"6\.1, 6\.12, 6\.1-full, 6\.12-full"):
        load(kernel="5.10", need=())
    monkeypatch.setenv("PLX9X5X_KERNEL", "5.10")
    with pytest.raises(SetupError, match=r"PLX9X5X_KERNEL=5\.10"):
        load(need=())


FULL = "9.9.9-amd64"


@pytest.fixture
def full_kernel(host: Any) -> None:
    """Debian's packages of the full kernel, as small as can be."""
    modules = f"lib/modules/{FULL}"
    image = {
        f"boot/vmlinuz-{FULL}": "",
        f"{modules}/kernel/net/can/can.ko": "\x7fELF",
        f"{modules}/modules.builtin": "",
    }
    headers = {f"usr/src/linux-headers-{FULL}/Makefile": "include /usr/src/linux-headers-common/Makefile\n"}
    host.package("linux-image-amd64", "9", {}, depends=f"linux-image-{FULL} (= 9)")
    host.package("linux-headers-amd64", "9", {}, depends=f"linux-headers-{FULL} (= 9)")
    host.package(f"linux-image-{FULL}", "9-1", image)
    host.package(f"linux-headers-{FULL}", "9-1", headers)
    for name in ("libc6", "zlib1g", "libelf1", "libelf1t64", "libzstd1"):
        host.package(name, "1", {})


@pytest.mark.usefixtures("full_kernel")
@pytest.mark.parametrize("name", [name for name in KERNELS if name.endswith("-full")])
def test_a_kernel_with_all_modules_is_kept_with_its_modules_packed(name: str, heard: Any) -> None:
    kernel = load(kernel=name, need={"kernel"}, progress=heard).kernel
    assert (kernel.series, kernel.release) == (name, FULL)
    assert [p.name for p in kernel.modules.rglob("*.ko*")] == ["can.ko.gz"]
    assert gzip.decompress((kernel.modules / "kernel/net/can/can.ko.gz").read_bytes()) == b"\x7fELF"
    assert (kernel.modules / "modules.builtin").exists()
    assert (kernel.headers / "Makefile").is_file()
    assert any("with all modules" in note for note in heard.notes)


def test_the_suites_and_packages_of_each_kernel_are_those_that_debian_has() -> None:
    asked = {name: [(it.suite, *it.packages) for it in part.wanted] for name, part in KERNELS.items()}
    old, new = ("libc6", "zlib1g", "libelf1"), ("libc6", "zlib1g", "libelf1t64", "libzstd1")
    assert asked == {
        "6.1": [("bookworm", "linux-image-cloud-amd64", "linux-headers-cloud-amd64"), ("bookworm", *old)],
        "6.12": [("trixie", "linux-image-cloud-amd64", "linux-headers-cloud-amd64"), ("trixie", *new)],
        "6.1-full": [("bookworm", "linux-image-amd64", "linux-headers-amd64"), ("bookworm", *old)],
        "6.12-full": [("trixie", "linux-image-amd64", "linux-headers-amd64"), ("trixie", *new)],
    }
    assert [name for name, part in KERNELS.items() if part.pack_modules] == ["6.1-full", "6.12-full"]


@pytest.mark.parametrize(
    ("named", "each", "full"),
    [
        (None, KERNEL_SERIES, "6.1-full"),
        ("6.1", ("6.1",), "6.1-full"),
        ("6.12", ("6.12",), "6.12-full"),
        ("6.12-full", ("6.12-full",), "6.12-full"),
        ("/boot/vmlinuz", ("/boot/vmlinuz",), "/boot/vmlinuz"),
    ],
)
def test_guest_tests_boot_the_kernel_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, named: str | None, each: tuple[str, ...], full: str
) -> None:
    monkeypatch.setenv("PLX9X5X_KERNEL", named or "")
    assert (which_kernel.kernels(), which_kernel.with_all_modules()) == (each, full)


@pytest.mark.usefixtures("full_kernel")
def test_a_kernel_with_all_modules_is_not_fetched_unless_it_is_named(host: Any) -> None:
    with pytest.raises(SetupError, match="linux-image-cloud-amd64"):  # the fake mirror has none: it was asked
        load(need={"kernel"})
    assert not host.count("linux-image-amd64")
