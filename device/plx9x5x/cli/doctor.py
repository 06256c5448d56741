# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x doctor`: is this host able to run everything, and if not, what mends it. Fetches and changes nothing."""

import argparse
from typing import TYPE_CHECKING, Final

from plx9x5x.lab import defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plx9x5x.lab.toolchain.doctor import Line

NAME: Final = "doctor"
HELP: Final = "Check the host, and say how to mend each line that fails."

_EXIT_HOST: Final = 69


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--kernel", metavar="K", help=defaults.KERNEL_HELP)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    failed = 0
    for line in _lines(args.kernel):
        mark = "ok  " if not line.mend else "note" if line.warn else "FAIL"
        print(f"{mark} {line.what:14} {line.says}")
        if line.mend:
            print(f"     {'':14} -> {line.mend}")
            failed += not line.warn
    print("this host is ready" if not failed else f"{failed} to mend")
    return _EXIT_HOST if failed else 0


def _lines(kernel: str | None) -> "Iterator[Line]":
    from plx9x5x.lab.guest import sources
    from plx9x5x.lab.toolchain.doctor import report
    from plx9x5x.lab.witness import attach

    yield from report(kernel)
    yield attach.report(kernel, sources.find().witness)
