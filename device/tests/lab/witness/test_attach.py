# SPDX-License-Identifier: Apache-2.0
"""What QEMU is given to load the plugin; and a host, a QEMU or a kernel that gives no witness says why."""

import fcntl
import os
import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.lab.guest import sources
from plx9x5x.lab.guest.machine import VmSpec
from plx9x5x.lab.toolchain import GuestKernel, Qemu, Toolchain
from plx9x5x.lab.witness import attach, codemap, facts
from plx9x5x.lab.witness.attach import NoWitness, Prepared, attached, prepare
from plx9x5x.witness import ring
from plx9x5x.witness.ring import RingRefused
from tests.lab.witness import test_facts

SAYS = """#!/bin/sh
echo "$*" >>{log}
echo '{said}' >&2
exit 1
"""


@pytest.fixture
def tc(tmp_path: Path) -> Toolchain:
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(test_facts.kernel())
    qemu = qemu_that_says(tmp_path, "witness: loads, plugin interface 7")
    return Toolchain(
        qemu, GuestKernel("6.1", "6.1.0-x", kernel, tmp_path, tmp_path, ()), tmp_path, tmp_path, tmp_path / "cache"
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "plugin, of ours"
    folder.mkdir()
    (folder / "some.h").write_text("int some(void);\n")
    (folder / "some.c").write_text('#include "some.h"\nint some(void) { return 1; }\n')
    return folder


def qemu_that_says(tmp_path: Path, said: str) -> Qemu:
    program = tmp_path / f"qemu-{len(said)}"
    program.write_text(SAYS.format(log=tmp_path / "qemu.log", said=said))
    program.chmod(0o755)
    return Qemu((str(program),), "9.9", "host")


def test_the_plugin_is_compiled_and_loaded_once_and_kept(tc: Toolchain, source: Path, tmp_path: Path) -> None:
    first = prepare(tc, source)
    assert first.plugin.name == "witness.so"
    assert first.plugin.is_file()
    assert prepare(tc, source) == first
    (asked,) = (tmp_path / "qemu.log").read_text().splitlines()
    assert "-plugin" in asked
    assert asked.endswith(",check=on")
    (source / "some.c").write_text("int other(void);\nint other(void) { return 2; }\n")
    assert prepare(tc, source).plugin != first.plugin
    assert prepare(replace(tc, qemu=replace(tc.qemu, version="10")), source).plugin != first.plugin


def test_a_qemu_that_does_not_load_it_is_heard(tc: Toolchain, source: Path, tmp_path: Path) -> None:
    tc = replace(tc, qemu=qemu_that_says(tmp_path, "plugin requires API version 7, but this QEMU supports only 4"))
    with pytest.raises(NoWitness, match=r"(?s)QEMU 9.9 does not load the plugin.*API version 7, but"):
        prepare(tc, source)


def test_a_host_without_compiler_is_said(tc: Toolchain, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NoWitness, match="no-such-compiler") as said:
        prepare(tc, source)
    assert said.value.hint


def test_what_the_compiler_says_is_shown(tc: Toolchain, source: Path) -> None:
    (source / "some.c").write_text("int some(void) { return nonsense; }\n")
    with pytest.raises(NoWitness, match="nonsense"):
        prepare(tc, source)


def test_a_kernel_that_cannot_be_read_is_said(tc: Toolchain, source: Path) -> None:
    tc.kernel.vmlinuz.write_bytes(b"nothing")
    with pytest.raises(NoWitness, match="neither a bzImage") as said:
        prepare(tc, source)
    assert said.value.hint


def test_qemu_gets_a_ring_for_each_card_one_map_and_the_facts() -> None:
    made = Prepared(Path("/a,b/witness.so"), facts.KernelFacts("plx9x5x-kernel-facts 1\n"))
    with attached(made, devices=("0000:00:02.0", "0000:00:03.0"), watch=("one", "two"), records=1 << 4) as witness:
        known, code = witness.facts_fd, witness.code
        first, second = witness.rings
        assert witness.option() == (
            f"/a,,b/witness.so,facts={known},ring={first},ring={second},code={code},watch=one,watch=two"
        )
        assert witness.fds == (known, first, second, code)
        assert os.pread(known, 100, 0) == made.facts.text.encode()
        head = os.pread(second, 128, 0)
        assert struct.unpack_from("<8sIIQQQQQI", head) == (b"PLXWIT1\0", 1, 128, 16, 0, 0, 0, 0, 0)
        assert head[64:96].rstrip(b"\0") == b"0000:00:03.0"
        assert os.fstat(second).st_size == 4096 + 16 * 128
        assert struct.unpack("<8sIIQQ", os.pread(code, 32, 0)) == (b"PLXCODE1", 1, 0, 1024, 65536)
        assert os.fstat(code).st_size == 4096 + 1024 * 128 + 65536 * 32
        for fd in witness.fds:
            assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
            assert not os.get_inheritable(fd)
    for fd in witness.fds:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_place_or_a_number_that_no_ring_takes_is_refused() -> None:
    made = Prepared(Path("witness.so"), facts.KernelFacts(""))
    long = "0000:" * 8
    with (
        pytest.raises(RingRefused, match=f"'{long}' is longer than 31 bytes"),
        attached(made, devices=(long,), watch=()),
    ):
        pass
    with (
        pytest.raises(RingRefused, match="a power of two"),
        attached(made, devices=("0000:00:02.0",), watch=(), records=2 * ring.MOST_CAPACITY),
    ):
        pass


def test_what_the_makers_of_rings_and_maps_allow_the_plugin_takes() -> None:
    source = Path(__file__).parents[4] / "guest-tests/witness"

    def limit(file: str, name: str) -> int:
        found = re.search(rf"#define {name} \(?(\d+)(?:ull)?(?: << (\d+)\))?\n", (source / file).read_text("utf-8"))
        assert found, name
        return int(found[1]) << int(found[2] or 0)

    assert limit("ring.c", "MAX_CAPACITY") == ring.MOST_CAPACITY
    assert limit("modules.c", "MOST_MODULES") >= codemap.MAX_MODULES
    assert limit("modules.c", "MOST_BLOCKS") >= codemap.MAX_BLOCKS


def test_qemus_command_line_has_the_plugin_where_there_is_one(tmp_path: Path) -> None:
    spec = VmSpec(("qemu",), tmp_path / "vmlinuz", tmp_path / "initrd")
    assert "-plugin" not in spec.command_line(serial=tmp_path)
    words = replace(spec, plugin="witness.so,facts=3").command_line(serial=tmp_path)
    assert words[words.index("-plugin") + 1] == "witness.so,facts=3"


def test_no_memory_to_share_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "memfd_create", refuse)
    made = Prepared(Path("witness.so"), facts.KernelFacts(""))
    with pytest.raises(NoWitness, match="not permitted"), attached(made, devices=(), watch=()):
        pass


