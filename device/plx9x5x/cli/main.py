# SPDX-License-Identifier: Apache-2.0
"""The command line: finds the verbs, runs one, and turns each kind of error into its exit code.

A verb is a module of this folder with `NAME`, `HELP`, `add_arguments(parser)` and `run(args) -> int`. It imports what
it needs inside `run`, so that `--help` stays quick and a missing part breaks one verb only.
"""

import argparse
import errno
import importlib
import io
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Protocol, cast

from plx9x5x.cli import ending
from plx9x5x.errors import BadRequest, LostVm, SetupError
from plx9x5x.lab import defaults

EXIT_USAGE: Final = 2
EXIT_HOST: Final = 69
EXIT_BUG: Final = 70
EXIT_INTERRUPTED: Final = 130
EXIT_NOBODY_READS: Final = 141
"""What a shell shows for SIGPIPE."""

_HOST_REFUSES: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

VERBS: Final = (
    "run", "try_", "serve", "boards", "board", "config", "regs", "decode", "findings", "faults", "doctor", "toolchain",
)  # fmt: skip
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
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be text
    words = sys.argv[1:] if argv is None else list(argv)
    # What follows '--' is another program's: argparse would take it for more of ours.
    at = words.index("--") if "--" in words else len(words)
    parser = _parser()
    args = parser.parse_args(words[:at])
    args.command = words[at + 1 :]
    if args.command and not getattr(args.verb, "TAKES_COMMAND", False):
        parser.error(f"'{args.verb.NAME}' runs no command: what is it that follows '--'?")
    ending.check()
    verb: Verb = args.verb
    # A signal that ends us unwinds what was started, as Ctrl-C does; a verb may have handlers of its own.
    mine = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    for number in mine:
        signal.signal(number, ending.unwind)
    try:
        return _run(verb, args)
    finally:
        ending.forget()
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _run(verb: Verb, args: argparse.Namespace) -> int:
    try:
        with ending.told():
            return verb.run(args)
    except ending.Ended as exc:
        return ending.exit_code(exc.number, verb.NAME)
    except BadRequest as exc:
        _say(f"error: {exc}")
        return EXIT_USAGE
    except SetupError as exc:
        _say(f"error: {exc}")
        _say(f"hint: {exc.hint}")
        return EXIT_HOST
    except LostVm as exc:
        _say(f"error: {exc}")
        return defaults.EXIT_LOST_VM
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the last resort: all that is left is our bug, shown in full
        if isinstance(exc, BrokenPipeError) and _nobody_reads(sys.stdout.fileno()):
            # As after `| head`. Python would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_NOBODY_READS
        if isinstance(exc, OSError) and exc.errno in _HOST_REFUSES:
            _say(f"error: {exc}")
            _say("hint: make room there, or let PLX9X5X_CACHE name a folder with room that you can write")
            return EXIT_HOST
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


def _open_standard_streams() -> None:
    """Give a stream that was closed (`2>&-`) the null device, lest the next file that is opened takes its number."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            while (opened := os.open(os.devnull, os.O_RDWR)) < fd:
                pass
            setattr(sys, name, os.fdopen(opened, "w" if fd else "r"))


def _nobody_reads(fd: int) -> bool:
    """True if `fd` is a pipe whose reader is gone."""
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _say(line: str) -> None:
    print(line, file=sys.stderr)
