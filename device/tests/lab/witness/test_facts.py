# SPDX-License-Identifier: Apache-2.0
"""From a kernel's image to the text that the plugin takes: what is in it, what it cannot be without, kept once."""

from pathlib import Path

import pytest

from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.witness import facts
from plx9x5x.lab.witness.kernel_image import UnreadableKernel
from tests.lab.witness.made_kernel import PACKED, TEXT, boot_image, elf, kernel_types

SYNCS = ("dma_sync_single_for_cpu", "dma_sync_single_for_device", "dma_sync_sg_for_cpu", "dma_sync_sg_for_device")
FIRST = [names[0] for names in facts.NEEDED]
SYMBOLS = {name: TEXT + 0x40 * number for number, name in enumerate((*FIRST, *SYNCS, "ioread32"))}
SYMBOLS["page_offset_base"] = TEXT + 0x100_0000
SYMBOLS["vmemmap_base"] = TEXT + 0x100_0008


def kernel(*, old: bool = False, without: str = "", **symbols: int) -> bytes:
    """A kernel that exports what is needed by its first name, `symbols` besides, and not `without` (nor has its type)."""
    left = {name: at for name, at in (SYMBOLS | symbols).items() if name != without}
    return boot_image(PACKED["lz4"](elf(left, kernel_types(old=old, without=without).btf())))


def lines(known: facts.KernelFacts) -> dict[tuple[str, ...], list[int]]:
    head, *rest = known.text.splitlines()
    assert head == "plx9x5x-kernel-facts 1"
    return {tuple(w for w in line.split()[:2]): [int(w, 16) for w in line.split()[2:]] for line in rest}


def test_symbols_with_their_kind_and_where_they_end_at_most() -> None:
    said = lines(facts.of_image(kernel()))
    assert said["call", "dma_alloc_attrs"] == [TEXT, TEXT + 0x40]
    last = SYMBOLS["ioread32"]
    assert said["helper", "ioread32"] == [last, last + 0x2000]
    assert said["value", "page_offset_base"][0] == TEXT + 0x100_0000
    assert ("call", "dma_map_phys") not in said


@pytest.mark.parametrize(
    ("old", "core", "size", "init", "init_size"),
    [(True, 0x140, 0x14C, 0x190, 0x19C), (False, 0x140, 0x148, 0x140 + 4 * 72, 0x148 + 4 * 72)],
)
def test_where_a_module_says_its_code_is(old: bool, core: int, size: int, init: int, init_size: int) -> None:
    said = lines(facts.of_image(kernel(old=old)))
    assert said["offset", "module.core"] == [core]
    assert said["offset", "module.core_size"] == [size]
    assert said["offset", "module.init"] == [init]
    assert said["offset", "module.init_size"] == [init_size]
    assert said["offset", "device.name"] == [16]
    assert said["offset", "sg.dma_length"] == [24]
    assert said["offset", "page.size"] == [64]


def test_whether_sync_calls_are_seen() -> None:
    assert facts.of_image(kernel()).shows_sync
    for name in SYNCS:  # with one hidden, a right driver would look as if it had not synced
        assert not facts.of_image(kernel(without=name)).shows_sync


@pytest.mark.parametrize("names", [*facts.NEEDED, *((name,) for name in facts.VALUES)], ids=lambda it: it[0])
def test_a_kernel_that_hides_a_group_of_calls_or_a_map_is_said(names: tuple[str, ...]) -> None:
    with pytest.raises(UnreadableKernel, match=rf"does not export .*\b{' or '.join(names)}\b"):
        facts.of_image(kernel(without=names[0]))


@pytest.mark.parametrize(
    "renamed",
    [
        {"dma_map_page_attrs": "dma_map_phys", "dma_unmap_page_attrs": "dma_unmap_phys"},
        {"dma_pool_create": "dma_pool_create_node"},
    ],
)
def test_one_name_of_a_group_is_enough(renamed: dict[str, str]) -> None:
    left = {renamed.get(name, name): at for name, at in SYMBOLS.items()}
    image = boot_image(PACKED["lz4"](elf(left, kernel_types(old=False).btf())))
    said = lines(facts.of_image(image))
    assert all(("call", name) in said for name in renamed.values())


@pytest.mark.parametrize("pair", facts.PAIRS, ids=lambda it: it[0])
def test_a_kernel_that_hides_one_of_two_is_said(pair: tuple[str, str]) -> None:
    at = {name: TEXT + 0x80_0000 + 0x40 * number for number, name in enumerate(pair)}
    facts.of_image(kernel(**at))
    for hidden, there in (pair, pair[::-1]):
        with pytest.raises(UnreadableKernel, match=f"{hidden} beside {there}"):
            facts.of_image(kernel(without=hidden, **{there: at[there]}))


@pytest.mark.parametrize(
    ("without", "says"), [("pci_dev", "pci_dev.dev"), ("sg_table", "sg_table.sgl"), ("dma_pool", "dma_pool.dev")]
)
def test_a_kernel_whose_types_lack_a_member_is_said(without: str, says: str) -> None:
    with pytest.raises(UnreadableKernel, match=says):
        facts.of_image(kernel(without=without))


def test_a_kernel_without_type_information_is_said() -> None:
    with pytest.raises(UnreadableKernel, match="CONFIG_DEBUG_INFO_BTF"):
        facts.of_image(boot_image(elf(SYMBOLS, None)))


def test_they_are_made_once_for_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, image = Cache(tmp_path / "cache"), tmp_path / "vmlinuz"
    image.write_bytes(kernel())
    first = facts.of_kernel(image, cache)
    monkeypatch.setattr(facts, "of_image", lambda _: pytest.fail("made again"))
    assert facts.of_kernel(image, cache) == first


def test_an_image_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    cache, image = Cache(tmp_path / "cache"), tmp_path / "vmlinuz"
    with pytest.raises(UnreadableKernel, match=r"vmlinuz cannot be read: No such file"):
        facts.of_kernel(image, cache)
    image.write_bytes(b"no kernel")
    with pytest.raises(UnreadableKernel, match=r"vmlinuz: it is neither"):
        facts.of_kernel(image, cache)


def test_every_name_fits_one_kind() -> None:
    names = (*facts.CALLS, *facts.HELPERS, *facts.VALUES)
    assert len(names) == len(set(names))
    assert {name for names in (*facts.NEEDED, *facts.PAIRS) for name in names} <= set(facts.CALLS)


def test_the_plugin_knows_every_call_by_name() -> None:
    plugin = Path(__file__).parents[4] / "guest-tests/witness"
    known = (plugin / "calls.c").read_text(encoding="utf-8")
    assert not [name for name in facts.CALLS if f'{{ "{name}", ' not in known]
    offsets = (plugin / "facts.c").read_text(encoding="utf-8")
    made = [words[1] for words in lines(facts.of_image(kernel())) if words[0] == "offset"]
    assert not [name for name in made if f'{{ "{name}", ' not in offsets]


def test_the_page_says_how_many_functions_are_watched() -> None:
    page = (Path(__file__).parents[4] / "docs/witness.md").read_text(encoding="utf-8")
    tens = {4: "forty", 5: "fifty", 6: "sixty"}
    assert f"some {tens[round(len(facts.CALLS) / 10)]} functions of the kernel" in page
