# SPDX-License-Identifier: Apache-2.0
"""Kernel modules: found, opened, put in an order that loads."""

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.errors import SetupError
from plx9x5x.lab.guest.modules import Module, ModuleTree, modinfo, read_module
from tests.lab.elf import module


@pytest.fixture
def tree(tmp_path: Path) -> ModuleTree:
    drivers = tmp_path / "kernel" / "drivers"
    drivers.mkdir(parents=True)
    (drivers / "virtio.ko").write_bytes(module(name="virtio", depends=""))
    (drivers / "virtio_ring.ko.xz").write_bytes(lzma.compress(module(depends="virtio")))
    (drivers / "virtio-pci.ko.gz").write_bytes(gzip.compress(module(depends="virtio_ring,virtio,builtin-one")))
    (tmp_path / "modules.builtin").write_text("kernel/lib/builtin-one.ko\n")
    return ModuleTree(tmp_path)


def names(modules: list[Module]) -> list[str]:
    return [m.name for m in modules]


def test_dependencies_come_first_and_once(tree: ModuleTree) -> None:
    assert names(tree.resolve(["virtio_pci", "virtio"])) == ["virtio", "virtio_ring", "virtio_pci"]


def test_compressed_modules_are_opened(tree: ModuleTree) -> None:
    assert all(m.data.startswith(b"\x7fELF") for m in tree.resolve(["virtio_pci"]))


def test_built_in_module_is_left_out(tree: ModuleTree) -> None:
    assert tree.resolve(["builtin_one"]) == []


def test_own_module_comes_last_with_what_it_needs(tree: ModuleTree) -> None:
    own = Module("mine", module(depends="virtio_ring"))
    assert names(tree.resolve([], [own])) == ["virtio", "virtio_ring", "mine"]


def test_own_module_may_need_another_own_one(tree: ModuleTree) -> None:
    own = [Module("a", module(depends="b")), Module("b", module(depends=""))]
    assert names(tree.resolve([], own)) == ["b", "a"]


def test_unknown_module_is_named(tree: ModuleTree) -> None:
    with pytest.raises(SetupError, match="has no module 'nonsense'"):
        tree.resolve(["nonsense"])


def test_circle_is_refused(tree: ModuleTree) -> None:
    own = [Module("a", module(depends="b")), Module("b", module(depends="a"))]
    with pytest.raises(SetupError, match="circle: a -> b -> a"):
        tree.resolve([], own)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.ko", b"#!/bin/sh", "no 64-bit ELF"),
        ("x.ko.zst", b"\x28\xb5\x2f\xfd", "zstd"),
        ("x.ko.xz", b"broken", "cannot be read"),
        ("x.ko.gz", gzip.compress(b"\x7fELF\x02\x01", mtime=0)[:-9], "cannot be read"),
    ],
)
def test_file_that_is_no_module_is_refused(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SetupError, match=words):
        read_module(tmp_path / name)


def test_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        read_module(tmp_path / "none.ko")


@given(st.integers(0, 400), st.binary(max_size=8))
def test_damaged_elf_gives_no_error(at: int, data: bytes) -> None:
    good = bytearray(module(depends="a,b"))
    good[at : at + len(data)] = data
    modinfo(bytes(good))
    modinfo(bytes(good)[:at])


def test_modinfo_is_read() -> None:
    assert modinfo(module(depends="a,b", license="GPL")) == {"depends": "a,b", "license": "GPL"}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (module(this_module=b"atk"), "atk"),
        (module(this_module=b"atk", name="other"), "atk"),  # the kernel goes by its struct module
        (module(name="my-drv"), "my_drv"),
        (module(license="GPL"), "foo"),  # says nothing
        (module(this_module=b""), "foo"),
    ],
)
def test_module_has_its_own_name_whatever_its_file_is_called(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / "foo.ko").write_bytes(data)
    assert read_module(tmp_path / "foo.ko").name == name


@pytest.mark.parametrize(
    ("file", "data", "words"),
    [
        ("x,file=libz.so.1.ko", module(license="GPL"), "would be called 'x,file=libz.so.1'"),
        ("foo.ko", module(this_module=b"x,file=libz.so.1"), "calls itself 'x,file=libz.so.1'"),
        ("foo.ko", module(this_module=b"../../init"), "calls itself"),
        ("foo.ko", module(name="x" * 56), "calls itself"),
        ("foo.ko", module(name="a\nb"), "calls itself"),
    ],
)
def test_what_is_no_name_of_a_module_is_refused(tmp_path: Path, file: str, data: bytes, words: str) -> None:
    (tmp_path / file).write_bytes(data)
    with pytest.raises(SetupError, match=words):
        read_module(tmp_path / file)


def test_odd_file_name_is_no_matter_where_the_module_says_its_own(tmp_path: Path) -> None:
    (tmp_path / "x,file=libz.so.1.ko").write_bytes(module(this_module=b"atk"))
    assert read_module(tmp_path / "x,file=libz.so.1.ko").name == "atk"


def test_two_modules_of_one_name_are_refused_and_one_given_twice_is_taken(tree: ModuleTree) -> None:
    one, other = Module("atk", module(name="atk")), Module("atk", module(name="atk", license="GPL"))
    assert names(tree.resolve([], [one, one])) == ["atk"]
    with pytest.raises(SetupError, match="two files hold a module that calls itself 'atk'"):
        tree.resolve([], [one, other])
