# SPDX-License-Identifier: Apache-2.0
"""What a planned fault causes is marked and nobody's mistake; what the driver does itself is still its own."""

import json

import pytest

from plx9x5x import events
from plx9x5x.faults.record import Struck, never, of_records
from plx9x5x.ports import ResetKind
from plx9x5x.trace.regtrace import line_of
from tests.chip_faults.faulty import LOUD, Faulty
from tests.model.bench import CHAIN, DONE, MODE_RESET, TO_PCI, Descriptor

NOWHERE = 0x7000_0000


def test_an_abort_that_was_planned_is_marked_and_the_drivers_own_is_not() -> None:
    it = Faulty("master abort at transfer 1")
    it.move()
    it.abort()
    it.channel(0).block(pci=NOWHERE, local=0, length=64, to="pci").run()
    planned, own = it.faults_of(events.BusError)
    assert planned.injected == "master abort at transfer 1"
    assert own.injected == ""
    assert it.rules == ["unmapped-address"]


def test_a_driver_that_polls_for_ever_after_a_planned_abort_is_told() -> None:
    it = Faulty("master abort")
    it.move()
    for _ in range(5000):
        it.csr  # noqa: B018
    assert it.rules == ["spinning"]


def test_a_write_that_was_lost_is_not_the_drivers_until_it_is_written_again() -> None:
    it = Faulty("ignored write of DMAPADR0 = 0x1000000")
    it.move()  # with an address of 0
    (error,) = it.faults_of(events.BusError)
    assert error.injected == "ignored write of DMAPADR0 = 0x1000000"
    it.abort()
    assert it.move() & DONE
    it.channel(0).block(pci=NOWHERE, local=0, length=64, to="pci").run()
    assert it.rules == ["unmapped-address"]


def test_a_lost_write_of_something_else_is_no_excuse() -> None:
    it = Faulty("ignored write of MBOX0")
    it.chip.write(0, 0x78, 4, 1)
    it.channel(0).block(pci=NOWHERE, local=0, length=64, to="pci").run()
    assert it.rules == ["unmapped-address"]


def test_a_read_that_lied_is_an_excuse_until_the_next_one() -> None:
    it = Faulty("bad read of DMACSR0 = 0x11 at transfer 1", "slow bus by 1 ms")
    it.channel(0).block(pci=it.RAM, local=0, length=64, to="pci")
    assert it.csr == 0x11
    it.channel(0).set(0x84, it.RAM + 64)
    (rewritten,) = it.faults_of(events.RewrittenWhileBusy)
    assert rewritten.injected
    assert it.csr == 0x01
    it.channel(0).set(0x84, it.RAM + 128)
    assert it.rules == ["rewritten-while-busy"]


def test_a_descriptor_that_came_wrong_is_not_the_drivers_until_the_next_start() -> None:
    it = Faulty("corrupted descriptor 7")
    at = it.put_chain([Descriptor(NOWHERE, 0, 16, TO_PCI)])
    it.channel(0).chain(at).run()
    (error,) = it.faults_of(events.BusError)
    assert (error.injected, it.rules) == ("corrupted descriptor 7", [])
    it.abort()
    it.channel(0).chain(at, mode=MODE_RESET | CHAIN).run()
    assert it.rules == ["unmapped-address"]


def test_a_driver_that_forgets_bus_mastering_is_told_so_beside_other_faults() -> None:
    it = Faulty("late DONE", enabled=False)
    it.chip.config_write(4, 2, 3)
    it.move()
    assert it.rules == ["bus-master-never"]


def test_an_interrupt_that_is_kept_back_is_no_reason_to_blame_who_does_not_acknowledge_it() -> None:
    it = Faulty("lost interrupt")
    it.loud()
    it.move(mode=LOUD)
    for _ in range(1100):
        assert it.intcsr & 1 << 21
    assert it.rules == []
    it.acknowledge()
    it.move(mode=LOUD)
    for _ in range(1100):
        it.intcsr  # noqa: B018
    assert it.rules == ["interrupt-not-acknowledged"]


