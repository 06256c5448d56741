# SPDX-License-Identifier: Apache-2.0
"""Where a finding's places are, and which load of the driver it belongs to."""

from tests.witness.guest import (
    BLOCK,
    CSR,
    DPR,
    MODE,
    PADR,
    RAM,
    SIZ,
    TO_PCI,
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
        }
        driver.boot()
        driver.transfer(buffer)
        assert driver.names == ["dma-not-allocated"]
        assert driver.findings["dma-not-allocated"].load == 0
