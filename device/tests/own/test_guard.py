# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a device of one's own is its author's, and said with file and line; what is no device is refused."""

import errno
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from plx9x5x.own.guard import DeviceFailed, GuardedDevice, guarded
from plx9x5x.own.tally import Tally, of_record
from plx9x5x.ports import KIT, HasMessage, PciDevice, RegionSpec
from plx9x5x.transport.loopback import Loopback
from tests.own.devices import ADDRESS, ASK, GO, LENGTH, LINE, REGIONS, Divides, Mover, raises

LINE_OF_QUOTIENT = Divides.quotient.__code__.co_firstlineno + 1


def made(make: Callable[..., Any], tally: Tally | None = None) -> Loopback[Any]:
    return Loopback(guarded(make, "mine.py:Mine", tally or Tally()), plane="python")


def variant(**members: Any) -> type[Mover]:
    return type("Variant", (Mover,), members)


def test_an_exception_is_named_by_place_and_call() -> None:
    host = made(Divides)
    where = rf"devices\.py:{LINE_OF_QUOTIENT}, in quotient, called from \S*devices\.py:\d+, in read"
    with pytest.raises(
        DeviceFailed, match=rf"mine.py:Mine: \S*{where}: ZeroDivisionError: .*; in read\(bar=0, offset=0xc"
    ):
        host.device.read(0, ASK, 4)


@pytest.mark.parametrize("gives", [None, -1, 1 << 32, "1", 1.0])
def test_what_is_no_number_of_that_width_is_refused(gives: object) -> None:
    host = made(variant(read=lambda *_: gives))
    with pytest.raises(
        DeviceFailed, match=re.escape(f"read(bar=0, offset=0x0, width=4) gave {gives!r}; it gives a number from")
    ):
        host.device.read(0, 0, 4)


def test_numbers_of_other_types_will_do() -> None:
    class Five:
        def __index__(self) -> int:
            return 5

    assert made(variant(read=lambda *_: Five())).device.read(0, 0, 4) == 5
    assert made(variant(read=lambda *_: True)).device.read(0, 0, 4) == 1


@pytest.mark.parametrize("gives", [-1, 1.5, "soon"])
def test_a_wait_is_whole_nanoseconds(gives: object) -> None:
    with pytest.raises(DeviceFailed, match=r"wait_ns\(\) gave .*None, or whole nanoseconds"):
        made(variant(wait_ns=lambda _: gives)).device.wait_ns()


def test_an_abort_that_leaves_the_device_is_its_own_mistake() -> None:
    host = made(Mover)
    host.device.write(0, LENGTH, 4, 16)
    host.device.write(0, GO, 4, 1)
    with pytest.raises(DeviceFailed, match=r"devices\.py:\d+, in step: MasterAbort: nothing is mapped"):
        host.run()


@pytest.mark.parametrize("lacks", [MemoryError(), OSError(errno.EMFILE, "too many")])
def test_what_the_host_lacks_is_not(lacks: Exception) -> None:
    def read(*_: object) -> int:
        raise lacks

    with pytest.raises(type(lacks)):
        made(variant(read=read)).device.read(0, 0, 4)


def config(at: int, value: int) -> Callable[..., int]:
    return lambda self, offset, width: value if offset == at else self.config.read(offset, width)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (raises, r"makes no device: \S*devices\.py:\d+, in raises: ValueError: not today"),
        (lambda *_: None, "makes a NoneType, which is no PciDevice: it has no read"),
        (variant(step=None, wait_ns=3), r"it has no step\(\), no wait_ns\(\)"),
        (variant(regions=None, __init__=lambda *_: None), "its regions are no sequence of 6 RegionSpecs"),
        (variant(regions=REGIONS[:5]), "its regions are 6 RegionSpecs"),
        (variant(regions=(4096, 0, 0, 0, 0, 0), __init__=lambda *_: None), "its regions are 6 RegionSpecs"),
        (variant(regions=(RegionSpec(3000), *REGIONS[1:])), "BAR0 has 0xbb8 bytes, and a BAR a power of two"),
        (variant(kit=(KIT[0] + 1, 0)), r"was written for version 2\.0 of the kit, and this is 1\.0"),
        (variant(kit=(KIT[0], KIT[1] + 1)), r"was written for version 1\.1 of the kit"),
        (variant(config_read=config(0, 0xFFFF)), "vendor, at 0 of configuration space, is 0xffff"),
        (variant(config_read=config(0x10, 1)), r"BAR0 is I/O in configuration space \(bit 0\)"),
        (variant(config_read=config(0x10, 4), regions=REGIONS[:1] * 2 + REGIONS[2:]), "BAR0 has 64 bits"),
    ],
)  # fmt: skip
def test_what_is_no_device_is_refused(make: Callable[..., Any], says: str) -> None:
    with pytest.raises(DeviceFailed, match=says):
        made(make)


def test_what_was_written_for_this_version_is_taken() -> None:
    assert made(variant(kit=KIT)).device.config_read(0, 4) == 0x5678_1234


def test_a_device_with_a_message_has_it_still() -> None:
    sent: list[bool] = []
    with_message = variant(send_by=lambda _, send: sent.append(send()))
    guard = made(with_message).device
    assert isinstance(guard, HasMessage)
    guard.send_by(lambda: True)
    assert sent == [True]
    assert not isinstance(made(Mover).device, HasMessage)


def test_what_it_did_is_counted() -> None:
    tally = Tally()
    host = made(Mover, tally)
    host.ram(0x1000, 4096)
    for offset, value in ((ADDRESS, 0x1000), (LENGTH, 100), (GO, 2), (LINE, 1), (LINE, 1), (LINE, 0), (LINE, 1)):
        host.device.write(0, offset, 4, value)
    host.run()
    host.device.read(0, 0, 4)
    assert tally == Tally(reads=1, writes=7, to_memory=100, inta_asserted=2)
    record = {"device": {"reads": 1, "writes": 7, "from_memory": 0, "to_memory": 100, "aborts": 0, "inta_asserted": 2}}
    assert of_record(record) == tally.lines()
    assert tally.lines()[0] == "1 read and 7 writes of its BARs; DMA: 0 bytes from memory, 100 bytes to memory"


@pytest.mark.parametrize(
    "record", [{}, {"device": 3}, {"device": {"reads": "x"}}, {"device": {"no": 1}}, {"device": {}}]
)
def test_a_record_that_tells_nothing_says_nothing(record: dict[str, object]) -> None:
    assert of_record(record) == []


def test_a_line_without_a_pin_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    host = made(variant(config_read=config(0x3D, 0)))
    for level in (1, 0, 1):
        host.device.write(0, LINE, 4, level)
    assert [it.message for it in caplog.records if "no such pin" in it.message] == [caplog.records[0].message]
    assert isinstance(host.device, GuardedDevice)


def test_it_is_a_device_as_others_are() -> None:
    device: PciDevice = made(Mover).device
    regions: Sequence[RegionSpec] = device.regions
    assert regions == REGIONS
