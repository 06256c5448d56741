# SPDX-License-Identifier: Apache-2.0
"""Rules about memory that a driver gives its device: for any device, where somebody saw the driver's DMA calls."""

from typing import Final

from plx9x5x.findings.finding import Charge, Who
from plx9x5x.findings.rule import Looks, Rule, when
from plx9x5x.witness.events import Fault, FreeMismatch, LeftBehind, NotSynced, Touched, WrongAccess
from plx9x5x.witness.memory import Memory

_WHAT: Final = {
    Fault.NOT_ALLOCATED: "memory that the driver never gave it",
    Fault.FREED: "memory that the driver had taken back",
    Fault.BEYOND_END: "beyond the end of a buffer",
    Fault.DIRECTION: "against the direction that the buffer is mapped for",
    Fault.CPU_ADDRESS: "an address that is the processor's, not the device's",
    Fault.TRUNCATED: "the low half of a buffer's address",
    Fault.BYTE_ORDER: "a buffer's address in the wrong byte order",
    Fault.ABOVE_MASK: "an address above the DMA mask",
}


def _wrong(fault: Fault, remedy: str) -> Looks:
    """Look at accesses with one fault."""

    def look(event: WrongAccess) -> Charge | None:
        if event.fault is not fault:
            return None
        verb, done = ("writes", "overwritten") if event.write else ("reads", "read")
        # Nobody else knows of directions.
        iommu = event.translated or fault is Fault.DIRECTION
        by = "the IOMMU stopped it" if iommu else "the bus stopped it, since nothing answers there"
        fate = by if event.stopped else f"nothing stopped it: that memory was {done}"
        memory = event.memory
        released = fault is Fault.FREED
        return Charge(
            (event.doing, event.write, memory.made.pc if memory is not None else 0),
            f"{event.doing}: {verb} {event.length:#x} bytes at {event.address:#x}, {_WHAT[fault]}; {fate}",
            (
                *((("the transfer began at", f"{event.begin:#x}"),) if event.begin != event.address else ()),
                *(() if memory is None else ((_name(event, memory), str(memory)),)),
                *(
                    (("taken back", f"as call {memory.released.seq}"),)
                    if released and memory and memory.released
                    else ()
                ),
                *(() if event.hit is None else (("it hits", str(event.hit)),)),
                *((("seen", event.note),) if event.note else ()),
            ),
            remedy,
            event.load,
        )

    return when(WrongAccess, look)


def _name(event: WrongAccess, memory: Memory) -> str:
    if event.fault is Fault.NOT_ALLOCATED:
        return "just after"
    return "mapping" if memory.made_by == "mapped" else "buffer"


def _mismatch(event: FreeMismatch) -> Charge:
    what = event.what or (str(event.memory) if event.memory is not None else f"{event.size:#x} bytes")
    return Charge(
        (event.wrong.split(" 0x")[0], event.sources[0].spot.pc if hasattr(event.sources[0], "spot") else 0),
        f"DMA memory at {event.start:#x} is {event.wrong}",
        (("memory", what),),
        "give back each buffer once, by the call that belongs to the one that made it, with the same address, size and "
        "direction",
        event.load,
    )


def _left(event: LeftBehind) -> Charge:
    many = f"{event.count} buffers ({event.size} bytes)" if event.count > 1 else "a buffer"
    verb = "mapped" if event.memory.made_by == "mapped" else "allocated"
    call = "dma_unmap_*()" if verb == "mapped" else "dma_free_coherent(), or dma_pool_free()"
    return Charge(
        (event.memory.made.pc, event.when),
        f"{many} {'were' if event.count > 1 else 'was'} still {verb} {event.when}",
        (("the first" if event.count > 1 else "buffer", str(event.memory)),),
        f"call {call} in remove, once the device has stopped",
        event.load,
    )


def _not_synced(event: NotSynced) -> Charge:
    return Charge(
        (event.doing, event.memory.made.pc),
        f"{event.doing}: writes {event.start:#x}-{event.end - 1:#x} of a mapping again, and the driver has neither "
        "synced nor unmapped it since the last time",
        (("mapping", str(event.memory)),),
        "call dma_sync_single_for_cpu() before the data is looked at and dma_sync_single_for_device() before the next "
        "transfer",
        event.load,
    )


def _touched(event: Touched, *, write: bool) -> Charge | None:
    if event.write is not write:
        return None
    did, device = ("changes", "read") if write else ("reads", "wrote")
    name = "mapping" if event.memory.made_by == "mapped" else "buffer"
    return Charge(
        (event.memory.made.pc,),
        f"the driver {did} bytes {event.start:#x}-{event.end - 1:#x} which the device {device} at that time; it has "
        "neither asked the device nor had an interrupt",
        ((name, str(event.memory)),),
        "wait until the device says that it is done: its status register, its interrupt, or a word that it writes",
        event.load,
    )


