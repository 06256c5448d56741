# SPDX-License-Identifier: Apache-2.0
"""Where a finding's places are, and which load of the driver it belongs to."""

import pytest

from plx9x5x import events
from plx9x5x.witness.records import Kind
from tests.witness.guest import (
    BLOCK,
    CHAIN,
    CSR,
    DONE_INTERRUPT,
    DPR,
    IN_PCI,
    INTCSR,
    LAST,
    MODE,
    PADR,
    RAM,
    SIZ,
    TEXT,
    TO_INTA,
    TO_PCI,
    Guest,
    guest,
)

OTHER = RAM + 0x10_0000


def test_the_main_place_is_where_the_wrong_value_was_written() -> None:
    with guest() as driver:
        driver.alloc()
        driver.write(MODE, BLOCK)
        seq = driver.write(PADR, OTHER)
        driver.write(SIZ, 64)
        driver.write(DPR, TO_PCI)
        driver.start()
        driver.run()
        (finding,) = driver.findings.values()
        assert (finding.places[0].seq, finding.places[0].role) == (seq, "DMAPADR0 written")


def test_the_place_of_an_access_is_known_at_the_end_though_its_record_comes_later() -> None:
    with guest() as driver:
        for _ in range(5000):
            driver.read(0x78)
        finding = driver.findings["nobody-answers"]
        assert [it.role for it in finding.places][:1] == ["access"]
        assert finding.load == 1


def test_each_load_has_its_findings() -> None:
    with guest(loaded=False) as driver:
        for load in range(1, 4):
            driver.load()
            driver.write(CSR, 2, 1)
            driver.alloc()
            driver.unload()
            driver.witness.drain()
            assert [(it.rule, it.load) for it in driver.room.findings[-2:]] == [
                ("start-without-enable", load),
                ("dma-left", load),
            ]


def test_a_client_that_leaves_takes_all_and_leaves_a_summary() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.map_failed(64)
        driver.transfer(OTHER)
        driver.leave()
        (kept,) = driver.kept
        assert kept["dma"] == {
            "allocations": 1,
            "frees": 0,
            "mappings": 0,
            "unmappings": 0,
            "failed": 1,
            "live": 1,
            "loads": 1,
            "accesses": 8,
            "matched": 8,
            "blind": "",
            "calls_cut": "",
        }
        driver.boot()
        driver.transfer(buffer)
        assert driver.names == ["dma-not-allocated"]
        assert driver.findings["dma-not-allocated"].load == 0


def test_what_is_said_once_is_said_of_each_load() -> None:
    with guest(loaded=False) as driver:
        for load in range(1, 3):
            driver.load()
            driver.witness.drain()
            buffer = driver.alloc()
            for _ in range(2):
                driver.transfer(buffer, 0)
            driver.free(buffer)
            driver.unload()
            said = [(it.rule, it.load, it.count) for it in driver.room.findings]
            assert said[-1:] == [("size-zero", load, 1)]


def test_what_an_earlier_load_freed_was_somebody_elses_since_however_late_the_start_is_recorded() -> None:
    with guest() as driver:
        stale = driver.alloc()
        driver.free(stale)
        driver.unload()
        driver.load()
        driver.program(stale)
        driver.device.write(0, CSR, 1, 3)
        driver.run()
        assert driver.names == ["dma-not-allocated"]
        assert driver.findings["dma-not-allocated"].load == 2


@pytest.mark.parametrize("inside", [True, False])
def test_a_storm_is_where_the_handler_wrote_what_is_no_answer(inside: bool) -> None:
    """A write that it did not make, as that of another processor, is beside the matter."""
    with guest() as driver:
        buffer = driver.alloc()
        driver.write(INTCSR, 0x0004_0100)
        driver.program(buffer, 512, mode=BLOCK | DONE_INTERRUPT | TO_INTA)
        driver.start()
        driver.run()
        handler = driver.pc if inside else TEXT + 0x10_0000
        driver.put(Kind.IRQ, 11, handler, 0, 0x80, 1, 0)
        driver.handles(handler)
        driver.read(INTCSR)
        seq = driver.write(CSR + 1, 8, 1)
        for _ in range(20):
            driver.pc -= 16  # in a loop
            driver.read(INTCSR)
        for _ in range(1100):
            driver.read(INTCSR)
        finding = driver.findings["interrupt-not-acknowledged"]
        assert [it.role for it in finding.places] == [*(["answered by"] if inside else []), "handler", "access"]
        assert not inside or finding.places[0].seq == seq


def _list(driver: Guest, pci: int, size: int, pointer: int) -> tuple[int, int]:
    """Start a list of one descriptor; give the seq of the store that filled it in."""
    at = driver.alloc()
    after = driver.last
    driver.descriptor(at, pci, size, pointer)
    driver.touch(at, after, 0, 16, write=True)
    stored = driver.last
    driver.write(MODE, CHAIN)
    driver.write(DPR, at | IN_PCI)
    driver.start()
    return at, stored


def test_the_length_of_a_list_is_in_its_descriptor() -> None:
    """And not in the register, where the chip has put it."""
    with guest() as driver:
        buffer = driver.alloc(0x4_0000)
        driver.write(SIZ, 0)
        _, stored = _list(driver, buffer, 0x4_0000, IN_PCI | LAST)
        driver.run()
        finding = driver.findings["local-address"]
        assert (finding.places[0].role, finding.places[0].seq) == ("descriptor written", stored)


def test_a_change_of_a_descriptor_is_where_it_is_stored_though_that_is_recorded_later() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        at, first = _list(driver, buffer, 64, IN_PCI | LAST)
        after = driver.last
        for late in (False, True):
            event = events.DescriptorChanged(0, int(late), at, (0, 0, 0, 0), (1, 0, 0, 0))
            driver.witness.drain()
            driver.room.emit(event)
            if late:
                driver.touch(at, after, 0, 4, write=True)
                driver.read(CSR, 1)
        driver.read(CSR, 1)
        driver.read(CSR, 1)
        driver.touch(at, driver.last, 0, 4, write=True)
        driver.witness.drain()
        found = [it.places[0] for it in driver.room.findings if it.rule == "descriptor-changed"]
        assert [it.role for it in found] == ["descriptor changed"] * 2
        assert len({first, *(it.seq for it in found)}) == 2, "both of them are the later store"
        assert found[0].seq == found[1].seq > first


def test_a_write_of_configuration_space_is_where_it_was_called() -> None:
    with guest() as driver:
        seq = driver.put(Kind.CONFIG, 0x4C, 0x8000_000C)
        seen = []
        write = driver.chips[0].config_write

        def look(offset: int, width: int, data: int) -> None:
            seen.append(driver.witness.here())
            write(offset, width, data)

        driver.chips[0].config_write = look  # type: ignore[method-assign]
        driver.device.config_write(0x4C, 2, 0)
        driver.put(Kind.CONFIG, 0x4C, 0)
        driver.device.config_write(0x4E, 2, 0)
        assert [it.seq if it else 0 for it in seen] == [seq, 0]
        assert driver.witness.here() is None
