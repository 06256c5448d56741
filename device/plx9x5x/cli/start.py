# SPDX-License-Identifier: Apache-2.0
"""What the program `plx9x5x` runs: the command line, which hears signals before anything else is loaded."""

import signal
import sys

from plx9x5x.cli import ending


def main() -> int:
    """Run the command line; give the exit code."""
    ending.take()
    try:
        with ending.told():
            from plx9x5x.cli.main import main as run

            return run()
    except ending.Ended as exc:  # not yet in a verb
        return ending.exit_code(exc.number, sys.argv[1] if len(sys.argv) > 1 else "")
    finally:
        for number in ending.ENDING:
            if signal.getsignal(number) is ending.unwind:
                signal.signal(number, signal.SIG_DFL)
