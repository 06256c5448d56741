# SPDX-License-Identifier: Apache-2.0
"""Each kind of fault strikes where it is planned, with the bits that the page says, on both planes."""

import re
from pathlib import Path

import pytest

from plx9x5x.chip_faults.kinds import KINDS
from plx9x5x.plane.choice import Plane
from tests.chip_faults.faulty import LOUD, Faulty
from tests.model.bench import (
    CHAIN,
    CLEAR_COUNT,
    DONE,
    INTCSR,
    MODE_RESET,
    TO_PCI,
    Descriptor,
)  # fmt: skip

MS = 1_000_000
MASTER, TARGET, PARITY, MASTER_PARITY = 1 << 13, 1 << 12, 1 << 15, 1 << 8
ABORTS = MASTER | TARGET
ONES = 0xFFFF_FFFF
DEMAND, EOT_LINK = 1 << 12, 1 << 19


@pytest.fixture(params=list(Plane), ids=lambda plane: plane.value)
def plane(request: pytest.FixtureRequest) -> Plane:
    return request.param


def faulty(*sentences: str, plane: Plane, **options: object) -> Faulty:
    return Faulty(*sentences, plane=plane, **options)  # type: ignore[arg-type]


def test_master_abort_at_the_second_transfer_alone(plane: Plane) -> None:
    it = faulty("channel 0: master abort at transfer 2", plane=plane)
    assert it.move() & DONE
    assert it.pcisr & ABORTS == 0
    assert not it.move() & DONE
    assert it.pcisr & ABORTS == MASTER
    assert it.intcsr >> 24 & 0xF == 0b1101
    assert it.intcsr & 1 << 14
    it.abort()
    it.chip.config_write(6, 2, MASTER)
    assert it.move() & DONE
    assert it.struck == [1]
    assert it.rules == []


@pytest.mark.parametrize(("way", "to"), [("read", "local"), ("write", "pci")])
def test_target_abort_by_direction_and_address_moves_what_comes_before(plane: Plane, way: str, to: str) -> None:
    it = faulty(f"target abort on {way} at address 0x1000020..0x1000fff", plane=plane)
    it.put(0, bytes(range(64)), in_pci=False)
    assert not it.move(to=to) & DONE
    assert it.pcisr & ABORTS == TARGET
    if to == "pci":
        assert it.ram[0:64] == bytes(range(32)) + b"\xaa" * 32
    assert it.chip.read(0, 0x104, 4) == 0x100_0020


@pytest.mark.parametrize(("to", "bits"), [("local", PARITY | MASTER_PARITY), ("pci", MASTER_PARITY)])
def test_parity_error_goes_on_with_a_wrong_bit(plane: Plane, to: str, bits: int) -> None:
    it = faulty("parity error at access 1", plane=plane)
    it.chip.config_write(4, 2, 0x47)
    it.put(0, b"\x55" * 64, in_pci=False)
    assert it.move(to=to) & DONE
    assert it.pcisr & (PARITY | MASTER_PARITY) == bits
    got = it.ram[0:64] if to == "pci" else it.local(0, 64)
    assert sum(byte != (0x55 if to == "pci" else 0xAA) for byte in got) == 1


def test_corrupted_byte_says_nothing(plane: Plane) -> None:
    it = faulty("corrupted byte on write", plane=plane)
    it.put(0, b"\x55" * 64, in_pci=False)
    assert it.move() & DONE
    assert it.ram[0:64] == b"\x54" + b"\x55" * 63
    assert it.pcisr & (ABORTS | PARITY | MASTER_PARITY) == 0


def test_dropped_write_leaves_memory_as_it_was(plane: Plane) -> None:
    it = faulty("dropped write at transfer 1", plane=plane)
    assert it.move() & DONE
    assert it.ram[0:64] == b"\xaa" * 64
    assert it.move() & DONE
    assert it.ram[0:64] == b"\0" * 64


def test_lost_interrupt_is_in_intcsr_and_not_on_the_line(plane: Plane) -> None:
    it = faulty("lost interrupt at interrupt 2", plane=plane)
    it.loud()
    seen = []
    for _ in range(3):
        it.move(mode=LOUD)
        seen.append((it.host.line.level, bool(it.intcsr & 1 << 21)))
        it.acknowledge()
    assert seen == [(True, True), (False, True), (True, True)]


