# SPDX-License-Identifier: Apache-2.0
"""Two SJA1000 on one bus: frames, the receive FIFO, arbitration, self reception."""

import pytest

from plx9x5x_boards.esd_can_pci266.can.frame import BUS_FREE, INTERMISSION, TAIL, Frame
from plx9x5x_boards.esd_can_pci266.can.registers import Cmr, Ir, Mod, Pelican, Sr
from tests.boards_of_drivers.can_bench import (
    FRAME,
    KBIT250,
    KBIT500,
    MBIT,
    MS,
    NORMAL,
    TRANSMIT_BUFFER,
    CanBench,
    extended,
    standard,
)


@pytest.fixture
def bench() -> CanBench:
    return CanBench().both()


# -- frames


@pytest.mark.parametrize("sender", [0, 1])
@pytest.mark.parametrize("frame", [FRAME, extended(0x1ABC_DEF0, bytes(range(8))), standard(0x7FF), extended(0)])
def test_what_one_sends_the_other_receives(bench: CanBench, sender: int, frame: Frame) -> None:
    bench.send(sender, frame)
    assert bench.status(sender) & (Sr.BUFFER_FREE | Sr.COMPLETE) == 0
    bench.run(MS)
    assert bench.status(sender) == Sr.BUFFER_FREE | Sr.COMPLETE
    assert bench.causes(sender) == Ir.TRANSMITTED
    assert bench.causes(1 - sender) == Ir.RECEIVED
    assert bench.receive(1 - sender) == frame
    assert bench.causes(1 - sender) == 0
    assert not bench.host.line.level


@pytest.mark.parametrize("code", range(16))
@pytest.mark.parametrize("remote", [False, True])
def test_every_length_code_arrives_as_it_was_sent_with_at_most_eight_bytes(
    bench: CanBench, code: int, remote: bool
) -> None:
    frame = Frame(0x55, extended=False, remote=remote, code=code, data=b"" if remote else bytes(range(min(code, 8))))
    bench.send(0, frame)
    bench.run(MS)
    assert bench.receive(1) == frame


@pytest.mark.parametrize(
    ("timing", "bit_ns"), [(MBIT, 1000), (KBIT500, 2000), (KBIT250, 4000), ((0x3F, 0x7F), 200_000)]
)
def test_a_frame_takes_as_long_as_its_bits(timing: tuple[int, int], bit_ns: int) -> None:
    bench = CanBench().both(timing)
    bench.run(BUS_FREE * bit_ns)
    bench.send(0, FRAME)
    end = bit_ns * (1 + FRAME.stuffed_bits() + TAIL)
    bench.run(end - 1)
    assert not bench.host.line.level
    assert [bench.status(which) & (Sr.RECEIVING | Sr.TRANSMITTING) for which in (0, 1)] == [
        Sr.TRANSMITTING,
        Sr.RECEIVING,
    ]
    bench.run(1)
    assert bench.host.line.level
    assert bench.idle(0)


def test_the_transmit_buffer_is_locked_while_it_is_sent(bench: CanBench) -> None:
    bench.send(0, FRAME)
    buffer = [bench.read(0, TRANSMIT_BUFFER + place) for place in range(13)]
    bench.fill(0, standard(0x7FF, bytes(8)))
    bench.write(0, Pelican.CMR, Cmr.TRANSMIT)
    assert [bench.read(0, TRANSMIT_BUFFER + place) for place in range(13)] == buffer
    bench.run(MS)
    assert bench.receive(1) == FRAME
    assert bench.read(1, Pelican.RMC) == 0


def test_a_controller_takes_part_once_the_bus_was_free_for_eleven_bits(bench: CanBench) -> None:
    bench.write(1, Pelican.MOD, Mod.RESET)
    bench.write(1, Pelican.MOD, 0)
    assert bench.status(1) & (Sr.RECEIVING | Sr.TRANSMITTING) == Sr.RECEIVING | Sr.TRANSMITTING
    bench.run(BUS_FREE * 2000 - 1)
    assert not bench.idle(1)
    bench.run(1)
    assert bench.idle(1)