def test_the_doctor_says_what_is_there(
    tc: Toolchain, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach.loader, "present", lambda *_, **__: tc)
    before = attach.report(None, source)
    assert (before.warn, before.mend) == (True, "plx9x5x toolchain fetch")
    prepare(tc, source)
    there = attach.report(None, source)
    assert there.says == "loads, plugin interface 7; reads Linux 6.1.0-x"
    assert not there.mend
    tc.kernel.vmlinuz.write_bytes(b"nothing")
    assert "neither a bzImage" in attach.report(None, source).says
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "no-such-compiler" in attach.report(None, source).says
    monkeypatch.setattr(attach.loader, "present", lambda *_, **__: None)
    assert attach.report(None, source).mend


@pytest.mark.parametrize(
    ("watch", "why"),
    [
        (("drv", "x,file=libz.so.1"), "'x,file=libz.so.1' is no name of a module"),
        (("",), "'' is no name"),
        (("x" * 56,), "no name of a module"),
        (("drv\n",), "no name of a module"),
        (tuple(f"drv{number}" for number in range(65)), "65 modules are too many"),
    ],
)
def test_what_would_be_another_option_of_qemus_plugin_is_no_name(watch: tuple[str, ...], why: str) -> None:
    made = Prepared(Path("witness.so"), facts.KernelFacts(""))
    with pytest.raises(NoWitness, match=re.escape(why)), attached(made, devices=(), watch=watch):
        pass


def test_as_many_modules_are_watched_as_the_plugin_takes() -> None:
    made = Prepared(Path("witness.so"), facts.KernelFacts(""))
    with attached(made, devices=(), watch=tuple(f"drv{number}" for number in range(64))) as witness:
        assert witness.option().count("watch=") == 64
    header = (sources.find().witness / "witness.h").read_text()
    assert f"#define MAX_WATCHED {attach.MAX_WATCHED}" in header
