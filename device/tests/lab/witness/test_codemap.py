# SPDX-License-Identifier: Apache-2.0
"""The code map is read as the plugin writes it, and a forged one never raises more than BadCodeMap."""

import os
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.lab.witness import codemap
from plx9x5x.lab.witness.codemap import Block, CodeMapWriter, Load

CORE, INIT = 0xFFFF_FFFF_C000_0000, 0xFFFF_FFFF_C010_0000
FIRST = Load("mydrv", 5, 90, CORE, 0x3000, INIT, 0x1000)
SECOND = Load("mydrv", 100, None, CORE + 0x8000, 0x3000, INIT, 0x1000)


@pytest.fixture
def fd() -> Iterator[int]:
    made = os.memfd_create("code")
    yield made
    os.close(made)


def contents(fd: int) -> bytearray:
    return bytearray(os.pread(fd, codemap.SIZE, 0))


def test_what_the_plugin_writes_is_read_back(fd: int) -> None:
    writer = CodeMapWriter(fd)
    index = writer.load(FIRST)
    writer.load(SECOND)
    writer.blocks(index, [(CORE + 0x10, 7, 2, 3), (INIT, 0x1000, 900, 1 << 40)])
    seen = codemap.read(fd)
    assert seen.loads == (FIRST, SECOND)
    assert seen.blocks == (Block(CORE + 0x10, 7, 2, FIRST, 3), Block(INIT, 0x1000, 900, FIRST, 1 << 40))
    assert (seen.modules_left_out, seen.blocks_left_out, seen.refused) == (0, 0, 0)


def test_a_place_belongs_to_the_load_that_was_there(fd: int) -> None:
    writer = CodeMapWriter(fd)
    writer.load(FIRST)
    writer.load(SECOND)
    seen = codemap.read(fd)
    assert seen.load_at(CORE, 5) is seen.loads[0]
    assert seen.load_at(INIT + 1, 90) is seen.loads[0]
    assert seen.load_at(INIT + 1, 200) is seen.loads[1]
    assert seen.load_at(CORE, 95) is None
    assert seen.load_at(CORE, 200) is None
    assert seen.load_at(CORE + 0x3000, 50) is None
    assert seen.load_at(CORE, 4) is None


def test_an_init_text_may_be_anothers_later(fd: int) -> None:
    writer = CodeMapWriter(fd)
    early = Load("early", 5, None, CORE, 0x3000, INIT, 0x1000)
    core = Load("core", 50, None, INIT, 0x3000, CORE + 0x9000, 0x1000)
    init = Load("init", 80, None, CORE + 0x20000, 0x3000, CORE + 0x9000, 0x1000)
    for one in (early, core, init):
        writer.load(one)
    seen = codemap.read(fd)
    assert seen.load_at(INIT, 20) == early
    assert seen.load_at(INIT, 60) == core
    assert seen.load_at(CORE + 0x9000, 60) == core
    assert seen.load_at(CORE + 0x9000, 90) == init


def test_a_file_that_is_no_code_map_is_refused(fd: int) -> None:
    with pytest.raises(codemap.BadCodeMap, match="has 0 bytes"):
        codemap.read(fd)
    os.ftruncate(fd, codemap.SIZE)
    with pytest.raises(codemap.BadCodeMap, match="header"):
        codemap.read(fd)
    codemap.prepare(fd)
    os.pwrite(fd, struct.pack("<Q", 1 << 60), 24)  # max_blocks
    with pytest.raises(codemap.BadCodeMap, match="header"):
        codemap.read(fd)


@pytest.mark.parametrize(
    "load",
    [
        Load("", 1, None, CORE, 1, 0, 0),
        Load("a b", 1, None, CORE, 1, 0, 0),
        Load("\x1b[2J", 1, None, CORE, 1, 0, 0),
        Load("m", 0, None, CORE, 1, 0, 0),
        Load("m", 9, 8, CORE, 1, 0, 0),
        Load("m", 1, None, CORE, 1 << 31, 0, 0),
        Load("m", 1, None, (1 << 64) - 1, 2, 0, 0),
        Load("m", 1, None, 0, 0, (1 << 64) - 1, 2),
    ],
)
def test_a_module_that_cannot_be_is_left_out_with_its_blocks(fd: int, load: Load) -> None:
    writer = CodeMapWriter(fd)
    index = writer.load(load)
    good = writer.load(FIRST)
    writer.blocks(index, [(load.core, 1, 1, 1)])
    writer.blocks(good, [(CORE, 1, 1, 1)])
    seen = codemap.read(fd)
    assert seen.loads == (FIRST,)
    assert [block.load for block in seen.blocks] == [FIRST]
    assert seen.refused == 2


@pytest.mark.parametrize(
    ("address", "length", "instructions"),
    [
        (CORE - 1, 4, 1),
        (CORE + 0x2FFF, 2, 1),
        (CORE, 0, 0),
        (CORE, 4, 0),
        (CORE, 4, 5),
        ((1 << 64) - 1, 0xFFFF_FFFF, 1),
    ],
)
def test_a_block_that_cannot_be_is_left_out(fd: int, address: int, length: int, instructions: int) -> None:
    writer = CodeMapWriter(fd)
    writer.blocks(writer.load(FIRST), [(address, length, instructions, 1)])
    writer.blocks(7, [(CORE, 1, 1, 1)])
    seen = codemap.read(fd)
    assert seen.blocks == ()
    assert seen.refused == 2


def test_counts_beyond_the_tables_are_cut(fd: int) -> None:
    codemap.prepare(fd)
    os.pwrite(fd, struct.pack("<QQ", (1 << 64) - 1, (1 << 64) - 1), 32)
    seen = codemap.read(fd)
    assert (seen.loads, seen.blocks) == ((), ())
    assert seen.refused > codemap.MAX_BLOCKS


@given(st.lists(st.tuples(st.integers(32, 4096 + 512), st.binary(min_size=1, max_size=200)), max_size=8), st.data())
def test_a_forged_one_gives_only_what_holds_together(pieces: list[tuple[int, bytes]], data: st.DataObject) -> None:
    fd = os.memfd_create("code")
    try:
        writer = CodeMapWriter(fd)
        writer.blocks(writer.load(FIRST), [(CORE, 4, 1, 1)] * 3)
        whole = contents(fd)
    finally:
        os.close(fd)
    for at, piece in pieces:
        whole[at : at + len(piece)] = piece
    start = 4096 + codemap.MAX_MODULES * 128
    piece = data.draw(st.binary(max_size=96))
    whole[start : start + len(piece)] = piece
    seen = codemap.parse(bytes(whole))
    assert len(seen.loads) <= codemap.MAX_MODULES
    for block in seen.blocks:
        assert block.load in seen.loads
        assert block.load.holds(block.address)
        assert block.load.holds(block.address + block.size - 1)
