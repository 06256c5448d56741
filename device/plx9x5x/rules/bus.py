# SPDX-License-Identifier: Apache-2.0
"""Rules about the PCI bus: addresses that nobody answers, and who may be on it."""

from typing import Final

from plx9x5x import events
from plx9x5x.errors import AbortCause
from plx9x5x.events import BusError, Hold, Purpose, TransferHeld
from plx9x5x.findings.finding import Charge, Who
from plx9x5x.findings.rule import Looks, Rule, when
from plx9x5x.rules import words

_DOING: Final = {
    Purpose.DATA: "moving data",
    Purpose.DESCRIPTOR: "reading a descriptor",
    Purpose.WRITE_BACK: "writing a descriptor's count back",
}
_SOURCE: Final = {
    Purpose.DATA: "DMAPADR",
    Purpose.DESCRIPTOR: "DMADPR",
    Purpose.WRITE_BACK: "DMADPR",
}
"""The register that the address came from."""


def _aborts(cause: AbortCause, remedy: str, *, of_descriptors: str | None = None) -> Looks:
    """Look at accesses that failed for one `cause`. `{reason}` in a remedy is the event's."""

    def look(event: BusError) -> Charge | None:
        if event.cause is not cause or words.of_ones(event.registers):
            return None
        wanted = of_descriptors if event.purpose is Purpose.DESCRIPTOR else None
        return Charge(
            (event.channel, event.purpose, event.cause),
            f"DMA channel {event.channel}, {_DOING[event.purpose]}: {event.kind.value} at {event.address:#x}, "
            f"{event.cause.value}; DONE stays 0 until the driver aborts",
            (
                *words.registers(event.registers, _SOURCE[event.purpose], "DMASIZ"),
                *words.descriptor(event.descriptor, in_pci=event.in_pci_memory),
                *words.around(event.nearest),
            ),
            (wanted or remedy).format(reason=event.reason),
        )

    return when(BusError, look)


def _holds(cause: Hold, what: str, remedy: str) -> Looks:
    """Look at transfers that were started and may not begin, for one `cause`."""

    def look(event: TransferHeld) -> Charge | None:
        if event.cause is not cause or event.moving:
            return None
        return Charge((event.channel,), f"DMA channel {event.channel} was started and waits: {what}", (), remedy)

    return when(TransferHeld, look)


def _dropped(event: TransferHeld) -> Charge | None:
    if not event.moving or event.cause in (Hold.NO_DREQ, Hold.D3HOT):  # of the latter `running-at-reset` tells
        return None
    return Charge(
        (event.channel, event.cause),
        f"DMA channel {event.channel} was in the middle of a transfer: {event.cause.value}",
        (),
        "stop the channel first: ENABLE=0, then ABORT, then wait for DONE; in remove, suspend and shutdown alike",
    )


def _running_at_reset(event: events.ResetWhileBusy) -> Charge:
    return Charge(
        (event.channel, event.reason),
        f"DMA channel {event.channel} was moving data when a reset came ({event.reason})",
        (),
        "stop the channel before: ENABLE=0, ABORT, wait for DONE; a .shutdown does it at reboot",
    )


def _wrapped(event: events.AddressWrapped) -> Charge | None:
    if event.descriptor is not None and event.address & words.ONES == words.ONES:
        return None
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel}: {event.count:#x} bytes from bus address {event.address:#x} run past 4 GiB; the "
        "chip's counter has 32 bits and goes on at 0 of the same upper half",
        (
            (f"DMAPADR{event.channel}", f"{event.address & 0xFFFF_FFFF:#x}"),
            (f"DMASIZ{event.channel}", f"{event.count:#x}"),
            *words.descriptor(event.descriptor),
        ),
        "split the transfer at the 4 GiB boundary, or allocate below it (dma_set_mask_and_coherent)",
    )


