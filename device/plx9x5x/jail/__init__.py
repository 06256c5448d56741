# SPDX-License-Identifier: Apache-2.0
"""A jail for a process that serves a client which may be hostile: it keeps what it has, and gets nothing more.

A server has everything open before its first client: socket, trace, code. Then `enter` gives the rest up, for good and
for every thread to come:

- core files, and more open files than a server needs (resource limits);
- privileges gained by running a set-user-id program (no_new_privs, without which the next two are refused);
- files: only Python's own can be opened, to be read, and only in folders that are named can a file be removed; TCP,
  other processes' abstract sockets and signals to them, where Landlock is new enough to know those (Landlock);
- system calls that no server needs: programs, processes, sockets, others' memory, mounts, modules (seccomp).

What remains: what is open and mapped, connections accepted from a listening socket, memory, threads, clocks. Knows
nothing of what is served.
"""

import contextlib
import resource
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.jail import kernel, landlock, seccomp
from plx9x5x.jail.paths import python_paths

MAX_FILES: Final = 4096
"""Open files that a server may have unless told otherwise. A client of libvfio-user brings some twenty."""

_TASKS: Final = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Jail:
    """Which parts are on: `landlock` is its ABI, 0 for none. `lacks` says in words why others are not."""

    seccomp: bool
    landlock: int
    lacks: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for people."""
        return f"jail: {self}"

    def __str__(self) -> str:
        parts = ["no_new_privs"]
        if self.seccomp:
            parts.append("seccomp")
        if self.landlock:
            parts.append(f"Landlock ABI {self.landlock}")
        return "; ".join((", ".join(parts), *self.lacks))


def offered() -> Jail:
    """What this kernel offers, which is what `enter` would turn on. Changes nothing."""
    lacks = []
    if why := seccomp.lack():
        lacks.append(f"no seccomp: {why}")
    try:
        version = landlock.abi()
    except OSError as exc:
        version = 0
        lacks.append(f"no Landlock: the kernel says: {exc.strerror}")
    return Jail(not why, version, tuple(lacks))


def enter(*, remove_in: Iterable[Path] = (), read: Iterable[Path] = (), max_files: int = MAX_FILES) -> Jail:
    """Give up all that the module's docstring names; give what is on from now on.

    Files in the folders `remove_in`, and beneath them, can still be removed; what is at `read`, or beneath it, can be
    read, as can Python's own modules. Call it with one thread: Landlock leaves out those that are there already, and
    the value says so.

    Raises: SetupError if the kernel offers a part and then refuses it. Other parts may be on by then.
    """
    jail = offered()
    try:
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_NOFILE, max_files)
        kernel.no_new_privs()
        if jail.landlock:
            if others := _other_threads():
                jail = replace(jail, lacks=(*jail.lacks, f"no Landlock in {others} threads that ran before"))
            landlock.restrict(read=[*python_paths(), *read], remove_in=remove_in)
        if jail.seccomp:
            seccomp.install()
    except OSError as exc:
        raise SetupError(
            f"the kernel refuses the jail ({exc.filename or 'limits'}: {exc.strerror})",
            hint="let the container or the supervisor allow it, or do without (plx9x5x serve: --no-jail)",
        ) from exc
    return jail


def _limit(what: int, most: int) -> None:
    """Lower both limits to `most`, where they are above."""
    soft, hard = (most if now == resource.RLIM_INFINITY else min(now, most) for now in resource.getrlimit(what))
    resource.setrlimit(what, (soft, hard))


def _other_threads() -> int:
    with contextlib.suppress(OSError):  # without /proc nobody can tell
        return len(list(_TASKS.iterdir())) - 1
    return 0
