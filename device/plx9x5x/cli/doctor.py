# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x doctor`: is this host able to run everything, and if not, what mends it. Fetches and changes nothing."""

import argparse
from typing import Final

from plx9x5x.lab import defaults

NAME: Final = "doctor"
HELP: Final = "Check the host, and say how to mend each line that fails."

_EXIT_HOST: Final = 69


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--kernel", metavar="K", help=defaults.KERNEL_HELP)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from plx9x5x.lab.toolchain.doctor import report

    failed = 0
    for line in report(args.kernel):
        mark = "ok  " if not line.mend else "note" if line.warn else "FAIL"
        print(f"{mark} {line.what:14} {line.says}")
        if line.mend:
            print(f"     {'':14} -> {line.mend}")
            failed += not line.warn
    print("this host is ready" if not failed else f"{failed} to mend")
    return _EXIT_HOST if failed else 0
