# SPDX-License-Identifier: Apache-2.0
"""The words that the agent in the guest (guest-tests/user/agent.c) understands, and its answers.

A request is a line `NUMBER VERB WORD...`; its answer `NUMBER ok WORD...` or `NUMBER error TEXT`. The first line comes
from the agent: `ready 1 DEVICE VENDOR:ID BAR-LENGTH...`, or `failed TEXT`.
"""

import re
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import PlxError

PROTOCOL: Final = 1
CHUNK: Final = 4096
"""Bytes of a buffer that one request carries at most."""

BARS: Final = 6

MAX_LINE: Final = 2 * CHUNK + 128
_NOT_UNDERSTOOD: Final = "?"
_NUMBER: Final = re.compile(r"0x[0-9a-f]{1,16}|0|[1-9][0-9]{0,19}")
_IDS: Final = re.compile(r"[0-9a-f]{1,4}:[0-9a-f]{1,4}")


class AgentRefused(PlxError):
    """The agent, or the driver below it, said no: the caller asked for something that does not exist."""


class BadAnswer(PlxError):
    """What came is no answer to what was asked."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the agent found: the device's place, its IDs, and the bytes of BAR0 to BAR5."""

    device: str
    vendor_id: int
    device_id: int
    bars: tuple[int, ...]


def greeting(line: str) -> Greeting:
    """Read the agent's first line. Raises: BadAnswer, also for an agent that found no device."""
    match line.split(" "):
        case ["ready", protocol, device, ids, *bars] if protocol == str(PROTOCOL):
            if _IDS.fullmatch(ids) and 0 < len(bars) <= BARS:
                vendor, _, chip = ids.partition(":")
                return Greeting(device, int(vendor, 16), int(chip, 16), numbers(tuple(bars), count=len(bars)))
        case ["failed", *words]:
            raise BadAnswer(f"the agent cannot work: {' '.join(words)}")
    raise BadAnswer(f"this is no agent of protocol {PROTOCOL}: {line[:80]!r}")


def request(number: int, verb: str, *words: int | bytes) -> bytes:
    """Make the line; numbers go as hex, bytes as their digits."""
    texts = (word.hex() if isinstance(word, bytes) else f"{word:#x}" for word in words)
    return " ".join((str(number), verb, *texts)).encode("ascii") + b"\n"


def answer(line: str, *, number: int) -> tuple[str, ...]:
    """Give what came after `ok`. Raises: AgentRefused, BadAnswer."""
    match line.split(" "):
        case [came, "ok", *words] if came == str(number):
            return tuple(words)
        case [came, "error", *words] if came in (str(number), _NOT_UNDERSTOOD):
            raise AgentRefused(" ".join(words))
    raise BadAnswer(f"no answer to request {number}: {line[:80]!r}")


def one_number(words: tuple[str, ...], *, bits: int = 64) -> int:
    """The only word, a number of at most `bits` bits. Raises: BadAnswer."""
    return numbers(words, count=1, bits=bits)[0]


def numbers(words: tuple[str, ...], *, count: int, bits: int = 64) -> tuple[int, ...]:
    """Exactly `count` numbers of at most `bits` bits, with 0x or decimal. Raises: BadAnswer."""
    values = [int(word, 0) for word in words[:count] if _NUMBER.fullmatch(word)]
    if len(values) != count or len(words) != count or any(value >> bits for value in values):
        raise BadAnswer(f"{count} numbers of {bits} bits had to come, not {' '.join(words)[:80]!r}")
    return tuple(values)


def data(words: tuple[str, ...], *, length: int) -> bytes:
    """The only word, the hex digits of `length` bytes; no word for none. Raises: BadAnswer."""
    try:
        found = bytes.fromhex("".join(words))
    except ValueError:
        found = None
    if found is None or len(found) != length or len(words) > 1:
        raise BadAnswer(f"{length} bytes had to come, not {' '.join(words)[:80]!r}")
    return found


class Lines:
    """Cuts a stream into lines of at most `MAX_LINE` characters. Raises: BadAnswer from `feed` for a longer one."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take what arrived; give the lines that are complete."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE or any(len(line) > MAX_LINE for line in whole):
            self._rest = b""
            raise BadAnswer("the agent sends a line without an end")
        return [line.decode("ascii", "replace") for line in whole]
