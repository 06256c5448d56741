# SPDX-License-Identifier: Apache-2.0
"""Places in a module are told as addr2line tells them, and as the driver's author would."""

import gzip
import lzma
import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plx9x5x.lab.witness import elf, layout
from plx9x5x.lab.witness.dwarf import Code
from plx9x5x.lab.witness.lines import CORE, Frame, Lines, Where
from tests.lab.witness.made import Made, make

FORMS = {
    "dwarf5": ("-gdwarf-5",),
    "dwarf4": ("-gdwarf-4",),
    "packed": ("-gdwarf-5", "-gz=zlib"),
    "packed4": ("-gdwarf-4", "-gz=zlib"),
    "sections": ("-gdwarf-5", "-ffunction-sections"),
}


@pytest.fixture(scope="module", params=FORMS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp(request.param), *FORMS[request.param])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("whole"), "-g")


def lines(made: Made) -> Lines:
    return Lines.of_file("drv", made.ko)


def test_each_byte_of_code_has_the_frames_that_addr2line_gives(made: Made) -> None:
    ours = lines(made)
    compared = 0
    for placed in made.layout.sections:
        known = [offset for offset in range(placed.size) if ours.frames(placed.offset + offset, init=placed.init)]
        if not known:
            continue
        argv = ["addr2line", "-i", "-f", "-a", "-e", str(made.ko), "-j", placed.name]
        asked = "\n".join(map(hex, known))
        said = subprocess.run(argv, input=asked, capture_output=True, text=True, check=True).stdout
        theirs: dict[int, list[tuple[str, str]]] = {}
        rest = iter(said.splitlines())
        for line in rest:
            if line.startswith("0x"):
                last = theirs[int(line, 16)] = []
            else:
                last.append((line, os.path.normpath(next(rest).partition(" (")[0])))
        for offset in known:
            frames = ours.frames(placed.offset + offset, init=placed.init)
            assert [(it.function, f"{it.file}:{it.line}") for it in frames] == theirs[offset]
        compared += len(known)
    assert compared > 150


def test_an_access_by_a_kernels_inline_function_is_in_the_drivers_line(made: Made) -> None:
    section = next(it.name for it in made.layout.sections if it.name in (".text.direct", ".text") and it.size)
    at = lines(made).at(made.label("readl_", section=section, within="direct"))
    assert str(at) == f"direct(), drv.c:{made.line_of('drv.c', 'direct reads')}"
    assert at.brief == f"direct() drv.c:{made.line_of('drv.c', 'direct reads')}"


def test_an_access_in_a_wrapper_of_the_drivers_own_is_there_and_where_that_was_called(whole: Made) -> None:
    at = lines(whole).at(whole.label("readl_", within="by_own_header"))
    reads, calls = whole.line_of("regs.h", "status reads"), whole.line_of("drv.c", "calls status")
    assert str(at) == f"status(), regs.h:{reads}, called in by_own_header(), drv.c:{calls}"
    assert at.brief == f"status() regs.h:{reads} < by_own_header() drv.c:{calls}"


