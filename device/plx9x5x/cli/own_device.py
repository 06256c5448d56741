# SPDX-License-Identifier: Apache-2.0
"""`serve --device`: a device of one's own in place of a board; what both have in common is in `serve`."""

import argparse
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from plx9x5x.cli import serve, summaries, watched
from plx9x5x.cli.held_signals import HeldSignals
from plx9x5x.cli.usage import UsageError
from plx9x5x.lab import defaults
from plx9x5x.plane import choice

if TYPE_CHECKING:
    import socket

_OF_A_BOARD: Final = {
    "trace": "a register trace is what a PLX chip tells of itself: log in the device's own code (logging)",
    "fault": "plans of faults know the registers and channels of a PLX chip",
    "settings": "options are a board's: a device of your own reads what it wants when it is made",
    "seed": "it is for the waits of a PLX chip's bus and for --fault: a device of your own has its own chance",
    "time_scale": "the time of a device of your own is its own (wait_ns)",
    "max_time_step": "the time of a device of your own is its own (wait_ns)",
    "bus": "that is the time of a PLX chip's transfers: a device of your own says how long it takes (wait_ns)",
    "quiet_aborts": "that is a PLX chip's: a device of your own decides what a bus error does",
}

_SPELT: Final = {"settings": "--set"}


def check(args: argparse.Namespace) -> None:
    """Refuse what only a board has. Raises: UsageError."""
    for name, why in _OF_A_BOARD.items():
        value = getattr(args, name)
        if value is not None and value is not False and value != []:  # 0 and "" have been given
            option = _SPELT.get(name, f"--{name.replace('_', '-')}")
            raise UsageError(f"{option} does not go with --device: {why}")


def run(args: argparse.Namespace, given: "socket.socket | None") -> int:
    """Serve it, as `serve.run` does a board. Raises: NoFactory, DeviceFailed, UsageError, SetupError."""
    from plx9x5x.own.client_record import ClientRecord
    from plx9x5x.own.factory import find
    from plx9x5x.ports import KIT

    check(args)
    name = args.device
    make = find(name)
    plane = choice.choose(args.plane)
    with contextlib.ExitStack() as stack:
        kept = None if args.summary is None else stack.enter_context(summaries.opened(args.summary, name))
        witness = stack.enter_context(watched.opened(args))
        record = ClientRecord(
            logging.getLogger("plx9x5x.findings").warning,
            keep=None if kept is None else kept.keep,
            witness=witness,
            judges=args.findings != serve.OFF,
        )
        make_server = serve.choose_server(args, given)
        held = stack.enter_context(HeldSignals())
        factory = record.of(make, name)
        server = make_server(
            serve.with_vector(factory, "which the device itself has not") if args.msix else factory, plane
        )
        stack.enter_context(contextlib.closing(server))
        if held.stops(server.stop):
            return held.code
        lines = (
            f"device {name}, on version {'.'.join(map(str, KIT))} of the kit",
            choice.describe(plane, by="the witness" if witness is not None else ""),
            str(make_server.chosen),
        )
        try:
            serve.announce_and_run(args, server, lines, name)
        finally:
            record.conclude()
        if kept is not None and kept.lost:
            return defaults.EXIT_UNWRITTEN
    return held.code
