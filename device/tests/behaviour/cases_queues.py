# SPDX-License-Identifier: Apache-2.0
"""The messaging unit: four queues in local memory, and the two ports on them (reference 5).

The local processor's part, which is to write the other pointer of each queue, is done by the host here: it may.
"""

from dataclasses import dataclass
from typing import Final

from tests.behaviour.cases_block import IDLE_INTCSR, INTCSR, got, put
from tests.behaviour.driver import SPACE0, Driver, behaviour

OPQIS, OPQIM, IQP, OQP, MQCR, QBAR, QSR = 0x30, 0x34, 0x40, 0x44, 0xC0, 0xC4, 0xE8
POINTERS: Final = range(0xC8, 0xE8, 4)
EMPTY: Final = 0xFFFF_FFFF
OVERFLOW: Final = 0x80

SIZE: Final = 0x4000
"""Bytes of one queue with size code 1, which is 4096 entries."""


@dataclass(frozen=True)
class Queue:
    """One queue: which of the four parts it has, and where its pointers are."""

    driver: Driver
    part: int
    head: int
    tail: int

    def point(self, head: int, tail: int, *, size: int = SIZE) -> None:
        """Set both, as bytes from the start of this queue's part."""
        self.driver.write(self.head, self.part * size + head)
        self.driver.write(self.tail, self.part * size + tail)

    def pointers(self, *, size: int = SIZE) -> tuple[int, int]:
        """Both, as bytes from the start of its part."""
        start = self.driver.read(QBAR) + self.part * size
        return self.driver.read(self.head) - start, self.driver.read(self.tail) - start

    def put(self, at: int, *messages: int) -> None:
        """Write entries as the local processor does, `at` bytes from the start."""
        put(self.driver, self.part * SIZE + at, b"".join(message.to_bytes(4, "little") for message in messages))

    def entry(self, at: int) -> int:
        return int.from_bytes(got(self.driver, self.part * SIZE + at, 4), "little")


def inbound_free(driver: Driver) -> Queue:
    return Queue(driver, 0, 0xC8, 0xCC)


def inbound_post(driver: Driver) -> Queue:
    return Queue(driver, 1, 0xD0, 0xD4)


def outbound_post(driver: Driver) -> Queue:
    return Queue(driver, 2, 0xE0, 0xE4)


def outbound_free(driver: Driver) -> Queue:
    return Queue(driver, 3, 0xD8, 0xDC)


def queues(driver: Driver, *, code: int = 1) -> tuple[Queue, Queue, Queue, Queue]:
    """Put empty queues at the start of the board's memory, switch them on and show the ports."""
    driver.write(QBAR, driver.memory_at)
    made = inbound_free(driver), inbound_post(driver), outbound_post(driver), outbound_free(driver)
    for queue in made:
        queue.point(0, 0, size=SIZE * code)
    driver.write(MQCR, code << 1 | 1)
    driver.write(QSR, driver.read(QSR) | 1)
    return made


# -- registers ------------------------------------------------------------------------------------


@behaviour(
    "OPQIS.not_empty",
    "OPQIM.mask",
    "MQCR.enable",
    "MQCR.size",
    "QBAR.base",
    "QSR.i2o_enable",
    "QSR.local_space",
    "QSR.inbound_mask",
    "QSR.inbound_not_empty",
    "QSR.overflow_mask",
    "QSR.overflow",
    generic=True,
)
def the_queue_registers_reset_to_an_idle_unit(driver: Driver) -> None:
    assert (driver.read(OPQIS), driver.read(OPQIM)) == (0, 8)
    assert (driver.read(MQCR), driver.read(QBAR), driver.read(QSR)) == (2, 0, 0x50)
    assert [driver.read(at) for at in POINTERS] == [0] * 8


@behaviour(
    "OPQIS.not_empty",
    "OPQIM.mask",
    "MQCR.enable",
    "MQCR.size",
    "QSR.i2o_enable",
    "QSR.local_space",
    "QSR.outbound_prefetch",
    "QSR.inbound_prefetch",
    "QSR.inbound_mask",
    "QSR.inbound_not_empty",
    "QSR.overflow_mask",
    "QSR.overflow",
    "QBAR.base",
    generic=True,
)
def the_queue_registers_keep_the_bits_that_exist(driver: Driver) -> None:
    for value in (0xFFFF_FFFF, 0, 0x5555_5555, 0xAAAA_AAAA):
        for register, bits in ((OPQIS, 0), (OPQIM, 8), (MQCR, 0x3F), (QBAR, 0xFFF0_0000), (QSR, 0x5F)):
            driver.write(register, value)
            assert driver.read(register) == value & bits, hex(register)


