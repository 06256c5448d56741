# SPDX-License-Identifier: Apache-2.0
"""What a guest's kernel log and QEMU's output say that no test case says: panics, oopses, vfio errors.

Patterns are those that Linux prints; a plain message with such a word in it does not count.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PANIC: Final = re.compile(r"Kernel panic - not syncing: ?(.*)")
_OOPS: Final = re.compile(
    r"\bBUG: |\bkernel BUG at |\bOops: |\bOops\b.*\[#|general protection fault|Unable to handle kernel|"
    r"\bWARNING: (?:CPU: \d+ PID: \d+|possible |suspicious |inconsistent |bad unlock)|"
    r"rcu: INFO: .*(?:stall|detected)|INFO: task .* blocked for more than|watchdog: BUG|"
    r"\b(?:UBSAN|KASAN|KCSAN|KFENCE|DMA-API): .*|irq \d+: nobody cared|DMAR: .*fault|"
    r"page allocation failure|Call Trace:"
)
_STAMP: Final = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])?\s?")
_BLOCK_ENDS: Final = re.compile(r"---\[ end (?:trace|Kernel panic)|^ ?</TASK>$")
_BLOCK_LINES: Final = 60
_CONTROL: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\t -\U0010ffff]")

_VFIO: Final = re.compile(r"vfio", re.IGNORECASE)
# Said by a QEMU that works: a remark, and the unmaps at shutdown of an IOMMU that libvfio-user answers with ENOENT.
_VFIO_HARMLESS: Final = re.compile(
    r"warning: |Could not enable error recovery|unmap.*(?:-2\b|No such file or directory|ENOENT)"
    r"|error reply on async request:? command 3 error No such file or directory",  # 3 is DMA_UNMAP
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Oops:
    """One complaint of the guest's kernel: its first line, and what followed."""

    title: str
    lines: tuple[str, ...]


class SerialLog:
    """Reads a growing log; `poll` gives the new lines, `oopses` and `panic` what was found in all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._blocks: list[tuple[str, list[str]]] = []
        self._open = False
        self.panic: str | None = None

    @property
    def oopses(self) -> tuple[Oops, ...]:
        """Complaints so far, without the panic that may have ended it all."""
        return tuple(Oops(title, tuple(lines)) for title, lines in self._blocks)

    def poll(self, *, last: bool = False) -> list[str]:
        """Read what is new; `last` also takes a line without its end."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *raw, self._rest = (self._rest + data).split(b"\n")
        if last and self._rest:
            raw, self._rest = [*raw, self._rest], b""
        lines = [clean(line.decode("utf-8", errors="replace")) for line in raw]
        for line in lines:
            self._look(_STAMP.sub("", line))
        return lines

    def _look(self, line: str) -> None:
        if match := _PANIC.search(line):
            self.panic = self.panic or match[1] or line
            self._open = False
        elif self.panic is not None:
            return  # the panic's own trace
        elif self._open:
            block = self._blocks[-1][1]
            block.append(line)
            if _BLOCK_ENDS.search(line) or len(block) >= _BLOCK_LINES:
                self._open = False
        elif _OOPS.search(line):
            self._blocks.append((line.strip(), [line]))
            self._open = True


def scan_oopses(lines: Iterable[str]) -> tuple[Oops, ...]:
    """Complaints in a kernel log that is at hand."""
    log = SerialLog(Path())
    for line in lines:
        log._look(_STAMP.sub("", clean(line)))  # noqa: SLF001 - the same module
    return log.oopses


_MOST_ERRORS: Final = 100


def vfio_errors(output: Iterable[str]) -> tuple[str, ...]:
    """Lines of QEMU's output by which the device failed, each once and the first hundred.

    QEMU only prints that a DMA mapping failed; the guest is never told.
    """
    found: dict[str, None] = {}
    for raw in output:
        line = clean(raw).strip()
        if len(found) < _MOST_ERRORS and _VFIO.search(line) and not _VFIO_HARMLESS.search(line):
            found[line] = None
    return tuple(found)


def clean(line: str) -> str:
    """A line of a terminal as plain text: no escape sequences, no control characters."""
    return _CONTROL.sub("", line).rstrip()


def tail_lines(text: str, count: int) -> tuple[str, ...]:
    """The last lines that say something."""
    return tuple(line for raw in text.splitlines() if (line := clean(raw)).strip())[-count:]
