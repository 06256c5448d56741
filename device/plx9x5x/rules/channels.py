# SPDX-License-Identifier: Apache-2.0
"""Rules about a DMA channel: its command register, its descriptors, the local addresses that it is given."""

from typing import Final

from plx9x5x import events
from plx9x5x.events import CommandIgnored, Hold, Ignored, LocalUndecoded, Purpose, TransferHeld
from plx9x5x.findings.finding import Charge, Who
from plx9x5x.findings.rule import Looks, Rule, when
from plx9x5x.rules import words


def _ignores(why: Ignored, remedy: str) -> Looks:
    """Look at writes of DMACSR that ask, in one way, for what the chip does not do."""

    def look(event: CommandIgnored) -> Charge | None:
        if event.why is not why:
            return None
        return Charge(
            (event.channel,),
            f"DMA channel {event.channel}: {why.value}; the chip ignores it",
            ((f"DMACSR{event.channel}", f"{event.written:#04x} written"),),
            remedy,
        )

    return when(CommandIgnored, look)


def _no_dreq(event: TransferHeld) -> Charge | None:
    if event.cause is not Hold.NO_DREQ:
        return None
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel} is in demand mode, and this board drives no DREQ# for it: nothing moves until "
        "it does",
        ((f"DMAMODE{event.channel}", "bit 12 set"),),
        f"clear bit 12 of DMAMODE{event.channel}, or take the channel that the board drives",
    )


def _nothing(event: events.NothingToMove) -> Charge:
    what = "a block" if event.descriptor is None else f"the descriptor at {event.descriptor:#x}"
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel}: {what} has size 0 and moves nothing",
        (),
        "write DMASIZ before START; in a list, is the descriptor filled in, in the right order and byte order?",
    )


def _rewritten(event: events.RewrittenWhileBusy) -> Charge:
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel}: {event.register} was changed while a transfer was under way, which goes on with "
        "what it was started with",
        ((event.register, f"{event.before:#x} -> {event.after:#x}"),),
        "wait for DONE (DMACSR bit 4), or pause and abort, before the next transfer is programmed",
    )


def _endless(event: events.EndlessChain) -> Charge:
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel}: {event.descriptors} descriptors one after the other have moved no byte; the "
        "chain does not end by itself",
        (("last descriptor", f"{event.address:#x}"),),
        "set end of chain (bit 1) in the last descriptor's pointer; does the pointer lead back to an empty one?",
    )


def _beyond(event: LocalUndecoded) -> Charge | None:
    """Data at a local address that the board does not decode."""
    if event.purpose is not Purpose.DATA or words.of_ones(event.registers):
        return None
    inside = next(((name, base, size) for name, base, size in event.nearest if base <= event.start < base + size), None)
    if inside is not None:
        name, base, size = inside
        what = (
            f"{event.count:#x} bytes from local address {event.start:#x} run past {name}, which ends at "
            f"{base + size - 1:#x}"
        )
        remedy = "is DMASIZ right, and in the chip's byte order?"
        shown = words.registers(event.registers, "DMASIZ", "DMALADR")
    else:
        what = f"the board decodes nothing at local address {event.local_address:#x}"
        remedy = "DMALADR takes a raw local address, not an offset in a BAR: LASnBA says where the BAR's window lies"
        shown = words.registers(event.registers, "DMALADR", "DMASIZ")
    return Charge(
        (event.channel, inside is None),
        f"DMA channel {event.channel}: {what}; reads gave ones, writes vanished",
        (*shown, ("windows", words.windows(event.nearest))),
        remedy,
    )


def _local_descriptor(event: LocalUndecoded) -> Charge | None:
    if event.purpose not in (Purpose.DESCRIPTOR, Purpose.WRITE_BACK):
        return None
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel} takes a descriptor from local memory at {event.local_address:#x}, where the "
        "board decodes nothing: it is read as all ones",
        (*words.registers(event.registers, "DMADPR"), ("windows", words.windows(event.nearest))),
        "was DMADPR bit 0 (descriptors in PCI memory) meant?",
    )


def _changed(event: events.DescriptorChanged) -> Charge:
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel}: the descriptor at {event.address:#x} was changed while the chip worked on it, "
        "which it did with the old words",
        (
            ("fetched", " ".join(f"{word:#x}" for word in event.fetched)),
            ("now", " ".join(f"{word:#x}" for word in event.found)),
        ),
        "write a descriptor only while the chip cannot have it: before START, or after its terminal count",
    )


def _overrun(event: events.RingOverrun) -> Charge:
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel}: the ring came back to the descriptor at {event.address:#x}, and the driver has "
        "touched neither it nor a register since: what it held is overwritten",
        (("times round", str(event.rounds)),),
        "a larger ring, an interrupt for each descriptor, or valid mode (DMAMODE bit 20) so that the chip waits",
    )