@behaviour(
    *(f"{name}.entry" for name in ("IFHPR", "IFTPR", "IPHPR", "IPTPR", "OFHPR", "OFTPR", "OPHPR", "OPTPR")),
    *(f"{name}.base" for name in ("IFHPR", "IFTPR", "IPHPR", "IPTPR", "OFHPR", "OFTPR", "OPHPR", "OPTPR")),
    "QBAR.base",
)
def each_pointer_is_an_offset_from_qbar_and_reads_with_it(driver: Driver) -> None:
    for base in (0xFFF0_0000, 0x1230_0000, 0):
        driver.write(QBAR, base | 0xF_FFFF)
        for offset in (0xF_FFFC, 0, 0x1_2344):
            offsets = {at: offset ^ at - 0xC8 for at in POINTERS}
            for at in POINTERS:
                driver.write(at, 0xEDC0_0003 | offsets[at])
            assert [driver.read(at) for at in POINTERS] == [base | offsets[at] for at in POINTERS]


# -- what the host pops ---------------------------------------------------------------------------


@behaviour("IQP.message", "IFTPR.entry", "IFHPR.entry", "MQCR.enable", "QSR.i2o_enable")
def reading_the_inbound_port_pops_a_free_message(driver: Driver) -> None:
    queue, *_ = queues(driver)
    messages = (0x0000_0000, 0x5A5A_5A5A, 0xFFFF_FFFE)
    queue.put(8, *messages)
    queue.point(20, 8)
    for n, message in enumerate(messages):
        assert queue.pointers() == (20, 8 + 4 * n)
        assert driver.read(IQP) == message
    assert queue.pointers() == (20, 20)
    assert driver.read(IQP) == EMPTY
    assert queue.pointers() == (20, 20), "an empty queue stays where it is"
    assert driver.read(OPQIS) == 0


@behaviour("OQP.message", "OPTPR.entry", "OPHPR.entry", "OPQIS.not_empty", "MQCR.enable", "QSR.i2o_enable")
def reading_the_outbound_port_pops_a_posted_message(driver: Driver) -> None:
    _, _, queue, _ = queues(driver)
    messages = (0xA5A5_0001, 0x0000_0000, 0x5A5A_FFFE)
    queue.put(0x100, *messages)
    queue.point(0x10C, 0x100)
    for n, message in enumerate(messages):
        assert driver.read(OPQIS) == 8
        assert queue.pointers() == (0x10C, 0x100 + 4 * n)
        assert driver.read(OQP) == message
    assert driver.read(OPQIS) == 0
    assert driver.read(OQP) == EMPTY
    assert queue.pointers() == (0x10C, 0x10C)


@behaviour("QBAR.base", "IFTPR.entry", "OPTPR.entry")
def the_queues_are_where_qbar_says(driver: Driver) -> None:
    """Elsewhere nothing decodes, and reads give ones; the message is gone from its queue all the same."""
    free, _, posted, _ = queues(driver)
    free.put(0, 0x1111_1111)
    posted.put(0, 0x2222_2222)
    for queue in (free, posted):
        queue.point(8, 0)
    driver.write(QBAR, driver.memory_at ^ 0x4000_0000)
    assert (driver.read(IQP), driver.read(OQP)) == (EMPTY, EMPTY)
    assert free.pointers() == posted.pointers() == (8, 4)
    driver.write(QBAR, driver.memory_at)
    for queue in (free, posted):
        queue.point(8, 0)
    assert (driver.read(IQP), driver.read(OQP)) == (0x1111_1111, 0x2222_2222)


# -- what the host pushes -------------------------------------------------------------------------


