# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a device of one's own is its author's, and said with file and line; what is no device is refused."""

import errno
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from plx9x5x.own import config_check
from plx9x5x.own.config import ConfigSpace
from plx9x5x.own.config_check import DeviceFailed
from plx9x5x.own.guard import GuardedDevice, guarded
from plx9x5x.own.tally import Tally, of_record
from plx9x5x.ports import KIT, BusMaster, HasMessage, IrqLine, PciDevice, RegionSpec, ResetKind
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


def test_what_the_host_lacks_is_not(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def read(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many")

    with pytest.raises(OSError, match="too many"):
        made(variant(read=read)).device.read(0, 0, 4)
    assert re.search(r"mine.py:Mine: \S*test_guard\.py:\d+, in read: OSError: .*; in read\(bar=0", caplog.messages[-1])
    # In code of ours that the device calls, as where memory is mapped.
    ours = {"__name__": "ours"}
    exec(compile("def no_memory(*_):\n    raise MemoryError", config_check.__file__, "exec"), ours)
    with pytest.raises(MemoryError):
        made(variant(read=lambda self, *_: ours["no_memory"]())).device.read(0, 0, 4)  # type: ignore[operator]


def test_memory_that_it_asked_too_much_of_is_its_own_mistake() -> None:
    host = made(Mover)
    host.device.write(0, LENGTH, 4, 1 << 62)
    with pytest.raises(DeviceFailed, match=r"devices\.py:\d+, in step: MemoryError; in step"):
        host.run()


@pytest.mark.parametrize(
    "call", ["read", "write", "config_read", "config_write", "reset", "step", "wait_ns", "regions"]
)
def test_one_that_wants_to_end_the_server_has_failed(call: str) -> None:
    def leave(*_: object) -> None:
        sys.exit(3)

    with pytest.raises(DeviceFailed, match=r"test_guard\.py:\d+, in leave: SystemExit: 3"):
        used(variant(**{call: property(leave) if call == "regions" else leave}, __init__=quietly))
    with pytest.raises(DeviceFailed, match=r"makes no device: \S*test_guard\.py:\d+, in leave: SystemExit: 3"):
        made(leave)


def used(make: Callable[..., Any]) -> None:
    host = made(make)
    host.device.read(0, 0, 4)
    host.device.write(0, 0, 4, 0)
    host.device.reset(ResetKind.POWER_ON)
    host.run()


def quietly(self: Mover, bus: BusMaster, irq: IrqLine) -> None:
    """Make it without a look at its own regions."""
    self.bus, self.irq, self.cells = bus, irq, dict.fromkeys((ADDRESS, LENGTH, GO), 0)
    self.config = ConfigSpace(vendor=0x1234, device=0x5678, regions=REGIONS)


class Unspeakable(Exception):
    """Nobody can print it, nor use it as a number."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__

    def __index__(self) -> int:
        raise self


def test_what_cannot_even_be_printed_is_told_all_the_same() -> None:
    def read(*_: object) -> int:
        raise Unspeakable

    with pytest.raises(DeviceFailed, match=r"in read: Unspeakable; in read\(bar=0"):
        made(variant(read=read)).device.read(0, 0, 4)
    with pytest.raises(DeviceFailed, match=r"in __index__: Unspeakable; in read\(bar=0"):
        made(variant(read=lambda *_: Unspeakable())).device.read(0, 0, 4)
    with pytest.raises(DeviceFailed, match=r"wait_ns\(\) gave a Unspeakable; it gives"):
        made(variant(wait_ns=lambda _: Unspeakable())).device.wait_ns()


def test_what_it_says_is_shown_and_not_acted_on() -> None:
    def read(*_: object) -> int:
        raise ValueError("\x1b[2J two\nlines\x07")

    with pytest.raises(DeviceFailed, match=r"ValueError: \\x1b\[2J two\nlines\\x07; in read\(bar=0"):
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
        (variant(regions=property(lambda _: 1 // 0), __init__=quietly), r"test_guard\.py:\d+, in <lambda>: ZeroDiv"),
        (variant(regions=property(lambda self: self.no), __init__=quietly), r"in <lambda>: AttributeError: .*no'"),
        (variant(regions=7, __init__=quietly), "its regions are no sequence of 6 RegionSpecs"),
        (variant(kit=property(lambda _: 1 // 0)), r"test_guard\.py:\d+, in <lambda>: ZeroDivisionError"),
        *(
            (variant(regions=(spec, *REGIONS[1:]), __init__=quietly), f"BAR0 is {re.escape(repr(spec))}: a RegionSpec has")
            for spec in (RegionSpec("x"), RegionSpec(4096.0), RegionSpec(None), RegionSpec(4096, is_io=1))  # type: ignore[arg-type]
        ),
        *(
            (variant(kit=kit), rf"is a pair as \(1, 0\), not {re.escape(repr(kit))}")
            for kit in (1, None, "1.0", [1, 0], (1, "a"), (1,), (1, 0, 0), (1, -1), (1.0, 0), (True, 0))
        ),
        (variant(kit=(KIT[0], KIT[1] + 1)), r"was written for version 1\.1 of the kit"),
        (variant(config_read=config(0, 0xFFFF)), "vendor, at 0 of configuration space, is 0xffff"),
        (variant(config_read=config(0x10, 1)), r"BAR0 is I/O in configuration space \(bit 0\)"),
        (variant(config_read=config(0x10, 4), regions=REGIONS[:1] * 2 + REGIONS[2:]), "BAR0 has 64 bits"),
    ],
)  # fmt: skip
def test_what_is_no_device_is_refused(make: Callable[..., Any], says: str) -> None:
    with pytest.raises(DeviceFailed, match=says):
        made(make)


def bases(*bars: tuple[int, int]) -> dict[str, Any]:
    """Configuration space with base addresses as `bars`, (bits that are fixed, bits that can be written)."""

    def start(self: Any, bus: BusMaster, irq: IrqLine) -> None:
        quietly(self, bus, irq)
        self.bars = [[fixed, writable] for fixed, writable in (*bars, *[(0, 0)] * 6)][:6]

    def config_read(self: Any, offset: int, width: int) -> int:
        bar, odd = divmod(offset - 0x10, 4)
        return int(self.bars[bar][0]) if not odd and 0 <= bar < 6 else self.config.read(offset, width)

    def config_write(self: Any, offset: int, width: int, data: int) -> None:
        bar, odd = divmod(offset - 0x10, 4)
        if not odd and 0 <= bar < 6:
            self.bars[bar][0] = self.bars[bar][0] & ~self.bars[bar][1] | data & self.bars[bar][1]

    return {"__init__": start, "config_read": config_read, "config_write": config_write}


MEMORY, IO = RegionSpec(0x1000), RegionSpec(256, is_io=True)
NONE = RegionSpec(0)


@pytest.mark.parametrize(
    ("regions", "bars", "says"),
    [
        ([MEMORY], [(0, 0)], "BAR0 has 0x1000 bytes in its regions, and not .* reads 0x0, and would be 0xfffff000"),
        ([MEMORY], [(0, 0xFFFF_E000)], "0x10 it reads 0xffffe000, and would be 0xfffff000"),
        ([MEMORY], [(8, 0xFFFF_F000 & ~0x40000)], "reads 0xfffbf008, and would be 0xfffff008"),
        ([NONE, MEMORY], [(0, 0), (0, 0xFFFF_FFFF)], "BAR1 .* written to 0x14 it reads 0xffffffff, and would be"),
        ([IO], [(1, 0xFFFF_FFF0)], "BAR0 has 0x100 bytes .* reads 0xfffffff1, and would be 0xffffff01"),
        ([MEMORY, NONE], [(4, 0xFFFF_F000), (0, 0)], "reads 0xfffff004, and would be 0xfffffffffffff004"),
        ([MEMORY], [(0, 0xFFFF_F000), (0, 0xFFFF_0000)], "BAR1 is none in its regions, and one in conf.* reads 0xffff0000"),
        ([RegionSpec(1 << 32)], [(0, 0)], "BAR0 has 0x100000000 bytes, and a memory BAR of 32 bits at most 0x80000000"),
        ([RegionSpec(512, is_io=True)], [(1, 0xFFFF_FE00)], "BAR0 has 0x200 bytes, and an I/O BAR at most 0x100"),
    ],
)  # fmt: skip
def test_bars_that_configuration_space_has_otherwise_are_refused(
    regions: list[RegionSpec], bars: list[tuple[int, int]], says: str
) -> None:
    with pytest.raises(DeviceFailed, match=says):
        made(variant(regions=(*regions, *[NONE] * 6)[:6], **bases(*bars)))


@pytest.mark.parametrize(
    ("regions", "bars"),
    [
        ([MEMORY, IO], [(8, 0xFFFF_F000), (1, 0xFFFF_FF00)]),
        ([IO], [(1, 0xFF00)]),
        ([MEMORY], [(2, 0xF_F000)]),
        ([RegionSpec(1 << 31)], [(0, 0x8000_0000)]),
        ([RegionSpec(1 << 33), NONE, MEMORY], [(0xC, 0), (0, 0xFFFF_FFFE), (0, 0xFFFF_F000)]),
    ],
)
def test_bars_that_agree_are_taken_and_lie_where_they_lay(
    regions: list[RegionSpec], bars: list[tuple[int, int]]
) -> None:
    device = made(variant(regions=(*regions, *[NONE] * 6)[:6], **bases(*bars))).device
    assert [device.config_read(0x10 + 4 * at, 4) for at in range(len(bars))] == [fixed for fixed, _ in bars]


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


@pytest.mark.parametrize("send_by", [lambda _self, _send: 1 // 0, lambda *_: sys.exit(1), lambda _: None])
def test_one_that_fails_to_take_the_message_is_told(send_by: Callable[..., None]) -> None:
    guard = made(variant(send_by=send_by)).device
    assert isinstance(guard, HasMessage)
    with pytest.raises(DeviceFailed, match=r"mine.py:Mine: .*(Zero|Exit|TypeError).*; in send_by\(send\)"):
        guard.send_by(lambda: True)


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
