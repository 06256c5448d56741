# SPDX-License-Identifier: Apache-2.0
"""What a server keeps of its plan, for each client it sums up."""

import functools

from plx9x5x.board import load_board
from plx9x5x.cli.fault_options import Served
from plx9x5x.faults.record import of_records
from plx9x5x.model.clock import VirtualClock
from plx9x5x.ports import BusMaster, IrqLine, NullTrace, PciDevice
from plx9x5x.transport.loopback import Loopback

BOARD = load_board("rdk-9656-lite")


def test_a_client_that_is_summed_up_twice_met_each_fault_once() -> None:
    """As where the server ends first, and hangs up then."""
    faults = Served(["ignored write of MBOX3"], BOARD, 0)
    kept: list[dict[str, object]] = []
    keep = faults.recorded(kept.append)

    def make(bus: BusMaster, irq: IrqLine) -> PciDevice:
        build = functools.partial(faults.make, BOARD, bus=bus, irq=irq, clock=VirtualClock(), trace=NullTrace())
        return build(speed=None, report_aborts=True, thorough=False).device

    host = Loopback(make)
    host.device.write(0, 0x4C, 4, 1)
    keep({})
    keep({})
    assert [(it.text, it.times) for it in of_records(kept)] == [("ignored write of MBOX3", 1)]


def test_without_a_plan_records_stay_as_they_are() -> None:
    kept: list[dict[str, object]] = []
    Served([], BOARD, 0).recorded(kept.append)({"board": "b"})
    assert kept == [{"board": "b"}]
