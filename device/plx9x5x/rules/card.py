# SPDX-License-Identifier: Apache-2.0
"""Rules about the rest of the card: interrupts, registers, windows, the EEPROM, doorbells."""

from functools import partial
from typing import Final

from plx9x5x import events
from plx9x5x.events import EepromMisuse, EepromMisused, IntaSource, LocalUndecoded
from plx9x5x.findings.finding import Charge, Who
from plx9x5x.findings.rule import Looks, Rule, when
from plx9x5x.model.patience import FEW, LEFT, RUN, SPIN
from plx9x5x.rules import words

TAKES_BACK: Final = {
    IntaSource.DMA_0: "write DMACSR0 bit 3 (CLEAR INT)",
    IntaSource.DMA_1: "write DMACSR1 bit 3 (CLEAR INT)",
    IntaSource.DOORBELL: "write the set bits of L2PDBELL back",
    IntaSource.ABORT: "write ones to the abort bits of PCISR (bits 13 and 12)",
    IntaSource.LINTI: "take the cause back in the board's peripheral, or clear INTCSR bit 11",
    IntaSource.OUTBOUND_QUEUE: "read OQP until it is empty, or set OPQIM bit 3",
}


def _stuck(event: events.LineStuck) -> Charge:
    return Charge(
        (event.sources,),
        f"INTA# stays asserted by {', '.join(source.value for source in event.sources)} after {event.reads} reads of "
        "the interrupt status" + (", for more than a second" if event.late else ""),
        (),
        "the handler has to " + "; ".join(TAKES_BACK[source] for source in event.sources),
    )


def _again(event: events.DeliveredAgain, *, storm: bool) -> Charge | None:
    if storm is not (event.count >= RUN):
        return None
    return Charge(
        (event.sources,),
        f"INTA# was delivered {event.count} times, and stays asserted by "
        f"{', '.join(source.value for source in event.sources)}",
        (),
        "the handler has to " + "; ".join(TAKES_BACK[source] for source in event.sources),
    )


def _kept_in(event: events.NeverReachedHost) -> Charge:
    return Charge(
        (event.channel,),
        f"DMA channel {event.channel} latched {event.count} interrupt{'s' if event.count > 1 else ''}, and INTA# was "
        "never asserted; closed at the end: " + ", ".join(event.gates),
        (),
        f"INTCSR bits 8 and {18 + event.channel} and DMAMODE{event.channel} bit 17 let it out; a driver that polls "
        f"leaves DMAMODE{event.channel} bit 10 at 0",
    )


def _spinning(event: events.Spinning) -> Charge:
    return Charge(
        (event.register,),
        f"{event.register} was read {event.reads} times and stays {event.value:#x}: {event.why}",
        (),
        "bound every polling loop by time",
    )


def _nobody(event: events.NobodyAnswers) -> Charge:
    return Charge(
        (event.register,),
        f"{event.register} was read {event.reads} times and stays {event.value:#x}: only the local side changes it, "
        "and nothing runs on this board's",
        (),
        "bound every polling loop by time; a board whose local side answers is written in Python "
        "(docs/writing-a-board.md)",
    )


def _decode_off(event: events.DecodeOff) -> Charge:
    kind, bit = ("I/O", 0) if event.io else ("memory", 1)
    return Charge(
        (event.bar,),
        f"BAR{event.bar} was written while PCICR bit {bit} ({kind} space) is 0: writes vanish, reads give ones",
        (),
        "pci_enable_device() sets it; a reset of the function clears it",
    )


def _missing(event: events.RegisterMissing) -> Charge:
    return Charge(
        (event.offset,),
        f"{' and '.join(event.names)} (offset {event.offset:#x}) was written, which this chip does not have; the write "
        "vanished",
        (("chips that have it", event.chips),),
        "is the driver for another chip of the family?",
    )


def _closed(event: events.WindowClosed) -> Charge:
    return Charge(
        (event.bar, event.register),
        f"BAR{event.bar} was accessed after a write of {event.register} turned it off: reads give ones, writes vanish",
        ((event.register, f"{event.value:#x}"),),
        f"keep bit 0 (enable) of {event.register.removesuffix('RR').removesuffix('BA')}BA set",
    )


def _by_processor(event: LocalUndecoded) -> Charge | None:
    if event.channel is not None or event.bar is None:
        return None
    return Charge(
        (event.bar,),
        f"an access through BAR{event.bar} came to local address {event.local_address:#x}, where the board decodes "
        "nothing: reads gave ones, writes vanished",
        (("bytes", str(event.length)), ("windows", words.windows(event.nearest))),
        "the window is wider than what is behind it: is the offset right, and LASnBA?",
    )


def _by_local_side(event: LocalUndecoded) -> Charge | None:
    if event.channel is not None or event.bar is not None:
        return None
    return Charge(
        ("local side",),
        f"the local side went to {event.local_address:#x}, where the board decodes nothing",
        (("windows", words.windows(event.nearest)),),
        "QBAR says where the queues lie: is there memory?",
    )


