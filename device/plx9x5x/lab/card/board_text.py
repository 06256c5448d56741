# SPDX-License-Identifier: Apache-2.0
"""What a board declares of the registers on its local bus, as text, as `register_text` does for the chip's."""

from collections.abc import Iterator

from plx9x5x.board import Board, Window
from plx9x5x.lab.card.register_text import UNVERIFIED, bits_text, title
from plx9x5x.regs.catalog import NoSuchRegister
from plx9x5x.regs.kernel import Register, everyone

Placed = tuple[Window, type[Register]]


def table(board: Board) -> Iterator[str]:
    """A line for each register, by window; a line that says so if none is declared."""
    if not any(window.registers for window in board.windows):
        yield f"board {board.name} declares no registers of its own"
        return
    for window in board.windows:
        if window.registers:
            yield f"{window.name}, local address {window.local_base:#x}"
            yield f"{'offset':8} {'name':24} {'bits':>4}  {'reset':10}"
        for reg in window.registers:
            reset = f"{reg.on(everyone(reg.family)).reset:0{reg.width // 4}x}"
            yield f"{f'0x{reg.offset:02x}':8} {reg.__name__:24} {reg.width:>4}  {reset:10}  {title(reg)}"


def one(board: Board, name: str) -> Iterator[str]:
    """A register with its fields. Raises: NoSuchRegister that names those there are."""
    for window, reg in _named(board, name):
        yield f"{reg.__name__}: {title(reg)}"
        yield f"at 0x{reg.offset:02x} of {window.name}, {reg.width} bits; source: {reg.source}"
        yield f"reset {reg.on(everyone(reg.family)).reset:#x}"
        yield ""
        for field in reversed(reg.fields):
            mark = f"  [{UNVERIFIED}]" if field.unverified else ""
            reset = f"{field.reset(everyone(reg.family)):#x}"
            yield f"  {bits_text(field):>5}  {field.access.value:4} {reset:>8}  {field.name}: {field.doc}{mark}"


def unverified(board: Board, name: str | None = None) -> Iterator[str]:
    """A line for each field, of one register or of all, that no public source confirms. Raises: NoSuchRegister."""
    for _, reg in _named(board, name) if name else _all(board):
        for field in reg.fields:
            if field.unverified:
                yield f"{reg.__name__}.{field.name} [{bits_text(field)}]: {field.doc}"


def _all(board: Board) -> list[Placed]:
    return [(window, reg) for window in board.windows for reg in window.registers]


def _named(board: Board, name: str) -> list[Placed]:
    """Every register of that name, in any case: two windows may have the same ones."""
    found = [(window, reg) for window, reg in _all(board) if reg.__name__ == name.upper()]
    if not found:
        names = ", ".join(dict.fromkeys(reg.__name__ for _, reg in _all(board)))
        raise NoSuchRegister(f"the board {board.name!r} declares no register {name!r}; there are: {names or 'none'}")
    return found
