# SPDX-License-Identifier: Apache-2.0
"""Boot images in every compression, and damaged in every way: symbols and types, or a word about what is wrong."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plx9x5x.lab.witness import kernel_image
from plx9x5x.lab.witness.btf import Btf
from plx9x5x.lab.witness.kernel_image import KernelImage, UnreadableKernel, unpacked
from tests.lab.witness.made_kernel import PACKED, TEXT, Types, boot_image, elf, kernel_types

SYMBOLS = {f"function_{number}": TEXT + 16 * number for number in range(9)}
ELF = elf(SYMBOLS, kernel_types(old=False).btf())


@pytest.mark.parametrize("packed", PACKED)
def test_exported_symbols_are_found_in_every_compression(packed: str) -> None:
    image = KernelImage.of(boot_image(PACKED[packed](ELF)))
    assert image.exported() == SYMBOLS
    first, end = image.text()
    assert first == TEXT
    assert end > max(SYMBOLS.values())


def test_an_elf_file_is_taken_as_it_is() -> None:
    assert KernelImage.of(ELF).exported() == SYMBOLS


def test_more_than_one_block_of_lz4() -> None:
    data = b"\x7fELF\x02\x01" + bytes(9 << 20)
    assert unpacked(boot_image(PACKED["lz4"](data))) == data


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (b"", "neither a bzImage nor an ELF file"),
        (bytes(4096), "neither a bzImage nor an ELF file"),
        (boot_image(ELF)[:-1], "ends before its payload does"),
        (boot_image(b""), "ends before its payload does"),
        (boot_image(b"BZh91AY"), "compression is not known"),
        (boot_image(PACKED["zstd"](ELF)[:40]), "no 64-bit ELF file|damaged"),
        (boot_image(PACKED["gzip"](ELF)[:40]), "damaged"),
        (boot_image(PACKED["lz4"](ELF)[:40]), "damaged"),
        (boot_image(PACKED["gzip"](b"no kernel")), "no 64-bit ELF file"),
        (ELF[:62], "table of sections is damaged"),
        (ELF[:-80], "table of sections is damaged"),
    ],
)
def test_what_is_no_kernel_is_said(image: bytes, says: str) -> None:
    with pytest.raises(UnreadableKernel, match=says):
        KernelImage.of(image)


@pytest.mark.parametrize("packed", PACKED)
def test_a_kernel_larger_than_any_is_refused_before_it_fills_memory(
    packed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_image, "MAX_IMAGE", 1 << 20)
    with pytest.raises(UnreadableKernel, match=r"larger than 1 MiB|damaged"):
        unpacked(boot_image(PACKED[packed](b"\x7fELF\x02\x01" + bytes(3 << 20))))


def test_a_kernel_without_its_tables_is_said() -> None:
    nothing = elf({}, None).replace(b"__ksymtab_gpl", b"__other_table")
    with pytest.raises(UnreadableKernel, match="no section __ksymtab_gpl"):
        KernelImage.of(nothing).exported()


@given(st.sampled_from(sorted(PACKED)), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8))
@example("none", [(64 + 40 + number, 255) for number in range(8)])
def test_a_damaged_image_raises_nothing_else(packed: str, changes: list[tuple[int, int]]) -> None:
    image = bytearray(boot_image(PACKED[packed](ELF)))
    for at, value in changes:
        image[512 * 4 + at % (len(image) - 512 * 4)] = value
    try:
        kernel = KernelImage.of(bytes(image))
        kernel.exported()
        kernel.text()
    except UnreadableKernel:
        pass


def small() -> Types:
    types = Types()
    u32 = types.integer(4)
    inner = types.struct("", 8, [("deep", u32, 4)])
    named = types.alias("named_t", types.struct("named", 16, [("field", u32, 12)]))
    const = types.alias("", named, kind=10)
    types.struct("outer", 100, [("", inner, 8), ("it", const, 16), ("many", types.array(const, 3), 32)])
    types.enum("colour", {"RED": 1, "BLUE": -4})
    return types


def test_members_are_found_in_what_has_no_name_behind_aliases_and_in_arrays() -> None:
    btf = Btf(small().btf())
    assert btf.offset("outer") == 0
    assert btf.offset("outer", "deep") == 12
    assert btf.offset("outer", "it", "field") == 28
    assert btf.offset("outer", "many", "2", "field") == 32 + 2 * 16 + 12
    assert btf.size("outer") == 100
    assert (btf.enumerator("RED"), btf.enumerator("BLUE")) == (1, -4)


@pytest.mark.parametrize(
    "path",
    [("nobody",), ("outer", "nobody"), ("outer", "many", "3"), ("outer", "it", "0"), ("outer", "it", "field", "x")],
)
def test_what_is_not_there_is_none(path: tuple[str, ...]) -> None:
    btf = Btf(small().btf())
    assert btf.offset(*path) is None
    assert btf.size("nobody") is None
    assert btf.enumerator("GREEN") is None


def test_members_of_bits_have_the_offset_of_their_byte() -> None:
    types = Types()
    u32 = types.integer(4)
    types.struct("flags", 8, [("first", u32, 4)], bits=True)
    assert Btf(types.btf()).offset("flags", "first") == 4


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "cut off"), (b"\0" * 40, "another magic"), (Types().btf()[:20], "cut off")],
)
def test_what_is_no_btf_is_said(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableKernel, match=says):
        Btf(data)


def test_a_kind_that_is_not_known_is_said_since_its_length_is_not() -> None:
    types = Types()
    types.add("new", 25, 0, 0)
    with pytest.raises(UnreadableKernel, match="kind 25"):
        Btf(types.btf())


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12))
def test_damaged_types_raise_nothing_else(changes: list[tuple[int, int]]) -> None:
    data = bytearray(kernel_types(old=False).btf())
    for at, value in changes:
        data[4 + at % (len(data) - 4)] = value
    try:
        btf = Btf(bytes(data))
        btf.offset("module", "mem", "4", "base")
        btf.offset("device", "kobj", "name")
        btf.enumerator("MOD_TEXT")
    except UnreadableKernel:
        pass
