# SPDX-License-Identifier: Apache-2.0
"""A board is a value behind the bridge: its chip, IDs by the EEPROM, memory and peripherals by windows.

Boards register under the entry-point group `plx9x5x.boards`, so another distribution adds one without touching ours.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from plx9x5x import options as settings
from plx9x5x.errors import RAISED, BadRequest, SetupError
from plx9x5x.options import BadOption, Chosen, Option
from plx9x5x.peripheral import LocalBusTarget
from plx9x5x.regs.eeprom_map import build_image, wrong_image
from plx9x5x.regs.kernel import Register, is_declared
from plx9x5x.regs.profile import Profile
from plx9x5x.units import LocalAddr

BOARD_GROUP: Final = "plx9x5x.boards"

_BOARD_HINT: Final = "mend the package that registers it"


class NoSuchBoard(BadRequest):
    """No board is registered under that name."""


@dataclass(frozen=True, slots=True)
class Window:
    """A peripheral on the local bus. `target` builds a fresh one for each chip, so that two servers share nothing.

    One that is `plx9x5x.peripheral.Pluggable` too gets the chip's pins. `registers` declares its registers, offsets
    from the window's start: `plx9x5x regs --board` lists them, the chip does not look.
    """

    name: str
    local_base: LocalAddr
    target: Callable[[], LocalBusTarget]
    registers: tuple[type[Register], ...] = ()


class EepromPart(enum.Enum):
    """A serial EEPROM: its 16-bit words, and the address bits of its commands."""

    C93CS46 = (64, 6)
    C93CS56 = (128, 8)
    C93CS66 = (256, 8)

    @property
    def words(self) -> int:
        """Words of 16 bits."""
        return self.value[0]

    @property
    def address_bits(self) -> int:
        """Address bits of a command; a 93CS56 ignores the topmost of its eight."""
        return self.value[1]

    @property
    def size(self) -> int:
        """Bytes."""
        return 2 * self.words


@dataclass(frozen=True, slots=True)
class Eeprom:
    """The serial EEPROM of a board: the part and what it holds when the board leaves the factory.

    `image` may be shorter than the part, the rest is blank (ones). `write_protected` ties its write enable down.
    `short_load` is the strap that some chips have. Raises: ValueError if the image does not fit.
    """

    part: EepromPart
    image: bytes
    write_protected: bool = False
    short_load: bool = False

    def __post_init__(self) -> None:
        if len(self.image) > self.part.size:
            raise ValueError(f"an image of {len(self.image)} bytes does not fit a {self.part.name} of {self.part.size}")

    @classmethod
    def loading(cls, profile: Profile, part: EepromPart, values: Mapping[str, int]) -> "Eeprom":
        """Build the image that makes `profile` load `values`, by the names of `plx9x5x.regs.eeprom_map`.

        Raises: ValueError if the chip loads no such dword.
        """
        return cls(part, build_image(profile, values, size=part.size))


@dataclass(frozen=True, slots=True)
class Board:
    """Everything behind the bridge, and which chip the bridge is. `eeprom` None is an empty socket.

    `options` can be set from outside; `build` makes the board anew for them: both come from `configurable`.
    """

    name: str
    summary: str
    profile: Profile
    eeprom: Eeprom | None
    windows: tuple[Window, ...]
    options: tuple[Option[Any], ...] = ()
    build: Callable[[Chosen], "Board"] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Raises: TypeError for what is no chip, window, register or option; ValueError for an image cut or turned."""
        settings.check(self.name, self.options)
        if self.options and self.build is None:
            raise TypeError(
                f"board {self.name}: options= without build= would change nothing: configurable(build, ...) gives both"
            )
        profile: object = self.profile
        windows: object = self.windows
        if not isinstance(profile, Profile):
            raise TypeError(f"board {self.name}: profile={profile!r} is none of plx9x5x.regs.profile.PROFILES")
        if not isinstance(windows, tuple) or not all(isinstance(window, Window) for window in windows):
            raise TypeError(f"board {self.name}: windows={windows!r} is no tuple of Window")
        for window in self.windows:
            registers: object = window.registers
            if not isinstance(registers, tuple) or not all(is_declared(register) for register in registers):
                raise TypeError(
                    f"board {self.name}: window {window.name}: registers={registers!r} is no tuple of registers "
                    "(plx9x5x.regs.kernel.Register with an offset)"
                )
        if self.eeprom is not None and (wrong := wrong_image(self.profile, self.eeprom.image)):
            raise ValueError(f"board {self.name}: {wrong}; 'plx9x5x board new' makes a board of a dump")

    def set(self, words: Sequence[str], *, look: bool = False) -> "Board":
        """Give the board with these settings, `name=value` each; files among them are open then.

        `look`: no file is made or written, as by one who looks at the board and does not serve it (`options.chosen`).

        Raises: BadOption for what it does not have or take, and if it refuses the value itself (ValueError);
        SetupError if it cannot be made of them.
        """
        values = settings.chosen(self.name, self.options, words, look=look)
        if self.build is None or not words:
            return self
        try:
            return _built(self.build, values, self.options)
        except BaseException as exc:
            values.give_up()
            if isinstance(exc, ValueError):
                told = " ".join(f"--set {word}" for word in words)
                raise BadOption(f"{told}: {self.name} refuses that: {exc}") from exc
            if isinstance(exc, RAISED):
                raise SetupError(
                    f"the board {self.name!r} cannot be made of {' '.join(words)}: {type(exc).__name__}: {exc}",
                    hint=_BOARD_HINT,
                ) from exc
            raise


