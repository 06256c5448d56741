#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print which rules of vfio-user each transport keeps, or write it to docs/conformance.md.

The rules and their limits stand in device/tests/transport/conformance/; the fast tests hold them to the servers.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "device"))

from tests.transport.conformance import rules


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the page instead of printing it")
    if parser.parse_args().write:
        rules.PAGE.write_text(rules.page(), encoding="utf-8")
    else:
        print(rules.page(), end="")


if __name__ == "__main__":
    main()
