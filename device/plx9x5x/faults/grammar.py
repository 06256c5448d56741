# SPDX-License-Identifier: Apache-2.0
"""Sentences of a plan, read word by word.

::

    [card N:] [channel N:] KIND [what the kind takes] [WHEN] [HOW OFTEN] [CHANCE]

    WHEN       at POINT | T after POINT | after T | at address A[..B]
    POINT      transfer N | interrupt N | access N [of REGISTER] | read [N] of REGISTER |
               write [N] of REGISTER [= VALUE]
    HOW OFTEN  once | for N times | for T | from then on | every N
    CHANCE     with probability P
    T          a number and us, ms or s

Case and spaces are free; `#` begins a comment. What comes after the kind may be in any order, each once.
"""

import contextlib
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from plx9x5x.faults import kinds as k
from plx9x5x.faults.kinds import Kind, Place, Slot, What
from plx9x5x.faults.plan import At, FaultPlan, Planned, Point, nanoseconds

MOST: Final = 256
"""Sentences of a plan."""
MOST_BYTES: Final = 64 * 1024
"""Of a file of sentences."""
_LONGEST: Final = 400
_MOST_NUMBER: Final = (1 << 64) - 1
_UNITS: Final = ("us", "ms", "s")
_TOKEN: Final = re.compile(
    r"\s*(?:(0[xX][0-9a-fA-F]+)|([0-9]+(?:\.(?!\.)[0-9]+)?)|([A-Za-z][A-Za-z0-9_-]*#?)|(\.\.)|([:=+]))", re.ASCII
)
_CLAUSES: Final = ("at", "after", "every", "once", "for", "from", "with")
_POINTS: Final = ("transfer", "access", "read", "write", "interrupt", "address")
_LIST: Final = "'plx9x5x faults' lists the kinds"
_BAR: Final = re.compile(r"BAR([0-5])", re.ASCII | re.IGNORECASE)
_WHOLE_BAR: Final = 1 << 32
_WIDEST: Final = 8
"""Bytes of an access."""

Names = Callable[[str], "Place | None"]
"""Finds a register by its name, in any case; None if there is none."""
Check = Callable[[Planned], None]
"""Refuses what a device cannot do, though it is a sentence. Raises: FaultPlan."""


def near(word: str, known: Iterable[str]) -> str:
    """Words that ask for the nearest, or nothing."""
    lower = {it.lower(): it for it in known}
    found = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.5)
    return f"; did you mean '{lower[found[0]]}'?" if found else ""