def test_late_interrupt_comes_when_its_time_is_over(plane: Plane) -> None:
    it = faulty("late interrupt by 20 ms", plane=plane)
    it.loud()
    it.channel(0).block(pci=it.RAM, local=0, length=64, to="pci", mode=LOUD)
    it.chip.step(1 << 20)
    assert (it.host.line.level, it.done) == (False, True)
    assert it.chip.wait_ns() == 20 * MS
    it.wait(19 * MS)
    assert not it.host.line.level
    it.wait(1 * MS)
    assert it.host.line.level


def test_late_interrupt_whose_cause_is_taken_back_does_not_come(plane: Plane) -> None:
    it = faulty("late interrupt by 20 ms", plane=plane)
    it.loud()
    it.channel(0).block(pci=it.RAM, local=0, length=64, to="pci", mode=LOUD)
    it.chip.step(1 << 20)
    it.acknowledge()
    it.wait(30 * MS)
    assert not it.host.line.level


def test_doubled_interrupt_is_delivered_again_without_a_cause(plane: Plane) -> None:
    it = faulty("doubled interrupt every 2", plane=plane)
    it.loud()
    rises = []
    for _ in range(4):
        it.move(mode=LOUD)
        it.acknowledge()
        rises.append(it.host.line.rises)
    assert rises == [1, 3, 4, 6]
    assert not it.host.line.level


def test_spurious_interrupt_after_a_write_has_no_cause(plane: Plane) -> None:
    it = faulty("spurious interrupt 1 ms after write of MBOX0 = 7", plane=plane)
    it.chip.write(0, 0x78, 4, 6)
    it.chip.write(0, 0x78, 4, 7)
    assert it.chip.wait_ns() == 1 * MS
    assert it.host.line.rises == 0
    it.wait(1 * MS)
    assert (it.host.line.rises, it.host.line.level) == (1, False)
    assert it.intcsr & 0x60_E000 == 0
    it.wait(10 * MS)
    assert it.host.line.rises == 1


def test_stuck_interrupt_falls_when_it_is_over(plane: Plane) -> None:
    it = faulty("stuck interrupt for 50 ms", plane=plane)
    it.loud()
    it.move(mode=LOUD)
    it.acknowledge()
    assert it.host.line.level
    assert it.intcsr & 1 << 21 == 0
    it.wait(50 * MS)
    assert not it.host.line.level
    assert it.rules == []


def test_surprise_removal_reads_ones_and_comes_back_as_after_power_on(plane: Plane) -> None:
    it = faulty("surprise removal at write of MBOX3 for 5 ms", plane=plane)
    it.loud()
    it.move(mode=LOUD)
    it.chip.write(0, 0x4C, 4, 1)
    assert it.chip.read(0, INTCSR, 4) == ONES
    assert it.chip.read(2, 0, 2) == 0xFFFF
    assert it.chip.config_read(0, 4) == ONES
    assert not it.host.line.level
    it.chip.write(0, 0x78, 4, 5)
    it.wait(5 * MS)
    assert it.chip.config_read(0, 4) == 0x9601_10B5
    assert it.chip.config_read(4, 2) == 0
    it.chip.write(0, 0x84, 4, 1)  # does not decode, and that is not the driver's fault
    it.chip.config_write(4, 2, 7)
    assert it.chip.read(0, 0x78, 4) == 0
    assert it.rules == []


def test_surprise_removal_for_good_stops_dma_and_a_driver_that_polls_is_told(plane: Plane) -> None:
    it = faulty("surprise removal at access 4", plane=plane)
    it.channel(0).set(0x84, it.RAM)
    it.channel(0).set(0x8C, 64)
    it.channel(0).csr = 3
    for _ in range(5000):
        assert it.chip.read(0, 0xA8, 1) == 0xFF
    assert it.host.run() == 1
    assert it.rules == ["spinning"]


def test_bad_read_gives_ones_once(plane: Plane) -> None:
    it = faulty("bad read of INTCSR at read 2 of INTCSR", "bad read of MBOX0 = 0x1234", plane=plane)
    assert [it.intcsr for _ in range(3)] == [0x0F01_0100, ONES, 0x0F01_0100]
    assert [it.chip.read(0, 0x78, 4) for _ in range(2)] == [0x1234, 0]


def test_bad_read_of_a_whole_bar(plane: Plane) -> None:
    it = faulty("bad read of BAR2 at read 2 of BAR2", plane=plane)
    assert [it.chip.read(2, 8, 4) for _ in range(3)] == [0, ONES, 0]