def test_who_polls_a_register_that_a_fault_holds_is_told_its_name() -> None:
    it = Faulty("stuck bit 4 of DMACSR0 = 0")
    it.move()
    for _ in range(5000):
        it.csr  # noqa: B018
    (finding,) = it.room.findings
    assert finding.rule == "spinning"
    assert "DMACSR0 was read 4096 times" in finding.what
    assert "stuck bit 4 of DMACSR0 = 0" in finding.what


def test_a_reset_by_the_client_ends_all_excuses() -> None:
    it = Faulty("bus mastering refused once", "ignored write of DMAPADR0")
    it.move()
    assert it.rules == []
    it.chip.reset(ResetKind.POWER_ON)
    it.chip.config_write(4, 2, 3)
    it.move()
    assert it.rules == ["bus-master-never"]


def test_a_strike_is_a_line_for_people_an_event_and_a_line_of_the_trace() -> None:
    it = Faulty("channel 0: master abort at transfer 1", traced=True)
    it.move()
    assert it.said == [
        "fault 1 strikes (1): channel 0: master abort at transfer 1 - write of 64 bytes at 0x1000000, channel 0"
    ]
    (struck,) = it.trace.of(events.FaultStruck)
    assert str(line_of(struck)) == (
        "fault 1 channel 0: master abort at transfer 1; write of 64 bytes at 0x1000000, channel 0"
    )
    places = [type(event) for event in it.trace.events]
    assert places.index(events.FaultStruck) < places.index(events.BusError)


def test_many_strikes_are_few_lines() -> None:
    it = Faulty("bad read of MBOX0 from then on")
    for _ in range(1000):
        it.chip.read(0, 0x78, 4)
    assert [line.split("(")[1].split(")")[0] for line in it.said] == ["1", "2", "3", "4", "5", "10", "100", "1000"]


def test_the_record_has_what_struck_and_what_did_not() -> None:
    it = Faulty("master abort at transfer 1", "lost interrupt at interrupt 9")
    it.move()
    record = json.loads(json.dumps({"faults": it.card.injector.record()}))
    struck = of_records([record, record, {"faults": [None, {"struck": "x"}]}, {"faults": 3}, {}])
    assert [str(one) for one in struck] == [
        "master abort at transfer 1: struck 2 times, first at write of 64 bytes at 0x1000000, channel 0",
        "lost interrupt at interrupt 9: NEVER struck",
    ]
    assert never(struck) == 1
    assert struck[1] == Struck("lost interrupt at interrupt 9", "lost interrupt")


def test_another_client_meets_the_same_plan() -> None:
    it = Faulty("master abort at transfer 1", "surprise removal at write of MBOX3", "EEPROM wrong 0x0C = 0x7")
    for _ in range(2):
        it.chip.config_write(4, 2, 7)
        assert it.move() == 0x01
        assert it.chip.read(0, 0x78, 4) == 7
        it.chip.write(0, 0x4C, 4, 1)
        assert it.intcsr == 0xFFFF_FFFF
        assert it.struck == [1, 1, 1]
        it.chip.reset(ResetKind.LOST_CLIENT)
        assert it.struck == [0, 0, 0]
    assert it.rules == []


@pytest.mark.parametrize("seed", [0, 7])
def test_chance_is_the_same_for_the_same_seed(seed: int) -> None:
    def strikes(seed: int) -> list[bool]:
        it = Faulty("bad read of MBOX0 with probability 0.3", seed=seed)
        return [it.chip.read(0, 0x78, 4) != 0 for _ in range(200)]

    first = strikes(seed)
    assert first == strikes(seed)
    assert first != strikes(seed + 1)
    assert 30 < sum(first) < 90


def test_a_channel_that_is_not_named_is_any_and_one_that_is_is_that_one() -> None:
    it = Faulty("channel 1: master abort", "stuck busy at transfer 3")
    assert it.move() & DONE
    it.channel(1).block(pci=it.RAM, local=0, length=64, to="pci").run()
    assert not it.channel(1).csr & DONE
    assert not it.move() & DONE
    assert it.struck == [1, 1]
