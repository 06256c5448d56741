# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x try`: anyone's driver in a guest with a board, in one command."""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from plx9x5x import boards
from plx9x5x.cli import fault_options, guest_options
from plx9x5x.cli.usage import UsageError
from plx9x5x.errors import SetupError
from plx9x5x.lab import defaults
from plx9x5x.lab.guest import shapes

NAME: Final = "try"
TAKES_COMMAND: Final = True
HELP: Final = "Build, load and run your own driver in a guest with a board; say who is at fault."
_MOST_BOARDS: Final = 16
_A_DAY_S: Final = 86_400.0
_EPILOG: Final = """\
MODULE is a folder with a Makefile or Kbuild, which is built first, a .ko file, or the name of a module of the guest's
kernel; words name=value after it are its parameters. COMMAND is a line for the guest's shell (busybox), run once the
modules are loaded. Without one, on a terminal, you get that shell: 'exit' powers the guest off.

  plx9x5x try ./mydrv
  plx9x5x try ./mydrv debug=1 -- 'cat /proc/interrupts; dmesg | tail'
  plx9x5x try --fault 'channel 0: master abort at transfer 7' ./mydrv    (docs/faults.md)
  plx9x5x try --board rdk-9056-lite --copy ./mytest ./mydrv.ko -- /mytest --fast

exit codes: 0; 1 the module was not built, did not load or bind, the kernel complained, or somebody was found at fault
for certain; 75 the guest was lost, or ran longer than --timeout, and nothing says by whose fault; COMMAND's own status
if nothing else was wrong (1 if that is 75)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="what to load, in order; then '-- COMMAND'")
    parser.add_argument(
        "--board",
        metavar="B",
        action="append",
        default=[],
        help=f"the card ({boards.DEFAULT}); again for one more card in the same guest",
    )
    parser.add_argument(
        "--device",
        metavar="FACTORY",
        action="append",
        default=[],
        help="a device of your own, MODULE:NAME or PATH.py:NAME (docs/your-own-device.md); again, or beside --board, "
        "for more in the same guest",
    )
    guest_options.add(parser)
    parser.add_argument("--copy", metavar="FILE", type=Path, action="append", default=[], help="put FILE at / there")
    parser.add_argument(
        "--ro",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="give it DIR at the same path, to be read",
    )
    parser.add_argument(
        "--rw", metavar="DIR", type=Path, action="append", default=[], help="the same, and it may write there"
    )
    parser.add_argument(
        "--root",
        choices=("own", "host"),
        default="own",
        help="'host': the guest sees this machine's files, as you may read them; writes are lost (%(default)s)",
    )
    parser.add_argument(
        "--firmware",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="look there too for firmware that a module names (MODULE_FIRMWARE); else in /lib/firmware",
    )
    parser.add_argument("--input", metavar="FILE", type=Path, help="what COMMAND reads")
    parser.add_argument(
        "--get",
        metavar="FILE",
        action="append",
        default=[],
        help="copy the guest's FILE into this folder when COMMAND has ended",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=guest_options.seconds,
        help=f"end a build or a guest that takes longer ({defaults.TIMEOUT_S:g} seconds; a shell: a day)",
    )
    parser.add_argument(
        "--gdb", action="store_true", help="hold the probe, say how gdb attaches, and wait for Enter before it"
    )
    fault_options.add_seed(parser, "what chance in --fault begins with (%(default)s)")
    parser.add_argument("--trace", metavar="FILE", type=Path, help="write each register access to FILE (docs/trace.md)")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the result as JUnit XML too")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write what came of it as JSON too")


def run(args: argparse.Namespace) -> int:
    """Do it; exit code 0, 1, 75, or the command's own."""
    from plx9x5x.lab import trial
    from plx9x5x.lab.report import junit
    from plx9x5x.lab.toolchain import for_stream

    guest_options.check(args)
    if args.gdb and not sys.stdin.isatty():
        raise UsageError("--gdb holds the probe until Enter is pressed: it takes a terminal")
    if (cards := len(args.board) + len(args.device)) > _MOST_BOARDS:
        raise UsageError(f"a guest has slots for {_MOST_BOARDS} cards, --board and --device are given {cards} times")
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise UsageError("the current folder is gone: go to one that is there") from None

    wanted = {"JUnit": args.junit, "JSON": args.json}
    targets = {kind: junit.Target(path, kind=kind) for kind, path in wanted.items() if path is not None}
    shell = sys.stdin.fileno() if not args.command and sys.stdin.isatty() and sys.stdout.isatty() else None
    spec = trial.TrySpec(
        trial.parse(args.modules),
        command=" ".join(args.command) or None,
        input=args.input,
        boards=tuple(args.board) or (() if args.device else (boards.DEFAULT,)),
        devices=tuple(args.device),
        kernel=args.kernel,
        guest=shapes.named(args.guest),
        memory_mib=args.memory,
        timeout_s=args.timeout or (defaults.TIMEOUT_S if shell is None and not args.gdb else _A_DAY_S),
        transport=args.transport,
        files=tuple(args.copy),
        folders=trial.folders(args.ro, args.rw),
        firmware=(*args.firmware, Path("/lib/firmware")),
        host_root=args.root == "host",
        get=tuple(args.get),
        get_into=here,
        append=tuple(args.append.split()),
        processors=args.smp,
        trace=args.trace,
        witness=not args.no_witness,
        coverage=args.coverage,
        shell=shell,
        gdb=sys.stdin.fileno() if args.gdb else None,
        keep=args.keep,
        faults=tuple(args.fault),
        settings=tuple(args.settings),
        seed=args.seed,
    )

    class Screen(trial.Listener):
        def phase(self, text: str) -> None:
            print(text, flush=True)

        def output(self, data: bytes) -> None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    for turn in range(args.repeat):
        if args.repeat > 1:
            print(f"-- {turn + 1} of {args.repeat}", flush=True)
        result = trial.run(spec, listener=Screen(), progress=for_stream(sys.stderr))
        print("\n".join(result.lines()))
        if result.exit_code:
            break
    documents = {"JUnit": result.junit(), "JSON": (json.dumps(result.json(), indent=2) + "\n").encode()}
    for kind, target in targets.items():  # last, so that what cannot be written costs no verdict
        try:
            target.put(documents[kind])
        except SetupError as exc:
            print(f"error: it was not written: {exc}", file=sys.stderr)
    return result.exit_code