def configurable(build: Callable[[Chosen], Board], *options: Option[Any]) -> Board:
    """Make a board that has options: `build` gives it for their values, now for the defaults.

    Raises: TypeError for what is no option, if `build` gives no board, and whatever `build` does.
    """
    settings.check(getattr(build, "__name__", "?"), options)
    return _built(build, Chosen({option.name: option.default for option in options}), options)


def _built(build: Callable[[Chosen], Board], values: Chosen, options: tuple[Option[Any], ...]) -> Board:
    """Raises: TypeError if `build` gives no board, and whatever it raises."""
    built: object = build(values)
    if not isinstance(built, Board):
        raise TypeError(f"{getattr(build, '__name__', 'build')}() gave {built!r}, which is no plx9x5x.board.Board")
    return replace(built, options=options, build=build)


def _installed() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=BOARD_GROUP):
        found.setdefault(entry.name, []).append(entry)
    return found


def board_names() -> tuple[str, ...]:
    """Names of every registered board, sorted."""
    return tuple(sorted(_installed()))


def load_board(name: str, words: Sequence[str] = (), *, look: bool = False) -> Board:
    """Give the board registered as `name`, with the settings `name=value`; `look` as in `Board.set`.

    Raises: NoSuchBoard if there is none; BadOption for settings that it does not take; SetupError if two packages
    register it, if its module does not import, or if what is registered is no board.
    """
    registered = _installed().get(name)
    if not registered:
        raise NoSuchBoard(f"no board is named {name!r}; there are: {', '.join(board_names()) or 'none'}")
    entry = registered[0]
    if len({one.value for one in registered}) > 1:
        raise SetupError(
            f"two packages register a board named {name!r}: {' and '.join(sorted(one.value for one in registered))}",
            hint="uninstall one of them, or rename its board",
        )
    try:
        board = entry.load()
    except RAISED as exc:
        raise SetupError(
            f"the board {name!r} ({entry.value}) cannot be made: {type(exc).__name__}: {exc}", hint=_BOARD_HINT
        ) from exc
    if not isinstance(board, Board):
        raise SetupError(f"entry point {entry.name} = {entry.value} is not a plx9x5x.board.Board", hint=_BOARD_HINT)
    return board.set(words, look=look)
