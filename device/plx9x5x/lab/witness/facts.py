# SPDX-License-Identifier: Apache-2.0
"""What the witness's plugin has to know of a kernel: a text that is made once for each image, and kept.

One fact a line, addresses and offsets in hexadecimal::

    plx9x5x-kernel-facts 1
    image FIRST END
    call|helper|value NAME ADDRESS END
    offset NAME VALUE

A `call` is a function whose calls are recorded, a `helper` one that accesses devices for drivers (ioread32), a `value`
a variable of the kernel. END is the next exported address: what is not exported may lie before it, and harms nothing.
"""

import bisect
import hashlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.witness.btf import Btf
from plx9x5x.lab.witness.kernel_image import KernelImage, UnreadableKernel

_RECIPE: Final = 3
_HEAD: Final = "plx9x5x-kernel-facts 1"
_FILE: Final = "facts"
_LONGEST: Final = 0x2000
_SYNCS: Final = (
    "dma_sync_single_for_cpu",
    "dma_sync_single_for_device",
    "dma_sync_sg_for_cpu",
    "dma_sync_sg_for_device",
)

_CALLS: Final = """
    dma_alloc_attrs dma_free_attrs dmam_alloc_attrs dmam_free_coherent dma_alloc_pages dma_free_pages
    dma_alloc_noncontiguous dma_free_noncontiguous
    dma_map_page_attrs dma_unmap_page_attrs dma_map_phys dma_unmap_phys dma_map_resource dma_unmap_resource
    dma_map_sg_attrs dma_unmap_sg_attrs dma_map_sgtable dma_iova_link
    dma_sync_single_for_cpu dma_sync_single_for_device dma_sync_sg_for_cpu dma_sync_sg_for_device
    __dma_sync_single_for_cpu __dma_sync_single_for_device __dma_sync_sg_for_cpu __dma_sync_sg_for_device
    dma_set_mask dma_set_coherent_mask
    dma_pool_create dma_pool_create_node dmam_pool_create dma_pool_alloc dma_pool_free dma_pool_destroy
    dmam_pool_destroy
    pci_set_master pci_clear_master pci_disable_device
    pci_write_config_byte pci_write_config_word pci_write_config_dword
    request_threaded_irq free_irq devm_request_threaded_irq devm_free_irq pci_request_irq pci_free_irq
    request_any_context_irq devm_request_any_context_irq
    blocking_notifier_call_chain blocking_notifier_call_chain_robust
"""
CALLS: Final = tuple(_CALLS.split())
"""Functions whose calls the plugin records, of all kernels; each kernel exports some of them."""
NEEDED: Final = (
    ("dma_alloc_attrs",),
    ("dma_free_attrs",),
    ("dma_map_page_attrs", "dma_map_phys"),
    ("dma_unmap_page_attrs", "dma_unmap_phys"),
    ("dma_map_sg_attrs",),
    ("dma_unmap_sg_attrs",),
    ("dma_pool_create", "dma_pool_create_node"),
    ("dma_pool_alloc",),
    ("dma_pool_free",),
    ("dma_pool_destroy",),
    ("dma_set_mask",),
    ("dma_set_coherent_mask",),
    ("blocking_notifier_call_chain",),
    ("blocking_notifier_call_chain_robust",),
)
"""One of each: a driver's memory that is given, or its mask that is set, by a function under another name would be
taken for memory that was never given."""
PAIRS: Final = (
    ("dma_alloc_pages", "dma_free_pages"),
    ("dma_alloc_noncontiguous", "dma_free_noncontiguous"),
    ("dmam_alloc_attrs", "dmam_free_coherent"),
    ("dma_map_page_attrs", "dma_unmap_page_attrs"),
    ("dma_map_phys", "dma_unmap_phys"),
    ("dma_map_resource", "dma_unmap_resource"),
)
"""Where the kernel exports one it has to export the other: what is given is seen taken back, and only that."""
_HELPERS: Final = """
    ioread8 ioread16 ioread16be ioread32 ioread32be ioread64_lo_hi ioread64_hi_lo ioread64be_lo_hi ioread64be_hi_lo
    iowrite8 iowrite16 iowrite16be iowrite32 iowrite32be iowrite64_lo_hi iowrite64_hi_lo iowrite64be_lo_hi
    iowrite64be_hi_lo ioread8_rep ioread16_rep ioread32_rep iowrite8_rep iowrite16_rep iowrite32_rep
    memcpy_toio memcpy_fromio memset_io __iowrite32_copy __ioread32_copy __iowrite64_copy
"""
HELPERS: Final = tuple(_HELPERS.split())
"""Functions of the kernel that access devices for drivers."""
VALUES: Final = ("page_offset_base", "vmemmap_base")
"""Where the kernel's two maps begin: needed to say which memory a page is."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """The text for the plugin. `shows_sync`: a driver's calls to sync memory reach a function that can be watched.

    From Linux 6.12 on they do not where memory is coherent: the inline function before it finds nothing to do.
    """

    text: str

    @property
    def shows_sync(self) -> bool:
        """True if sync calls are seen."""
        return all(f"\ncall {name} " in self.text for name in _SYNCS)


def of_image(image: bytes) -> KernelFacts:
    """Read them from a kernel's boot image. Raises: UnreadableKernel."""
    kernel = KernelImage.of(image)
    section = kernel.section(".BTF")
    if section is None:
        raise UnreadableKernel("it carries no type information (CONFIG_DEBUG_INFO_BTF)")
    first, end = kernel.text()
    lines = [_HEAD, f"image {first:x} {end:x}"]
    symbols = kernel.exported()
    if lacking := _lacking(symbols):
        raise UnreadableKernel(f"it does not export {', '.join(lacking)}")
    places = sorted(set(symbols.values()))
    for kind, names in (("call", CALLS), ("helper", HELPERS), ("value", VALUES)):
        for name in names:
            if (address := symbols.get(name)) is not None:
                after = bisect.bisect_right(places, address)
                limit = places[after] if after < len(places) else end
                lines.append(f"{kind} {name} {address:x} {min(limit, address + _LONGEST):x}")
    lines += [f"offset {name} {value:x}" for name, value in _offsets(Btf(section.data))]
    return KernelFacts("\n".join(lines) + "\n")