def test_stale_register_goes_on_as_it_was_read_last(plane: Plane) -> None:
    it = faulty("stale register of DMACSR0 at transfer 1 for 2 times", plane=plane)
    assert it.csr == 0x10
    it.channel(0).block(pci=it.RAM, local=0, length=64, to="pci")
    assert [it.csr for _ in range(3)] == [0x10, 0x10, 0x01]


def test_stuck_bit_reads_as_it_is_stuck(plane: Plane) -> None:
    it = faulty("stuck bit 4 of DMACSR0 = 0", "stuck bit 31 of MBOX0 = 1", plane=plane)
    assert it.move() == 0x01
    assert it.chip.read(0, 0xA8, 4) & 0x1010 == 0x1000
    assert it.chip.read(0, 0x7B, 1) == 0x80


def test_ignored_write_leaves_the_register(plane: Plane) -> None:
    it = faulty("ignored write of MBOX0 = 0x5", plane=plane)
    for value in (4, 5, 6):
        it.chip.write(0, 0x78, 4, value)
        if value == 5:
            assert it.chip.read(0, 0x78, 4) == 4
    assert it.chip.read(0, 0x78, 4) == 6


def test_bus_mastering_refused_holds_the_transfer(plane: Plane) -> None:
    it = faulty("bus mastering refused", plane=plane)
    assert it.chip.config_read(4, 2) == 3
    assert not it.move() & DONE
    assert it.pcisr & ABORTS == 0
    it.abort()
    assert it.done
    assert it.rules == []


def test_configuration_all_ones_and_bars_work(plane: Plane) -> None:
    it = faulty("configuration all ones after 1 ms", plane=plane)
    it.intcsr  # noqa: B018 - the card's time begins with the first access to a BAR
    assert it.chip.config_read(0, 4) == 0x9601_10B5
    it.clock.advance(1 * MS)
    assert it.chip.config_read(0, 4) == ONES
    assert it.chip.config_read(0x3D, 1) == 0xFF
    assert it.chip.read(0, 0x70, 4) == 0x9656_10B5


def test_wrong_device_id_is_in_its_half_of_the_dword(plane: Plane) -> None:
    it = faulty("wrong device ID = 0x9999", plane=plane)
    assert it.chip.config_read(0, 4) == 0x9999_10B5
    assert it.chip.config_read(3, 1) == 0x99


def test_no_interrupt_pin(plane: Plane) -> None:
    it = faulty("no interrupt pin", plane=plane)
    assert it.chip.config_read(0x3D, 1) == 0
    assert it.chip.config_read(0x3C, 4) & 0xFF00 == 0


def test_reset_in_the_middle_is_a_power_on_and_nobody_is_blamed(plane: Plane) -> None:
    it = faulty("reset at access 5", plane=plane)
    it.channel(0).block(pci=it.RAM, local=0, length=64, to="pci")
    assert it.intcsr == ONES  # BAR0 decodes no more
    assert it.chip.config_read(4, 2) == 0
    it.channel(0).csr = 3
    assert it.rules == []
    it.chip.config_write(4, 2, 7)
    assert it.move() & DONE


def test_descriptor_abort_is_of_the_descriptor_alone(plane: Plane) -> None:
    it = faulty("descriptor abort at access 2", plane=plane)
    at = it.put_chain([Descriptor(it.RAM, 0, 16, TO_PCI), Descriptor(it.RAM + 64, 0, 16, TO_PCI)])
    it.channel(0).chain(at).run()
    assert not it.done
    assert it.pcisr & ABORTS == MASTER
    assert it.ram[0:16] == b"\0" * 16
    assert it.ram[64:80] == b"\xaa" * 16
    assert it.chip.read(0, 0x104, 4) == at + 16
    assert it.rules == []


def test_corrupted_descriptor_moves_elsewhere_and_nobody_is_blamed(plane: Plane) -> None:
    it = faulty("corrupted descriptor 5", plane=plane)
    at = it.put_chain([Descriptor(it.RAM, 0, 16, TO_PCI)])
    it.channel(0).chain(at).run()
    assert it.chip.read(0, 0x84, 4) == it.RAM ^ 0x20
    assert it.ram[0x20:0x30] == b"\0" * 16


