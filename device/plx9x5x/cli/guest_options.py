# SPDX-License-Identifier: Apache-2.0
"""Options of the verbs that boot a guest, `run` and `try`: what they mean is the same."""

import argparse
from pathlib import Path

from plx9x5x.cli import board_options, fault_options
from plx9x5x.cli.usage import UsageError
from plx9x5x.lab import defaults
from plx9x5x.lab.guest import shapes
from plx9x5x.transport import choice as transports


def add(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument(
        "--guest", choices=tuple(shapes.SHAPES), default=shapes.PLAIN.name, help="how its memory lies (%(default)s)"
    )
    parser.add_argument(
        "--memory",
        metavar="MIB",
        type=memory,
        help=f"the guest's memory ({defaults.MEMORY_MIB}, or what --guest says)",
    )
    parser.add_argument("--kernel", metavar="K", help=defaults.KERNEL_HELP)
    parser.add_argument("--append", metavar="WORDS", default="", help="more words for the kernel's command line")
    parser.add_argument(
        "--smp", metavar="N", type=int, choices=range(1, 17), default=1, help="the guest's processors, up to 16"
    )
    parser.add_argument(
        "--transport", choices=transports.NAMES, default=transports.AUTO, help="who speaks vfio-user (as for 'serve')"
    )
    parser.add_argument(
        "--repeat", metavar="N", type=int, default=1, help="do it N times, until something is wrong (%(default)s)"
    )
    parser.add_argument(
        "--no-witness",
        action="store_true",
        help="do not watch the driver from outside: no finding names its lines, and its DMA buffers are not known",
    )
    parser.add_argument(
        "--coverage",
        metavar="FILE",
        type=Path,
        help="add which of the driver's lines ran to FILE, an lcov tracefile (docs/coverage.md)",
    )
    board_options.add(parser, cards=True)
    fault_options.add(parser)
    parser.add_argument("--keep", action="store_true", help="never remove this run's logs (else the last few stay)")


def check(args: argparse.Namespace) -> None:
    """See what no parser of one option can. Raises: UsageError."""
    if args.repeat < 1:
        raise UsageError("--repeat takes a number from 1 on")
    if args.no_witness and args.coverage is not None:
        raise UsageError("--coverage is what the witness sees: leave out --no-witness")


def memory(text: str) -> int:
    """Read an argument: MiB of a guest. Raises: ArgumentTypeError."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MiB")
    value = int(text)
    if not 96 <= value <= 64 * 1024:
        raise argparse.ArgumentTypeError(f"{value} MiB: a guest takes 96 to 65536")
    return value


def seconds(text: str) -> float:
    """Read an argument: a time limit. Raises: ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from None
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{value:g}: a time limit is more than 0 and at most 86400 seconds")
    return value
