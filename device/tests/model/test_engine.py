# SPDX-License-Identifier: Apache-2.0
"""What the DMA engine does with blocks, chains, pauses, aborts and errors: one rule a test.

Long, because the engine is one state machine and its rules are best read side by side.
"""

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x import events
from plx9x5x.board import Window, load_board
from plx9x5x.model import heldport
from plx9x5x.model.engine import MAX_BURST, TRANSACTION_COST, State
from plx9x5x.units import LocalAddr
from tests.length import tries
from tests.model.bench import (
    ABORT,
    CHAIN,
    CLEAR,
    CLEAR_COUNT,
    CSR,
    DAC,
    DAC_CHAIN,
    DONE,
    DONE_INTR,
    DPR,
    ENABLE,
    HOLD_LOCAL,
    IN_PCI,
    INTCSR,
    LADR,
    LAST,
    MASTER_ABORT,
    MODE,
    MODE_RESET,
    PABTADR,
    PADR,
    SIZ,
    START,
    STATUS,
    TARGET_ABORT,
    TC,
    TO_INTA,
    TO_PCI,
    VALID,
    VALID_MODE,
    VALID_STOP,
    Bench,
    Descriptor,
)

KIB = 1024
RAM = Bench.RAM
RING_MODE = MODE_RESET | CHAIN | DONE_INTR | TO_INTA
BOTH = pytest.mark.parametrize("index", [0, 1])


# -- block mode ------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 1, 3, 4094, 4095])
@pytest.mark.parametrize("length", [1, 2, 4, 7, 4096, 4097])
@BOTH
def test_block_to_pci_writes_exactly_the_range(bench: Bench, start: int, length: int, index: int) -> None:
    ram = bench.guest_ram(16 * KIB)
    bench.chip.local_bus.write(5, pattern := bench.pattern(length))
    bench.channel(index).block(pci=ram.base + start, local=5, length=length, to="pci").run()
    assert ram[start : start + length] == pattern
    assert ram.untouched_outside(start, length)


@pytest.mark.parametrize("start", [0, 1, 3, 4094, 4095])
@pytest.mark.parametrize("length", [1, 2, 4, 7, 4096, 4097])
@BOTH
def test_block_to_local_writes_exactly_the_range(bench: Bench, start: int, length: int, index: int) -> None:
    bench.ram[9 : 9 + length] = (pattern := bench.pattern(length))
    bench.channel(index).block(pci=RAM + 9, local=start + 4, length=length, to="local").run()
    assert bench.local(start + 4, length) == pattern
    assert bench.local(0, start + 4) == bytes(start + 4)
    assert bench.local(start + 4 + length, 64) == bytes(64)


@BOTH
def test_start_leaves_data_where_it_is_until_the_loop_steps(bench: Bench, index: int) -> None:
    bench.ram[0:4] = b"data"
    channel = bench.channel(index).block(pci=RAM, local=0, length=4, to="local")
    assert channel.csr == ENABLE
    assert bench.local(0, 4) == bytes(4)
    channel.run()
    assert channel.csr == ENABLE | DONE
    assert bench.local(0, 4) == b"data"


@BOTH
def test_a_zero_length_block_is_done_at_once(bench: Bench, index: int) -> None:
    channel = bench.channel(index).block(pci=0xDEAD_0000, local=0, length=0, to="local").run()
    assert channel.csr == ENABLE | DONE
    assert bench.pcisr & MASTER_ABORT == 0


@BOTH
def test_registers_read_back_the_start_values(bench: Bench, index: int) -> None:
    channel = bench.channel(index).block(pci=RAM + 8, local=16, length=300, to="pci").run()
    assert [channel.get(r) for r in (PADR, LADR, SIZ, DPR)] == [RAM + 8, 16, 300, TO_PCI]


@pytest.mark.parametrize("flag", ["done", "tc", "both"])
@BOTH
def test_a_block_latches_one_interrupt_for_done_or_terminal_count(bench: Bench, index: int, flag: str) -> None:
    mode = MODE_RESET | TO_INTA | (DONE_INTR if flag != "tc" else 0)
    bench.intcsr = 0x0100 | 1 << 18 + index
    channel = bench.channel(index).block(pci=RAM, local=0, length=8, to="pci", mode=mode, tc=flag != "done").run()
    assert bench.intcsr >> 21 & 3 == 1 << index
    assert bench.host.line.level
    assert bench.host.line.rises == 1
    channel.csr = CLEAR | ENABLE
    assert not bench.host.line.level
    assert bench.intcsr >> 21 & 3 == 0


def test_no_interrupt_is_latched_without_its_enables(bench: Bench) -> None:
    bench.channel(0).block(pci=RAM, local=0, length=8, to="pci").run()
    assert bench.intcsr >> 21 & 3 == 0


def test_the_upper_address_is_used_in_block_mode(bench: Bench) -> None:
    high = bench.guest_ram(4 * KIB, base=0x3_0000_0000)
    high[0:5] = b"above"
    channel = bench.channel(0)
    channel.set(DAC, 3)
    channel.block(pci=0, local=64, length=5, to="local").run()
    assert bench.local(64, 5) == b"above"