@pytest.mark.parametrize(
    ("sentence", "bits", "done"), [("write-back abort", TARGET, 0), ("dropped write-back", 0, DONE)]
)
def test_write_back_that_fails_leaves_the_count(plane: Plane, sentence: str, bits: int, done: int) -> None:
    it = faulty(sentence, plane=plane)
    at = it.put_chain([Descriptor(it.RAM, 0, 16, TO_PCI)])
    it.channel(0).chain(at, mode=MODE_RESET | CHAIN | CLEAR_COUNT).run()
    assert it.dword(at + 8) == 16
    assert it.ram[0:16] == b"\0" * 16
    assert it.pcisr & ABORTS == bits
    assert it.csr & DONE == done
    assert it.rules == []


def test_stuck_busy_moves_all_and_ends_by_an_abort(plane: Plane) -> None:
    it = faulty("channel 0: stuck busy", plane=plane)
    it.loud()
    assert it.move(mode=LOUD) == 0x01
    assert it.ram[0:64] == b"\0" * 64
    assert not it.host.line.level
    it.abort()
    assert it.csr == 0x10
    it.acknowledge()
    assert it.move() & DONE


def test_who_polls_for_ever_for_what_is_stuck_busy_is_told(plane: Plane) -> None:
    it = faulty("stuck busy", plane=plane)
    it.move()
    for _ in range(5000):
        it.channel(0).csr  # noqa: B018
    assert it.rules == ["spinning"]


def test_late_done_comes_with_its_interrupt(plane: Plane) -> None:
    it = faulty("late DONE by 50 ms", plane=plane)
    it.loud()
    it.channel(0).block(pci=it.RAM, local=0, length=64, to="pci", mode=LOUD)
    for _ in range(5):
        it.chip.step(4096)
    assert (it.csr, it.host.line.level) == (0x01, False)
    assert it.chip.wait_ns() == 50 * MS
    it.wait(50 * MS)
    assert (it.csr, it.host.line.level) == (0x11, True)


@pytest.mark.parametrize(("of", "moved"), [("", 32), (" of 12 bytes", 12)])
def test_short_transfer_is_done_early(plane: Plane, of: str, moved: int) -> None:
    it = faulty(f"short transfer{of}", plane=plane)
    assert it.move() & DONE
    assert it.ram[0:64] == b"\0" * moved + b"\xaa" * (64 - moved)
    assert it.move() & DONE
    assert it.ram[0:64] == b"\0" * 64


def test_short_transfer_writes_the_residue_back(plane: Plane) -> None:
    it = faulty("short transfer of 10 bytes", plane=plane)
    at = it.put_chain([Descriptor(it.RAM, 0, 16, TO_PCI), Descriptor(it.RAM + 64, 0, 16, TO_PCI)])
    it.channel(0).chain(at, mode=MODE_RESET | CHAIN | CLEAR_COUNT).run()
    assert it.done
    assert it.dword(at + 8) == 6
    assert it.ram[64:80] == b"\xaa" * 16


def test_start_ignored_leaves_done_set_and_moves_nothing(plane: Plane) -> None:
    it = faulty("START ignored at transfer 2", plane=plane)
    it.move(offset=0)
    assert it.move(offset=64) == 0x11
    assert it.ram[64:128] == b"\xaa" * 64
    assert it.move(offset=64) == 0x11
    assert it.ram[64:128] == b"\0" * 64


def test_abort_ignored_leaves_the_channel_busy(plane: Plane) -> None:
    it = faulty("ABORT ignored", "master abort", plane=plane)
    it.move()
    it.abort()
    assert it.csr == 0x00
    it.abort()
    assert it.csr == 0x10


def test_no_grant_goes_on_when_it_is_over(plane: Plane) -> None:
    it = faulty("no grant for 100 ms", plane=plane)
    it.channel(0).block(pci=it.RAM, local=0, length=64, to="pci")
    it.chip.step(1 << 20)
    assert it.csr == 0x01
    assert it.ram[0:64] == b"\xaa" * 64
    assert it.chip.wait_ns() == 100 * MS
    it.wait(100 * MS)
    it.host.run()
    assert it.csr == 0x11


def test_slow_bus_takes_its_time_for_each_transaction(plane: Plane) -> None:
    it = faulty("slow bus by 100 us", plane=plane)
    at = it.put_chain([Descriptor(it.RAM, 0, 16, TO_PCI), Descriptor(it.RAM + 64, 0, 16, TO_PCI)])
    it.channel(0).chain(at)
    it.host.run(for_ns=100 * MS)
    assert it.done
    assert it.clock.now() >= 4 * 100_000