_EEPROM_REMEDY: Final = {
    EepromMisuse.DO_NOT_SAMPLED: "set CNTRL bit 31 before CNTRL bit 27 is read; while it is 0, bit 27 reads 0",
    EepromMisuse.NOT_ENABLED: "clock in EWEN (opcode 00, address 11...) first; EWDS or power-on takes it back",
    EepromMisuse.PROTECTED: "the board protects its part: nothing can be written",
    EepromMisuse.VPD_PROTECTED: "lower PROT_AREA (LMISC1 + 2) first; nothing was written",
}


def _misuses(*kinds: EepromMisuse) -> Looks:
    """Look at some ways to use the EEPROM in vain."""

    def look(event: EepromMisused) -> Charge | None:
        if event.misuse not in kinds:
            return None
        where = () if event.address is None else (("byte address", f"{event.address:#x}"),)
        first = () if event.first_writable is None else (("PROT_AREA allows from", f"{event.first_writable:#x}"),)
        return Charge((event.misuse,), f"EEPROM: {event.misuse.value}", (*where, *first), _EEPROM_REMEDY[event.misuse])

    return when(EepromMisused, look)


def _doorbell(event: events.DoorbellLost) -> Charge:
    return Charge(
        (),
        f"P2LDBELL bits {event.bits:#x} were written again before the local side had taken them: it hears of one ring",
        (("P2LDBELL", f"{event.bits:#x} still set"),),
        "read P2LDBELL first, or have the local side answer before the next ring",
    )


