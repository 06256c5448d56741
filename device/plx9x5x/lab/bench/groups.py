# SPDX-License-Identifier: Apache-2.0
"""The groups of measurements by name, and one run of some of them on the planes that were asked for."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from plx9x5x.errors import BadRequest, LostVm, SetupError
from plx9x5x.lab.bench import growth, hal, in_guest, in_process, judged, over_socket, plane, startup, streams
from plx9x5x.lab.bench.figures import Part
from plx9x5x.lab.bench.options import Options

GROUPS: Final[Mapping[str, Callable[[Options], Part]]] = {
    "socket": over_socket.measure,
    "stream": streams.measure,
    "registers": in_process.measure_registers,
    "dma": in_process.measure_dma,
    "findings": judged.measure,
    "start": startup.measure,
    "guest": in_guest.measure,
    "run": startup.measure_run,
    "growth": growth.measure,
    "nthal": hal.measure,
}
NEED_A_GUEST: Final = frozenset({"guest", "run"})
"""These boot guests; all others need libvfio-user and a compiler at most."""
WITHOUT_A_PLANE: Final = frozenset({"nthal"})
"""These are measured once, whatever planes are asked for: no device plays a part."""


class NoSuchGroup(BadRequest):
    """The benchmark has no group of that name."""


def select(only: Collection[str] = (), *, guests: bool = True) -> tuple[str, ...]:
    """The groups to run, in the order of the report; all if none is named. Raises: NoSuchGroup."""
    if unknown := set(only) - GROUPS.keys():
        raise NoSuchGroup(f"no group '{min(unknown)}'; there are: {', '.join(GROUPS)}")
    return tuple(name for name in GROUPS if (not only or name in only) and (guests or name not in NEED_A_GUEST))


def run(names: Sequence[str], options: Options, planes: Sequence[str], *, tell: Callable[[str], None]) -> list[Part]:
    """Measure the groups, one after the other; `tell` hears of each before it starts.

    A group that cannot be measured here says so in its part, and the others go on.
    """
    parts = []
    for name in names:
        tell(name)
        own = ("",) if name in WITHOUT_A_PLANE else planes
        found = [_measure(name, replace(options, plane=which)) for which in own]
        parts.append(_joined(found))
    return parts


def _measure(name: str, options: Options) -> Part:
    try:
        with plane.chosen(options.plane):
            return GROUPS[name](options)
    except (SetupError, LostVm) as exc:
        return Part(name, name, left_out=(f"{name}: {exc}",))


def _joined(parts: Sequence[Part]) -> Part:
    """One group's parts of all planes as one."""
    return replace(
        parts[0],
        title=max((part.title for part in parts), key=len),
        rows=tuple(row for part in parts for row in part.rows),
        curves=tuple(curve for part in parts for curve in part.curves),
        left_out=tuple(line for part in parts for line in part.left_out),
    )
