# SPDX-License-Identifier: Apache-2.0
"""Guests in which the switches are thrown: the module is loaded and unloaded for each.

A finding says by which load of the module it came about. Switches that cannot share a guest have one of their own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x import boards
from plx9x5x.findings.finding import Finding
from plx9x5x.lab import trial
from plx9x5x.lab.blame.corpus import MODULE, Corpus, Switch
from plx9x5x.lab.blame.judge import Said
from plx9x5x.lab.guest.shapes import Shape
from plx9x5x.lab.toolchain import Progress

TIMEOUT_S: Final = 300.0

_BEGAN: Final = "blame: "
"""How the guest says that it comes to a switch."""
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
        if apart or switch.alone:
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
    boot: Boot, corpus: Corpus, *, tell: Callable[[Path], None] | None = None, progress: Progress | None = None
) -> Iterator[Said]:
    """Boot the guest and give what was said of each of its switches. `tell` gets the folder of its logs.

    Raises: SetupError, BadRequest.
    """
    spec = trial.TrySpec(
        trial.parse((str(corpus.folder),)),
        command=_SCRIPT.format(module=MODULE, words=" ".join(it.parameter for it in boot.switches), began=_BEGAN),
        boards=(boot.board,),
        kernel=boot.kernel,
        guest=boot.shape,
        timeout_s=TIMEOUT_S,
    )
    result = trial.run(spec, listener=trial.Listener(), progress=progress)
    if tell is not None:
        tell(result.logs)
    yield from sort(boot, result)


def sort(boot: Boot, result: trial.TryResult) -> Iterator[Said]:
    """Give to each switch of a guest what was said in its load; of one that has all of the guest, all of it."""
    shape, kernel = boot.shape.name, boot.kernel
    whole = len(boot.switches) == 1
    began = {line.removeprefix(_BEGAN) for line in result.output.splitlines() if line.startswith(_BEGAN)}
    lost = result.lost is not None or result.unbuilt is not None or result.server_trouble is not None
    last = next((it for it in reversed(boot.switches) if it.parameter in began), None)
    mixed = not whole and any(not load_of(it) for it in result.findings)
    for number, switch in enumerate(boot.switches):
        if switch.parameter not in began or (lost and switch is last):
            trouble = result.problems[0] if result.problems else "the guest did not come to it"
        else:
            trouble = _MIXED if mixed else ""
        if trouble:
            yield Said(switch, shape, kernel, trouble=trouble)
        else:
            own = (it for it in result.findings if whole or load_of(it) == number + 2)
            yield Said(switch, shape, kernel, tuple(own))


def load_of(finding: Finding) -> int:
    """By which load of the module it came about, from 1; 0 if that is not known."""
    load = finding.json().get("load", 0)
    return load if isinstance(load, int) else 0