def test_the_pci_counter_wraps_without_a_carry(bench: Bench) -> None:
    top = bench.guest_ram(4 * KIB, base=0xFFFF_F000)
    bottom = bench.guest_ram(4 * KIB, base=0)
    top[4092:4096], bottom[0:4] = b"topp", b"bott"
    bench.channel(0).block(pci=0xFFFF_FFFC, local=0, length=8, to="local").run()
    assert bench.local(0, 8) == b"toppbott"


@pytest.mark.parametrize("width", [0, 1, 2, 3])
def test_a_held_local_address_takes_and_gives_one_word(bench: Bench, width: int) -> None:
    word = (1, 2, 4, 4)[width]
    bench.ram[0:12] = bytes(range(12))
    bench.channel(0).block(pci=RAM, local=8, length=12, to="local", mode=HOLD_LOCAL | width).run()
    assert bench.local(8, word) == bytes(range(12))[-word:]
    assert bench.local(8 + word, 16) == bytes(16)
    bench.channel(1).block(pci=RAM + 64, local=8, length=9, to="pci", mode=HOLD_LOCAL | width).run()
    assert bench.ram[64:73] == (bytes(range(12))[-word:] * 9)[:9]


def test_an_undecoded_local_address_reads_ones_and_completes(bench: Bench) -> None:
    channel = bench.channel(0).block(pci=RAM, local=0x4000_0000, length=6, to="pci").run()
    assert bench.ram[0:8] == b"\xff" * 6 + b"\xaa" * 2
    assert channel.csr == ENABLE | DONE
    assert bench.trace.of(events.LocalUndecoded)[0].local_address == 0x4000_0000


def test_a_transfer_runs_off_the_end_of_the_sram_into_ones(bench: Bench) -> None:
    bench.chip.local_bus.write(0x1FFFE, b"ab")
    bench.channel(0).block(pci=RAM, local=0x1FFFE, length=4, to="pci").run()
    assert bench.ram[0:4] == b"ab\xff\xff"


# -- chains ----------------------------------------------------------------------------------------


def scatter(bench: Bench, count: int, to: str) -> tuple[list[Descriptor], bytes]:
    """Descriptors of uneven sizes that reorder a pattern, and what the other side must hold."""
    flags = TO_PCI if to == "pci" else 0
    sizes = [1 + 37 * n % 113 for n in range(count)]
    starts = [sum(sizes[:n]) for n in range(count)]
    descriptors = [
        Descriptor(RAM + 0x2_0000 + start * 2, 0x100 + start, size, flags)
        for start, size in zip(starts, sizes, strict=True)
    ]
    return descriptors, bench.pattern(sum(sizes))


@pytest.mark.parametrize("in_pci", [True, False])
@pytest.mark.parametrize("to", ["pci", "local"])
@BOTH
def test_a_chain_of_64_moves_every_descriptor(bench: Bench, index: int, to: str, in_pci: bool) -> None:
    descriptors, pattern = scatter(bench, 64, to)
    at = None if in_pci else 0x1_0000
    first = bench.put_chain(descriptors, at=at, in_pci=in_pci)
    if to == "pci":
        bench.chip.local_bus.write(0x100, pattern)
    else:
        for d in descriptors:
            bench.put(d.pci, pattern[d.local - 0x100 : d.local - 0x100 + d.count])
    channel = bench.channel(index).chain(first, in_pci=in_pci).run()
    assert channel.csr == ENABLE | DONE
    for d in descriptors:
        expected = pattern[d.local - 0x100 : d.local - 0x100 + d.count]
        assert (
            bench.ram[d.pci - RAM : d.pci - RAM + d.count] if to == "pci" else bench.local(d.local, d.count)
        ) == expected
    last = descriptors[-1]
    assert [channel.get(r) for r in (PADR, LADR, SIZ)] == [last.pci, last.local, last.count]
    assert channel.get(DPR) & 0xF == (IN_PCI if in_pci else 0) | LAST | last.flags


@pytest.mark.parametrize("garbage", [0, LAST, TC, TO_PCI, LAST | TC | TO_PCI])
def test_flags_of_the_first_pointer_mean_nothing_in_a_chain(bench: Bench, garbage: int) -> None:
    bench.ram[0:2] = b"ok"
    first = bench.put_chain([Descriptor(RAM, 0, 1), Descriptor(RAM + 1, 1, 1)])
    bench.channel(0).chain(first | garbage).run()
    assert bench.local(0, 2) == b"ok"


def test_each_descriptor_has_its_own_direction(bench: Bench) -> None:
    bench.ram[0:3] = b"in1"
    bench.chip.local_bus.write(0x40, b"out")
    first = bench.put_chain([Descriptor(RAM, 0, 3), Descriptor(RAM + 16, 0x40, 3, TO_PCI)])
    bench.channel(0).chain(first).run()
    assert bench.local(0, 3) == b"in1"
    assert bench.ram[16:19] == b"out"


def test_descriptors_are_fetched_late_so_that_a_driver_can_append(bench: Bench) -> None:
    bench.ram[0:4] = b"abcd"
    first = bench.put_chain([Descriptor(RAM, 0, 2), Descriptor(RAM + 2, 2, 2)])
    pointer = first + 12
    bench.put(pointer, (bench.dword(pointer) | LAST).to_bytes(4, "little"))
    channel = bench.channel(0).chain(first)
    bench.chip.step(1)  # the first descriptor is loaded, and is the last
    bench.put(pointer, (bench.dword(pointer) & ~LAST).to_bytes(4, "little"))
    channel.run()
    assert bench.local(0, 4) == b"ab\0\0", "what is loaded stays loaded"
    bench.put_chain([Descriptor(RAM, 0, 2), Descriptor(RAM + 2, 2, 1)])
    channel.chain(first)
    bench.chip.step(1)
    bench.put(first + 16 + 8, (2).to_bytes(4, "little"))  # the second one is not fetched yet
    channel.run()
    assert bench.local(0, 4) == b"abcd"


