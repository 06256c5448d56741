# SPDX-License-Identifier: Apache-2.0
"""`serve` beside a QEMU that records what the guest's driver does: the options, and the witness around the chip.

Whoever starts both gives the server its end of the ring (`plx9x5x.witness.ring.create`); `run` and `try` do.
"""

import argparse
import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plx9x5x.cli.usage import UsageError
from plx9x5x.errors import SetupError

if TYPE_CHECKING:
    from plx9x5x.chip_faults.excuse import Excuses
    from plx9x5x.model.chip import Chip
    from plx9x5x.ports import TraceSink
    from plx9x5x.witness.log import CallLog
    from plx9x5x.witness.witness import Witness

_LOG: Final = logging.getLogger("plx9x5x.witness")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options: for programs, so `--help` has a line for them all."""
    parser.add_argument(
        "--witness-fd",
        type=int,
        metavar="N",
        help="the inherited ring N in which QEMU records the driver's calls and accesses; run and try give it",
    )
    parser.add_argument("--witness-sync", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--witness-log", type=Path, metavar="F", help=argparse.SUPPRESS)


@contextlib.contextmanager
def opened(args: argparse.Namespace) -> Iterator["Witness | None"]:
    """Open what the options name, before the jail closes; None without a ring.

    Raises: UsageError, SetupError, RingRefused.
    """
    if args.witness_fd is None:
        if args.witness_log is not None or args.witness_sync:
            raise UsageError("--witness-log and --witness-sync go with --witness-fd")
        yield None
        return
    from plx9x5x.witness.ring import RingReader
    from plx9x5x.witness.witness import Witness

    with contextlib.ExitStack() as stack:
        log = None if args.witness_log is None else stack.enter_context(_open_log(args.witness_log))
        witness = Witness(
            RingReader(args.witness_fd), sink=lambda _: None, say=_LOG.warning, syncs=args.witness_sync, log=log
        )
        yield witness
        if log is not None and log.trouble:
            _LOG.warning("%s", log.trouble)


def watch(
    witness: "Witness", chip: "Chip", sink: "TraceSink", now: Callable[[], int], excuses: "Excuses | None" = None
) -> None:
    """Tell the witness of the chip that it watches: its time, what it is on the bus for, who hears of mistakes.

    Of a chip with a plan of faults, `excuses` hear first: they know whose mistake it is.
    """
    from plx9x5x.rules import places

    witness.now = now
    witness.doing = places.ChannelPurposes(chip.channels)
    witness.sink = sink.emit
    witness.loaded = chip.say_again
    if excuses is not None:
        witness.sink = excuses.emit
        excuses.place = witness.here


@contextlib.contextmanager
def _open_log(path: Path) -> Iterator["CallLog"]:
    from plx9x5x.witness.log import CallLog

    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise SetupError(f"cannot write the log of calls {path}: {exc.strerror}", hint="name another file") from exc
    try:
        yield CallLog(fd)
    finally:
        os.close(fd)
