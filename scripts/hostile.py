#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The native plane under a hostile guest: random descriptors, with the address and undefined-behaviour sanitizers on.

Builds device/tests/model/hostile.c in a temporary folder and runs it. Exit code 0, or that of the program: a sanitizer
that found something says what on stderr. 69 without a compiler or its sanitizers.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "device/plx9x5x"
FLAGS = (
    "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
)  # fmt: skip
EXIT_HOST = 69


def main() -> int:
    """Build it and run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000_000, metavar="N", help="descriptors (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of all that is random (%(default)s)")
    args = parser.parse_args()
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        print("error: no C compiler\nhint: sh scripts/setup.sh", file=sys.stderr)
        return EXIT_HOST
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "hostile"
        if not _builds(compiler, "int main(void) { return 0; }\n", program):
            print(f"error: {compiler} has no sanitizers\nhint: install gcc's libasan and libubsan", file=sys.stderr)
            return EXIT_HOST
        include = (f"-I{PACKAGE / 'plane'}", f"-I{PACKAGE / 'model'}")
        source = ROOT / "device/tests/model/hostile.c"
        subprocess.run([compiler, *FLAGS, *include, str(source), "-o", str(program)], check=True)
        return subprocess.run([program, str(args.count), str(args.seed)], check=False).returncode


def _builds(compiler: str, text: str, program: Path) -> bool:
    argv = [compiler, *FLAGS, "-x", "c", "-", "-o", str(program)]
    return subprocess.run(argv, input=text, text=True, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