def test_terminal_count_shows_the_next_descriptor(bench: Bench) -> None:
    bench.intcsr = 0x0104_0100
    first = bench.put_chain([Descriptor(RAM, 0, 4, TC), Descriptor(RAM + 0x100, 0, 4)])
    channel = bench.channel(0).chain(first, mode=MODE_RESET | CHAIN | TO_INTA)
    while not bench.host.line.level:
        assert bench.chip.step(1)
    assert channel.get(PADR) == RAM + 0x100
    assert channel.csr == ENABLE
    channel.run()
    assert bench.host.line.rises == 1
    assert channel.csr == ENABLE | DONE


def test_terminal_count_and_done_together_are_one_interrupt(bench: Bench) -> None:
    bench.intcsr = 0x0104_0100
    first = bench.put_chain([Descriptor(RAM, 0, 4, TC)])
    bench.channel(0).chain(first, mode=RING_MODE).run()
    assert len(bench.trace.of(events.InterruptLatched)) == 1


def test_clear_count_is_written_back_before_the_interrupt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.intcsr = 0x0104_0100
    first = bench.put_chain([Descriptor(RAM, 0, 40), Descriptor(RAM, 0, 50)])
    seen: list[list[int]] = []
    kind = type(bench.host.line)
    original = kind.set

    def note(line: object, level: bool) -> None:
        seen.append([bench.dword(first + 8), bench.dword(first + 24), bench.channel(0).csr & DONE])
        original(line, level)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "set", note)
    bench.channel(0).chain(first, mode=RING_MODE | CLEAR_COUNT).run()
    assert seen == [[0, 0, DONE]]


def test_without_clear_count_the_descriptor_stays(bench: Bench) -> None:
    first = bench.put_chain([Descriptor(RAM, 0, 40)])
    bench.channel(0).chain(first).run()
    assert bench.dword(first + 8) == 40


def test_clear_count_works_in_local_memory(bench: Bench) -> None:
    first = bench.put_chain([Descriptor(RAM, 0, 40)], at=0x4000, in_pci=False)
    bench.channel(0).chain(first, mode=MODE_RESET | CHAIN | CLEAR_COUNT, in_pci=False).run()
    assert bench.local(first + 8, 4) == bytes(4)


def test_a_descriptor_of_zero_bytes_completes_and_counts(bench: Bench) -> None:
    bench.intcsr = 0x0104_0100
    first = bench.put_chain([Descriptor(0xDEAD_0000, 0, 0, TC), Descriptor(RAM, 0, 1)])
    bench.channel(0).chain(first, mode=MODE_RESET | CHAIN | TO_INTA).run()
    assert bench.host.line.rises == 1


def test_a_dac_chain_takes_the_upper_half_from_each_descriptor(bench: Bench) -> None:
    high = bench.guest_ram(4 * KIB, base=0x5_0000_0000)
    high[0:4], bench.ram[0:4] = b"high", b"low."
    first = bench.put_chain([Descriptor(high.base, 0, 4), Descriptor(RAM, 4, 4)], stride=32)
    channel = bench.channel(0).chain(first, mode=MODE_RESET | CHAIN | DAC_CHAIN).run()
    assert bench.local(0, 8) == b"highlow."
    assert channel.get(DAC) == 0


def test_without_dac_chain_the_register_holds_for_every_descriptor(bench: Bench) -> None:
    high = bench.guest_ram(4 * KIB, base=0x5_0000_0000)
    high[0:8] = b"highhigh"
    channel = bench.channel(0)
    channel.set(DAC, 5)
    channel.chain(bench.put_chain([Descriptor(0, 0, 4), Descriptor(4, 4, 4)])).run()
    assert bench.local(0, 8) == b"highhigh"


# -- valid mode ------------------------------------------------------------------------------------


def test_valid_mode_stops_at_an_invalid_descriptor_and_takes_it_up_again(bench: Bench) -> None:
    bench.ram[0:4] = b"ring"
    mode = MODE_RESET | CHAIN | CLEAR_COUNT | VALID_MODE | VALID_STOP
    ring = [Descriptor(RAM, 0, 2 | VALID), Descriptor(RAM + 2, 2, 2)]
    first = bench.put_chain(ring, ring=True, valid_mode=True)
    channel = bench.channel(0).chain(first, mode=mode).run()
    assert channel.csr == ENABLE | DONE
    assert bench.local(0, 4) == b"ri\0\0"
    assert bench.dword(first) == 0
    assert channel.get(DPR) & ~0xF == first + 16, "the pointer still names the invalid descriptor"
    bench.put(first + 16, (2 | VALID).to_bytes(4, "little"))
    channel.csr = ENABLE | START
    channel.run()
    assert bench.local(0, 4) == b"ring"


