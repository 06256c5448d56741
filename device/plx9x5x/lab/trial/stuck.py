# SPDX-License-Identifier: Apache-2.0
"""Where a guest hangs: an NMI has its kernel panic and print every stack; the driver's own lines are looked for.

A module that loops and never comes back lies below the NMI on the stack; one that waits for ever is in a task that
sleeps. A kernel thread that sleeps waits for work, which is no fault.

Source: Linux, admin-guide/kernel-parameters: `unknown_nmi_panic`; `panic_print`, 1 all tasks, 64 all processors.
"""

import contextlib
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from plx9x5x.lab.guest.qmp import Qmp, QmpError
from plx9x5x.lab.guest.vm import GuestVm
from plx9x5x.lab.host.symptoms import clean
from plx9x5x.units import MIB

WORDS: Final = ("unknown_nmi_panic", "panic_print=65")
"""For the kernel's command line: without them an NMI is a remark in its log."""
_LIMIT_S: Final = 10.0
_MOST: Final = 8 * MIB
_OF_A_THREAD: Final = " kthread+0x"
_SHOWN: Final = 12
_STAMP: Final = re.compile(r"^\[ *\d+\.\d+\] ")
_FRAME: Final = re.compile(r"^ *(?:RIP: \w+:)?(\?)? *([\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+) \[(\w+)\]")
_TASK: Final = re.compile(r"^task:(\S+) +state:(\S)")
_OF_A_PROCESSOR: Final = re.compile(r"^CPU: \d+ .*?Comm: (\S+)")


@dataclass(frozen=True, slots=True)
class Stuck:
    """The innermost frame that is the driver's, as FUNCTION+OFFSET/SIZE [MODULE]; whose stack; and its lines."""

    frame: str
    task: str
    waits: bool
    stack: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.task} {'waits' if self.waits else 'loops'} in {self.frame}"


def ask(vm: GuestVm, qmp: Qmp, modules: Collection[str]) -> Stuck | None:
    """End a guest that lives, and say where in `modules` it hung; None if nobody was there."""
    log = vm.logs / "serial.log"
    with contextlib.suppress(QmpError, OSError):
        before = log.stat().st_size
        qmp.execute("inject-nmi", {})
        end = time.monotonic() + _LIMIT_S
        while vm.alive and time.monotonic() < end:
            time.sleep(0.02)
        vm.end()
        with log.open("rb") as file:
            file.seek(before)
            return find(file.read(_MOST).decode("utf-8", "replace").splitlines(), modules)
    return None


def find(lines: Sequence[str], modules: Collection[str]) -> Stuck | None:
    """Look through what a panic printed: first the processors' stacks, then those of tasks that wait."""
    found = list(_stacks(lines))
    for task, waits, stack in sorted(found, key=lambda it: it[1]):
        if waits and any(_OF_A_THREAD in line for line in stack):
            continue
        if frame := frame_in(stack, modules):
            return Stuck(frame, task, waits, tuple(it.strip() for it in stack[:_SHOWN]))
    return None


def frame_in(lines: Iterable[str], modules: Collection[str]) -> str | None:
    """The innermost frame in one of the modules, of an oops or a stack as the kernel prints it."""
    for line in lines:
        frame = _FRAME.match(_STAMP.sub("", clean(line)))
        if frame and not frame[1] and frame[3] in modules:
            return f"{frame[2]} [{frame[3]}]"
    return None


def _stacks(lines: Sequence[str]) -> Iterator[tuple[str, bool, list[str]]]:
    """Task, whether it waits, and the frames, of each stack; what lies above an NMI is not the task's."""
    task, waits, stack = "", False, list[str]()
    for raw in lines:
        line = _STAMP.sub("", clean(raw))
        head, cpu = _TASK.match(line), _OF_A_PROCESSOR.match(line)
        if head or cpu:
            if stack:
                yield task, waits, stack
            task, waits, stack = (head[1], head[2] != "R", []) if head else (cpu[1] if cpu else "", False, [])
        elif "</NMI>" in line:
            stack = [it for it in stack if it.startswith("RIP:")][-1:]  # where the NMI came
        elif (line.startswith(" ") and "+0x" in line) or line.startswith("RIP:"):
            stack.append(line)
    if stack:
        yield task, waits, stack
