# SPDX-License-Identifier: Apache-2.0
"""The bits that the card knows in C are those of the register tables."""

from plx9x5x.model import _card, channels
from plx9x5x.model.engine import ENDLESS
from plx9x5x.model.patience import FEW, LONG_NS, NEWS_LATE, NEWS_SPIN, NEWS_STUCK, RUN, SPIN
from plx9x5x.plane import _serving
from plx9x5x.regs import dma, intr
from plx9x5x.regs.dma import DescriptorPointer, DmaCommand, DmaMode, DmaSize

_LIB = _card.lib

BITS = {
    "MODE_CHAIN": DmaMode.chain,
    "MODE_DONE_INTERRUPT": DmaMode.done_intr,
    "MODE_HOLD_LOCAL": DmaMode.hold_local,
    "MODE_DEMAND": DmaMode.demand,
    "MODE_EOT": DmaMode.eot_enable,
    "MODE_CLEAR_COUNT": DmaMode.clear_count,
    "MODE_TO_INTA": DmaMode.to_inta,
    "MODE_DAC_CHAIN": DmaMode.dac_chain,
    "MODE_VALID": DmaMode.valid_mode,
    "POINTER_IN_PCI": DescriptorPointer.in_pci_memory,
    "POINTER_LAST": DescriptorPointer.end_of_chain,
    "POINTER_TERMINAL_COUNT": DescriptorPointer.terminal_count_intr,
    "POINTER_TO_PCI": DescriptorPointer.to_pci,
    "SIZE_COUNT": DmaSize.count,
    "CSR_ENABLE": DmaCommand.enable,
    "CSR_START": DmaCommand.start,
    "CSR_ABORT": dma.DmaCommand.abort,
    "CSR_CLEAR": DmaCommand.clear_intr,
    "CSR_DONE": DmaCommand.done,
    "INTCSR_PCI_ENABLE": intr.INTCSR.pci_enable,
    "INTCSR_DOORBELL_ENABLE": intr.INTCSR.doorbell_enable,
    "INTCSR_ABORT_ENABLE": intr.INTCSR.abort_enable,
    "INTCSR_LOCAL_ENABLE": intr.INTCSR.local_enable,
    "INTCSR_DOORBELL": intr.INTCSR.doorbell_active,
    "INTCSR_ABORT": intr.INTCSR.abort_active,
    "INTCSR_LOCAL": intr.INTCSR.local_active,
    "INTCSR_DMA0_ENABLE": intr.INTCSR.dma0_enable,
    "INTCSR_DMA0": intr.INTCSR.dma0_active,
    "QUEUE_NOT_EMPTY": intr.OPQIS.not_empty,
}


def test_each_bit_is_where_the_tables_have_it() -> None:
    known = {name for name in dir(_LIB) if name.startswith(("MODE_", "CSR_", "INTCSR_", "QUEUE_", "POINTER_", "SIZE_"))}
    assert known == set(BITS)
    assert _LIB.WALK_ENDLESS == ENDLESS
    c = _serving.lib
    assert (c.PAGE_SPIN, c.PAGE_RUN, c.PAGE_FEW, c.PAGE_LONG_NS) == (SPIN, RUN, FEW, LONG_NS)
    assert (c.NEWS_SPIN, c.NEWS_STUCK, c.NEWS_LATE) == (NEWS_SPIN, NEWS_STUCK, NEWS_LATE)
    assert {name: getattr(_LIB, name) for name in BITS} == {name: field.mask for name, field in BITS.items()}


def test_what_c_says_of_its_work_is_what_python_takes_it_for() -> None:
    assert (_LIB.WORK_NONE, _LIB.WORK_MORE, _LIB.WORK_ASK) == (0, channels.MORE, channels.ASK)
    assert _LIB.CARD_INTA_DUE == channels.INTA_DUE


def test_what_holds_for_channel_0_holds_for_channel_1_one_bit_on() -> None:
    assert intr.INTCSR.dma1_enable.mask == _LIB.INTCSR_DMA0_ENABLE << 1
    assert intr.INTCSR.dma1_active.mask == _LIB.INTCSR_DMA0 << 1
    assert dma.CHANNELS[1].command.offset == dma.CHANNELS[0].command.offset + 1