RULES: Final = (
    Rule(
        "dma-not-allocated", Who.DRIVER, "DMA to memory that the driver never gave its device",
        "The address is in nothing that dma_alloc_*, dma_map_* or a dma_pool gave for this device, and it is not one "
        "of their addresses seen otherwise: an offset added twice, a variable that was never set, another device's "
        "buffer. Without an IOMMU the access hits whatever lies there. This rule and all others whose name begins "
        "with `dma-` need the witness (`run` and `try` have it with QEMU's TCG).",
        "writel(0x1000000, regs + DMAPADR0);", "writel(lower_32_bits(dma_handle), regs + DMAPADR0);",
        looks=_wrong(
            Fault.NOT_ALLOCATED,
            "give the device what dma_alloc_coherent or dma_map_* returned for this very device, plus an offset that "
            "stays inside",
        ),
    ),
    Rule(
        "dma-freed", Who.DRIVER, "DMA to memory that was freed or unmapped",
        "The buffer was freed or unmapped while the device still worked on it, or its address was programmed again "
        "after that. A stop that was written to the device before the free counts, even while it is on its way. A "
        "short transfer is over by then, whether it was waited for or not: `--fault 'slow bus by 5 ms'` shows it.",
        "start_dma(dev);\ndma_free_coherent(d, size, buf, handle);",
        "start_dma(dev);\nwait_for_done(dev);\ndma_free_coherent(d, size, buf, handle);",
        looks=_wrong(
            Fault.FREED,
            "free or unmap a buffer only after DONE, or after an abort has been seen to end, and forget its address",
        ),
    ),
    Rule(
        "dma-beyond-end", Who.DRIVER, "DMA runs past the end of a buffer",
        "The transfer begins in a buffer of the driver's and goes on behind its last byte: a length that is too long "
        "or in other units, a descriptor too many, a block of a pool that is larger than the pool's. What the driver "
        "asked for counts, not the page that it was rounded up to. Mappings that follow each other may be one "
        "transfer.",
        "buf = dma_alloc_coherent(d, 4096, &h, GFP_KERNEL);\nwritel(8192, regs + DMASIZ0);",
        "buf = dma_alloc_coherent(d, 8192, &h, GFP_KERNEL);\nwritel(8192, regs + DMASIZ0);",
        looks=_wrong(Fault.BEYOND_END, "allocate or map as many bytes as the transfer has, or make it shorter"),
    ),
    Rule(
        "dma-direction", Who.DRIVER, "DMA against the direction of a mapping",
        "The device writes to memory that is mapped DMA_TO_DEVICE, or reads what is mapped DMA_FROM_DEVICE. Without an "
        "IOMMU it works on this machine and loses data on one whose caches are not coherent, or with bounce buffers.",
        "h = dma_map_single(d, buf, len, DMA_TO_DEVICE);\nto_pci(dev, h, len);",
        "h = dma_map_single(d, buf, len, DMA_FROM_DEVICE);\nto_pci(dev, h, len);",
        looks=_wrong(
            Fault.DIRECTION,
            "map it for the way that the data goes: DMA_FROM_DEVICE if the device writes, DMA_TO_DEVICE if it reads",
        ),
    ),
    Rule(
        "dma-cpu-address", Who.DRIVER, "the device was given the processor's address of a buffer",
        "The address is a buffer's CPU address, its low 32 bits, or behind an IOMMU its physical address. Without an "
        "IOMMU the low half of a kernel address of x86-64 is the physical one, which is right then, and no mistake "
        "shows: try the driver with `--guest iommu` too.",
        "writel((u32)(unsigned long)buf, regs + DMAPADR0);", "writel(lower_32_bits(handle), regs + DMAPADR0);",
        looks=_wrong(
            Fault.CPU_ADDRESS,
            "give the device the handle (dma_addr_t), not the pointer and not virt_to_phys() of it",
        ),
    ),
    Rule(
        "dma-truncated", Who.DRIVER, "the upper half of a buffer's address was lost",
        "The address is the low 32 bits of a buffer that lies above 4 GiB.",
        "writel(lower_32_bits(handle), regs + DMAPADR0);",
        "writel(lower_32_bits(handle), regs + DMAPADR0);\nwritel(upper_32_bits(handle), regs + DMADAC0);",
        looks=_wrong(
            Fault.TRUNCATED,
            "write the upper half too, or take memory below 4 GiB: dma_set_mask_and_coherent(d, DMA_BIT_MASK(32))",
        ),
    ),
    Rule(
        "dma-byte-order", Who.DRIVER, "a buffer's address has its bytes in the wrong order",
        "Read from the other end, the address is that of a buffer of the driver's.",
        "desc->pci = cpu_to_be32(handle);", "desc->pci = cpu_to_le32(handle);",
        looks=_wrong(Fault.BYTE_ORDER, "writel() takes the processor's order; words in memory are cpu_to_le32()"),
    ),
    Rule(
        "dma-above-mask", Who.DRIVER, "DMA above the mask",
        "The address is in nothing that the device was given, and higher than the driver said that the device can "
        "reach.",
        "dma_set_mask_and_coherent(d, DMA_BIT_MASK(32));\nwritel(1, regs + DMADAC0);",
        "writel(upper_32_bits(handle), regs + DMADAC0);",
        looks=_wrong(Fault.ABOVE_MASK, "is the upper half of the address set, and from the same handle?"),
    ),
    Rule(
        "dma-left", Who.DRIVER, "DMA memory is still allocated or mapped when the module is unloaded",
        "What a driver allocates or maps it gives back in remove. Managed memory (dmam_*) is given back by the kernel "
        "and never told. So is a block that is still allocated when its pool is destroyed.",
        "static void my_remove(struct pci_dev *pdev)\n{\n\tpci_disable_device(pdev);\n}",
        "static void my_remove(struct pci_dev *pdev)\n{\n\tstop_dma(dev);\n"
        "\tdma_free_coherent(&pdev->dev, size, buf, handle);\n\tpci_disable_device(pdev);\n}",
        looks=when(LeftBehind, _left),
    ),
    Rule(
        "dma-free-mismatch", Who.DRIVER, "DMA memory is given back by a call that does not fit",
        "Twice, with another size, handle, CPU address or direction than it was made with, or what was never made. "
        "The kernel's DMA API debugging (CONFIG_DMA_API_DEBUG) says the same, and distributions build without it.",
        "h = dma_map_single(d, buf, 4096, DMA_TO_DEVICE);\ndma_unmap_single(d, h, 4096, DMA_FROM_DEVICE);",
        "h = dma_map_single(d, buf, 4096, DMA_TO_DEVICE);\ndma_unmap_single(d, h, 4096, DMA_TO_DEVICE);",
        looks=when(FreeMismatch, _mismatch),
    ),
    Rule(
        "dma-not-synced", Who.DRIVER, "a mapping is written a second time without a sync between",
        "The device wrote bytes of a mapping, the driver accessed the device, and the device wrote the same bytes "
        "again, with neither a sync nor an unmap between: what the driver read of the first round need not be what the "
        "device wrote. A buffer whose contents nobody looks at is the exception. Only where the kernel's sync calls "
        "can be seen.",
        "start_dma(dev);\nwait_for_done(dev);\nmemcpy(dst, buf, len);\nstart_dma(dev);",
        "start_dma(dev);\nwait_for_done(dev);\ndma_sync_single_for_cpu(d, h, len, DMA_FROM_DEVICE);\n"
        "memcpy(dst, buf, len);\ndma_sync_single_for_device(d, h, len, DMA_FROM_DEVICE);\nstart_dma(dev);",
        certain=False, looks=when(NotSynced, _not_synced),
    ),
    Rule(
        "dma-touched-early", Who.DRIVER, "the driver reads a buffer before it can know that the device is done",
        "Between two accesses of the device the driver's own code read bytes that the device wrote in that very time, "
        "and it had neither asked the device nor had its interrupt handler begun. Polling is right, and so is a look "
        "at a single word of coherent memory, which may be the device's status. What memcpy() or copy_to_user() read "
        "is not seen.",
        "writeb(3, regs + DMACSR0);\nfor (i = 0; i < n; i++)\n\tsum += buf[i];",
        "writeb(3, regs + DMACSR0);\nwait_for_completion(&dev->done);\nfor (i = 0; i < n; i++)\n\tsum += buf[i];",
        certain=False, looks=when(Touched, lambda event: _touched(event, write=False)),
    ),
    Rule(
        "dma-changed-busy", Who.DRIVER, "the driver changes a buffer while the device reads it",
        "Between two accesses of the device the driver's own code wrote bytes that the device read in that very time.",
        "writeb(3, regs + DMACSR0);\nfill(buf);", "fill(buf);\nwriteb(3, regs + DMACSR0);",
        certain=False, looks=when(Touched, lambda event: _touched(event, write=True)),
    ),
)  # fmt: skip
