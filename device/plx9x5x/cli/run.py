# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x run`: the main job. Server, guest with the test driver, verdict."""

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plx9x5x import boards
from plx9x5x.cli import fault_options, guest_options
from plx9x5x.cli.usage import UsageError
from plx9x5x.lab import defaults
from plx9x5x.lab.guest import shapes
from plx9x5x.plane import choice

if TYPE_CHECKING:
    from plx9x5x.lab.session import RunResult, RunSpec

NAME: Final = "run"
ALL: Final = "all"
"""What `--board` takes for one board after the other."""
NEXT: Final = "next, your own driver: {program} try ./mydrv (README.md, 'Your own driver')"
HELP: Final = "Run the guest driver's tests against a board: server, QEMU, verdict."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--board",
        metavar="B",
        default=boards.DEFAULT,
        help=f"a reference board of 'plx9x5x boards' (%(default)s), or '{ALL}': one after the other",
    )
    guest_options.add(parser)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "guests:\n" + "\n".join(f"  {name:<9} {one.summary}" for name, one in shapes.SHAPES.items())
    parser.add_argument(
        "--accel",
        choices=("tcg", "kvm", "auto"),
        default="tcg",
        help="tcg needs nothing of the host (the default); auto takes kvm if a guest really boots with it",
    )
    parser.add_argument("--plane", choices=choice.NAMES, help="what moves data (as for 'serve')")
    parser.add_argument("--only", metavar="CASE", help="run this case alone (--list shows them)")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=guest_options.seconds,
        default=defaults.TIMEOUT_S,
        help="end a guest that lives longer (%(default)g seconds)",
    )
    parser.add_argument(
        "--trace",
        metavar="FILE",
        type=Path,
        help=f"write each register access to FILE (docs/trace.md); with '--board {ALL}' the board is in its name",
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the results as JUnit XML too")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results as JSON too")
    parser.add_argument("--verbose", "-v", action="store_true", help="show the guest's console and all diagnostics")
    fault_options.add_seed(
        parser,
        "repeat the random lengths of a run that gave this number, and the chances of --fault",
        default=None,
        least=1,
    )
    parser.add_argument("--mode", default="test", help=argparse.SUPPRESS)  # break the run on purpose: initramfs/init


def run(args: argparse.Namespace) -> int:
    """Do one run, or one a board; exit code 0, 1 (a test failed, or an oops or a vfio error beside passing ones) or 75.

    75 is a lost VM, and of several runs it is so only if none has a fault.
    """
    from plx9x5x.cli import run_view
    from plx9x5x.lab import session
    from plx9x5x.lab.card import driver, plans, settings
    from plx9x5x.lab.guest import sources as guest_sources
    from plx9x5x.lab.report import junit

    guest_options.check(args)
    names = session.list_cases(driver.build_program(guest_sources.find()))
    if args.list:
        run_view.say(names)
        return 0
    if args.only:
        session.check_case(args.only, names)
    wanted = _boards(args.board)
    spec = session.RunSpec(
        kernel=args.kernel,
        guest=shapes.named(args.guest),
        memory_mib=args.memory,
        accel=args.accel,
        timeout_s=args.timeout,
        mode=args.mode,
        only=args.only,
        verbose=args.verbose,
        keep=args.keep,
        seed=args.seed,
        transport=args.transport,
        plane=choice.choose(args.plane) if args.plane else None,
        append=tuple(args.append.split()),
        processors=args.smp,
        trace=args.trace,
        witness=not args.no_witness,
        coverage=args.coverage,
        faults=tuple(args.fault),
        settings=tuple(args.settings),
    )
    for board in wanted if args.settings else ():
        settings.of_cards(spec.settings, (board,))
    for board in wanted[1:] if args.fault else ():  # of the first a run says so itself, before it starts anything
        plans.of_cards(args.fault, (board,))
    for turn in range(args.repeat):
        if args.repeat > 1:
            run_view.say([f"-- {turn + 1} of {args.repeat}"])
        if len(wanted) == 1:
            results = [_one(replace(spec, board=wanted[0]))]
        else:
            results = [_one_of_several(spec, board) for board in wanted]
            run_view.say(["", *run_view.table_of_boards(results)])
            of_all = [it.coverage for it in results if it.coverage is not None and it.coverage.file is not None]
            run_view.say(of_all[-1].lines() if of_all else [])
        code = session.exit_code_of(results)
        if code:
            break
    if args.junit:
        run_view.say([f"junit: {args.junit}"])
    run_view.say([run_view.totals(results)])
    if not code:
        run_view.say([NEXT.format(program=_program())])
    # Last, so that a path that cannot be written costs no verdict.
    if args.junit:
        junit.write(args.junit, junit.document(*(result.suite() for result in results)))
    if args.json:
        told = {"exit_code": code, "runs": [result.json() for result in results]}
        junit.write(args.json, (json.dumps(told, indent=2) + "\n").encode(), kind="JSON")
    return code


def _boards(wish: str) -> tuple[str, ...]:
    """Those to be run. Raises: UsageError for one that the test driver does not know, NoSuchBoard, SetupError."""
    from plx9x5x.board import load_board
    from plx9x5x.lab.card import driver

    if wish == ALL:
        return driver.BOARDS
    load_board(wish)  # a wrong name is a usage error, found before anything is fetched
    if wish not in driver.BOARDS:
        raise UsageError(
            f"the guest's test driver knows {', '.join(driver.BOARDS)}; for your own driver on {wish}: "
            f"plx9x5x try --board {wish} ./mydrv"
        )
    return (wish,)


def _one(spec: "RunSpec") -> "RunResult":
    """Run one board and say all of it."""
    from plx9x5x.cli import run_view

    result = _watched(spec)
    run_view.say(["", *run_view.tables(result, width=shutil.get_terminal_size((100, 24)).columns)])
    run_view.say(f"{name}: {value}" for name, value in result.facts.items())
    run_view.say(run_view.findings_line(result))
    run_view.say([] if result.coverage is None else result.coverage.lines())
    run_view.say(f"fault: {it}" for it in result.faults)
    if trouble := run_view.verdict_lines(result):
        run_view.say(["", *trouble])
    run_view.say(["", run_view.logs_line(result)])
    return result


def _one_of_several(spec: "RunSpec", board: str) -> "RunResult":
    """Run one board and say what a table at the end would not; its register trace has its name."""
    from plx9x5x.cli import run_view

    trace = spec.trace and spec.trace.with_name(f"{spec.trace.stem}.{board}{spec.trace.suffix}")
    run_view.say([f"== {board}"])
    result = _watched(replace(spec, board=board, trace=trace))
    run_view.say(
        [
            *run_view.verdict_lines(result),
            *(result.coverage.lines() if result.coverage is not None and result.coverage.file is None else ()),
            *(f"fault: {it}" for it in result.faults),
            run_view.logs_line(result),
            result.totals(),
            "",
        ]
    )
    return result


def _watched(spec: "RunSpec") -> "RunResult":
    from plx9x5x.cli import run_view
    from plx9x5x.lab import session
    from plx9x5x.lab.toolchain import for_stream

    with run_view.view_for(sys.stdout, verbose=spec.verbose) as view:
        return session.run(spec, watcher=view, progress=for_stream(sys.stderr))


def _program() -> str:
    """How the reader starts us from where they are."""
    beside = Path(sys.executable).with_name("plx9x5x")
    if not beside.is_file():
        return f"{sys.executable} -m plx9x5x"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
