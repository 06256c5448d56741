# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a board's own code is the board's: its window, the method and the line are named (F-15)."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from plx9x5x import events
from plx9x5x.board import Board, Window, configurable
from plx9x5x.errors import SetupError
from plx9x5x.model.boardside import BOARD_HINT, BoardFault
from plx9x5x.model.localbus import Sram
from plx9x5x.options import integer
from plx9x5x.peripheral import LocalPins, Pin
from plx9x5x.units import KIB, LocalAddr
from tests.model.bench import HOLD_LOCAL, INTCSR, MODE_RESET, Bench

DEMAND = 1 << 12
RATE = integer("rate", 0, "a rate")
HERE = re.escape(__file__)


class Good:
    """A peripheral without a fault, whose parts a test takes out."""

    size = 4 * KIB

    def plug(self, pins: LocalPins) -> None:
        self.pins = pins

    def read(self, offset: int, length: int) -> bytes:
        return bytes(length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        pass

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


class Words(Good):
    def read_words(self, offset: int, width: int, count: int) -> bytes:
        return bytes(width * count)

    def write_words(self, offset: int, width: int, data: memoryview) -> int:
        return len(data)


def bench_of(board: Board, target: object) -> Bench:
    window = Window("fifo", LocalAddr(0), lambda: target)  # type: ignore[arg-type, return-value]
    return Bench(replace(board, windows=(window,)))


def broken(*_: object) -> Any:
    return {}["no such key"]


def refused(bench: Bench, do: Callable[[Bench], object], words: str, *, line: bool = True) -> None:
    with pytest.raises(BoardFault, match=f"^local window 'fifo': {words}") as caught:
        do(bench)
    assert isinstance(caught.value, SetupError)
    assert caught.value.hint == BOARD_HINT
    if line:
        assert re.search(rf" \({HERE}:\d+\)$", str(caught.value)), str(caught.value)


def cpu_read(bench: Bench) -> object:
    return bench.chip.read(2, 0x10, 4)


def cpu_write(bench: Bench) -> object:
    return bench.chip.write(2, 0x10, 4, 1)


def dma(to: str, mode: int = 0) -> Callable[[Bench], object]:
    def run(bench: Bench) -> object:
        bench.channel(0).block(pci=bench.RAM, local=0, length=16, to=to, mode=MODE_RESET | mode)
        return bench.host.run()

    return run


CALLS: dict[str, tuple[type[Good], str, Callable[[Bench], object], str]] = {
    "a processor reads": (Good, "read", cpu_read, r"read\(0x10, 4\)"),
    "a processor writes": (Good, "write", cpu_write, r"write\(0x10, 4 bytes\)"),
    "a burst reads": (Good, "read", dma("pci"), r"read\(0x0, 16\)"),
    "a burst writes": (Good, "write", dma("local"), r"write\(0x0, 16 bytes\)"),
    "a burst asks for a view": (Good, "view", dma("pci"), r"view\(0x0, 16\)"),
    "words are read one by one": (Good, "read", dma("pci", HOLD_LOCAL), r"read\(0x0, 4\)"),
    "words are written one by one": (Good, "write", dma("local", HOLD_LOCAL), r"write\(0x0, 4 bytes\)"),
    "words are read": (Words, "read_words", dma("pci", HOLD_LOCAL), r"read_words\(0x0, 4, 4\)"),
    "words are written": (Words, "write_words", dma("local", HOLD_LOCAL), r"write_words\(0x0, 4, 16 bytes\)"),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_a_method_raises_is_told_with_window_method_and_line(board: Board, call: str) -> None:
    kind, method, do, words = CALLS[call]
    target = kind()
    bench = bench_of(board, target)
    setattr(target, method, broken)
    refused(bench, do, rf"{words} raised KeyError: 'no such key'")


@pytest.mark.parametrize("error", [ValueError("two\nlines"), RecursionError("deep"), OSError(2, "nothing there")])
def test_any_exception_of_a_board_is_its_own(board: Board, error: Exception) -> None:
    target = Good()

    def read(offset: int, length: int) -> bytes:
        raise error

    bench = bench_of(board, target)
    target.read = read  # type: ignore[method-assign]
    refused(bench, cpu_read, rf"read\(0x10, 4\) raised {type(error).__name__}: .*")


def leaves(*_: object) -> Any:
    sys.exit()


@pytest.mark.parametrize("call", CALLS)
def test_sys_exit_in_a_method_is_an_error_of_the_board(board: Board, call: str) -> None:
    kind, method, do, words = CALLS[call]
    target = kind()
    bench = bench_of(board, target)
    setattr(target, method, leaves)
    refused(bench, do, rf"{words} raised SystemExit")


def test_sys_exit_where_a_board_is_made_is_its_error(board: Board) -> None:
    plugged = Good()
    plugged.plug = leaves  # type: ignore[method-assign]
    with pytest.raises(BoardFault, match=f"^local window 'fifo': plug raised SystemExit .*{HERE}"):
        bench_of(board, plugged)
    with pytest.raises(BoardFault, match=f"^local window 'fifo' cannot be made: SystemExit .*{HERE}"):
        Bench(replace(board, windows=(Window("fifo", LocalAddr(0), leaves),)))
    adjustable = configurable(lambda chosen: leaves() if chosen[RATE] else board, RATE)
    with pytest.raises(SetupError, match="cannot be made of rate=1: SystemExit"):
        adjustable.set(["rate=1"])


def test_a_size_is_asked_for_once_and_leaves_nobody_without_a_server(board: Board) -> None:
    class Moody(Good):
        asked = 0

        @property
        def size(self) -> int:  # type: ignore[override]
            self.asked += 1
            return 4 * KIB if self.asked == 1 else leaves()

    assert cpu_read(bench_of(board, Moody())) == 0


def test_what_ends_the_server_rightly_passes_through_a_board(board: Board) -> None:
    target = Good()

    def read(offset: int, length: int) -> bytes:
        raise KeyboardInterrupt

    bench = bench_of(board, target)
    target.read = read  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        cpu_read(bench)


class Silent(Exception):
    """Its text is another error."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError(b"\x1b[2J"), r"KeyError: b'\\x1b\[2J' "),
        (ValueError("\x1b]0;pwned\x07\n \u202eabc\ud800"), r"ValueError: \\x1b\]0;pwned\\x07 \\u202eabc\\ud800 "),
        (Silent(), r"Silent "),
    ],
)
def test_what_an_error_says_is_shown_and_not_acted_on(board: Board, error: Exception, words: str) -> None:
    target = Good()

    def read(offset: int, length: int) -> bytes:
        raise error

    bench = bench_of(board, target)
    target.read = read  # type: ignore[method-assign]
    refused(bench, cpu_read, rf"read\(0x10, 4\) raised {words}\(")


GIVEN: list[tuple[type[Good], str, object, Callable[[Bench], object], str]] = [
    (Good, "read", None, cpu_read, r"read\(0x10, 4\) gave None, no bytes"),
    (Good, "read", [0, 0, 0, 0], cpu_read, r"read\(0x10, 4\) gave list, no bytes"),
    (Good, "read", b"abc", cpu_read, r"read\(0x10, 4\) gave 3 bytes"),
    (Words, "read_words", None, dma("pci", HOLD_LOCAL), r"read_words\(0x0, 4, 4\) gave None, no bytes"),
    (Words, "read_words", b"", dma("pci", HOLD_LOCAL), r"read_words\(0x0, 4, 4\) gave 0 bytes"),
    (Words, "write_words", None, dma("local", HOLD_LOCAL), "write_words of 16 bytes gave None"),
    (Words, "write_words", 17, dma("local", HOLD_LOCAL), "write_words of 16 bytes took 17"),
    (Good, "view", bytes(16), dma("pci"), r"view\(0x0, 16\) gave bytes, no memoryview"),
    (Good, "view", memoryview(bytes(16)), dma("pci"), r"view\(0x0, 16\) gave 16 bytes of format 'B', read-only"),
    (Good, "view", memoryview(bytearray(8)), dma("pci"), r"view\(0x0, 16\) gave 8 bytes"),
]


@pytest.mark.parametrize(("kind", "method", "gives", "do", "words"), GIVEN)
def test_what_a_method_gives_is_looked_at(
    board: Board, kind: type[Good], method: str, gives: object, do: Callable[[Bench], object], words: str
) -> None:
    target = kind()
    bench = bench_of(board, target)
    setattr(target, method, lambda *_: gives)
    refused(bench, do, words, line=False)


def test_a_read_may_give_any_kind_of_bytes(board: Board) -> None:
    target = Good()
    bench = bench_of(board, target)
    for data in (bytearray(b"1234"), memoryview(b"1234"), b"1234"):
        target.read = lambda offset, length, data=data: data  # type: ignore[method-assign, misc]
        assert bench.chip.read(2, 0, 4) == int.from_bytes(b"1234", "little")


@pytest.mark.parametrize("answer", [None, "4", 1.5, []])
def test_a_ready_that_gives_no_number_is_named(board: Board, answer: Any) -> None:
    target = Good()
    bench = bench_of(board, target)
    target.pins.demand(0, lambda: answer)
    words = rf".*<lambda>, DREQ# of channel 0, gave {re.escape(repr(answer))}, and not how many bytes may move"
    refused(bench, dma("pci", DEMAND), words, line=False)


def test_a_ready_may_give_any_integer(board: Board) -> None:
    target = Good()
    bench = bench_of(board, target)

    class Sixteen:
        def __index__(self) -> int:
            return 16

    target.pins.demand(0, lambda: Sixteen())  # type: ignore[arg-type, return-value]
    dma("pci", DEMAND)(bench)
    assert bench.channel(0).csr & 0x10
    assert bench.ram[:16] == bytes(16)


def due(bench: Bench) -> object:
    return bench.chip.step(1)


def linto(bench: Bench) -> object:
    bench.chip.write(0, INTCSR, 4, 1 << 16 | 1 << 17)
    return bench.chip.write(0, 0x60, 4, 1)  # P2LDBELL asserts LINTo#


LATER: list[tuple[Callable[[LocalPins], None], Callable[[Bench], object], str]] = [
    (lambda pins: pins.demand(0, broken), dma("pci", DEMAND), "broken, DREQ# of channel 0,"),
    (lambda pins: pins.call_at(0, broken), due, "broken, called by call_at,"),
    (lambda pins: pins.call_at(-(1 << 1100), broken), due, "broken, called by call_at,"),
    (lambda pins: pins.watch(Pin.LINTO, lambda on: on and broken()), linto, r".*<lambda>, called by watch\(Pin\.LINTO\),"),
]  # fmt: skip


@pytest.mark.parametrize("do", [dma("pci", DEMAND), due, linto])
def test_sys_exit_in_a_callback_is_an_error_of_the_board(board: Board, do: Callable[[Bench], object]) -> None:
    target = Good()
    bench = bench_of(board, target)
    target.pins.demand(0, leaves)
    target.pins.watch(Pin.LINTO, lambda on: on and leaves())  # type: ignore[func-returns-value]
    if do is due:
        target.pins.call_at(0, leaves)
    refused(bench, do, ".* raised SystemExit")


def test_a_ready_whose_number_raises_is_named(board: Board) -> None:
    class Odd:
        def __index__(self) -> int:
            return int(broken())

    target = Good()
    bench = bench_of(board, target)
    target.pins.demand(0, lambda: Odd())  # type: ignore[arg-type, return-value]
    refused(bench, dma("pci", DEMAND), ".*<lambda>, DREQ# of channel 0, raised KeyError")


@pytest.mark.parametrize(("plug", "do", "words"), LATER)
def test_what_a_callback_raises_is_told_with_what_called_it(
    board: Board, plug: Callable[[LocalPins], None], do: Callable[[Bench], object], words: str
) -> None:
    target = Good()
    bench = bench_of(board, target)
    plug(target.pins)
    refused(bench, do, f"{words} raised KeyError")


WRONG: list[tuple[Callable[[Any], None], str]] = [
    (lambda pins: pins.demand(2, lambda: 0), "plug raised IndexError: there is no DMA channel 2: they are 0 to 1"),
    (lambda pins: pins.assert_eot(-1), "plug raised IndexError: there is no DMA channel -1"),
    (lambda pins: pins.demand(0, 4), r"demand\(0, ...\) was given 4, which is no function"),
    (lambda pins: pins.call_at(5, None), "call_at was given None, which is no function"),
    (lambda pins: pins.call_at(0.5, print), "plug raised TypeError: .* takes whole nanoseconds"),
    (lambda pins: pins.watch("LINTo#", print), "plug raised TypeError: .* no plx9x5x.peripheral.Pin"),
    (lambda pins: pins.read_register(0x6A), "plug raised ValueError: 0x6a is no dword register"),
    (lambda pins: pins.write_register(0x400, 1), "plug raised ValueError: 0x400 is no dword register"),
    (lambda pins: pins.write_register(0x64, "x"), "plug raised TypeError"),
    (broken, "plug raised KeyError: 'no such key'"),
]


@pytest.mark.parametrize(("plug", "words"), WRONG)
def test_a_plug_that_asks_for_what_there_is_not_is_refused_when_it_is_built(
    board: Board, plug: Callable[[Any], None], words: str
) -> None:
    target = Good()
    target.plug = plug  # type: ignore[method-assign]
    with pytest.raises(BoardFault, match=f"local window 'fifo': {words}"):
        bench_of(board, target)


def without(kind: type[Good], name: str) -> object:
    shown = {key: value for base in reversed(kind.__mro__[:-1]) for key, value in vars(base).items() if key != name}
    return type("Lacking", (), {key: value for key, value in shown.items() if key not in {"__dict__", "__weakref__"}})()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        *((without(Good, name), f"local window 'fifo': Lacking has no method {name}") for name in ("read", "write", "view")),
        (without(Good, "size"), "local window 'fifo' cannot be made: AttributeError: .*size"),
        (without(Words, "read_words"), "local window 'fifo': Lacking has write_words and no read_words: a target has both"),
        (without(Words, "write_words"), "local window 'fifo': Lacking has read_words and no write_words"),
        (type("Odd", (Good,), {"read": lambda self, offset: b""})(), r"Odd.read\(offset\) does not take 2 arguments"),
        (type("Odd", (Good,), {"view": None})(), "Odd has no method view"),
        (type("Odd", (Good,), {"size": "4K"})(), "has a size of '4K', which is no number of bytes"),
    ],
)  # fmt: skip
def test_a_target_that_lacks_what_the_chip_calls_is_refused_when_it_is_built(
    board: Board, target: object, words: str
) -> None:
    with pytest.raises(BoardFault, match=words):
        bench_of(board, target)


ACTS: dict[str, Callable[[LocalPins], object]] = {
    "drive_linti": lambda pins: pins.drive_linti(True),
    "drive_useri": lambda pins: pins.drive_useri(True),
    "assert_eot": lambda pins: pins.assert_eot(0),
    "demand": lambda pins: pins.demand(0, None),
    "watch": lambda pins: pins.watch(Pin.USERO, print),
    "call_at": lambda pins: pins.call_at(0, print),
    "wake_host": lambda pins: pins.wake_host(),
    "parity_error": lambda pins: pins.parity_error(),
    "finish_self_test": lambda pins: pins.finish_self_test(),
    "read_register": lambda pins: pins.read_register(0x40),
    "write_register": lambda pins: pins.write_register(0x64, 1),
}


@pytest.mark.parametrize("act", ACTS)
def test_who_is_only_asked_drives_nothing(board: Board, act: str) -> None:
    target = Good()
    bench = bench_of(board, target)

    def ready() -> int:
        ACTS[act](target.pins)
        return 16

    target.pins.demand(0, ready)
    refused(bench, dma("pci", DEMAND), rf".*ready, DREQ# of channel 0, raised RuntimeError: {act}\(\) was called while")
    target.pins.demand(0, None)
    ACTS[act](target.pins)  # from an access it may


def test_a_view_drives_nothing(board: Board) -> None:
    target = Good()
    bench = bench_of(board, target)

    def view(offset: int, length: int) -> None:
        target.pins.drive_linti(True)

    target.view = view  # type: ignore[method-assign]
    refused(bench, dma("pci"), r"view\(0x0, 16\) raised RuntimeError: drive_linti\(\) was called while view only has")


def test_who_is_asked_may_look_at_the_clock_and_say_something(board: Board) -> None:
    target = Good()
    bench = bench_of(board, target)

    def ready() -> int:
        target.pins.log(f"asked at {target.pins.now()}")
        return 16

    target.pins.demand(0, ready)
    dma("pci", DEMAND)(bench)
    assert events.BoardSaid(0, "fifo", "asked at 0") in bench.trace.events


def test_errors_of_ours_that_pass_through_a_board_stay_ours(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    class Drives(Good):
        def write(self, offset: int, data: bytes | memoryview) -> None:
            self.pins.drive_linti(True)

    bench = bench_of(board, Drives())

    from plx9x5x.model import interrupts

    namespace: dict[str, Any] = {"__name__": interrupts.__name__}
    exec("def update():\n    raise RuntimeError('our mistake')\n", namespace)
    monkeypatch.setattr(bench.chip._interrupts, "update", namespace["update"])
    with pytest.raises(RuntimeError, match=r"^our mistake$"):
        cpu_write(bench)


@pytest.fixture(params=["python", "native"])
def plane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PLX9X5X_PLANE", request.param)
    return str(request.param)


def test_plain_memory_of_a_board_is_asked_nothing_new(board: Board, plane: str) -> None:
    bench = Bench(replace(board, windows=(Window("memory", LocalAddr(0), lambda: Sram(4 * KIB)),)))
    bench.ram[0:16] = bytes(range(16))
    dma("local")(bench)
    assert bench.local(0, 16) == bytes(range(16))