def test_a_frame_that_has_begun_is_not_received_by_who_joins_later(bench: CanBench) -> None:
    bench.write(1, Pelican.MOD, Mod.RESET)
    bench.send(0, standard(1, bytes(8)), Cmr.TRANSMIT | Cmr.ABORT)
    bench.run(50_000)
    bench.write(1, Pelican.MOD, 0)
    bench.run(50_000)
    assert bench.status(1) & (Sr.RECEIVING | Sr.TRANSMITTING) == Sr.RECEIVING | Sr.TRANSMITTING
    bench.run(MS)
    assert bench.read(1, Pelican.RMC) == 0
    bench.send(0, FRAME)
    bench.run(MS)
    assert bench.receive(1) == FRAME


def test_who_waits_for_the_bus_to_be_free_joins_after_a_frame_that_came_first(bench: CanBench) -> None:
    bench.start(0, mode=Mod.SELF_TEST)
    bench.write(1, Pelican.MOD, Mod.RESET)
    bench.send(0, FRAME)
    bench.write(1, Pelican.MOD, 0)
    end = (1 + FRAME.stuffed_bits() + TAIL + INTERMISSION) * 2000
    bench.run(end - 1)
    assert not bench.idle(1)
    bench.run(1)
    assert bench.idle(1)
    assert bench.read(1, Pelican.RMC) == 0


def test_a_frame_that_is_to_wait_can_be_taken_back(bench: CanBench) -> None:
    bench.send(1, standard(1, bytes(8)))
    bench.run(50_000)
    bench.send(0, FRAME)
    bench.write(0, Pelican.CMR, Cmr.ABORT)
    assert bench.status(0) & (Sr.BUFFER_FREE | Sr.COMPLETE) == Sr.BUFFER_FREE
    assert bench.causes(0) == Ir.TRANSMITTED
    bench.run(MS)
    assert bench.read(1, Pelican.RMC) == 0


def test_a_frame_on_the_wire_is_not_taken_back(bench: CanBench) -> None:
    bench.send(0, FRAME)
    bench.run(50_000)
    bench.write(0, Pelican.CMR, Cmr.ABORT)
    bench.run(MS)
    assert bench.status(0) & Sr.COMPLETE
    assert bench.receive(1) == FRAME


# -- the receive FIFO


@pytest.mark.parametrize(("size", "most"), [(8, 5), (0, 21), (5, 8)])
def test_the_fifo_holds_whole_messages_in_64_bytes_and_tells_what_is_lost(
    bench: CanBench, size: int, most: int
) -> None:
    for number in range(most + 2):
        bench.send(0, standard(number, bytes([number]) * size))
        bench.run(MS)
    assert bench.read(1, Pelican.RMC) == most
    assert bench.status(1) & Sr.OVERRUN
    assert bench.causes(1) == Ir.RECEIVED | Ir.OVERRUN
    bench.send(0, standard(0, bytes(size)))
    bench.run(MS)
    assert bench.causes(1) == Ir.RECEIVED  # told once, until it is cleared
    assert [bench.receive(1).identifier for _ in range(most)] == list(range(most))
    bench.write(1, Pelican.CMR, Cmr.CLEAR_OVERRUN)
    assert bench.status(1) == Sr.BUFFER_FREE | Sr.COMPLETE
    bench.write(1, Pelican.CMR, Cmr.RELEASE)
    assert bench.read(1, Pelican.RMC) == 0


def test_messages_wrap_round_the_fifo(bench: CanBench) -> None:
    for number in range(40):
        frame = extended(number, bytes(range(number % 9)))
        bench.send(0, frame)
        bench.run(MS)
        start = bench.read(1, Pelican.RBSA)
        assert bench.read(1, Pelican.RAM + start) == bench.read(1, Pelican.WINDOW)
        assert bench.receive(1) == frame