RULES: Final = (
    Rule(
        "start-without-enable", Who.DRIVER, "START without ENABLE",
        "DMACSR takes START (bit 1) only in a write that leaves ENABLE (bit 0) set; a START alone clears ENABLE and "
        "starts nothing, and DONE stays as it was.",
        "writeb(0x01, regs + DMACSR0);\nwriteb(0x02, regs + DMACSR0);", "writeb(0x03, regs + DMACSR0);",
        looks=_ignores(Ignored.START_DISABLED, "write ENABLE (bit 0) and START (bit 1) together: 0x03"),
    ),
    Rule(
        "start-in-reset", Who.DRIVER, "START in software reset",
        "The channel was told to move data while CNTRL bit 30 holds the reset: nothing begins.",
        "writel(cntrl | BIT(30), regs + CNTRL);\nwriteb(3, regs + DMACSR0);",
        "writel(cntrl & ~BIT(30), regs + CNTRL);\nwriteb(3, regs + DMACSR0);",
        looks=_ignores(Ignored.START_IN_RESET, "clear CNTRL bit 30 before the start"),
    ),
    Rule(
        "start-while-busy", Who.DRIVER, "START while a transfer is under way",
        "A channel that is enabled and not DONE ignores START: the new transfer never begins. A paused channel (it "
        "resumes) and a ring in valid mode (it looks again) are right.",
        "program(dev, second);\nwriteb(0x03, regs + DMACSR0);",
        "wait_for_done(dev);\nprogram(dev, second);\nwriteb(0x03, regs + DMACSR0);",
        certain=False, looks=_ignores(Ignored.START_BUSY, "wait for DONE (bit 4) before the next START"),
    ),
    Rule(
        "rewritten-while-busy", Who.DRIVER, "a channel's registers are changed while it works",
        "A block was read from its registers at the START, so the change is for the next one: most often two requests "
        "share a channel, and the second did not wait. Addresses, size and descriptor pointer; DMAMODE may change, as "
        "drivers do before an abort, and so may anything once a channel was aborted.",
        "program(dev, first);\nwriteb(0x03, regs + DMACSR0);\nprogram(dev, second);",
        "program(dev, first);\nwriteb(0x03, regs + DMACSR0);\nwait_for_done(dev);\nprogram(dev, second);",
        certain=False, looks=when(events.RewrittenWhileBusy, _rewritten),
    ),
    Rule(
        "abort-while-enabled", Who.DRIVER, "ABORT with ENABLE set",
        "The chip aborts a channel only while ENABLE is 0; the transfer that was to be aborted goes on.",
        "writeb(0x05, regs + DMACSR0);", "writeb(0x00, regs + DMACSR0);\nwriteb(0x04, regs + DMACSR0);",
        looks=_ignores(Ignored.ABORT_ENABLED, "clear ENABLE (bit 0) first, or in the same write: 0x04"),
    ),
    Rule(
        "no-demand", Who.DRIVER, "demand mode where nobody drives DREQ#",
        "DMAMODE bit 12 lets the board pace the transfer by DREQ#; a board that never drives the pin never lets it "
        "move. Said once for each channel of a client, or load of the driver that the witness sees.",
        "writel(mode | BIT(12), regs + DMAMODE0);", "writel(mode & ~BIT(12), regs + DMAMODE0);",
        certain=False, looks=when(TransferHeld, _no_dreq),
    ),
    Rule(
        "size-zero", Who.DRIVER, "a transfer of no bytes",
        "A block or a descriptor with size 0 ends at once and reports success. Descriptors that valid mode skips are "
        "right. Said once for each channel of a client, or load of the driver that the witness sees.",
        "writeb(0x03, regs + DMACSR0); /* DMASIZ0 is 0 */",
        "writel(len, regs + DMASIZ0);\nwriteb(0x03, regs + DMACSR0);",
        certain=False, looks=when(events.NothingToMove, _nothing),
    ),
    Rule(
        "endless-chain", Who.DRIVER, "a chain without an end and without data",
        "4,096 descriptors one after the other moved no byte: the chain turns in a circle of empty descriptors.",
        "desc[n - 1].next = cpu_to_le32(first | 1);", "desc[n - 1].next = cpu_to_le32(first | 1 | 2);",
        looks=when(events.EndlessChain, _endless),
    ),
    Rule(
        "local-address", Who.DRIVER, "DMA to local addresses that the board does not decode",
        "A transfer starts where no window is, or runs past the end of one: a wrong DMALADR, or a DMASIZ that is too "
        "long or in the wrong byte order. Of one channel, all that begin nowhere are one finding, and all that run "
        "past an end are another.",
        "writel(swab32(len), regs + DMASIZ0);", "writel(len, regs + DMASIZ0);",
        looks=when(LocalUndecoded, _beyond),
    ),
    Rule(
        "descriptor-in-local-memory", Who.DRIVER, "a descriptor is fetched from local memory, where nothing is",
        "Bit 0 of DMADPR, or of a descriptor's pointer, says that the next descriptor lies in PCI memory. Without it "
        "the chip looks on the local bus.",
        "writel(ring_dma, regs + DMADPR0);", "writel(ring_dma | 1, regs + DMADPR0);",
        looks=when(LocalUndecoded, _local_descriptor),
    ),
    Rule(
        "descriptor-changed", Who.DRIVER, "a descriptor was changed while the chip worked on it",
        "The address and size words in memory, when the descriptor was done, are not those that were fetched. A change "
        "of the pointer word alone is how drivers append, and is right.",
        "desc->pci = next; /* it is running */", "if (done(desc))\n\tdesc->pci = next;",
        thorough=True, looks=when(events.DescriptorChanged, _changed),
    ),
    Rule(
        "ring-overrun", Who.DRIVER, "a ring went round before the driver looked",
        "The chip wrote to a descriptor's buffer again, and since the last time the driver has accessed no register "
        "and left the descriptor as it was: most likely nobody has taken the data. Rings in valid mode, or whose "
        "descriptors are given back by the chip (clear count), are not looked at.",
        "/* no interrupt, no look at DMAPADR */", "/* per descriptor: take the data, then give it back */",
        certain=False, thorough=True, looks=when(events.RingOverrun, _overrun),
    ),
)  # fmt: skip