@pytest.mark.parametrize("ends", [False, True])
def test_retry_storm_is_a_target_abort_if_the_driver_asks_for_that(plane: Plane, ends: bool) -> None:
    it = faulty("retry storm", plane=plane)
    it.intcsr = 0x100 | ends << 12
    assert it.move() == 0x01
    assert it.pcisr & ABORTS == (TARGET if ends else 0)
    assert it.intcsr >> 24 & 0xF == (0b0101 if ends else 0b1111)
    it.abort()
    it.chip.config_write(6, 2, TARGET)
    assert it.csr == 0x10
    assert it.intcsr >> 24 & 0xF == 0xF
    assert it.rules == []


def test_no_dreq_starves_a_transfer_in_demand_mode(plane: Plane) -> None:
    asked = []
    it = faulty("no DREQ at transfer 1", plane=plane)
    it.inner.channels[0].drive_demand(lambda: asked.append(1) or 1 << 20)
    assert it.move(mode=MODE_RESET | DEMAND) == 0x01
    assert not asked
    it.abort()
    assert it.move(mode=MODE_RESET | DEMAND) == 0x11


def test_missing_interrupt_is_done_without_the_latch(plane: Plane) -> None:
    it = faulty("missing interrupt", plane=plane)
    it.loud()
    assert it.move(mode=LOUD) == 0x11
    assert it.intcsr & 1 << 21 == 0
    assert it.move(mode=LOUD) == 0x11
    assert it.intcsr & 1 << 21


def test_eeprom_absent_is_a_chip_with_its_defaults(plane: Plane) -> None:
    it = faulty("EEPROM absent", plane=plane)
    assert it.chip.config_read(0, 4) == 0x9656_10B5
    assert it.chip.read(0, 0x6C, 4) & 1 << 28 == 0
    assert it.chip.regions[2].size == 0
    assert it.struck == [1]


def test_eeprom_blank_is_there_and_loads_nothing(plane: Plane) -> None:
    it = faulty("EEPROM blank", plane=plane)
    assert it.chip.config_read(0, 4) == 0x9656_10B5
    assert it.chip.read(0, 0x6C, 4) & 1 << 28
    it.chip.config_write(0x4C, 4, 0x0003)
    assert it.chip.config_read(0x50, 4) == ONES


def test_eeprom_wrong_loads_another_word(plane: Plane) -> None:
    it = faulty("EEPROM wrong 0x00 = 0x123410b5", plane=plane)
    assert it.chip.config_read(0, 4) == 0x1234_10B5


def test_reset_as_the_line_rises_leaves_no_line_up(plane: Plane) -> None:
    it = faulty("reset at interrupt 1", plane=plane)
    it.loud()
    it.move(mode=LOUD)
    assert not it.host.line.level
    assert it.chip.config_read(4, 2) == 0
    it.chip.config_write(4, 2, 7)
    it.loud()
    it.move(mode=LOUD)
    assert it.host.line.level


def test_reset_while_data_moves_takes_the_rest_of_the_transfer(plane: Plane) -> None:
    it = faulty("slow bus by 1 ms", "reset 3500 us after transfer 1", plane=plane)
    at = it.put_chain([Descriptor(it.RAM + 64 * n, 0, 16, TO_PCI) for n in range(8)])
    it.channel(0).chain(at)
    it.host.run(for_ns=100 * MS)
    it.chip.config_write(4, 2, 7)
    assert it.done
    assert it.ram[0:16] == b"\0" * 16
    assert it.ram[64 * 7 : 64 * 7 + 16] == b"\xaa" * 16
    assert it.rules == []


@pytest.mark.parametrize(
    "kind", ["late DONE by 5 ms", "stuck busy", "START ignored", "no grant once", "short transfer"]
)
def test_an_access_is_whatever_the_kind_is_about(plane: Plane, kind: str) -> None:
    it = faulty(f"{kind} at access 2", plane=plane)
    it.move()
    assert it.struck == [int(kind == "no grant once")]  # of those the second is the first transfer's too
    it.abort()
    it.move()
    assert it.struck == [1]


def test_every_kind_has_a_test_here() -> None:
    said = " ".join(re.findall(r'"([^"\n]*)"', Path(__file__).read_text(encoding="utf-8")))
    assert [kind.name for kind in KINDS if kind.name not in said] == []