@behaviour("IPHPR.entry", "IPTPR.entry", "QSR.inbound_not_empty", "MQCR.enable", "QSR.i2o_enable")
def writing_the_inbound_port_posts_a_message(driver: Driver) -> None:
    _, queue, _, _ = queues(driver)
    assert driver.read(QSR) == 0x51
    for n, message in enumerate((0x1234_5678, 0, 0xFFFF_FFFF)):
        driver.write(IQP, message)
        assert queue.pointers() == (4 * n + 4, 0)
        assert queue.entry(4 * n) == message
        assert driver.read(QSR) == 0x71
    driver.write(queue.tail, SIZE + 12)
    assert driver.read(QSR) == 0x51, "the local processor has taken them"
    assert driver.read(0x78) == 0, "the mailbox has seen nothing"


@behaviour("OFHPR.entry", "OFTPR.entry", "QSR.overflow", "MQCR.enable", "QSR.i2o_enable")
def writing_the_outbound_port_gives_a_message_back(driver: Driver) -> None:
    *_, queue = queues(driver)
    for n, message in enumerate((0x1234_5678, 0, 0xFFFF_FFFF)):
        driver.write(OQP, message)
        assert queue.pointers() == (4 * n + 4, 0)
        assert queue.entry(4 * n) == message
    assert driver.read(QSR) == 0x51, "neither an overflow nor an inbound message"
    assert driver.read(OPQIS) == 0
    assert driver.read(0x7C) == 0


@behaviour("QSR.overflow", "OFHPR.entry", "OFTPR.entry")
def a_full_outbound_free_queue_overflows_one_entry_early(driver: Driver) -> None:
    *_, queue = queues(driver)
    queue.point(0, 8)
    queue.put(0, 0x1111_1111, 0x2222_2222, 0x3333_3333)
    driver.write(OQP, 0xAAAA_AAAA)
    assert queue.pointers() == (4, 8)
    assert driver.read(QSR) == 0x51
    driver.write(OQP, 0xBBBB_BBBB)
    assert queue.pointers() == (4, 8), "head may not meet tail: that is empty"
    assert (queue.entry(0), queue.entry(4), queue.entry(8)) == (0xAAAA_AAAA, 0x2222_2222, 0x3333_3333)
    assert driver.read(QSR) == 0x51 | OVERFLOW
    driver.write(QSR, 0x51)
    assert driver.read(QSR) == 0x51 | OVERFLOW
    driver.write(QSR, 0x51 | OVERFLOW)
    assert driver.read(QSR) == 0x51, "writing 1 clears it"
    driver.write(queue.tail, 3 * SIZE + 12)
    driver.write(OQP, 0xBBBB_BBBB)
    assert queue.pointers() == (8, 12)
    assert queue.entry(4) == 0xBBBB_BBBB


@behaviour("IPHPR.entry", "IPTPR.entry", "QSR.overflow")
def a_full_inbound_post_queue_takes_nothing_and_is_no_overflow(driver: Driver) -> None:
    _, queue, _, _ = queues(driver)
    queue.point(SIZE - 4, 0)
    queue.put(SIZE - 4, 0x1111_1111)
    driver.write(IQP, 0xAAAA_AAAA)
    assert queue.pointers() == (SIZE - 4, 0)
    assert queue.entry(SIZE - 4) == 0x1111_1111
    assert driver.read(QSR) == 0x71


# -- sizes and the wrap ---------------------------------------------------------------------------


@behaviour("MQCR.size", "IFTPR.entry", "IPHPR.entry", "OPTPR.entry", "OFHPR.entry")
def a_pointer_wraps_inside_its_own_part(driver: Driver) -> None:
    """Codes 1, 2, 4, 8 and 16 stand for as many times 4096 entries; at 16 the four fill a megabyte."""
    for code in (1, 2, 4, 8, 16):
        size = SIZE * code
        free, post, posted, given = queues(driver, code=code)
        for queue in (free, posted):
            queue.point(8, size - 4, size=size)
        for queue in (post, given):
            queue.point(size - 4, 8, size=size)
        driver.read(IQP)
        driver.read(OQP)
        driver.write(IQP, 0)
        driver.write(OQP, 0)
        assert free.pointers(size=size) == posted.pointers(size=size) == (8, 0)
        assert post.pointers(size=size) == given.pointers(size=size) == (0, 8)
        driver.read(IQP)
        driver.read(OQP)
        driver.write(IQP, 0)
        driver.write(OQP, 0)
        assert free.pointers(size=size) == posted.pointers(size=size) == (8, 4)
        assert post.pointers(size=size) == given.pointers(size=size) == (4, 8)
        driver.write(IQP, 0)
        driver.write(OQP, 0)
        assert post.pointers(size=size) == given.pointers(size=size) == (4, 8), "full"
        assert driver.read(QSR) == 0x71 | OVERFLOW
        driver.write(QSR, 0x51 | OVERFLOW)