def test_valid_mode_polls_an_invalid_descriptor(bench: Bench) -> None:
    bench.ram[0:2] = b"ok"
    first = bench.put_chain([Descriptor(RAM, 0, 2)], valid_mode=True)
    channel = bench.channel(0).chain(first, mode=MODE_RESET | CHAIN | VALID_MODE)
    for _ in range(5):
        bench.chip.step(4 * KIB)
    assert channel.csr == ENABLE
    bench.put(first, (2 | VALID).to_bytes(4, "little"))
    channel.run()
    assert channel.csr == ENABLE | DONE
    assert bench.local(0, 2) == b"ok"


def test_valid_mode_passes_an_empty_descriptor_in_silence(bench: Bench) -> None:
    bench.ram[0:2] = b"ok"
    bench.intcsr = 0x0104_0100
    ring = [Descriptor(RAM, 0, VALID, TC), Descriptor(RAM, 0, 2 | VALID)]
    first = bench.put_chain(ring, valid_mode=True)
    mode = MODE_RESET | CHAIN | CLEAR_COUNT | VALID_MODE | TO_INTA
    bench.channel(0).chain(first, mode=mode).run()
    assert bench.local(0, 2) == b"ok"
    assert bench.dword(first) == VALID, "no write-back"
    assert bench.host.line.rises == 0, "no terminal count"


def test_valid_mode_moves_the_registers(bench: Bench) -> None:
    channel = bench.channel(1)
    channel.set(PADR, 0x1111), channel.set(LADR, 0x2222), channel.set(SIZ, 0x3333)
    channel.set(MODE, MODE_RESET | VALID_MODE)
    assert [channel.get(r) for r in (0x84, 0x88, 0x8C)] == [0x3333, 0x1111, 0x2222]
    channel.set(0x84, 0x4444)
    channel.set(MODE, MODE_RESET)
    assert [channel.get(r) for r in (0x84, 0x88, 0x8C)] == [0x1111, 0x2222, 0x4444]


def test_a_long_descriptor_at_the_top_wraps_to_address_0(bench: Bench) -> None:
    top, bottom = bench.guest_ram(4 * KIB, base=0xFFFF_F000), bench.guest_ram(4 * KIB, base=0)
    high = bench.guest_ram(4 * KIB, base=0x7_0000_0000)
    high[0:4] = b"high"
    top[4080:4096], bottom[0:4] = struct.pack("<4I", 0, 0, 4, LAST), struct.pack("<I", 7)
    bench.channel(0).chain(0xFFFF_FFF0, mode=MODE_RESET | CHAIN | DAC_CHAIN).run()
    assert bench.local(0, 4) == b"high"


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_a_polled_descriptor_never_starves_the_other_channel(bench: Bench, priority: int) -> None:
    bench.chip.write(0, 8, 4, 0x0020_0000 | priority << 19)
    bench.put(RAM + 0x8000, bytes(16))
    for waiting, moving in ((0, 1), (1, 0)):
        bench.channel(waiting).chain(RAM + 0x8000, mode=MODE_RESET | CHAIN | VALID_MODE)
        channel = bench.channel(moving).block(pci=RAM, local=0, length=0x8000, to="local")
        for _ in range(20):
            bench.chip.step(16 * KIB)
        assert channel.csr == ENABLE | DONE
        bench.channel(waiting).csr = ABORT


def test_a_step_with_a_held_address_is_bounded_in_words(bench: Bench) -> None:
    bench.channel(0).block(pci=RAM, local=0, length=0x1_0000, to="local", mode=HOLD_LOCAL)
    bench.chip.step(256 * KIB)
    assert all(e.length <= heldport.WORDS for e in bench.trace.of(events.DataMoved))
    assert sum(e.length for e in bench.trace.of(events.DataMoved)) <= 256 * KIB // heldport.WORD_COST


# -- command bits ----------------------------------------------------------------------------------


def circular(bench: Bench, mode: int = RING_MODE, index: int = 0, flags: int = 0) -> tuple[int, int]:
    ring = [Descriptor(RAM + 0x100 * n, 0x100 * n, 0x100, flags) for n in range(4)]
    first = bench.put_chain(ring, ring=True)
    bench.channel(index).chain(first, mode=mode)
    return first, index


@BOTH
def test_a_circular_ring_never_ends_and_a_step_is_bounded(bench: Bench, index: int) -> None:
    circular(bench, index=index)
    for _ in range(50):
        assert bench.chip.step(64 * KIB)
    assert bench.channel(index).csr == ENABLE
    bursts = len(bench.trace.of(events.DataMoved))
    assert 50 <= bursts <= 50 * 64 * KIB // TRANSACTION_COST, "many small descriptors cost more than their bytes"


def test_a_step_moves_no_more_than_its_budget_and_one_burst(bench: Bench) -> None:
    bench.channel(0).block(pci=RAM, local=0, length=0x1_8000, to="local")
    assert bench.chip.step(1)
    assert [e.length for e in bench.trace.of(events.DataMoved)] == [1]
    assert bench.chip.step(MAX_BURST)
    assert [e.length for e in bench.trace.of(events.DataMoved)] == [1, MAX_BURST]


@BOTH
def test_pause_holds_everything_and_resume_needs_no_start(bench: Bench, index: int) -> None:
    circular(bench, index=index)
    channel = bench.channel(index)
    bench.chip.step(KIB)
    channel.csr = 0
    assert channel.csr == 0
    before = len(bench.trace.events)
    assert not bench.chip.step(KIB)
    assert bench.trace.events[before:] == [events.StepEnded(0, goes_on=False)]
    channel.csr = ENABLE
    assert bench.chip.step(KIB)
    assert channel.csr == ENABLE


