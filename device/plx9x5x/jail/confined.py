# SPDX-License-Identifier: Apache-2.0
"""Run somebody else's program where Landlock lets it have the files that it serves, and no others.

::

    confined --run PROGRAM'S-FOLDER --read FOLDER --write FOLDER [--nobody] -- PROGRAM ...

What is beneath `--run` can be run and read, beneath `--read` read, beneath `--write` all but run and made a device. A
kernel without Landlock runs the program without; one line on stderr says so. `--nobody` gives up root for 65534, who
need not be able to get to those folders: they are opened before, and the program's words name them as open. The
program ends when its parent does, as ours do (a change of user would have undone that).
"""

import argparse
import contextlib
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import plx9x5x
from plx9x5x.jail import kernel, landlock

NOBODY: Final = 65534
NOT_RUN: Final = 126
"""Exit code where the program could not be started, as a shell has it."""
_SEARCHED: Final = "--library-path"
# The package may be a bare checkout, and nothing else of the caller's is to be imported.
_START: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from plx9x5x.jail import confined; confined.main()"


def command(
    argv: Sequence[str],
    *,
    run: Sequence[Path],
    read: Sequence[Path] = (),
    write: Sequence[Path] = (),
    nobody: bool = False,
) -> list[str]:
    """Give the command line that runs `argv` so confined."""
    words = [sys.executable, "-I", "-c", _START, str(Path(plx9x5x.__file__).resolve().parents[1])]
    for option, paths in (("--run", run), ("--read", read), ("--write", write)):
        words += [f"{option}={path}" for path in paths]
    return [*words, *(["--nobody"] if nobody else []), "--", *argv]


def main(argv: list[str] | None = None) -> NoReturn:
    """Confine this process and become the program, or exit with NOT_RUN."""
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
            kernel.die_with_parent()
            if os.getppid() != parent:
                sys.exit(NOT_RUN)
        os.execve(program, words, os.environ)  # noqa: S606 - to become it is the point
    except OSError as exc:
        print(f"cannot run {args.program[0]}: {exc.filename or ''} {exc.strerror}", file=sys.stderr)  # noqa: T201
    sys.exit(NOT_RUN)


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

    after = ["", *words]  # a loader's list of folders is one word
    return [
        ":".join(map(named, word.split(":"))) if before == _SEARCHED else named(word)
        for before, word in zip(after, words, strict=False)
    ]
