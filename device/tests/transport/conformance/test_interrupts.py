# SPDX-License-Identifier: Apache-2.0
"""INTA# as edges of an eventfd: once until UNMASK, again while the line is up, and whatever a client listens by."""

import errno
import os
import select
import struct
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.client import EventFd, VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Command, IrqFlag, Refused
from tests.transport.conformance.rules import Group, Limit, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, LINE
from tests.transport.support import refused, serves_right, still_serves, until

FLOOD = 20_000
LISTEN = IrqFlag.EVENTFD | IrqFlag.TRIGGER
ERR, REQ = 3, 4


@rule(Group.INTERRUPTS)
def test_a_rising_line_signals_once_until_unmask(client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 1
    client.write(CONTROL, LINE, 0)
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 0
    client.unmask_intx()
    until(lambda: intx.take() == 1)  # the line is still up, so it signals again
    client.write(CONTROL, LINE, 0)
    client.unmask_intx()
    assert intx.take() == 0
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 1


@rule(Group.INTERRUPTS)
def test_a_masked_line_is_held_until_unmask(client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.mask_intx()
    client.write(CONTROL, LINE, 1)
    assert intx.take() == 0
    client.unmask_intx()
    until(lambda: intx.take() == 1)


@rule(Group.INTERRUPTS)
def test_a_thousand_rounds_lose_no_interrupt(client: VfioUserClient) -> None:
    intx = client.listen_intx()
    for _ in range(1000):
        client.write(CONTROL, LINE, 1, posted=True)
        client.write(CONTROL, LINE, 0, posted=True)
        client.unmask_intx()
    assert intx.take() == 1000


@rule(Group.INTERRUPTS)
def test_an_interrupt_raised_before_anybody_listens_is_delivered(client: VfioUserClient) -> None:
    client.write(CONTROL, LINE, 1)
    intx = client.listen_intx()
    until(lambda: intx.take() == 1)


@rule(Group.INTERRUPTS)
def test_a_flood_of_posted_writes_does_not_hold_an_interrupt_back(served: Served, client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.write(CONTROL, LINE, 1)
    until(lambda: intx.take() == 1)
    unmask = struct.pack("<IIIII", 20, 0x11, 0, 0, 1)
    write = struct.pack("<QII", 0xC0, CONTROL, 4) + b"abcd"
    one = HEADER.pack(7, Command.REGION_WRITE, HEADER.size + len(write), 0x10, 0) + write
    first = HEADER.pack(6, Command.SET_IRQS, HEADER.size + len(unmask), 0x10, 0) + unmask
    before = len(served.device.accesses)

    def send() -> None:
        # A few whole messages at a time: the kernel cuts a long buffer within one, and the library reads no pieces.
        client.socket.sendall(first)
        for _ in range(FLOOD // 50):
            client.socket.sendall(one * 50)

    flood = threading.Thread(target=send, daemon=True)
    flood.start()
    until(lambda: intx.take() == 1)
    came_at = len(served.device.accesses) - before
    flood.join(30)
    until(lambda: len(served.device.accesses) - before == FLOOD)
    assert came_at < FLOOD // 2


@rule(Group.INTERRUPTS)
def test_listening_again_moves_the_edges_and_listening_no_more_keeps_them(client: VfioUserClient) -> None:
    first, second = client.listen_intx(), client.listen_intx()
    client.write(CONTROL, LINE, 1)
    until(lambda: second.take() == 1)
    assert first.take() == 0
    client.set_irqs(IrqFlag.NONE | IrqFlag.TRIGGER, count=0)
    client.write(CONTROL, LINE, 0)
    client.unmask_intx()
    client.write(CONTROL, LINE, 1)
    third = client.listen_intx()
    until(lambda: third.take() == 1)
    assert second.take() == 0


@rule(
    Group.INTERRUPTS,
    libvfio=Limit(
        "an eventfd for ERR or REQ takes the place of INTx's, and the guest hears of no interrupt until it asks for INTx "
        "anew, as QEMU does with each reset",
        match="never happened",
    ),
)
@pytest.mark.parametrize("index", [ERR, REQ])
def test_who_listens_for_errors_does_not_hear_intx(client: VfioUserClient, index: int) -> None:
    with closing(client.listen_intx()) as intx, closing(EventFd()) as other:
        client.set_irqs(LISTEN, index=index, fds=(other.fd,))
        client.write(CONTROL, LINE, 1)
        until(lambda: intx.take() == 1, seconds=0.1)
        assert other.take() == 0


@rule(Group.INTERRUPTS)
def test_a_client_may_raise_an_interrupt_for_a_test(client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.set_irqs(IrqFlag.NONE | IrqFlag.TRIGGER)
    until(lambda: intx.take() == 1)
    client.set_irqs(IrqFlag.BOOL | IrqFlag.TRIGGER, data=b"\0")
    assert intx.take() == 0
    client.set_irqs(IrqFlag.BOOL | IrqFlag.TRIGGER, data=b"\1")
    until(lambda: intx.take() == 1)


@rule(
    Group.INTERRUPTS,
    libvfio=Limit("a switch that is off is taken for one that is on; no client known sends any", match="off is on"),
)
def test_mask_and_unmask_go_by_switches_too(client: VfioUserClient) -> None:
    intx = client.listen_intx()
    client.set_irqs(IrqFlag.BOOL | IrqFlag.MASK, data=b"\1")
    client.write(CONTROL, LINE, 1)
    client.set_irqs(IrqFlag.BOOL | IrqFlag.UNMASK, data=b"\0")
    assert not select.select([intx.fd], [], [], 0.2)[0], "off is on"
    client.set_irqs(IrqFlag.BOOL | IrqFlag.UNMASK, data=b"\1")
    until(lambda: intx.take() == 1)


FULL = (1 << 64) - 2
"""What an eventfd holds at most: one more write waits for a read."""


@pytest.fixture
def full_eventfd() -> Iterator[int]:
    """It blocks whoever writes to it. In the end it has room for many, so that nobody is left waiting."""
    fd = os.eventfd(0, os.EFD_CLOEXEC)
    os.eventfd_write(fd, FULL)
    yield fd
    os.close(fd)


@rule(
    Group.INTERRUPTS,
    libvfio=Limit(
        "the server waits for that client for good; only a hostile one does this", error=TimeoutError, match="timed out"
    ),
)
def test_an_eventfd_that_is_full_holds_nobody(served: Served, client: VfioUserClient, full_eventfd: int) -> None:
    client.set_irqs(LISTEN, fds=(full_eventfd,))
    client.socket.settimeout(0.2)
    try:
        client.write(CONTROL, LINE, 1)
        still_serves(client)
    finally:
        os.set_blocking(full_eventfd, False)
        os.eventfd_read(full_eventfd)


@rule(
    Group.INTERRUPTS,
    libvfio=Limit("any descriptor is taken for an eventfd; a full pipe then keeps the server for good"),
)
def test_what_is_no_eventfd_is_refused(client: VfioUserClient) -> None:
    ends = os.pipe()
    try:
        with pytest.raises(Refused) as caught:
            client.set_irqs(LISTEN, fds=(ends[1],))
    except pytest.fail.Exception as exc:
        raise AssertionError from exc
    finally:
        for fd in ends:
            os.close(fd)
    assert caught.value.errno == errno.EINVAL


@rule(Group.INTERRUPTS)
def test_a_client_that_closes_its_eventfd_costs_nobody_anything(served: Served, client: VfioUserClient) -> None:
    client.listen_intx().close()
    client.write(CONTROL, LINE, 1)
    still_serves(client)
    client.close()
    serves_right(served)


NONSENSE = {
    "two kinds": (IrqFlag.NONE | IrqFlag.BOOL | IrqFlag.TRIGGER, 0, 0, 1, b""),
    "no kind": (IrqFlag.TRIGGER, 0, 0, 1, b""),
    "two actions": (IrqFlag.NONE | IrqFlag.MASK | IrqFlag.UNMASK, 0, 0, 1, b""),
    "no action": (IrqFlag.NONE, 0, 0, 1, b""),
    "a second INTx": (IrqFlag.NONE | IrqFlag.TRIGGER, 0, 1, 1, b""),
    "two INTx": (IrqFlag.NONE | IrqFlag.TRIGGER, 0, 0, 2, b""),
    "2^32 of them": (IrqFlag.NONE | IrqFlag.TRIGGER, 0, 1, 0xFFFFFFFF, b""),
    "MSI": (LISTEN, 1, 0, 1, b""),
    "MSI-X": (LISTEN, 2, 0, 1, b""),
    "an index beyond": (IrqFlag.NONE | IrqFlag.TRIGGER, 5, 0, 1, b""),
    "no interrupt to mask": (IrqFlag.NONE | IrqFlag.MASK, 0, 0, 0, b""),
    "no switch": (IrqFlag.BOOL | IrqFlag.TRIGGER, 0, 0, 1, b""),
}


@rule(Group.INTERRUPTS)
def test_nonsense_about_interrupts_is_refused(client: VfioUserClient) -> None:
    for what, (flags, index, start, count, data) in NONSENSE.items():
        body = codec.SetIrqs(flags, index, start, count, data).pack()
        assert refused(client, Command.SET_IRQS, body), what
    intx = client.listen_intx()
    client.write(CONTROL, LINE, 1)
    until(lambda: intx.take() == 1)


@rule(Group.INTERRUPTS, libvfio=Limit("nothing: data that nobody asked for are passed over", match="taken"))
def test_switches_beside_a_request_without_are_refused(client: VfioUserClient) -> None:
    taken = []
    for flags, data in ((IrqFlag.NONE | IrqFlag.TRIGGER, b"\1"), (IrqFlag.BOOL | IrqFlag.TRIGGER, b"\1\1")):
        try:
            client.set_irqs(flags, data=data)
        except Refused:
            continue
        taken.append((flags, data))
    assert not taken, f"taken: {taken}"