def test_reset_mode_empties_the_fifo_and_keeps_its_place(bench: CanBench) -> None:
    bench.send(0, FRAME)
    bench.run(MS)
    bench.receive(1)
    bench.send(0, FRAME)
    bench.run(MS)
    start = bench.read(1, Pelican.RBSA)
    bench.write(1, Pelican.MOD, Mod.RESET)
    assert (bench.read(1, Pelican.RMC), bench.read(1, Pelican.RBSA)) == (0, start)


def test_reset_mode_takes_back_interrupts_and_the_overrun(bench: CanBench) -> None:
    for _ in range(6):
        bench.send(0, standard(0, bytes(8)))
        bench.run(MS)
    assert bench.status(1) & Sr.OVERRUN
    for which in (0, 1):
        bench.write(which, Pelican.MOD, Mod.RESET)
        assert bench.causes(which) == 0
    assert not bench.status(1) & Sr.OVERRUN


# -- arbitration


@pytest.mark.parametrize("loser", [0, 1])
def test_the_lower_identifier_goes_first_and_the_other_one_follows(bench: CanBench, loser: int) -> None:
    low, high = standard(0x100, b"low"), standard(0x104, b"high")
    bench.fill(loser, high)
    bench.fill(1 - loser, low)
    bench.write(loser, Pelican.CMR, Cmr.TRANSMIT)
    bench.write(1 - loser, Pelican.CMR, Cmr.TRANSMIT)
    bench.run(20_000)
    assert bench.causes(loser) == Ir.ARBITRATION_LOST
    assert bench.status(loser) & Sr.RECEIVING
    bench.run(MS)
    assert bench.receive(loser) == low
    assert bench.receive(1 - loser) == high
    assert bench.read(loser, Pelican.ALC) == 8
    assert bench.status(loser) & Sr.COMPLETE


def test_where_it_was_lost_is_kept_until_it_is_read_and_told_once_meanwhile(bench: CanBench) -> None:
    def lose_to(identifier: int) -> int:
        for which, one in ((0, 0x7FF), (1, identifier)):
            bench.fill(which, standard(one))
        for which in (0, 1):
            bench.write(which, Pelican.CMR, Cmr.TRANSMIT)
        bench.run(MS)
        return bench.causes(0) & Ir.ARBITRATION_LOST

    assert [lose_to(0x200), lose_to(0x400)] == [Ir.ARBITRATION_LOST, 0]
    assert bench.read(0, Pelican.ALC) == 0
    assert lose_to(0x7FE) == Ir.ARBITRATION_LOST
    assert bench.read(0, Pelican.ALC) == 10


def test_a_single_shot_that_loses_is_not_repeated(bench: CanBench) -> None:
    bench.fill(0, standard(2))
    bench.fill(1, standard(1))
    bench.write(0, Pelican.CMR, Cmr.TRANSMIT | Cmr.ABORT)
    bench.write(1, Pelican.CMR, Cmr.TRANSMIT)
    bench.run(MS)
    assert bench.status(0) & (Sr.BUFFER_FREE | Sr.COMPLETE) == Sr.BUFFER_FREE
    assert bench.causes(0) == Ir.TRANSMITTED | Ir.RECEIVED | Ir.ARBITRATION_LOST
    assert bench.read(1, Pelican.RMC) == 0


def test_the_same_identifier_with_other_data_is_an_error_of_both(bench: CanBench) -> None:
    for which in (0, 1):
        bench.fill(which, standard(5, bytes([which])))
    for which in (0, 1):
        bench.write(which, Pelican.CMR, Cmr.TRANSMIT)
    bench.run(100_000)
    for which in (0, 1):
        assert bench.read(which, Pelican.TXERR) == 8
        assert bench.read(which, Pelican.ECC) == 0x0A  # a bit error in the data field, sending