RULES: Final = (
    Rule(
        "unmapped-address", Who.DRIVER, "DMA to an address where nothing is",
        "The chip went to a bus address at which the client has mapped nothing: a CPU address in place of the logical "
        "one, a byte order, a length too long, or an address cut to 32 bits.",
        "writel(virt_to_phys(buf), regs + DMAPADR0);", "writel(lower_32_bits(dma_handle), regs + DMAPADR0);",
        looks=_aborts(
            AbortCause.NOTHING_MAPPED,
            "give the device what dma_alloc_coherent or dma_map_* returned (no CPU address), and no more bytes than "
            "were mapped",
            of_descriptors="DMADPR takes the logical address of a descriptor, as dma_alloc_coherent gave it, below "
            "4 GiB",
        ),
    ),
    Rule(
        "address-taken-back", Who.DRIVER, "DMA to an address that was mapped once",
        "The address was mapped, and the guest has taken the mapping back. Behind an IOMMU that is a buffer that was "
        "freed or unmapped before DONE, or a stale address that was programmed again. Without an IOMMU the device "
        "cannot see it.",
        "start_dma(dev);\ndma_unmap_single(d, handle, len, DMA_FROM_DEVICE);",
        "start_dma(dev);\nwait_for_done(dev);\ndma_unmap_single(d, handle, len, DMA_FROM_DEVICE);",
        looks=_aborts(
            AbortCause.UNMAPPED,
            "free or unmap a buffer only after DONE, or after an abort has been seen to end, and do not use its "
            "address after that; if it never was yours (virt_to_phys, a byte order), take the address that "
            "dma_alloc_coherent or dma_map_* gave",
        ),
    ),
    Rule(
        "read-only-address", Who.DRIVER, "DMA writes to read-only memory",
        "The range is mapped for reading: ROM, or a buffer mapped DMA_TO_DEVICE behind an IOMMU.",
        "h = dma_map_single(d, buf, len, DMA_TO_DEVICE);\nto_pci(dev, h, len);",
        "h = dma_map_single(d, buf, len, DMA_FROM_DEVICE);\nto_pci(dev, h, len);",
        looks=_aborts(
            AbortCause.READ_ONLY,
            "the guest maps this range for reading only: map it DMA_FROM_DEVICE or DMA_BIDIRECTIONAL",
        ),
    ),
    Rule(
        "write-only-address", Who.DRIVER, "DMA reads of memory that may only be written",
        "The range is mapped for writing: a buffer mapped DMA_FROM_DEVICE behind an IOMMU. QEMU lets the device read "
        "such a buffer too, so that its guests do not show this.",
        "h = dma_map_single(d, buf, len, DMA_FROM_DEVICE);\nto_local(dev, h, len);",
        "h = dma_map_single(d, buf, len, DMA_TO_DEVICE);\nto_local(dev, h, len);",
        looks=_aborts(
            AbortCause.WRITE_ONLY,
            "the guest maps this range for writing only: map it DMA_TO_DEVICE or DMA_BIDIRECTIONAL",
        ),
    ),
    Rule(
        "memory-not-shared", Who.GUEST_SETUP, "the client shares no memory for the address",
        "QEMU told of the range and gave no file for it. The guest's RAM is then not share=on.",
        "-m 512M", "-object memory-backend-memfd,id=ram,size=512M,share=on -machine memory-backend=ram",
        certain=False, looks=_aborts(
            AbortCause.NO_MEMORY,
            "if this is the guest's RAM, QEMU needs share=on (-object memory-backend-memfd,share=on); else the "
            "address is another device's, or ROM",
        ),
    ),
    Rule(
        "memory-gone", Who.TRANSPORT, "the client's memory does not answer",
        "The file behind the range was truncated or finds no room, or the client was asked by message and gave no "
        "answer.",
        "df /dev/shm   # full", "df /dev/shm   # room for the guest's memory",
        looks=_aborts(
            AbortCause.NO_ANSWER,
            "why: {reason}",
        ),
    ),
    Rule(
        "mapping-refused", Who.TRANSPORT, "the library had no room for the client's mapping",
        "The address is right and the client offered its memory; libvfio-user had no room for the range.",
        "plx9x5x serve --transport libvfio ...", "plx9x5x serve --transport wire ...",
        looks=_aborts(
            AbortCause.TURNED_AWAY,
            "{reason}; the address is right: serve with --transport wire",
        ),
    ),
    Rule(
        "bus-master-never", Who.DRIVER, "START without bus mastering",
        "A transfer was started and PCICR bit 2 has been 0 since the client came: the chip may not ask for the bus, so "
        "the transfer waits.",
        "pci_enable_device(pdev);\nstart_dma(dev);", "pci_enable_device(pdev);\npci_set_master(pdev);\nstart_dma(dev);",
        looks=_holds(
            Hold.NEVER_MASTER, "bus mastering (PCICR bit 2) has not been enabled", "call pci_set_master() in probe"
        ),
    ),
    Rule(
        "bus-master-reset", Who.DRIVER, "START after a reset took bus mastering back",
        "PCICR bit 2 was set once and a reset of the function cleared it, with all of configuration space.",
        "pci_reset_function_locked(pdev); /* or the guest rebooted */\nstart_dma(dev);",
        "pci_restore_state(pdev);\npci_set_master(pdev);\nstart_dma(dev);",
        looks=_holds(
            Hold.RESET_MASTER,
            "bus mastering (PCICR bit 2) had been enabled, and a reset took it back",
            "after a reset call pci_restore_state(), or pci_set_master() again",
        ),
    ),
    Rule(
        "bus-master-cleared", Who.DRIVER, "START after bus mastering was turned off",
        "A write of PCICR cleared bit 2 before the transfer was started.",
        "pci_clear_master(pdev);\nstart_dma(dev);", "start_dma(dev);\nwait_for_done(dev);\npci_clear_master(pdev);",
        looks=_holds(
            Hold.CLEARED_MASTER,
            "bus mastering (PCICR bit 2) had been enabled, and a write of PCICR took it back",
            "pci_clear_master() and pci_disable_device() do that: start nothing after them",
        ),
    ),
    Rule(
        "bus-lost-while-busy", Who.DRIVER, "the bus was taken away in the middle of a transfer",
        "Bus mastering, power or the reset state changed while a channel was moving data: a driver that is unloaded, "
        "suspended or reset without stopping its DMA.",
        "static void my_remove(struct pci_dev *pdev)\n{\n\tpci_disable_device(pdev);\n}",
        "static void my_remove(struct pci_dev *pdev)\n{\n\tstop_dma(dev);\n\tpci_disable_device(pdev);\n}",
        looks=when(TransferHeld, _dropped),
    ),
    Rule(
        "running-at-reset", Who.DRIVER, "DMA was running when a reset came",
        "A reset (power-on, RST#, CNTRL bit 30, D3hot) came while a channel could have moved data. At a reboot that is "
        "a driver without .shutdown; the buffers then belong to somebody else.",
        "writel(cntrl | BIT(30), regs + CNTRL);", "writeb(0, regs + DMACSR0);\nwriteb(4, regs + DMACSR0);\n"
        "/* wait for DONE */\nwritel(cntrl | BIT(30), regs + CNTRL);",
        certain=False, looks=when(events.ResetWhileBusy, _running_at_reset),
    ),
    Rule(
        "address-wraps", Who.DRIVER, "a transfer runs past 4 GiB",
        "The chip counts 32 bits of the PCI address and carries nothing into DMADAC: what follows 0xffffffff is "
        "address 0 of the same 4 GiB, which belongs to somebody else. Said once for each channel of a "
        "client, or load of the driver that the witness sees.",
        "writel(0xfffff000, regs + DMAPADR0);\nwritel(0x1004, regs + DMASIZ0);",
        "writel(0xfffff000, regs + DMAPADR0);\nwritel(0x1000, regs + DMASIZ0);",
        looks=when(events.AddressWrapped, _wrapped),
    ),
)  # fmt: skip