@BOTH
def test_start_on_a_paused_channel_only_resumes(bench: Bench, index: int) -> None:
    circular(bench, index=index)
    channel = bench.channel(index)
    bench.chip.step(KIB)
    channel.csr = 0
    channel.csr = ENABLE | START
    bench.chip.step(KIB)
    assert len(bench.trace.of(events.TransferStarted)) == 1


@pytest.mark.parametrize("paused", [True, False])
@BOTH
def test_abort_ends_a_ring_with_the_done_interrupt(bench: Bench, index: int, paused: bool) -> None:
    bench.intcsr = 0x0100 | 3 << 18
    circular(bench, index=index)
    channel = bench.channel(index)
    bench.chip.step(KIB)
    if paused:
        channel.csr = 0
    channel.csr = ABORT
    assert channel.csr == DONE
    assert bench.host.line.level
    assert not bench.chip.step(KIB)


def test_abort_without_done_intr_is_silent_and_drops_a_pending_terminal_count(bench: Bench) -> None:
    circular(bench, mode=MODE_RESET | CHAIN | TO_INTA, flags=TC)
    channel = bench.channel(0)
    engine = bench.chip.channels[0]
    bench.chip.step(1)
    while engine.state is not State.FETCH:  # the first descriptor has retired: its terminal count waits for the next
        bench.chip.step(KIB)
    channel.csr = ABORT
    assert channel.csr == DONE
    assert bench.intcsr >> 21 & 1 == 0
    channel.block(pci=RAM, local=0, length=4, to="local", mode=MODE_RESET | TO_INTA).run()
    assert bench.intcsr >> 21 & 1 == 0, "nor does it come back with the next transfer"


def test_a_terminal_count_interrupts_once(bench: Bench) -> None:
    bench.intcsr = 0x0104_0100
    chain = [Descriptor(RAM, 0, 4, TC), Descriptor(RAM, 0, 4), Descriptor(RAM, 0, 4), Descriptor(RAM, 0, 4)]
    bench.channel(0).chain(bench.put_chain(chain), mode=MODE_RESET | CHAIN | TO_INTA).run()
    assert len(bench.trace.of(events.InterruptLatched)) == 1


def test_clear_count_means_nothing_in_block_mode(bench: Bench) -> None:
    bench.chip.local_bus.write(0, b"0123456789abcdef")
    bench.channel(0).block(pci=RAM, local=64, length=4, to="local", mode=MODE_RESET | CLEAR_COUNT).run()
    assert bench.local(0, 16) == b"0123456789abcdef"


def test_the_next_pointer_is_latched_with_its_descriptor(bench: Bench) -> None:
    bench.ram[0:4] = b"abcd"
    first = bench.put_chain([Descriptor(RAM, 0, 2), Descriptor(RAM + 2, 2, 2)])
    channel = bench.channel(0).chain(first)
    bench.chip.step(1)
    channel.set(DPR, 0x7000_0000)
    channel.run()
    assert bench.local(0, 4) == b"abcd"


def test_abort_is_ignored_while_enabled(bench: Bench) -> None:
    circular(bench)
    channel = bench.channel(0)
    channel.csr = ENABLE | ABORT
    assert channel.csr == ENABLE
    assert bench.chip.step(KIB)


@BOTH
def test_abort_of_an_idle_channel_does_nothing(bench: Bench, index: int) -> None:
    channel = bench.channel(index).block(pci=RAM, local=0, length=4, to="local").run()
    channel.set(MODE, MODE_RESET | DONE_INTR)
    channel.csr = ABORT
    assert channel.csr == DONE
    assert bench.intcsr >> 21 & 3 == 0


def test_start_is_ignored_when_not_enabled(bench: Bench) -> None:
    channel = bench.channel(0)
    channel.csr = START
    assert channel.csr == DONE
    assert bench.trace.of(events.TransferStarted) == []


def test_one_write_clears_the_interrupt_and_starts_again(bench: Bench) -> None:
    bench.intcsr = 0x0104_0100
    channel = (
        bench.channel(0).block(pci=RAM, local=0, length=4, to="local", mode=MODE_RESET | DONE_INTR | TO_INTA).run()
    )
    channel.csr = ENABLE | START | CLEAR
    assert not bench.host.line.level
    channel.run()
    assert bench.host.line.rises == 2


def test_a_dword_write_reaches_both_channels(bench: Bench) -> None:
    circular(bench, index=1)
    bench.chip.write(0, CSR, 4, 0x3)
    assert bench.channel(1).csr == 0, "channel 1 is paused by the zero in its byte"
    assert bench.channel(0).csr == ENABLE


def test_registers_written_while_active_leave_the_transfer_alone(bench: Bench) -> None:
    bench.ram[0:8] = b"original"
    channel = bench.channel(0).block(pci=RAM, local=0, length=8, to="local")
    for register in (PADR, LADR, SIZ, DPR, DAC):
        channel.set(register, 0x10)
    channel.run()
    assert bench.local(0, 8) == b"original"
    assert channel.get(PADR) == 0x10


def test_both_channels_take_turns(bench: Bench) -> None:
    circular(bench, index=0)
    bench.put_chain([Descriptor(RAM, 0x8000, 0x100)], at=RAM + 0xC000, ring=True)
    bench.channel(1).chain(RAM + 0xC000, mode=RING_MODE)
    bench.chip.step(64 * TRANSACTION_COST)
    moved = [sum(e.length for e in bench.trace.of(events.DataMoved) if e.channel == n) for n in (0, 1)]
    assert min(moved) * 2 > max(moved)