def test_the_rest_of_a_function_that_the_compiler_inlined_in_it_was_not_called(
    whole: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = (Frame("ack", "a.c", 3), Frame("isr", "a.c", 9), Frame("isr", "a.c", 8), Frame("poll", "a.c", 20))
    monkeypatch.setattr(Lines, "frames", lambda *_, **__: frames)
    assert lines(whole).at(0).brief == "ack() a.c:3 < isr() a.c:9 < poll() a.c:20"
    monkeypatch.setattr(Lines, "frames", lambda *_, **__: frames[1:])
    assert lines(whole).at(0).brief == "isr() a.c:9 < poll() a.c:20"


def test_two_texts_are_told_apart_although_both_begin_at_0(whole: Made) -> None:
    known = lines(whole)
    start, _ = whole.function("start", ".init.text")
    assert start == 0
    assert known.at(0, init=True).function == "start"
    assert known.at(0).function == "direct"
    stop, _ = whole.function("stop", ".exit.text")
    assert known.at(stop).function == "stop"


def test_a_place_that_a_call_returns_to_is_the_calls(whole: Made) -> None:
    known = lines(whole)
    back = whole.returns("dma_alloc_attrs")
    assert str(known.at(back, call=True)) == f"allocated(), sub/help.c:{whole.line_of('sub/help.c', 'allocates')}"
    helper = known.at(whole.returns("ioread32"), call=None)
    assert str(helper) == f"helped(), sub/help.c:{whole.line_of('sub/help.c', 'helped reads')}"


def test_an_access_just_after_another_call_is_itself(whole: Made) -> None:
    back = whole.returns("mutex_lock", section=".init.text")
    assert back == whole.label("after_lock", section=".init.text")
    at = lines(whole).at(back, init=True, call=None)
    assert str(at) == f"start(), drv.c:{whole.line_of('drv.c', 'after the lock')}"


def test_without_debug_information_it_is_function_and_offset(tmp_path: Path) -> None:
    made = make(tmp_path, "-g", after=("strip", "--strip-debug"))
    known = lines(made)
    begin, end = made.function("counted")
    assert str(known.at(begin + 4)) == f"counted+0x4/{end - begin:#x} [drv]"
    assert not known.has_lines
    assert known.why == "it has no debug information"
    back = made.returns("ioread32")
    assert known.at(back, call=None).offset == back - 1 - made.function("helped")[0]


def test_without_symbols_it_is_an_offset_in_the_module(tmp_path: Path) -> None:
    made = make(tmp_path, "-g")
    data = bytearray(made.ko.read_bytes())
    (table,) = struct.unpack_from("<Q", data, 0x28)
    for section in made.elf.sections:
        if section.type == elf.SHT_SYMTAB:
            struct.pack_into("<I", data, table + section.index * 64 + 4, 0)
    assert str(Lines("drv", bytes(data)).at(0x1C)) == "drv+0x1c"


def test_what_lies_beyond_the_text_is_an_offset(whole: Made) -> None:
    known = lines(whole)
    size = known.layout.size(init=False)
    assert known.at(size) == Where("drv", offset=size)
    assert known.at(0, call=True) == Where("drv", offset=-1)


def test_a_module_fits_what_the_guest_loaded(whole: Made) -> None:
    known = lines(whole)
    core, init = known.layout.size(init=False), known.layout.size(init=True)
    assert known.fits(core_size=core, init_size=init)
    assert known.fits(core_size=0x1000, init_size=0)
    assert not known.fits(core_size=core - 1, init_size=init)
    assert not known.fits(core_size=core, init_size=init - 1)


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x02\x01", b"MZ" * 64, b"\x7fELF\x02\x01" + b"\xff" * 200])
def test_what_is_no_module_says_nothing(data: bytes) -> None:
    known = Lines("drv", data)
    assert str(known.at(0x10)) == "drv+0x10"
    assert known.why.startswith("its file cannot be read")
    assert not known.has_lines


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert "cannot be read" in Lines.of_file("drv", tmp_path / "drv.ko").why
    (tmp_path / "drv.ko.xz").write_bytes(b"none")
    assert "cannot be read" in Lines.of_file("drv", tmp_path / "drv.ko.xz").why


@pytest.mark.parametrize(("suffix", "pack"), [("xz", lzma.compress), ("gz", gzip.compress)])
def test_a_packed_file_is_unpacked(whole: Made, suffix: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / f"drv.ko.{suffix}"
    path.write_bytes(pack(whole.ko.read_bytes()))
    assert Lines.of_file("drv", path).at(0).function == "direct"


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_never_raises(made: Made, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(made.ko.read_bytes())
    spots = [it for it in made.elf.sections if it.name.startswith((".debug", ".rela.debug", ".symtab")) and it.size]
    for _ in range(chance.choice((1, 8, 200))):
        spot = chance.choice(spots)
        data[spot.offset + chance.randrange(spot.size)] = chance.randrange(256)
    if chance.random() < 0.3:  # headers too
        for _ in range(8):
            data[chance.choice((chance.randrange(64), len(data) - 1 - chance.randrange(64 * 40)))] = chance.randrange(
                256
            )
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    known = Lines("drv", bytes(data))
    for offset in range(0, 0x200, 3):
        assert str(known.at(offset, call=None)).isprintable()
        assert str(known.at(offset, init=True, call=True))
    assert all(row.line for row in (*known.rows(), *known.statements()))
    assert all(code.name for code in known.codes())
    assert len([*known.calls(), *known.symbols()]) < 10_000


def test_sections_are_laid_out_as_the_kernel_does() -> None:
    code = elf.SHF_ALLOC | elf.SHF_EXECINSTR
    sections = [(".text", code, 0x11, 16), (".data", 3, 8, 8), (".init.text", code, 5, 1), (".exit.text", code, 3, 1)]
    sections += [(".text.unlikely", code, 7, 8), (".init.more", code, 9, 4), (".none", code, 0, 4)]
    listed = [elf.Section(0, "", 0, 0, 0, 0, 0, 0, 0)]
    listed += [
        elf.Section(n, name, 1, flags, 0, size, 0, 0, al) for n, (name, flags, size, al) in enumerate(sections, 1)
    ]
    laid = layout.of(elf.Elf(b"", tuple(listed), np.zeros(0), b""))
    assert [(it.name, it.offset) for it in laid.sections if not it.init] == [
        (".text", 0),
        (".exit.text", 0x11),
        (".text.unlikely", 0x18),
        (".none", 0x20),
    ]
    assert [(it.name, it.offset) for it in laid.sections if it.init] == [(".init.text", 0), (".init.more", 8)]
    assert laid.size(init=False) == 0x20
    assert laid.size(init=True) == 17
    assert laid.at(0x12, init=False) == (laid.named(".exit.text"), 1)
    assert laid.at(0x15, init=False) is None


class OneUnit:
    """A compile unit of these functions, with nothing else in it."""

    folder, source, files = "/k", "/d/a.c", ()
    ranges = ((CORE, CORE + 0x1000),)

    def __init__(self, *functions: Code) -> None:
        self.functions = functions


def test_a_function_that_was_taken_apart_is_told_once(whole: Made) -> None:
    def code(name: str, low: int, high: int, depth: int = 0, inlined: tuple[Code, ...] = ()) -> Code:
        return Code(name, "/d/a.c", len(name), ((CORE + low, CORE + high),), CORE + low, depth, inlined=inlined)

    rest, helper, again = code("isr", 0x10, 0x30, 1), code("help", 0x14, 0x18, 2), code("help", 0x40, 0x48, 1)
    known = lines(whole)
    known.__dict__["_units"] = (OneUnit(code("isr", 0, 0x50, inlined=(rest, helper, again))),)
    assert [(it.name, it.entry - CORE) for it in known.codes()] == [("isr", 0), ("help", 0x14), ("help", 0x40)]


def test_the_rest_of_a_function_is_a_part_of_it(tmp_path: Path) -> None:
    made = make(tmp_path, "-g", after=("objcopy", "--redefine-sym", "helped=helped.part.0"))
    known = lines(made)
    assert {it.name: known.is_part(it) for it in known.codes()} == {
        "by_own_header": False, "status": False, "direct": False, "start": False, "stop": False,
        "helped": True, "allocated": False, "counted": False,
    }  # fmt: skip