RULES: Final = (
    Rule(
        "interrupt-not-acknowledged", Who.DRIVER, "an interrupt is never acknowledged",
        "INTA# is a level: it stays asserted until its cause is taken back in the chip. The threshold is "
        f"{RUN:,} reads of INTCSR, or of DMACSR of a channel that asks, while INTA# is asserted and none of its causes "
        f"changes; or {2 * FEW} of them if a second passes between the first {FEW} and the last. Of a handler that "
        f"reads nothing it is told when the client leaves: {RUN:,} deliveries without a change. In the guest it is an "
        "interrupt storm, or 'irq N: nobody cared'.",
        "if (readl(regs + INTCSR) & BIT(21))\n\tcomplete(&dev->done);",
        "if (readl(regs + INTCSR) & BIT(21)) {\n\twriteb(readb(regs + DMACSR0) | BIT(3), regs + DMACSR0);\n"
        "\tcomplete(&dev->done);\n}",
        looks={**when(events.LineStuck, _stuck), **when(events.DeliveredAgain, partial(_again, storm=True))},
    ),
    Rule(
        "interrupt-left", Who.DRIVER, "INTA# is asserted as the client leaves",
        f"It was delivered {LEFT} times or more since any of its causes changed, so a handler has run, and it is still "
        "there when the guest goes: a cause that nobody takes back, in a guest that did not live to a storm.",
        "static irqreturn_t handler(int irq, void *data)\n{\n\tcomplete(data);\n\treturn IRQ_HANDLED;\n}",
        "static irqreturn_t handler(int irq, void *data)\n{\n\tacknowledge(data);\n\tcomplete(data);\n"
        "\treturn IRQ_HANDLED;\n}",
        certain=False, looks=when(events.DeliveredAgain, partial(_again, storm=False)),
    ),
    Rule(
        "interrupt-kept-in", Who.DRIVER, "a channel's interrupt never reaches INTA#",
        "DMAMODE bit 10 latches an interrupt at the end of a transfer, and a gate on its way to INTA# is closed: "
        "INTCSR bit 8, its own bit 18 or 19, or DMAMODE bit 17, which sends it to LINTo#. Told when the client "
        "leaves, if INTA# was never asserted and the interrupt never acknowledged. Who closes INTCSR while a transfer "
        "is under way, as a driver does that is removed, wants none of it any more.",
        "writel(0x43 | BIT(10), regs + DMAMODE0);", "writel(0x43 | BIT(10) | BIT(17), regs + DMAMODE0);",
        certain=False, looks=when(events.NeverReachedHost, _kept_in),
    ),
    Rule(
        "spinning", Who.DRIVER, "a register is polled, and what is waited for will not come",
        f"{SPIN:,} reads of DMACSR, with no write between and no change, while the chip knows that nothing will change "
        "it: a channel that failed, is paused, or may not master the bus. A loop that ends by a time limit looks the "
        "same.",
        "while (!(readb(regs + DMACSR0) & BIT(4)))\n\tcpu_relax();",
        "ret = readb_poll_timeout(regs + DMACSR0, csr, csr & BIT(4), 10, 100000);",
        certain=False, looks=when(events.Spinning, _spinning),
    ),
    Rule(
        "nobody-answers", Who.BOARD, "a mailbox or doorbell is polled, and nothing runs on the local side",
        f"{SPIN:,} reads of a mailbox, or of P2LDBELL with a bit set, with no write between and no change, on a board "
        "whose local side is memory alone: the answer of its firmware will not come. The driver may be right, and the "
        "board that it runs on the wrong one.",
        "writel(COMMAND, regs + MBOX0);\nwhile (readl(regs + MBOX1) != REPLY)\n\tcpu_relax();",
        "writel(COMMAND, regs + MBOX0);\nret = readl_poll_timeout(regs + MBOX1, reply, reply == REPLY, 10, 100000);",
        certain=False, looks=when(events.NobodyAnswers, _nobody),
    ),
    Rule(
        "register-missing", Who.DRIVER, "a write to a register that this chip lacks",
        "The offset holds a register on other chips of the family and nothing on this one. Zeros, reads, and reserved "
        "offsets and bits are legal and never reported. Said once for a client, or load of "
        "the driver that the witness sees.",
        "writel(upper_32_bits(h), regs + DMADAC0); /* on a 9080 */",
        "dma_set_mask_and_coherent(d, DMA_BIT_MASK(32));",
        looks=when(events.RegisterMissing, _missing),
    ),
    Rule(
        "window-closed", Who.DRIVER, "a BAR was turned off by a write of its local registers",
        "Bit 0 of LASnBA lets the BAR of a local address space decode; a driver that programs the base, forgets the "
        "bit and goes on to use the BAR has lost it.",
        "writel(0x20000000, regs + LAS0BA);\nreadl(bar2);", "writel(0x20000000 | 1, regs + LAS0BA);\nreadl(bar2);",
        looks=when(events.WindowClosed, _closed),
    ),
    Rule(
        "decode-off", Who.DRIVER, "a BAR was written while the device may not decode it",
        "PCICR bits 1 (memory) and 0 (I/O) are 0: before the device is enabled, after it was disabled, or after a "
        "reset that took them back with all of configuration space. Reads are what a handler on a shared line does. "
        "Said once for a client, or load of the driver that the witness sees.",
        "pci_disable_device(pdev);\nwritel(0, regs + INTCSR);", "writel(0, regs + INTCSR);\npci_disable_device(pdev);",
        certain=False, looks=when(events.DecodeOff, _decode_off),
    ),
    Rule(
        "window-empty", Who.DRIVER, "a BAR was accessed where the board decodes nothing",
        "A BAR's size is a power of two, and what the board has behind it may be smaller. A driver that probes for "
        "parts which its card may lack does this and is right.",
        "readl(bar2 + 0x100000);", "readl(bar2 + 0x1000);",
        certain=False, looks=when(LocalUndecoded, _by_processor),
    ),
    Rule(
        "local-side-lost", Who.BOARD, "the local side went where nothing is",
        "Not the host but the board, or the messaging unit on its behalf, accessed a local address without a target.",
        "writel(0, regs + QBAR); /* no memory there */", "writel(QUEUE_MEMORY, regs + QBAR);",
        certain=False, looks=when(LocalUndecoded, _by_local_side),
    ),
    Rule(
        "eeprom-not-sampled", Who.DRIVER, "DO is polled while CNTRL[31]=0",
        "From the 9056 on the chip samples the EEPROM's DO only while CNTRL bit 31 is set; with the bit clear, CNTRL "
        "bit 27 reads 0 whatever the part says. A driver that waits for a write to end then polls until it gives up; "
        "the word is stored all the same. The threshold is 64 reads of CNTRL with the part selected. (The chip "
        "maker's own SDK does this. UNVERIFIED on silicon.)",
        "while (!(readl(regs + CNTRL) & BIT(27)))\n\t;",
        "writel(cntrl | BIT(31), regs + CNTRL);\nwhile (!(readl(regs + CNTRL) & BIT(27)))\n\t;",
        certain=False, looks=_misuses(EepromMisuse.DO_NOT_SAMPLED),
    ),
    Rule(
        "eeprom-not-written", Who.DRIVER, "a write of the EEPROM that does nothing",
        "The part takes writes only after EWEN, not where the board protects it, and through VPD only from "
        "PROT_AREA on.",
        "eeprom_write(dev, 0, value);", "eeprom_write_enable(dev);\neeprom_write(dev, 0, value);",
        looks=_misuses(EepromMisuse.NOT_ENABLED, EepromMisuse.PROTECTED, EepromMisuse.VPD_PROTECTED),
    ),
    Rule(
        "doorbell-lost", Who.DRIVER, "a doorbell was rung again before it was taken",
        "P2LDBELL keeps a bit for each ring until the local side clears it: two rings of one bit are one interrupt.",
        "writel(1, regs + P2LDBELL);\nwritel(1, regs + P2LDBELL);",
        "writel(1, regs + P2LDBELL);\nwhile (readl(regs + P2LDBELL) & 1)\n\tcpu_relax();\nwritel(1, regs + P2LDBELL);",
        certain=False, looks=when(events.DoorbellLost, _doorbell),
    ),
)  # fmt: skip
