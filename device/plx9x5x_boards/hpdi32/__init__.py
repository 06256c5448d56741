# SPDX-License-Identifier: Apache-2.0
"""General Standards PCI-HPDI32: a parallel interface of 32 bits behind a PCI 9080, as Linux's `gsc_hpdi` expects it.

A sender is on its cable whose words are known: on `hpdi32` word n is n, on `hpdi32-prbs` the sequence is pseudo-random.
Options set another source, a file among them, and another rate.

Source: what Linux's gsc_hpdi does with the card. UNVERIFIED: size of BAR2, and
what `plx9x5x regs --board hpdi32 --unverified` lists.
"""

from io import FileIO
from typing import Final

from plx9x5x import options
from plx9x5x.blocks import Pace
from plx9x5x.board import Board, Eeprom, EepromPart, configurable
from plx9x5x.options import Chosen, integer
from plx9x5x.regs.profile import PROFILES
from plx9x5x_boards.hpdi32.cable import Counter, Prbs15, Recorded, Source
from plx9x5x_boards.hpdi32.card import Hpdi32

WORDS_PER_S: Final = 500_000
"""Of the card's own time: 2 MB/s, at which the driver's ring of 256 KiB goes round in 131 ms. It cannot tell if its
handler is later than that, here as little as on silicon, and an emulated guest may be."""

LINE: Final = 256
"""Words that come together."""

_PROFILE: Final = PROFILES["9080"]
_LOADED: Final = {
    "ids": 0x9080_10B5, "subsystem": 0x2400_10B5,
    "las0rr": 0xFFFF_FF00, "las0ba": 0x0000_0001,  # space 0, BAR2: 256 bytes at local address 0
}  # fmt: skip


def hpdi32_board(name: str, what: str, source: Source, *, words_per_s: int = WORDS_PER_S, line: int = LINE) -> Board:
    """Make the card with `source` on its cable, and `what` to say of that. Raises: ValueError for a rate below 1."""
    return Board(
        name=name,
        summary=f"General Standards PCI-HPDI32 for Linux's gsc_hpdi, {what} (10b5:9080, subsystem 10b5:2400)",
        profile=_PROFILE,
        eeprom=Eeprom.loading(_PROFILE, EepromPart.C93CS46, _LOADED),
        windows=(Hpdi32.window("HPDI32", 0, source, Pace(words_per_s, line=line)),),
    )


_RATE: Final = integer("rate", WORDS_PER_S, "words a second on the cable", least=1, most=1_000_000_000)
_LINE: Final = integer("line", LINE, "words that come together", least=1, most=1 << 30)


_TOLD: Final = {"counter": "counting words on its cable", "prbs": "pseudo-random words on its cable"}


def _configurable(name: str, usual: str) -> Board:
    source = options.source("source", usual, "what is on the cable", tuple(_TOLD))

    def build(chosen: Chosen) -> Board:
        asked = chosen[source]
        words = Recorded(asked) if isinstance(asked, FileIO) else Counter() if asked == "counter" else Prbs15()
        what = "a file's words on its cable" if isinstance(asked, FileIO) else _TOLD[asked]
        return hpdi32_board(name, what, words, words_per_s=chosen[_RATE], line=chosen[_LINE])

    return configurable(build, _RATE, _LINE, source)


BOARD: Final = _configurable("hpdi32", "counter")
PRBS: Final = _configurable("hpdi32-prbs", "prbs")
