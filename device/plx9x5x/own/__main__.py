# SPDX-License-Identifier: Apache-2.0
"""`python -m plx9x5x.own FACTORY`: make the device, look at it, and say who it is, VVVV:DDDD, without serving it.

A program, since it runs the device's code: `try` asks it before there is a guest. What that code prints goes to stderr,
so that stdout has who it is and nothing else.
"""

import faulthandler
import os
import sys

from plx9x5x.errors import RAISED, BadRequest
from plx9x5x.own import blame
from plx9x5x.own.factory import find
from plx9x5x.own.guard import guarded
from plx9x5x.own.tally import Tally
from plx9x5x.transport.loopback import Loopback


def main(argv: list[str]) -> int:
    """Give 0, or 2 with what is wrong."""
    (factory,) = argv
    faulthandler.enable()  # for code in C: at least the line that called it
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        ids = Loopback(guarded(find(factory), factory, Tally()), enabled=False, plane="python").device.config_read(0, 4)
    except BadRequest as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - a program
        return 2
    except RAISED as exc:
        print(f"error: {factory}: {blame.told(exc)}", file=sys.stderr)  # noqa: T201 - a program
        return 2
    os.write(answer, f"{ids & 0xFFFF:04x}:{ids >> 16:04x}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