@pytest.mark.parametrize(("priority", "winner"), [(1, 0), (2, 1)])
def test_a_fixed_priority_lets_one_channel_go_first(bench: Bench, priority: int, winner: int) -> None:
    bench.chip.write(0, 8, 4, 0x0020_0000 | priority << 19)
    for index in (0, 1):
        bench.channel(index).block(pci=RAM + 0x100 * index, local=0x100 * index, length=0x100, to="local")
    bench.host.run()
    assert [e.channel for e in bench.trace.of(events.TransferDone)] == [winner, 1 - winner]


# -- bus mastering and bus errors ------------------------------------------------------------------


@BOTH
def test_without_bus_mastering_nothing_moves_and_nothing_is_reported(bench: Bench, index: int) -> None:
    bench.ram[0:4] = b"data"
    bench.bus_mastering(False)
    status, intcsr = bench.pcisr, bench.intcsr
    channel = bench.channel(index).block(pci=RAM, local=0, length=4, to="local")
    assert not bench.chip.step(KIB)
    assert channel.csr == ENABLE
    assert (bench.pcisr, bench.intcsr) == (status, intcsr)
    assert bench.local(0, 4) == bytes(4)
    assert [e.channel for e in bench.trace.of(events.TransferHeld)] == [index]
    bench.bus_mastering(True)
    channel.run()
    assert channel.csr == ENABLE | DONE
    assert bench.local(0, 4) == b"data"


@BOTH
def test_abort_works_while_bus_mastering_is_off(bench: Bench, index: int) -> None:
    bench.bus_mastering(False)
    channel = bench.channel(index).block(pci=RAM, local=0, length=4, to="local")
    channel.csr = ABORT
    assert channel.csr == DONE
    assert bench.local(0, 4) == bytes(4)


def fails_as(bench: Bench, index: int, status: int) -> None:
    channel = bench.channel(index)
    assert channel.csr == ENABLE, "DONE stays 0 until software aborts"
    assert bench.pcisr & (MASTER_ABORT | TARGET_ABORT) == status
    assert bench.intcsr & 1 << 14
    assert bench.intcsr >> 24 & 7 == 0b111 & ~(2 << index)


@BOTH
def test_an_unmapped_address_is_a_master_abort(bench: Bench, index: int) -> None:
    end = RAM + len(bench.ram.bytes)
    bench.chip.local_bus.write(0, b"fits!over")
    channel = bench.channel(index).block(pci=end - 5, local=0, length=9, to="pci").run()
    fails_as(bench, index, MASTER_ABORT)
    assert bench.ram[-5:] == b"fits!", "the bytes before the failing one have moved"
    assert bench.chip.read(0, PABTADR, 4) == end
    error = bench.trace.of(events.BusError)[0]
    assert (error.address, error.purpose, error.channel) == (end, events.Purpose.DATA, index)
    assert (RAM, len(bench.ram.bytes)) in error.nearest
    channel.csr = 0
    channel.csr = ENABLE
    assert not bench.chip.step(KIB), "pause and resume do not retry"
    channel.csr = ABORT
    assert channel.csr == DONE
    channel.block(pci=RAM, local=0, length=4, to="pci").run()
    assert channel.csr == ENABLE | DONE


def test_an_unmapped_source_moves_what_it_can(bench: Bench) -> None:
    end = RAM + len(bench.ram.bytes)
    bench.ram[-3:] = b"end"
    bench.channel(0).block(pci=end - 3, local=8, length=6, to="local").run()
    fails_as(bench, 0, MASTER_ABORT)
    assert bench.local(8, 6) == b"end\0\0\0"


def test_a_write_to_read_only_memory_is_a_target_abort(bench: Bench) -> None:
    bench.host.ram(0xC0000, 4 * KIB, fill=0x55, writable=False)
    bench.channel(0).block(pci=0xC0000, local=0, length=4, to="pci").run()
    fails_as(bench, 0, TARGET_ABORT)


def test_a_descriptor_at_an_unmapped_address_is_a_master_abort(bench: Bench) -> None:
    channel = bench.channel(0).chain(0x7000_0000).run()
    fails_as(bench, 0, MASTER_ABORT)
    assert bench.trace.of(events.BusError)[0].purpose is events.Purpose.DESCRIPTOR
    channel.csr = ABORT
    assert channel.csr == DONE


def test_a_failing_fetch_still_signals_the_terminal_count_before_it(bench: Bench) -> None:
    bench.intcsr = 0x0104_0100
    first = bench.put_chain([Descriptor(RAM, 0, 4, TC)], ring=True)
    bench.put(first + 12, (0x7000_0000 | IN_PCI | TC).to_bytes(4, "little"))
    bench.channel(0).chain(first, mode=MODE_RESET | CHAIN | TO_INTA).run()
    fails_as(bench, 0, MASTER_ABORT)
    assert bench.host.line.level


