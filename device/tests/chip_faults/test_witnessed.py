# SPDX-License-Identifier: Apache-2.0
"""What a planned fault leads to is no mistake of a driver that is watched; what that driver does itself still is."""

import pytest

from tests.witness.guest import CHAIN, CSR, DPR, FROM_DEVICE, IN_PCI, MODE, PADR, SIZ, chain, guest

DONE_READ = 0x11


@pytest.mark.parametrize("lost", [PADR, SIZ, DPR], ids=["address", "size", "direction"])
def test_a_lost_write_is_not_the_drivers_until_it_is_written_again(lost: int) -> None:
    name = {PADR: "DMAPADR0", SIZ: "DMASIZ0", DPR: "DMADPR0"}[lost]
    with guest(faults=[f"ignored write of {name} at write 2 of {name}"]) as it:
        first = it.alloc()
        it.transfer(first, 4096, to_pci=False)
        it.free(first)
        small = it.alloc(4096) + 8192
        it.map(small, 64, FROM_DEVICE)
        it.transfer(small, 64)
        assert it.names == []
        it.transfer(small, 128)
        assert it.names == ["dma-beyond-end"]


def test_the_first_write_of_an_address_that_is_lost_leaves_none() -> None:
    with guest(faults=["ignored write of DMAPADR0"]) as it:
        it.transfer(it.alloc(64), 64)
        assert it.names == []
        it.stop()
        it.transfer(0x50)
        assert it.names == ["dma-not-allocated"]


def test_a_lost_write_of_one_channel_is_no_excuse_for_the_other() -> None:
    with guest(faults=["ignored write of DMAPADR1"]) as it:
        it.program(it.alloc(64), 64, channel=1)
        it.transfer(0x50)
        assert it.names == ["dma-not-allocated"]


def test_a_lost_write_of_what_no_transfer_uses_is_no_excuse() -> None:
    with guest(faults=["ignored write of MBOX3"]) as it:
        it.write(0x4C, 1)
        it.transfer(0x50)
        assert it.names == ["dma-not-allocated"]


def test_a_descriptor_that_came_wrong_is_not_the_drivers_until_the_next_start() -> None:
    with guest(faults=["corrupted descriptor 7 at access 2"]) as it:
        ring, buffer = it.alloc(4096), it.alloc(128)
        chain(it, buffer=buffer, ring_at=ring)
        it.run()
        it.read(CSR, 1)
        assert it.names == []
        it.free(buffer, 128)
        it.write(MODE, CHAIN)
        it.write(DPR, ring | IN_PCI)
        it.start()
        it.run()
        assert "dma-freed" in it.names


def test_a_driver_that_is_told_of_an_end_too_early_gives_its_memory_back_in_good_faith() -> None:
    with guest(faults=["bad read of DMACSR0 = 0x11 at transfer 1"]) as it:
        buffer = it.alloc(64)
        it.program(buffer)
        it.start()
        assert it.read(CSR, 1) == DONE_READ
        it.write(CSR, 9, 1)
        it.free(buffer, 64)
        it.run()
        assert it.names == []
        it.transfer(buffer)
        assert it.names == ["dma-freed"]


@pytest.mark.parametrize("told", [True, False], ids=["in good faith", "too early"])
def test_what_a_driver_reads_once_it_was_told_of_an_end_is_its_right(told: bool) -> None:
    """The mistake is known only after the next read, which was answered as it should be."""
    with guest(syncs=True, faults=["bad read of DMACSR0 = 0x11 at read 1 of DMACSR0" if told else "no DREQ"]) as it:
        buffer = it.alloc(64)
        it.program(buffer)
        it.start()
        it.read(CSR, 1)
        it.touch(buffer, it.last, 0, 64)
        it.run()
        it.read(CSR, 1)
        it.read(CSR, 1)
        assert it.names == ([] if told else ["dma-touched-early"])


def test_a_driver_gives_back_what_it_holds_whatever_failed() -> None:
    with guest(faults=["ignored write of DMAPADR0"]) as it:
        it.transfer(it.alloc(64), 64)
        it.unload()
        assert it.names == ["dma-left"]