def test_who_waits_goes_after_the_intermission(bench: CanBench) -> None:
    bench.send(0, FRAME)
    bench.run(20_000)
    bench.send(1, FRAME)
    both = 1 + 2 * (FRAME.stuffed_bits() + TAIL) + INTERMISSION
    bench.run(both * 2000 - 20_001)
    assert not bench.status(1) & Sr.COMPLETE
    bench.run(1)
    assert bench.status(1) & Sr.COMPLETE


# -- self reception, listening


@pytest.mark.parametrize("mode", [NORMAL, Mod.SELF_TEST])
def test_a_self_reception_request_is_received_by_the_sender_too(mode: int) -> None:
    bench = CanBench().both()
    bench.start(0, mode=mode)
    bench.send(0, FRAME, Cmr.SELF_RECEPTION)
    bench.run(MS)
    assert bench.causes(0) == Ir.TRANSMITTED | Ir.RECEIVED
    assert [bench.receive(which) for which in (0, 1)] == [FRAME, FRAME]


def test_a_request_of_both_kinds_is_one_to_transmit(bench: CanBench) -> None:
    bench.send(0, FRAME, Cmr.SELF_RECEPTION | Cmr.TRANSMIT)
    bench.run(MS)
    assert bench.causes(0) == Ir.TRANSMITTED


def test_in_self_test_nobody_has_to_acknowledge() -> None:
    bench = CanBench()
    bench.start(0, mode=Mod.SELF_TEST)
    bench.send(0, FRAME, Cmr.SELF_RECEPTION)
    bench.run(MS)
    assert bench.status(0) & Sr.COMPLETE
    assert bench.receive(0) == FRAME
    assert bench.read(0, Pelican.TXERR) == 0


def test_who_listens_only_receives_and_neither_acknowledges_nor_sends(bench: CanBench) -> None:
    bench.start(1, mode=Mod.LISTEN_ONLY)
    bench.send(1, FRAME)
    bench.run(MS)
    assert bench.read(0, Pelican.RMC) == 0
    bench.write(1, Pelican.MOD, Mod.RESET)
    bench.write(1, Pelican.RXERR, 50)
    bench.write(1, Pelican.MOD, Mod.LISTEN_ONLY)
    bench.start(0, mode=Mod.SELF_TEST)
    bench.send(0, FRAME)
    bench.run(MS)
    assert bench.receive(1) == FRAME
    bench.start(0)
    bench.send(0, FRAME)
    bench.run(MS)
    assert not bench.status(0) & Sr.COMPLETE
    assert bench.read(1, Pelican.RXERR) == 50, "its counters stand still"


def test_a_frame_of_its_own_is_none_that_came_for_the_receive_counter(bench: CanBench) -> None:
    bench.write(0, Pelican.MOD, Mod.RESET)
    bench.write(0, Pelican.RXERR, 50)
    bench.write(0, Pelican.MOD, 0)
    bench.run(MS)
    bench.send(0, FRAME, Cmr.SELF_RECEPTION)
    bench.run(MS)
    assert bench.receive(0) == FRAME
    assert bench.read(0, Pelican.RXERR) == 50


def test_an_error_passive_sender_leaves_the_bus_to_others_for_eight_bits(bench: CanBench) -> None:
    bench.write(0, Pelican.MOD, Mod.RESET)
    bench.write(0, Pelican.TXERR, 200)
    bench.write(0, Pelican.MOD, 0)
    bench.run(MS)
    bench.send(0, FRAME)
    bench.run(20_000)
    bench.send(1, standard(0x700))
    bench.run((1 + FRAME.stuffed_bits() + TAIL) * 2000 - 20_000)
    assert bench.status(0) & Sr.COMPLETE
    bench.send(0, standard(0x001))
    bench.run(20_000)
    assert bench.status(0) & Sr.RECEIVING, "its lower identifier did not help"
    bench.run(MS)
    assert bench.causes(0) & Ir.ARBITRATION_LOST == 0
    assert [bench.receive(1), bench.receive(1)] == [FRAME, standard(0x001)]