def _lacking(symbols: Container[str]) -> list[str]:
    """What a kernel that exports `symbols` hides, without which its drivers' memory cannot be judged."""
    groups = (*NEEDED, *((name,) for name in VALUES))
    lacking = [" or ".join(names) for names in groups if not any(name in symbols for name in names)]
    for pair in PAIRS:
        there, absent = ([name for name in pair if (name in symbols) is is_there] for is_there in (True, False))
        if there and absent:
            lacking.append(f"{absent[0]} beside {there[0]}")
    return lacking


def of_kernel(vmlinuz: Path, cache: Cache) -> KernelFacts:
    """Those of the image at `vmlinuz`, kept in the cache. Raises: UnreadableKernel, SetupError."""
    try:
        image = vmlinuz.read_bytes()
    except OSError as exc:
        raise UnreadableKernel(f"{vmlinuz} cannot be read: {exc.strerror}") from exc
    key = f"facts-r{_RECIPE}-{hashlib.sha256(image).hexdigest()[:20]}"
    if (done := cache.built(key)) is None:
        try:
            facts = of_image(image)
        except UnreadableKernel as exc:
            raise UnreadableKernel(f"{vmlinuz}: {exc}") from exc
        with cache.building(key) as work:
            (work / _FILE).write_text(facts.text, encoding="ascii")
        return facts
    return KernelFacts((done / _FILE).read_text(encoding="ascii"))


def _offsets(btf: Btf) -> Iterator[tuple[str, int]]:
    """By the names that the plugin knows. Raises: UnreadableKernel if one is missing that it cannot do without."""
    if btf.offset("module", "mem") is not None:  # since Linux 6.4
        text, init = btf.enumerator("MOD_TEXT"), btf.enumerator("MOD_INIT_TEXT")
        core_path, init_path, size = ["mem", str(text)], ["mem", str(init)], "size"
    else:
        core_path, init_path, size = ["core_layout"], ["init_layout"], "text_size"
    wanted: tuple[tuple[str, int | None], ...] = (
        ("device.init_name", btf.offset("device", "init_name")),
        ("device.name", btf.offset("device", "kobj", "name")),
        ("pci_dev.dev", btf.offset("pci_dev", "dev")),
        ("module.state", btf.offset("module", "state")),
        ("module.name", btf.offset("module", "name")),
        ("module.core", btf.offset("module", *core_path, "base")),
        ("module.core_size", btf.offset("module", *core_path, size)),
        ("module.init", btf.offset("module", *init_path, "base")),
        ("module.init_size", btf.offset("module", *init_path, size)),
        ("page.size", btf.size("page")),
        ("sg.size", btf.size("scatterlist")),
        ("sg.page_link", btf.offset("scatterlist", "page_link")),
        ("sg.offset", btf.offset("scatterlist", "offset")),
        ("sg.length", btf.offset("scatterlist", "length")),
        ("sg.dma_address", btf.offset("scatterlist", "dma_address")),
        ("sg_table.sgl", btf.offset("sg_table", "sgl")),
        ("sg_table.nents", btf.offset("sg_table", "nents")),
        ("sg_table.orig_nents", btf.offset("sg_table", "orig_nents")),
        ("dma_pool.dev", btf.offset("dma_pool", "dev")),
    )
    for name, value in wanted:
        if value is None:
            raise UnreadableKernel(f"its type information does not tell {name}")
        yield name, value
    if (value := btf.offset("scatterlist", "dma_length")) is not None:
        yield "sg.dma_length", value