def test_a_write_back_to_read_only_memory_is_a_target_abort(bench: Bench) -> None:
    rom = bench.host.ram(0xC0000, 4 * KIB, fill=0, writable=False)
    first = bench.put_chain([Descriptor(RAM, 0, 4)])
    rom[0:16] = bench.ram[first - RAM : first - RAM + 16]
    bench.channel(0).chain(rom.base, mode=MODE_RESET | CHAIN | CLEAR_COUNT).run()
    fails_as(bench, 0, TARGET_ABORT)
    assert bench.trace.of(events.BusError)[0].purpose is events.Purpose.WRITE_BACK


def test_clearing_pcisr_clears_what_follows_it(bench: Bench) -> None:
    bench.intcsr = 0x0500
    bench.channel(1).block(pci=0x7000_0000, local=0, length=4, to="local").run()
    assert bench.host.line.level
    bench.chip.config_write(STATUS, 2, MASTER_ABORT)
    assert not bench.host.line.level
    assert bench.intcsr >> 24 & 7 == 7
    assert bench.intcsr & 1 << 14 == 0


def test_the_last_master_is_named_anew_by_the_next_abort(bench: Bench) -> None:
    for index in (0, 1):
        bench.channel(index).block(pci=0x7000_0000, local=0, length=4, to="local").run()
        assert bench.intcsr >> 24 & 7 == 0b111 & ~(2 << index)
    bench.chip.config_write(STATUS, 2, 0)
    assert bench.intcsr >> 24 & 7 == 0b011, "only clearing the abort bits clears it"


@pytest.mark.parametrize(("mode", "last"), [(0, 0x20), (CLEAR_COUNT, 0x8008)])
def test_pabtadr_follows_descriptors_and_write_backs(bench: Bench, mode: int, last: int) -> None:
    first = bench.put_chain([Descriptor(RAM + 0x20, 0, 4)])
    bench.channel(0).chain(first, mode=MODE_RESET | CHAIN | mode)
    bench.chip.step(1)
    assert bench.chip.read(0, PABTADR, 4) == first + 12
    bench.host.run()
    assert bench.chip.read(0, PABTADR, 4) == RAM + last


def test_pabtadr_follows_every_access(bench: Bench) -> None:
    bench.channel(0).block(pci=RAM + 0x10, local=0, length=0x22, to="local").run()
    assert bench.chip.read(0, PABTADR, 4) == RAM + 0x30


# -- the interrupt pin -----------------------------------------------------------------------------


def test_inta_is_a_level_that_every_enable_gates(bench: Bench) -> None:
    bench.intcsr = 0x0004_0100
    channel = (
        bench.channel(0).block(pci=RAM, local=0, length=4, to="local", mode=MODE_RESET | DONE_INTR | TO_INTA).run()
    )
    line = bench.host.line
    assert line.level
    gates = (
        (lambda: setattr(bench, "intcsr", 0x0004_0000), lambda: setattr(bench, "intcsr", 0x0004_0100)),
        (lambda: setattr(bench, "intcsr", 0x0000_0100), lambda: setattr(bench, "intcsr", 0x0004_0100)),
        (lambda: channel.set(MODE, MODE_RESET), lambda: channel.set(MODE, MODE_RESET | TO_INTA)),
    )
    for off, on in gates:
        off()
        assert not line.level
        assert bench.intcsr & 1 << 21, "the latch shows whatever the enables say"
        on()
        assert line.level


# -- targets with side effects ---------------------------------------------------------------------


