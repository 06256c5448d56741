# SPDX-License-Identifier: Apache-2.0
"""Run somebody else's program where Landlock lets it have the files that it serves, and no others.

::

    python -m plx9x5x.jail.confined --run PROGRAM'S-FOLDER --read FOLDER --write FOLDER [--nobody] -- PROGRAM ...

What is beneath `--run` can be run and read, beneath `--read` read, beneath `--write` all but run and made a device. A
kernel without Landlock runs the program without; one line on stderr says so. `--nobody` gives up root for 65534, who
need not be able to get to those folders: they are opened before, and the program's words name them as open. The
program ends when its parent does, as ours do (a change of user would have undone that).
"""

import argparse
import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from plx9x5x.jail import kernel, landlock

NOBODY: Final = 65534
NOT_RUN: Final = 126
"""Exit code where the program could not be started, as a shell has it."""
_PR_SET_PDEATHSIG: Final = 1


def command(
    argv: Sequence[str],
    *,
    run: Sequence[Path],
    read: Sequence[Path] = (),
    write: Sequence[Path] = (),
    nobody: bool = False,
) -> list[str]:
    """Give the command line that runs `argv` so confined."""
    words = [sys.executable, "-I", "-m", __name__]
    for option, paths in (("--run", run), ("--read", read), ("--write", write)):
        words += [f"{option}={path}" for path in paths]
    return [*words, *(["--nobody"] if nobody else []), "--", *argv]


def main(argv: list[str] | None = None) -> int:
    """Confine this process and become the program; returns only if that fails."""
    parser = argparse.ArgumentParser(prog="confined", description="Run a program that sees some files only.")
    for option in ("--run", "--read", "--write"):
        parser.add_argument(option, type=Path, action="append", default=[])
    parser.add_argument("--nobody", action="store_true")
    parser.add_argument("program", nargs="+")
    args = parser.parse_args(argv)
    parent = os.getppid()
    try:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        words = list(args.program)
        program = os.open(words[0], os.O_PATH | os.O_CLOEXEC)
        kernel.no_new_privs()
        try:
            landlock.abi()
        except OSError as exc:
            print(f"not jailed: no Landlock: {exc.strerror}", file=sys.stderr, flush=True)  # noqa: T201 - a program
        else:
            landlock.restrict(read=args.read, write=args.write, run=args.run)
        if args.nobody:  # once the rules are made, for which the folders are opened
            words = _as_open(words, [*args.run, *args.read, *args.write])
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != parent:
                return NOT_RUN
        os.execve(program, words, os.environ)  # noqa: S606 - to become it is the point
    except OSError as exc:
        print(f"cannot run {args.program[0]}: {exc.filename or ''} {exc.strerror}", file=sys.stderr)  # noqa: T201
    return NOT_RUN


def _as_open(words: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """The same words with these folders by descriptors that stay open: no folder above is looked at any more."""
    names: dict[str, str] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            opened = os.open(folder, os.O_PATH)
            os.set_inheritable(opened, True)
            names[str(folder)] = f"/proc/self/fd/{opened}"

    def named(path: str) -> str:
        for folder, name in names.items():
            if path == folder:
                return name
            if folder != "/" and path.startswith(f"{folder}/"):
                return name + path.removeprefix(folder)
        return path

    return [":".join(map(named, word.split(":"))) for word in words]


if __name__ == "__main__":
    sys.exit(main())
