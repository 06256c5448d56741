# SPDX-License-Identifier: Apache-2.0
"""Guests in which the switches are thrown: the module is loaded and unloaded for each.

A finding says by which load of the module it came about. Switches that cannot share a guest have one of their own.
"""

import errno
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x import boards
from plx9x5x.lab import trial
from plx9x5x.lab.blame.corpus import MODULE, REST, Corpus, Switch
from plx9x5x.lab.blame.judge import Said
from plx9x5x.lab.card.watching import CALLS
from plx9x5x.lab.contract import witnessed
from plx9x5x.lab.guest.shapes import Shape
from plx9x5x.lab.toolchain import Progress

TIMEOUT_S: Final = 300.0

_BEGAN: Final = "blame: "
"""How the guest says that it comes to a switch."""
_CAME_TO: Final = re.compile(rf"{MODULE} [\da-f:.]+: ([\w-]+): (0|-\d+)$", re.MULTILINE)
"""How the driver says what a switch came to."""
_FIRST_SWITCH: Final = 2
"""The load that throws the first one."""
_SCRIPT: Final = """\
ko=$(sed -n 's,^\\(.*/{module}\\.ko\\).*,\\1,p' /modules.list)
for word in {words}; do
	rmmod {module}
	echo "{began}$word"
	insmod "$ko" "$word" || exit
done
rmmod {module}
"""
"""The first load, before it, throws none."""
_MIXED: Final = "a finding does not say by which load it came about: take a guest for each switch (--apart)"


@dataclass(frozen=True, slots=True)
class Boot:
    """One guest: its shape and kernel, its card, and the switches that are thrown in it."""

    shape: Shape
    kernel: str
    board: str
    switches: tuple[Switch, ...]


def plan(switches: Sequence[Switch], shape: Shape, kernel: str, *, apart: bool) -> Iterator[Boot]:
    """Put switches into guests: those that can share one share it, unless all are to be `apart`.

    Of those that come last a guest has one.
    """
    together: dict[str, list[Switch]] = {}
    for switch in switches:
        board = switch.board or boards.DEFAULT
        if apart:
            yield Boot(shape, kernel, board, (switch,))
        else:
            together.setdefault(board, []).append(switch)
    for board, sharing in together.items():
        ends = [it for it in sharing if it.last]
        for switch in ends[1:]:
            yield Boot(shape, kernel, board, (switch,))
        shared = (*(it for it in sharing if not it.last), *ends[:1])
        yield Boot(shape, kernel, board, shared)


def throw(
    boot: Boot,
    corpus: Corpus,
    *,
    faults: tuple[str, ...] = (),
    tell: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
) -> Iterator[Said]:
    """Boot the guest and give what was said of each of its switches, and at last of `REST`.

    Its card fails as `faults` plan it. `tell` gets the folder of its logs.

    Raises: SetupError, BadRequest.
    """
    spec = trial.TrySpec(
        trial.parse((str(corpus.folder),)),
        command=_SCRIPT.format(module=MODULE, words=" ".join(it.parameter for it in boot.switches), began=_BEGAN),
        boards=(boot.board,),
        kernel=boot.kernel,
        guest=boot.shape,
        timeout_s=TIMEOUT_S,
        faults=faults,
    )
    result = trial.run(spec, listener=trial.Listener(), progress=progress)
    if tell is not None:
        tell(result.logs)
    yield from sort(boot, result)


def sort(boot: Boot, result: trial.TryResult) -> Iterator[Said]:
    """Give to each switch of a guest what was said in its load, and to `REST` what was said in none of theirs.

    A finding that does not say in which load is that of a switch which has all of the guest.
    """
    shape, kernel = boot.shape.name, boot.kernel
    whole = len(boot.switches) == 1
    began = {line.removeprefix(_BEGAN) for line in result.output.splitlines() if line.startswith(_BEGAN)}
    lost = result.lost is not None or result.unbuilt is not None or result.server_trouble is not None
    last = next((it for it in reversed(boot.switches) if it.parameter in began), None)
    mixed = not whole and any(not it.load for it in result.findings)
    came_to = dict(_CAME_TO.findall(result.dmesg))
    calls = _calls(result)
    for load, switch in enumerate(boot.switches, _FIRST_SWITCH):
        if switch.parameter not in began or (lost and switch is last):
            trouble = result.problems[0] if result.problems else "the guest did not come to it"
        else:
            trouble = _MIXED if mixed else _undone(switch, came_to.get(switch.name))
        own = () if mixed else (it for it in result.findings if it.load == load or (whole and not it.load))
        yield Said(switch, shape, kernel, tuple(own), trouble, _broken(calls, load))
    loads = range(_FIRST_SWITCH, _FIRST_SWITCH + len(boot.switches))
    # Of a guest that was lost its switches say so.
    problems = () if lost else (*_problems(boot, result), *calls.problems)
    strays = tuple(it for it in result.findings if it.load and it.load not in loads)
    broken = (clause for load in range(1, len(calls.loads) + 1) if load not in loads for clause in _broken(calls, load))
    yield Said(REST, shape, kernel, strays, "; ".join(problems), tuple(broken))


def _problems(boot: Boot, result: trial.TryResult) -> tuple[str, ...]:
    """What was wrong with a guest; but for the clauses of nthal that it violated, which are those of a load.

    Nor is it what Linux said of a mistake that it sees too, in a frame of which the kernel's words name the function.
    """
    of_loads = {line for card in result.cards if card.buffers is not None for line in card.buffers.problems}
    seen = tuple(f", in {it.kernel}+" for it in boot.switches if it.kernel)
    return tuple(line for line in result.problems if line not in of_loads and not any(it in line for it in seen))


def _calls(result: trial.TryResult) -> witnessed.Calls:
    """What the loads asked of the kernel; nothing if nobody looked."""
    path = result.logs / CALLS
    return witnessed.read(path) if path.is_file() else witnessed.Calls()


def _broken(calls: witnessed.Calls, load: int) -> tuple[str, ...]:
    """The clauses of nthal that a load violated."""
    one = slice(load - 1, load)
    verdict = witnessed.judge(witnessed.Calls(calls.loads[one], calls.ended[one]))
    return () if verdict is None else verdict.broken


def _undone(switch: Switch, came_to: str | None) -> str:
    """Why a switch did not do what it does, by what the driver said that it came to; empty if it did."""
    if came_to is None:
        return "its driver did not say what it came to"
    # A mistake may well end in a wait that runs out.
    good = ("0",) if switch.right else ("0", f"-{errno.ETIMEDOUT}")
    return "" if came_to in good else f"its driver could not do it: {came_to}"
