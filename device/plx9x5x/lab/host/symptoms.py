# SPDX-License-Identifier: Apache-2.0
"""What a guest's kernel log and QEMU's output say that no test case says: panics, oopses, vfio errors.

Patterns are those that Linux prints; a plain message with such a word in it does not count.
"""

import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from plx9x5x.units import KIB, MIB

_PANIC: Final = re.compile(r"Kernel panic - not syncing: ?(.*)")
_OOPS: Final = re.compile(
    r"\bBUG: |\bkernel BUG at |\bOops: |\bOops\b.*\[#|general protection fault|Unable to handle kernel|"
    r"\bWARNING: (?:CPU: \d+ PID: \d+|possible |suspicious |inconsistent |bad unlock)|"
    r"rcu: INFO: .*(?:stall|detected)|INFO: task .* blocked for more than|watchdog: BUG|"
    r"\b(?:UBSAN|KASAN|KCSAN|KFENCE|DMA-API): .*|irq \d+: nobody cared|DMAR: .*fault|"
    r"page allocation failure|Call Trace:"
)
_TRACE: Final = re.compile(r"\s*Call Trace:\s*")
_WHERE: Final = re.compile(r"\s*(?:CPU: \d|Hardware name: |Workqueue: |Tainted: |Sched_ext: )")
_STAMP: Final = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])?\s?")
_BLOCK_ENDS: Final = re.compile(r"---\[ end (?:trace|Kernel panic)|^ ?</TASK>$")
_BLOCK_LINES: Final = 60
_MOST_OOPSES: Final = 100
_MOST_NEW: Final = MIB
_MOST_LINE: Final = 16 * KIB
_MOST_SHOWN: Final = KIB
"""Of a complaint's line."""
_LINE_COST: Final = 64
"""Bytes that a line takes beside its own."""
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
    """Looks at a log that comes in pieces; `poll` gives the new lines, `oopses` and `panic` what was found in all.

    One thread may feed it and another poll. A guest that floods its console costs some MiB: the first hundred
    complaints are kept, and of lines that nobody has polled the last MiB.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rest = b""
        self._new: deque[bytes] = deque()
        self._new_bytes = self._dropped = 0
        self._blocks: list[tuple[str, list[str]]] = []
        self._open = False
        self._before = ""
        """The last line that is not about the processor and the machine."""
        self.panic: str | None = None

    @property
    def oopses(self) -> tuple[Oops, ...]:
        """Complaints so far, the first hundred, without the panic that may have ended it all."""
        with self._lock:
            return tuple(Oops(title, tuple(lines)) for title, lines in self._blocks)

    def feed(self, data: bytes) -> None:
        """Take what the guest printed next."""
        with self._lock:
            *raw, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > _MOST_LINE:
                raw, self._rest = [*raw, self._rest], b""
            for line in raw:
                self._add(line)

    def poll(self, *, last: bool = False) -> list[str]:
        """Give what is new; `last` also takes a line without its end."""
        with self._lock:
            if last and self._rest:
                self._add(self._rest)
                self._rest = b""
            lines = [f"({self._dropped} lines are left out)"] if self._dropped else []
            lines += [_plain(line) for line in self._new]
            self._new.clear()
            self._new_bytes = self._dropped = 0
            return lines

    def _add(self, raw: bytes) -> None:
        self._new.append(raw)
        self._new_bytes += len(raw) + _LINE_COST
        while self._new_bytes > _MOST_NEW:
            self._new_bytes -= len(self._new.popleft()) + _LINE_COST
            self._dropped += 1
        if self._open or len(self._blocks) < _MOST_OOPSES or b"panic" in raw:
            self._look(_STAMP.sub("", _plain(raw[:_MOST_SHOWN])))

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
        elif len(self._blocks) < _MOST_OOPSES and _OOPS.search(line):
            # dump_stack() says who and where, and whoever called it has said why.
            title = self._before if _TRACE.fullmatch(line) and self._before else line.strip()
            self._blocks.append((title, [line]))
            self._open = True
        elif not _WHERE.match(line):
            self._before = line.strip()


def scan_oopses(lines: Iterable[str]) -> tuple[Oops, ...]:
    """Complaints in a kernel log that is at hand."""
    log = SerialLog()
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


def _plain(raw: bytes) -> str:
    return clean(raw.decode("utf-8", errors="replace"))


def tail_lines(text: str, count: int) -> tuple[str, ...]:
    """The last lines that say something."""
    return tuple(line for raw in text.splitlines() if (line := clean(raw)).strip())[-count:]
