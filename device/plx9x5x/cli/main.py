# SPDX-License-Identifier: Apache-2.0
"""The command line: finds the verbs, runs one, and turns each kind of error into its exit code.

A verb is a module of this folder with `NAME`, `HELP`, `add_arguments(parser)` and `run(args) -> int`. It imports what
it needs inside `run`, so that `--help` stays quick and a missing part breaks one verb only.
"""

import argparse
import importlib
import os
import select
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Protocol, cast

from plx9x5x.errors import LostVm, SetupError, UsageError

EXIT_USAGE: Final = 2
EXIT_HOST: Final = 69
EXIT_BUG: Final = 70
EXIT_LOST_VM: Final = 75
EXIT_INTERRUPTED: Final = 130
EXIT_NOBODY_READS: Final = 141
"""What a shell shows for SIGPIPE."""

VERBS: Final = ("run", "serve", "doctor", "toolchain")
"""Modules of this folder that hold a verb, in the order of the help."""


class Verb(Protocol):
    """What a verb's module offers."""

    NAME: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; give the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; give the exit code."""
    args = _parser().parse_args(argv)
    verb: Verb = args.verb
    try:
        return verb.run(args)
    except UsageError as exc:
        _say(f"error: {exc}")
        return EXIT_USAGE
    except SetupError as exc:
        _say(f"error: {exc}")
        _say(f"hint: {exc.hint}")
        return EXIT_HOST
    except LostVm as exc:
        _say(f"error: {exc}")
        return EXIT_LOST_VM
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the last resort: all that is left is our bug, shown in full
        if isinstance(exc, BrokenPipeError) and _nobody_reads(sys.stdout.fileno()):
            # As after `| head`. Python would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_NOBODY_READS
        traceback.print_exc()
        _say("This is a bug in plx9x5x; please report it with the lines above.")
        return EXIT_BUG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plx9x5x",
        description="A PLX 9x5x bus-master bridge over vfio-user: run a real DMA driver against it, with no hardware.",
    )
    parser.add_argument("--version", action="version", version=f"plx9x5x {_version()}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in _verbs():
        sub = verbs.add_parser(verb.NAME, help=verb.HELP, description=verb.HELP)
        verb.add_arguments(sub)
        sub.set_defaults(verb=verb)
    return parser


def _verbs() -> Iterator[Verb]:
    for name in VERBS:
        yield cast("Verb", importlib.import_module(f"{__package__}.{name}"))


def _version() -> str:
    try:
        return version("plx9x5x")
    except PackageNotFoundError:  # a bare checkout
        return "(not installed)"


def _nobody_reads(fd: int) -> bool:
    """True if `fd` is a pipe whose reader is gone."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _say(line: str) -> None:
    print(line, file=sys.stderr)