class Recorder:
    """A peripheral whose every access is one: it cannot be viewed as memory."""

    size = 64

    def __init__(self) -> None:
        self.log: list[tuple[str, int, bytes]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.log.append(("read", offset, bytes(length)))
        return bytes(range(offset, offset + length))

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self.log.append(("write", offset, bytes(data)))

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


@pytest.fixture
def recorder() -> tuple[Bench, Recorder]:
    target = Recorder()
    board = replace(load_board("rdk-9656-lite"), windows=(Window("recorder", LocalAddr(0x100), lambda: target),))
    return Bench(board), target


def test_a_target_with_side_effects_is_accessed_once_for_each_burst(recorder: tuple[Bench, Recorder]) -> None:
    bench, target = recorder
    bench.ram[0:5] = b"bytes"
    bench.channel(0).block(pci=RAM, local=0x104, length=5, to="local").run()
    bench.channel(1).block(pci=RAM + 16, local=0x104, length=5, to="pci").run()
    assert target.log == [("write", 4, b"bytes"), ("read", 4, bytes(5))]
    assert bench.ram[16:21] == bytes(range(4, 9))


def test_a_target_with_side_effects_gets_what_arrived_before_a_bus_error(recorder: tuple[Bench, Recorder]) -> None:
    bench, target = recorder
    bench.ram[-3:] = b"end"
    bench.channel(0).block(pci=RAM + len(bench.ram.bytes) - 3, local=0x100, length=8, to="local").run()
    fails_as(bench, 0, MASTER_ABORT)
    assert target.log == [("write", 0, b"end")]


def test_a_held_address_gets_word_after_word(recorder: tuple[Bench, Recorder]) -> None:
    bench, target = recorder
    bench.ram[0:10] = b"0123456789"
    bench.channel(0).block(pci=RAM, local=0x108, length=10, to="local", mode=HOLD_LOCAL | 2).run()
    assert target.log == [("write", 8, b"0123"), ("write", 8, b"4567"), ("write", 8, b"89")]


def test_a_held_address_gets_the_words_that_arrived_before_a_bus_error(recorder: tuple[Bench, Recorder]) -> None:
    bench, target = recorder
    bench.ram[-6:] = b"012345"
    end = RAM + len(bench.ram.bytes)
    bench.channel(0).block(pci=end - 6, local=0x108, length=12, to="local", mode=HOLD_LOCAL | 2).run()
    fails_as(bench, 0, MASTER_ABORT)
    assert target.log == [("write", 8, b"0123"), ("write", 8, b"45")]


@pytest.mark.parametrize("budget", [1, 3, 5, 6, 7])
def test_a_budget_never_cuts_a_word_of_a_held_address(recorder: tuple[Bench, Recorder], budget: int) -> None:
    bench, target = recorder
    bench.ram[0:10] = b"0123456789"
    bench.channel(0).block(pci=RAM, local=0x108, length=10, to="local", mode=HOLD_LOCAL | 2)
    while bench.chip.step(budget):
        pass
    assert target.log == [("write", 8, b"0123"), ("write", 8, b"4567"), ("write", 8, b"89")]


def test_a_burst_that_ends_inside_a_word_goes_on_inside_it(recorder: tuple[Bench, Recorder]) -> None:
    bench, target = recorder
    top, bottom = bench.guest_ram(4 * KIB, base=0xFFFF_F000), bench.guest_ram(4 * KIB, base=0)
    top[4094:4096], bottom[0:4] = b"ab", b"cdef"
    bench.channel(0).block(pci=0xFFFF_FFFE, local=0x108, length=6, to="local", mode=HOLD_LOCAL | 2).run()
    assert target.log == [("write", 8, b"ab"), ("write", 10, b"cd"), ("write", 8, b"ef")]


# -- properties ------------------------------------------------------------------------------------


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[Descriptor], int, bool]:
    flags = draw(st.sampled_from([0, TO_PCI]))
    count = draw(st.integers(1, 12))
    descriptors = []
    pci, local = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    for _ in range(count):
        size = draw(st.one_of(st.integers(0, 20), st.sampled_from([4095, 4096, 4097])))
        descriptors.append(Descriptor(RAM + 0x1_0000 + pci, local, size, flags | draw(st.sampled_from([0, TC]))))
        pci += size + draw(st.integers(0, 9))
        local += size + draw(st.integers(0, 9))
    order = draw(st.permutations(descriptors))
    return list(order), draw(st.sampled_from([300, 4096, 10_000, 70_000])), draw(st.booleans())


@settings(deadline=None, max_examples=tries(25, 80))
@given(case=chains(), index=st.integers(0, 1))
def test_any_chain_equals_memcpy(
    case: tuple[list[Descriptor], int, bool], index: int, new_bench: Callable[[], Bench]
) -> None:
    descriptors, budget, in_pci = case
    bench = new_bench()
    bench.chip.local_bus.write(0, bench.pattern(0x1_8000, seed=3))
    bench.ram[0x1_0000:0x3_0000] = bench.pattern(0x2_0000, seed=9)
    first = bench.put_chain(descriptors, at=None if in_pci else 0x1_C000, in_pci=in_pci)
    ram, local = bytearray(bench.ram[0:]), bytearray(bench.local(0, 0x2_0000))
    for d in descriptors:
        at = d.pci - RAM
        if d.flags & TO_PCI:
            ram[at : at + d.count] = local[d.local : d.local + d.count]
        else:
            local[d.local : d.local + d.count] = ram[at : at + d.count]
    channel = bench.channel(index).chain(first, in_pci=in_pci)
    for _ in range(1_000_000):
        if not bench.chip.step(budget):
            break
    assert channel.csr == ENABLE | DONE
    assert bench.ram[0:] == bytes(ram)
    assert bench.local(0, 0x2_0000) == bytes(local)


@settings(deadline=None, max_examples=tries(35, 100))
@given(raw=st.binary(min_size=64, max_size=256), mode=st.integers(0, 0x3F_FFFF), pointer=st.integers(0, 0xFFFF_FFFF))
def test_a_hostile_chain_neither_raises_nor_hangs(
    raw: bytes, mode: int, pointer: int, new_bench: Callable[[], Bench]
) -> None:
    bench = new_bench()
    bench.trace.enabled = False
    bench.ram[0 : len(raw)] = raw
    channel = bench.channel(0)
    bench.chip.write(0, INTCSR, 4, 0xFFFF_FFFF)
    channel.set(MODE, mode)
    channel.set(DPR, RAM | pointer & 0xFF)
    channel.csr = ENABLE | START
    for _ in range(20):
        bench.chip.step(4 * KIB)
    channel.csr = ABORT
    assert channel.csr == DONE


def test_a_ring_that_nobody_fills_is_looked_at_less_and_less_often(bench: Bench) -> None:
    start = bench.put_chain([Descriptor(bench.RAM, 0, 4)], ring=True, valid_mode=True)
    channel = bench.channel(0).chain(start, mode=MODE_RESET | CHAIN | VALID_MODE)
    waits = []
    for _ in range(8):
        bench.chip.step(1 << 20)
        wait = bench.chip.wait_ns()
        assert wait is not None
        waits.append(wait)
        bench.clock.advance(wait)
    assert waits == [100_000, 200_000, 400_000, 800_000, 1_600_000, 2_000_000, 2_000_000, 2_000_000]
    channel.csr = ENABLE
    bench.chip.step(1 << 20)
    assert bench.chip.wait_ns() == 100_000, "a driver that does something is about to fill it"