@behaviour("MQCR.size")
def a_larger_queue_does_not_wrap_where_a_smaller_one_would(driver: Driver) -> None:
    for code in (2, 4, 8, 16):
        free, _, _, given = queues(driver, code=code)
        free.point(SIZE + 8, SIZE * code // 2 - 4, size=SIZE * code)
        driver.read(IQP)
        assert free.pointers(size=SIZE * code)[1] == SIZE * code // 2
        given.point(SIZE * code // 2 - 4, 0, size=SIZE * code)
        driver.write(OQP, 0)
        assert given.pointers(size=SIZE * code)[0] == SIZE * code // 2


@behaviour("IFTPR.entry", "OPTPR.entry")
def a_message_at_the_end_of_a_part_is_followed_by_the_one_at_its_start(driver: Driver) -> None:
    free, _, posted, _ = queues(driver)
    for queue in (free, posted):
        queue.put(SIZE - 4, 0x1111_0000 + queue.part)
        queue.put(0, 0x2222_0000 + queue.part)
        queue.point(4, SIZE - 4)
    assert [driver.read(IQP) for _ in range(3)] == [0x1111_0000, 0x2222_0000, EMPTY]
    assert [driver.read(OQP) for _ in range(3)] == [0x1111_0002, 0x2222_0002, EMPTY]


# -- off ------------------------------------------------------------------------------------------


@behaviour("MQCR.enable")
def while_the_unit_is_off_the_ports_read_ones_and_drop_writes(driver: Driver) -> None:
    made = queues(driver)
    for queue in made:
        queue.put(0, 0x1111_1111, 0x2222_2222)
        queue.point(4, 0)
    driver.write(MQCR, 2)
    assert (driver.read(IQP), driver.read(OQP)) == (EMPTY, EMPTY)
    driver.write(IQP, 0x3333_3333)
    driver.write(OQP, 0x4444_4444)
    assert [queue.pointers() for queue in made] == [(4, 0)] * 4
    assert [queue.entry(4) for queue in made] == [0x2222_2222] * 4
    assert driver.read(QSR) & OVERFLOW == 0
    driver.write(MQCR, 3)
    assert (driver.read(IQP), driver.read(OQP)) == (0x1111_1111, 0x1111_1111)


@behaviour("MQCR.enable", "QSR.overflow")
def a_full_queue_does_not_overflow_while_the_unit_is_off(driver: Driver) -> None:
    *_, queue = queues(driver)
    queue.point(0, 4)
    driver.write(MQCR, 2)
    driver.write(OQP, 0x3333_3333)
    assert driver.read(QSR) & OVERFLOW == 0
    driver.write(MQCR, 3)
    driver.write(OQP, 0x3333_3333)
    assert driver.read(QSR) & OVERFLOW


@behaviour("QSR.i2o_enable", "MBOX0.value", "MBOX1.value")
def without_qsr_0_the_mailboxes_are_in_the_ports_place_and_the_queues_stay(driver: Driver) -> None:
    made = queues(driver)
    for queue in made:
        queue.put(0, 0x1111_1111)
        queue.point(4, 0)
    driver.write(QSR, 0x50)
    driver.write(IQP, 0x3333_3333)
    driver.write(OQP, 0x4444_4444)
    assert (driver.read(IQP), driver.read(OQP)) == (0x3333_3333, 0x4444_4444)
    assert (driver.read(0x78), driver.read(0x7C)) == (0x3333_3333, 0x4444_4444)
    assert [queue.pointers() for queue in made] == [(4, 0)] * 4
    driver.write(QSR, 0x51)
    driver.write(0x78, 0x5555_5555)
    assert driver.read(0x78) == 0x5555_5555, "the mailboxes keep their other addresses"
    assert driver.read(IQP) == 0x1111_1111
    assert driver.read(0x78) == 0x5555_5555


# -- interrupts -----------------------------------------------------------------------------------


@behaviour("OPQIS.not_empty", "OPQIM.mask", "OQP.message")
def inta_falls_when_the_host_has_read_the_last_posted_message(driver: Driver) -> None:
    """As the SDK's handler finds it: OPQIS, then OPQIM."""
    _, _, queue, _ = queues(driver)
    driver.write(OPQIM, 0)
    assert not driver.inta()
    queue.put(0, 0x1000, 0x2000)
    queue.point(8, 0)
    assert driver.inta()
    assert (driver.read(OPQIS), driver.read(OPQIM)) == (8, 0)
    assert driver.read(OQP) == 0x1000
    assert driver.inta()
    assert driver.read(OQP) == 0x2000
    assert not driver.inta()
    assert driver.read(OPQIS) == 0
    assert driver.read(INTCSR) == IDLE_INTCSR


@behaviour("QSR.inbound_not_empty", "QSR.inbound_mask", "INTCSR.local_output_enable", guest=False)
def linto_rises_when_the_host_posts_and_falls_when_the_local_side_has_taken_it(driver: Driver) -> None:
    _, queue, _, _ = queues(driver)
    driver.write(IQP, 0x1000)
    assert not driver.local.linto(), "masked"
    driver.write(QSR, 0x41)
    assert driver.local.linto()
    driver.write(INTCSR, 0x0000_0100)
    assert not driver.local.linto()
    driver.write(INTCSR, 0x0001_0100)
    assert driver.local.linto()
    driver.write(IQP, 0x2000)
    driver.local.write_register(queue.tail, SIZE + 4)
    assert driver.local.linto()
    driver.local.write_register(queue.tail, SIZE + 8)
    assert not driver.local.linto()


@behaviour("OPQIS.not_empty", "OPQIM.mask", guest=False)
def the_local_processor_posts_by_its_pointer(driver: Driver) -> None:
    """Entry first, then the head, all from the local side."""
    _, _, queue, _ = queues(driver)
    driver.write(OPQIM, 0)
    driver.local.write_memory(driver.memory_at + 2 * SIZE, (0x1234_5678).to_bytes(4, "little"))
    driver.local.write_register(queue.head, 2 * SIZE + 4)
    assert driver.inta()
    assert driver.read(OQP) == 0x1234_5678
    assert not driver.inta()


@behaviour("MBOX0.value", "MBOX1.value", "IFTPR.entry", "OPTPR.entry", guest=False)
def the_ports_are_the_hosts_and_the_local_side_keeps_its_mailboxes(driver: Driver) -> None:
    free, _, posted, _ = queues(driver)
    for queue in (free, posted):
        queue.put(0, 0x1111_1111)
        queue.point(4, 0)
    driver.write(0x78, 0x5555_5555)
    driver.write(0x7C, 0x6666_6666)
    assert driver.local.read_register(0x40) == 0x5555_5555
    assert driver.local.read_register(0x44) == 0x6666_6666
    driver.local.write_register(0x40, 0x7777_7777)
    assert driver.read(0x78) == 0x7777_7777
    assert free.pointers() == posted.pointers() == (4, 0)


# -- where space 1 is then: 1.5 -------------------------------------------------------------------


@behaviour("QSR.i2o_enable", "LAS1BA.enable", guest=False)
def with_qsr_0_bar0_shows_space_1_behind_the_registers(driver: Driver) -> None:
    window = {"9080": 0x100, "9054": 0x100}.get(driver.chip, 0x200)
    driver.write(0xF0, 0xFFFF_0000)
    driver.write(0xF4, driver.memory_at | 1)
    driver.write(0x1234, 0x1122_3344, bar=SPACE0)
    driver.write(window, 0x5566_7788, bar=SPACE0)
    assert driver.read(0x1234) == 0
    driver.write(QSR, 0x51)
    assert driver.read(0x1234) == 0x1122_3344
    assert driver.read(window) == 0x5566_7788
    assert driver.read(0x70) & 0xFFFF == 0x10B5, "the registers, and the ports, are at the base"
    assert driver.read(IQP) == EMPTY
