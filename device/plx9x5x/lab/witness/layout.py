# SPDX-License-Identifier: Apache-2.0
"""Where a module's code lies in the guest, by its file and the two addresses that the kernel gave its text.

The kernel puts what is executed first, section after section in the file's order, each at its alignment; those whose
names begin with `.init` make a text of their own, which is freed when the module has come up.

Source: Linux, kernel/module/main.c, layout_sections() (6.1) and __layout_sections() (6.12).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plx9x5x.lab.witness.elf import Elf, Section

_INIT: Final = ".init"
_MOST_ALIGNED: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Placed:
    """A section of code: `offset` bytes from where its text begins."""

    index: int
    name: str
    offset: int
    size: int
    init: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """All of a module's code."""

    sections: tuple[Placed, ...]

    def size(self, *, init: bool) -> int:
        """Bytes of one of its two texts, at least."""
        return max((it.offset + it.size for it in self.sections if it.init is init), default=0)

    def at(self, offset: int, *, init: bool) -> tuple[Placed, int] | None:
        """Which section holds that byte of a text, and which byte of the section it is."""
        for it in self.sections:
            if it.init is init and it.offset <= offset < it.offset + it.size:
                return it, offset - it.offset
        return None

    def named(self, name: str) -> Placed | None:
        """The section of that name."""
        return next((it for it in self.sections if it.name == name), None)


def of(elf: Elf) -> Layout:
    """Lay a module out as the kernel does."""
    texts = [(init, [it for it in elf.sections if it.holds_code and _is_init(it) is init]) for init in (False, True)]
    return Layout(tuple(placed for init, sections in texts for placed in _one(sections, init=init)))


def _one(sections: Sequence[Section], *, init: bool) -> list[Placed]:
    found, end = [], 0
    for it in sections:
        align = it.align if 0 < it.align <= _MOST_ALIGNED else 1
        start = -(-end // align) * align
        end = start + it.size
        found.append(Placed(it.index, it.name, start, it.size, init))
    return found


def _is_init(section: Section) -> bool:
    return section.name.startswith(_INIT)