class Sentences:
    """Reads sentences. `names` finds registers by name, `known` lists their names for those who mistype one.

    `units` is how many like parts (channels) the device has, `check` looks at what was read.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        names: Names,
        known: Iterable[str] = (),
        *,
        units: int = 0,
        check: Check = lambda _: None,
    ) -> None:
        self.units: Final = units
        self._check = check
        self._kinds = k.known(tuple(kinds))
        self._names, self._known = names, tuple(known)
        self._longest = max(map(len, self._kinds), default=0)

    def plan(self, arguments: Iterable[str]) -> tuple[Planned, ...]:
        """Read sentences, and files of them: `@FILE`, or the path of one that is there. Raises: FaultPlan."""
        return tuple(map(self.read, expanded(arguments)))

    def read(self, text: str) -> Planned:
        """Read one. Raises: FaultPlan."""
        with _named(text):
            planned = _Reading(text, self).whole()
            self._check(planned)
            return planned

    @staticmethod
    def card(text: str) -> int:
        """The card that a sentence is about, whose reader can read the rest. Raises: FaultPlan."""
        with _named(text):
            return _Reading(text).prefixes()[0]

    def kind_at(self, words: Sequence[str]) -> tuple[Kind, int]:
        """The kind whose name the words begin with, the longest one, and its words. Raises: FaultPlan."""
        for length in range(min(self._longest, len(words)), 0, -1):
            if (kind := self._kinds.get(tuple(words[:length]))) is not None:
                return kind, length
        stop = next((at for at, word in enumerate(words) if word in _CLAUSES), len(words))
        said = " ".join(words[: min(stop, self._longest)])
        if not said:
            raise FaultPlan(f"it names no kind of fault; {_LIST}")
        hint = near(said, (kind.name for kind in self._kinds.values()))
        raise FaultPlan(
            f"'{said}' is no kind of fault{hint} {_LIST}" if hint else f"'{said}' is no kind of fault; {_LIST}"
        )

    def place(self, name: str) -> Place:
        """A register, or a whole BAR. Raises: FaultPlan."""
        if (bar := _BAR.fullmatch(name)) is not None:
            return Place(name.upper(), ((int(bar[1]), 0),), _WHOLE_BAR)
        found = self._names(name)
        if found is None:
            raise FaultPlan(f"no register is called '{name}'{near(name, self._known)}")
        return found


def expanded(arguments: Iterable[str]) -> list[str]:
    """Sentences, and those of files. Raises: FaultPlan."""
    texts = [text for argument in arguments for text in sentences(argument)]
    if len(texts) > MOST:
        raise FaultPlan(f"{len(texts)} faults are planned, and {MOST} are the most")
    return texts


def sentences(argument: str) -> list[str]:
    """Those of one argument: itself, or those of a file, one a line. Raises: FaultPlan."""
    if argument.startswith("@"):
        return _of_file(Path(argument[1:]))
    try:
        is_file = len(argument) < _LONGEST and Path(argument).is_file()
    except (OSError, ValueError):
        is_file = False
    return _of_file(Path(argument)) if is_file else [argument]


def _of_file(path: Path) -> list[str]:
    named = _short(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise FaultPlan(f"the plan {named} cannot be read: {getattr(exc, 'strerror', None) or exc}") from None
    if len(data) > MOST_BYTES:
        raise FaultPlan(f"the plan {named} is longer than {MOST_BYTES // 1024} KiB")
    lines = (_without_comment(line).strip() for line in data.decode("utf-8", "replace").splitlines())
    found = [line for line in lines if line]
    if not found:
        raise FaultPlan(f"the plan {named} has no sentence")
    return found


@contextlib.contextmanager
def _named(text: str) -> Iterator[None]:
    """Have what is wrong with a sentence name it."""
    try:
        yield
    except FaultPlan as exc:
        raise FaultPlan(f"--fault {_short(text)!r}: {exc}") from None


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class _Reading:
    """One sentence on its way from words to a `Planned`; without `sentences` it has its prefixes alone."""

    def __init__(self, text: str, sentences: Sentences | None = None) -> None:
        self.text = " ".join(_without_comment(text).split())
        self._all = sentences or Sentences((), lambda _: None)
        if len(text) > _LONGEST:
            raise FaultPlan(f"it has more than {_LONGEST} characters")
        self._words = _tokens(_without_comment(text))
        self._at = 0

    # -- words -------------------------------------------------------------------------------------

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._words[at].lower() if at < len(self._words) else ""

    def _take(self, *wanted: str) -> bool:
        """Take these words if they are next."""
        if all(self._peek(n) == word for n, word in enumerate(wanted)):
            self._at += len(wanted)
            return True
        return False

    def _next(self, what: str) -> str:
        if self._at >= len(self._words):
            raise FaultPlan(f"it ends where {what} is expected")
        self._at += 1
        return self._words[self._at - 1]

    def _number(self, what: str, least: int = 0, most: int = _MOST_NUMBER) -> int:
        word = self._next(what)
        try:
            value = int(word, 16) if word[:2].lower() == "0x" else int(word, 10)
        except ValueError:
            raise FaultPlan(f"'{word}' stands where {what} is expected") from None
        if not least <= value <= most:
            bound = "has 64 bits" if most == _MOST_NUMBER else f"{_hex(most)} at most"
            raise FaultPlan(f"{word} is no {what.removeprefix('a ')}: it is {least} or more, and {bound}")
        return value

    def _fraction(self, what: str) -> float:
        word = self._next(what)
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", word, re.ASCII):
            raise FaultPlan(f"'{word}' stands where {what} is expected")
        return float(word)

    def _time(self, *, of_use: bool = False) -> int:
        """Nanoseconds; `of_use`: more than none."""
        number = self._fraction("a time")
        unit = self._next("its unit, us, ms or s").lower()
        if unit not in _UNITS:
            raise FaultPlan(f"'{unit}' is no unit of time: us, ms or s")
        time = nanoseconds(number, unit)
        if of_use and not time:
            raise FaultPlan(f"{number:g} {unit} is no time at all")
        return time

    def _is_time(self) -> bool:
        return self._peek()[:1].isdigit() and self._peek(1) in _UNITS

    # -- parts -------------------------------------------------------------------------------------

    def whole(self) -> Planned:
        """Read all of it."""
        card, unit = self.prefixes()
        if unit is not None and unit >= self._all.units:
            are = f"they are 0 to {self._all.units - 1}" if self._all.units else "there are none"
            raise FaultPlan(f"there is no channel {unit}: {are}")
        words = [word.lower() for word in self._words[self._at :]]
        kind, used = self._all.kind_at(words)
        self._at += used
        if unit is not None and not kind.by_unit:
            raise FaultPlan(f"'{kind.name}' is no affair of one channel: leave out 'channel {unit}:'")
        told = self._slots(kind)
        planned = Planned(self.text, kind, card, unit, told, times=None if kind.lasting or kind.standing else 1)
        seen: set[str] = set()
        while self._at < len(self._words):
            planned = self._clause(planned, seen)
        return self._checked(planned, seen)

    def prefixes(self) -> tuple[int, int | None]:
        """The card, from 1, and the channel."""
        card, unit = 1, None
        seen: set[str] = set()
        while (word := self._peek()) in ("card", "channel") and self._peek(2) == ":":
            if word in seen:
                raise FaultPlan(f"'{word}' is said twice")
            seen.add(word)
            self._at += 1
            number = self._number(f"the {word}'s number")
            if word == "card" and not number:
                raise FaultPlan("there is no card 0; cards are counted from 1")
            self._at += 1
            card, unit = (number, unit) if word == "card" else (card, number)
        return card, unit

    def _slots(self, kind: Kind) -> dict[str, k.Value]:
        told: dict[str, k.Value] = {}
        left = list(kind.slots)
        while (slot := self._slot_next(left)) is not None:
            left.remove(slot)
            if slot.word:
                self._at += 1
            told[slot.word] = self._value(slot)
        for slot in left:
            if slot.required:
                what = f"'{slot.word}' and " if slot.word else ""
                raise FaultPlan(f"'{kind.name}' wants {what}{slot.what.value}, as in '{kind.example}'")
            if slot.default is not None:
                told[slot.word] = slot.default
        return told

    def _slot_next(self, left: Sequence[Slot]) -> Slot | None:
        return next((it for it in left if (self._peek() == it.word if it.word else self._peek()[:1].isdigit())), None)

    def _value(self, slot: Slot) -> k.Value:
        match slot.what:
            case What.TIME:
                return self._time(of_use=True)
            case What.REGISTER:
                return self._register()
            case What.DIRECTION:
                word = self._next("'read' or 'write'").lower()
                if word not in ("read", "write"):
                    raise FaultPlan(f"'{word}' stands where 'read' or 'write' is expected")
                return word
            case What.NUMBER:
                value = self._number("a number", slot.least, _MOST_NUMBER if slot.most is None else slot.most)
                self._take("bytes")
                return value

    def _register(self) -> Place:
        place = self._all.place(self._next("a register's name"))
        if self._take("+"):
            offset = self._number("an offset")
            place = Place(f"{place.name}+{offset:#x}", tuple((bar, at + offset) for bar, at in place.spots), 4)
        return place

    def _clause(self, planned: Planned, seen: set[str]) -> Planned:
        if self._is_time():
            self._note("when", seen)
            delay = self._time()
            if not self._take("after"):
                raise FaultPlan("a time stands alone: '5 ms after write of DMACSR0', 'after 5 ms' or 'for 5 ms'")
            return replace(planned, point=self._point(), delay_ns=delay)
        if self._take("after"):
            self._note("when", seen)
            return replace(planned, point=Point(At.BEGIN), delay_ns=self._time())
        if self._take("at"):
            if self._take("address"):
                self._note("where", seen)
                return replace(planned, addresses=self._addresses())
            self._note("when", seen)
            return replace(planned, point=self._point())
        if self._take("with"):
            self._note("chance", seen)
            if not self._take("probability"):
                raise FaultPlan("after 'with' comes 'probability', and a number from 0 to 1")
            chance = self._fraction("a probability, a number from 0 to 1")
            if not 0 < chance <= 1:
                raise FaultPlan(f"{chance:g} is no probability of use: a number above 0, up to 1")
            return replace(planned, chance=chance)
        self._note("often", seen)
        if self._take("once"):
            return replace(planned, times=1)
        if self._take("every"):
            seen.add("every")
            return replace(planned, every=self._number("a number", least=1), times=None)
        if self._take("from", "then", "on"):
            return replace(planned, times=None)
        if self._take("for"):
            if self._is_time():
                return replace(planned, lasts_ns=self._time(of_use=True), times=None)
            times = self._number("a number of times, or a time", least=1)
            if not self._take("times"):
                raise FaultPlan(f"after 'for {times}' comes 'times', or us, ms or s")
            return replace(planned, times=times)
        hint = near(self._peek(), (*_CLAUSES, *_slots_of(planned.kind)))
        raise FaultPlan(f"'{self._words[self._at]}' is not understood here{hint}")

    @staticmethod
    def _note(what: str, seen: set[str]) -> None:
        if what in seen:
            said = {"often": "how often", "chance": "with which probability"}.get(what, what)
            raise FaultPlan(f"it says twice {said}")
        seen.add(what)

    def _addresses(self) -> tuple[int, int]:
        first = self._number("an address")
        last = self._number("an address") if self._take("..") else first
        if last < first:
            raise FaultPlan(f"the addresses end at {last:#x}, before they begin at {first:#x}")
        return first, last

    def _point(self) -> Point:
        word = self._next(f"one of {', '.join(_POINTS[:-1])}").lower()
        match word:
            case "transfer" | "interrupt":
                return Point(At(word), self._number("its number, from 1", least=1))
            case "access":
                number = self._number("its number, from 1", least=1)
                return Point(At.ACCESS, number, self._register() if self._take("of") else None)
            case "read" | "write":
                number = self._number("a number from 1", least=1) if self._peek()[:1].isdigit() else 1
                if not self._take("of"):
                    raise FaultPlan(f"a {word} of which register? As in '{word} of INTCSR'")
                place = self._register()
                value = self._number("a value") if word == "write" and self._take("=") else None
                return Point(At(word), number, place, value)
            case _:
                raise FaultPlan(f"'{word}' is nothing to wait for{near(word, _POINTS)} ({', '.join(_POINTS)})")

    def _checked(self, planned: Planned, seen: set[str]) -> Planned:
        """Refuse what does not go together; give what was left out."""
        kind = planned.kind
        _fits(planned)
        if kind.standing and seen:
            raise FaultPlan(f"'{kind.name}' is so from power-on: it takes no time and no count")
        if planned.addresses is not None and kind.stream != k.BUS:
            raise FaultPlan(f"'{kind.name}' has no address on the bus")
        if kind.prompt and kind.lasting and (planned.times is not None or planned.every > 1 or planned.chance < 1):
            raise FaultPlan(f"'{kind.name}' is or is not: say 'for T', or nothing")
        if planned.chance < 1 and "often" not in seen and planned.point is None:
            return replace(planned, times=None)
        return planned


def _fits(planned: Planned) -> None:
    """Refuse numbers that no bit of a register has. Raises: FaultPlan."""
    place, point = planned.place, planned.point
    if place is not None and planned.kind.effect is k.Effect.STUCK_BIT:
        bit = planned.number("", 0)
        if bit >= 8 * place.width:
            raise FaultPlan(f"{place.name} has no bit {bit}: they are 0 to {8 * place.width - 1}")
    elif place is not None:
        _fit(place, planned.number("=", 0))
    if point is not None and point.place is not None and point.value is not None:
        _fit(point.place, point.value)


def _fit(place: Place, value: int) -> None:
    bits = 8 * min(place.width, _WIDEST)
    if value >= 1 << bits:
        raise FaultPlan(f"{place.name} cannot be {_hex(value)}: it has {bits} bits")


def _hex(value: int) -> str:
    return str(value) if value < 10 else f"{value:#x}"


def _slots_of(kind: Kind) -> tuple[str, ...]:
    return tuple(slot.word for slot in kind.slots if slot.word.isalpha())


def _without_comment(text: str) -> str:
    """A word may end in '#', as INTA#: a comment stands after a space, or at the start."""
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0]


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FaultPlan(f"'{text[at:].strip()[:1]}' does not belong in a sentence")
        found.append(next(group for group in match.groups() if group is not None))
        at = match.end()
    return found
