# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x serve`: one device on one unix socket, for any vfio-user client.

Follows the conventions of vfio-user backends: `--socket-path`, `--print-capabilities`, SIGTERM ends it with exit
code 0. The line `listening on PATH` on stdout says that a client may connect; it is the last line printed there.
"""

import argparse
import contextlib
import faulthandler
import functools
import json
import logging
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plx9x5x import boards
from plx9x5x.cli import board_options, fault_options, summaries, watched
from plx9x5x.cli.held_signals import HeldSignals
from plx9x5x.cli.usage import UsageError
from plx9x5x.errors import BadRequest, SetupError
from plx9x5x.lab import defaults
from plx9x5x.lab.guest import shapes
from plx9x5x.plane import choice
from plx9x5x.ports import NullTrace
from plx9x5x.transport import choice as transports
from plx9x5x.transport import host_clock, sockets

if TYPE_CHECKING:
    from plx9x5x.board import Board
    from plx9x5x.model.chip import Chip
    from plx9x5x.model.timing import BusSpeed
    from plx9x5x.ports import BusMaster, DeviceFactory, IrqLine, PciDevice, TraceSink
    from plx9x5x.trace.regtrace import RegisterTrace
    from plx9x5x.transport.libvfio import LibvfioServer
    from plx9x5x.transport.wire.server import WireServer
    from plx9x5x.witness.witness import Witness

NAME: Final = "serve"
HELP: Final = "Serve a board on a unix socket, for your own QEMU."

OFF: Final = "off"
CHEAP: Final = "cheap"
ALL: Final = "all"

READY_LINE: Final = "listening on {path}"
_MEMORY_MIB: Final = 512
"""What a guest of somebody's own has at least."""
CAPABILITIES: Final = {"type": "misc"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--socket-path", type=Path, metavar="S", help="listen on the unix socket S (removed at the end)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--board", default=boards.DEFAULT, metavar="B", help="what is behind the bridge (%(default)s)")
    what.add_argument(
        "--device",
        metavar="FACTORY",
        help="instead of a board, a device of your own: MODULE:NAME or PATH.py:NAME (docs/your-own-device.md)",
    )
    board_options.add(parser)
    parser.add_argument(
        "--fd", type=int, metavar="N", help="instead, serve on the inherited socket N, a listening or a connected one"
    )
    parser.add_argument(
        "--transport",
        choices=transports.NAMES,
        default=transports.AUTO,
        help="who speaks vfio-user: libvfio-user, or our own code, which serves guests with an IOMMU too (%(default)s: "
        "the library if it is there)",
    )
    parser.add_argument(
        "--guest",
        choices=tuple(shapes.SHAPES),
        default=shapes.PLAIN.name,
        help="print the QEMU line of such a guest, and take a transport that serves it (%(default)s; 'run --help')",
    )
    parser.add_argument("--libvfio-user", type=Path, metavar="SO", help="the library file to use")
    parser.add_argument(
        "--trace", type=Path, metavar="F", help="write register accesses and transfers to the file F, at most 64 MiB"
    )
    parser.add_argument(
        "--findings",
        choices=(OFF, CHEAP, ALL),
        default=CHEAP,
        help="say what a driver does wrong: not at all; what costs nothing to see; or all, which looks at each access "
        "and each descriptor in Python (%(default)s; 'findings' lists the rules)",
    )
    parser.add_argument(
        "--summary", type=Path, metavar="F", help="add a JSON line for each client to the file F: transfers, findings"
    )
    parser.add_argument(
        "--bus", metavar="MHZxBITS", help="make transfers take as long as on this bus: 33x32, 33x64, 66x32, 66x64"
    )
    parser.add_argument(
        "--plane",
        choices=choice.NAMES,
        help=f"what moves data: C where nothing has a say, or Python alone (${choice.VARIABLE}, then native if built)",
    )
    parser.add_argument(
        "--max-time-step",
        type=float,
        metavar="MS",
        help="let at most so much time pass for the card between two looks at it, should the host be busy elsewhere; 0 "
        f"is any ({host_clock.MAX_STEP_MS:g} ms)",
    )
    parser.add_argument(
        "--time-scale",
        type=float,
        metavar="X",
        help="let the card's time pass X times as fast (1)",
    )
    fault_options.add_seed(parser, "of the bus's waits and of --fault (0)", default=None)
    fault_options.add(parser)
    parser.add_argument(
        "--quiet-aborts",
        action="store_true",
        help="keep bus errors out of INTCSR, for drivers that enable the interrupt and never clear its cause",
    )
    parser.add_argument(
        "--msix",
        action="store_true",
        help="let the card interrupt by an MSI-X vector too, which no such card can: for drivers that ask for vectors, "
        "on the wire",
    )
    parser.add_argument(
        "--no-jail",
        action="store_true",
        help="leave the process free to open files, run programs and so on while it serves a guest",
    )
    watched.add_arguments(parser)
    parser.add_argument("--verbose", "-v", action="store_true", help="log clients and their memory on stderr")
    parser.add_argument("--print-capabilities", action="store_true", help="print a JSON description and exit")
    parser.add_argument(
        "--print-backend",
        action="store_true",
        help="print what a manager of virtual machines keeps of a backend, a JSON file, and exit",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM (exit 0) or Ctrl-C (exit 130), which may come at any moment."""
    if args.print_capabilities:
        print(json.dumps(CAPABILITIES))
        return 0
    if args.print_backend:
        print(json.dumps(_backend_description(), indent=2))
        return 0
    given = sockets.inherited(args.fd)
    if (args.socket_path is None) == (given is None):
        raise UsageError("serve needs one of --socket-path and --fd, as in: plx9x5x serve --socket-path /tmp/plx.sock")
    from plx9x5x.board import load_board
    from plx9x5x.model.timing import BusSpeed
    from plx9x5x.rules.room import Room

    # A guest whose memory file has no room, or was truncated, ends us with SIGBUS: at least say where.
    faulthandler.enable(sys.__stderr__ or 2)
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO,
        format="%(relativeCreated)9.1f ms %(name)s: %(message)s",
        stream=sys.stderr,
    )
    if args.device is not None:
        from plx9x5x.cli import own_device

        return own_device.run(args, given)
    board = load_board(args.board, args.settings)
    seed = 0 if args.seed is None else args.seed
    faults = fault_options.Served(args.fault, board, seed)
    plane = choice.choose(args.plane)
    with contextlib.ExitStack() as stack:
        kept = None if args.summary is None else stack.enter_context(summaries.opened(args.summary, board.name))
        witness = stack.enter_context(watched.opened(args))
        room = Room(
            logging.getLogger("plx9x5x.findings").warning,
            keep=faults.recorded(kept.keep) if kept is not None else None,
            witness=witness,
        )
        rule = _time_rule(args.time_scale, args.max_time_step)
        speed = BusSpeed.parse(args.bus, seed=seed) if args.bus is not None else None
        make_server = choose_server(args, given)
        # Until here a signal raises; from here on there is something to take away, so it is only noted. A raise in the
        # middle of closing would leave half of it undone, so the old handlers come back last of all.
        held = stack.enter_context(HeldSignals())
        trace = None if args.trace is None else stack.enter_context(_open_trace(args.trace, rule, board, witness))
        made: list[Chip] = []
        judge: TraceSink = NullTrace() if args.findings == OFF else room
        factory = _factory(
            board,
            _with_board_log(judge, board) if args.verbose else judge,
            trace,
            made,
            speed=speed,
            report_aborts=not args.quiet_aborts,
            rule=rule,
            # With a witness every access and every descriptor is Python's anyway.
            thorough=args.findings == ALL or (witness is not None and args.findings != OFF),
            faults=faults,
            witness=witness,
        )
        if args.msix:
            factory = with_vector(factory, "which the silicon lacks")
        server = make_server(factory, plane)
        stack.enter_context(contextlib.closing(server))
        if held.stops(server.stop):
            return held.code
        if trace is not None:
            _publish(trace, args.trace)
        by = "the plan of faults" if faults.lines() else "the witness" if witness is not None else ""
        lines = (choice.describe(plane, by=by), str(make_server.chosen), *faults.lines())
        try:
            announce_and_run(args, server, (f"board {board.name}: {board.summary}", *lines), board.name)
        finally:
            for chip in made:
                chip.summarise()
            room.conclude()
            if trace is not None and trace.trouble:
                logging.getLogger("plx9x5x.trace").warning(trace.trouble)
        if kept is not None and kept.lost:
            return defaults.EXIT_UNWRITTEN
    return held.code


def _time_rule(scale: float | None, max_step_ms: float | None) -> host_clock.TimeRule:
    """Of what was given; None is what holds else. Raises: BadRequest."""
    return host_clock.TimeRule.of(
        scale=1.0 if scale is None else scale,
        max_step_ms=host_clock.MAX_STEP_MS if max_step_ms is None else max_step_ms,
    )


def announce_and_run(
    args: argparse.Namespace, server: "LibvfioServer | WireServer", lines: Iterable[str], name: str
) -> None:
    """Say what is served and how a guest gets it, close the jail, say that it is ready, serve until told to stop."""
    for line in lines:
        print(line)
    print(
        "add it to a guest (GUEST_INITRD is yours; see docs/serving.md):\n\n"
        f"{qemu_command(server.socket_path, shapes.named(args.guest))}\n"
    )
    with contextlib.closing(sockets.Notifier()) as notifier:
        print("jail: none (--no-jail)" if args.no_jail else _enter_jail(args.socket_path))
        print(READY_LINE.format(path=server.socket_path), flush=True)
        notifier.say("READY=1", f"STATUS=serving {name}")
        server.run()


def with_vector(factory: "DeviceFactory", but: str) -> "DeviceFactory":
    """The same device with an MSI-X vector, and say so; `but` is what a reader has to know of it."""
    from plx9x5x.transport.msix import with_messages

    print(f"msix: one vector beside INTA#, {but}")
    return with_messages(factory)


@dataclass(frozen=True)
class _ServerMaker:
    """Makes the server that was chosen."""

    chosen: transports.Choice
    socket_path: Path | None
    given: socket.socket | None
    library: Path | None

    def __call__(self, factory: "DeviceFactory", plane: choice.Plane) -> "LibvfioServer | WireServer":
        """Listen. Raises: SetupError."""
        if self.chosen.transport is transports.Transport.WIRE:
            from plx9x5x.transport.wire.server import WireServer

            return WireServer(self.socket_path, factory, given=self.given, plane=plane)
        from plx9x5x.transport.libvfio import LibvfioServer
        from plx9x5x.transport.libvfio_abi import load_abi

        assert self.socket_path is not None, "choose_server() has seen to it"
        assert self.library is not None, "as above"
        library = load_abi(self.library)
        return LibvfioServer(self.socket_path, factory, library=library, plane=plane, close_leftovers=True)


def choose_server(args: argparse.Namespace, given: "socket.socket | None") -> _ServerMaker:
    """Choose who speaks vfio-user. Raises: UsageError, SetupError."""
    asked, libvfio, wire = args.transport, transports.Transport.LIBVFIO.value, transports.Transport.WIRE.value
    if args.msix and asked == libvfio:
        raise UsageError("--msix is an extension of our own vfio-user: leave out --transport, or take wire")
    if given is not None and asked == libvfio:
        raise UsageError("libvfio-user takes no socket of others: leave out --transport, or give --socket-path")
    if args.msix or given is not None:
        asked = wire
    many = shapes.named(args.guest).needs_many_mappings
    # With many mappings no library is looked for: whichever there is, it has no room.
    library = None if asked == wire or many else _library(args.libvfio_user, fetch=asked == libvfio)
    chosen = transports.choose(asked, has_library=library is not None, many_mappings=many)
    return _ServerMaker(chosen, args.socket_path, given, library)


def _backend_description() -> dict[str, object]:
    """The description of a backend, by the schema that QEMU has for vhost-user (docs/interop/vhost-user.json)."""
    program = shutil.which(sys.argv[0]) or sys.executable
    return {
        "description": "PLX PCI 9080, 9054, 9056, 9656 and PEX 8311, emulated, over vfio-user",
        "type": CAPABILITIES["type"],
        "binary": str(Path(program).absolute()),
        "tags": ["vfio-user", "pci", "plx9x5x"],
    }


def _enter_jail(socket_path: Path | None) -> str:
    """Give up all that serving does not need; say what that was. Raises: SetupError.

    What is imported late is Python's own, or the board's package; the socket's file is still ours to remove. The trace
    is open, and has its name.
    """
    from plx9x5x import jail

    return jail.enter(remove_in=[] if socket_path is None else [socket_path.absolute().parent]).describe()


def _factory(
    board: "Board",
    judge: "TraceSink",
    trace: "RegisterTrace | None",
    made: "list[Chip]",
    *,
    speed: "BusSpeed | None",
    report_aborts: bool,
    rule: host_clock.TimeRule,
    thorough: bool = False,
    faults: fault_options.Served | None = None,
    witness: "Witness | None" = None,
) -> "DeviceFactory":
    """Give what makes the device and notes it in `made`; watched, if there is a witness."""
    from plx9x5x.model.chip import Chip
    from plx9x5x.trace.tee import Tee

    sink: TraceSink = judge if trace is None else Tee(judge, trace)

    def make(bus: "BusMaster", irq: "IrqLine") -> "PciDevice":
        clock = host_clock.HostClock(rule)
        build = functools.partial(faults.make, board) if faults else functools.partial(Chip, board)
        built = build(
            bus=bus,
            irq=irq,
            clock=clock,
            trace=sink,
            speed=speed,
            report_aborts=report_aborts,
            thorough=thorough,
        )
        device, chip, excuses = (built, built, None) if isinstance(built, Chip) else built.parts
        made.append(chip)
        if witness is not None:
            watched.watch(witness, chip, sink, clock.now, excuses)
        return device

    if witness is not None:
        from plx9x5x.witness.device import witnessed

        return witnessed(make, witness)
    return make


def _with_board_log(judge: "TraceSink", board: "Board") -> "TraceSink":
    """Have what the board says shown too."""
    from plx9x5x.trace.boardlog import BoardLog
    from plx9x5x.trace.tee import Tee

    return Tee(judge, BoardLog(board.name, logging.getLogger("plx9x5x.board").debug))


@contextlib.contextmanager
def _open_trace(
    path: Path, rule: host_clock.TimeRule, board: "Board", witness: "Witness | None" = None
) -> Iterator["RegisterTrace"]:
    """Open a trace for a while, beside `path`: `_publish` gives it that name. Raises: SetupError.

    So a server that cannot start leaves the trace of one that runs alone. In a folder that others write in, nobody can
    know the name beforehand, and a link in place of `path` is no file of ours.
    """
    from plx9x5x.trace import unpublished
    from plx9x5x.trace.regnames import RegisterNames
    from plx9x5x.trace.regtrace import RegisterTrace

    if path.is_symlink():
        raise SetupError(
            f"cannot write the trace {path}: it is a symbolic link", hint="remove it, or name another file"
        )
    if path.exists() and not path.is_file():
        raise SetupError(f"cannot write the trace {path}: it is no regular file", hint="name another file")
    try:
        unpublished.sweep(path)
        names = RegisterNames(board.profile)
        place = (lambda: None) if witness is None else witness.here
        trace = RegisterTrace(unpublished.beside(path), header=f"time {rule}", names=names.of, place=place)
    except OSError as exc:
        raise SetupError(f"cannot write the trace {path}: {exc.strerror}", hint="name another file") from exc
    try:
        yield trace
    finally:
        trace.close()
        trace.path.unlink(missing_ok=True)


def _publish(trace: "RegisterTrace", path: Path) -> None:
    """Give the trace its name; what had it before, and were it a link, is replaced. Raises: SetupError."""
    try:
        trace.path.replace(path)
    except OSError as exc:
        raise SetupError(f"cannot write the trace {path}: {exc.strerror}", hint="name another file") from exc


def qemu_command(socket_path: Path, shape: shapes.Shape = shapes.PLAIN) -> str:
    """Give a QEMU command line for the shell, with the three things that must be right.

    Guest memory is shared, or DMA moves wrong bytes in silence; the message time-out survives a stall; the structured
    `socket` property needs the JSON form of -device. An IOMMU comes before what it stands in front of.
    """
    from plx9x5x.lab.guest.machine import vfio_user_pci

    qemu, kernel = _qemu_and_kernel()
    memory = f"{max(_MEMORY_MIB, shape.memory_mib)}M"
    lines = (
        shlex.join(qemu),
        f"-accel tcg -M q35 -m {memory}",
        f"-object memory-backend-memfd,id=ram,size={memory},share=on -machine memory-backend=ram",
        *(f"-device {shlex.quote(device.json())}" for device in shape.devices),
        f"-device {shlex.quote(vfio_user_pci(socket_path).json())}",
        "-nodefaults -nographic -serial mon:stdio -no-reboot",
        f"-kernel {shlex.quote(kernel)}",
        f"-initrd GUEST_INITRD -append '{' '.join(('console=ttyS0 panic=-1 nosoftlockup', *shape.words))}'",
    )
    return " \\\n".join(f"  {line}" for line in lines)


def _qemu_and_kernel() -> tuple[tuple[str, ...], str]:
    """What `plx9x5x run` would start, as far as that is there already; serving needs neither."""
    from plx9x5x.lab.toolchain import load

    try:
        there = load(need=())
        qemu, kernel = there.qemu.argv, there.kernel.vmlinuz
    except (SetupError, BadRequest):
        qemu, kernel = (), Path()
    if named := os.environ.get("PLX9X5X_QEMU"):
        qemu = (named,)
    return qemu or ("qemu-system-x86_64",), str(kernel) if kernel.is_file() else "GUEST_KERNEL"


def _library(named: Path | None, *, fetch: bool) -> "Path | None":
    """Find libvfio-user: the named file, the environment's, or the toolchain's own, which can be fetched.

    Raises: SetupError, also for a named file that is none.
    """
    from plx9x5x.lab.toolchain import for_stream, load
    from plx9x5x.transport.libvfio_find import LibraryNotNamed, find_library

    try:
        return find_library(named)
    except LibraryNotNamed:
        pass
    if fetch:
        return find_library(load(need={"libvfio-user"}, progress=for_stream(sys.stderr)).libvfio_user)
    try:
        there = load(need=()).libvfio_user
    except SetupError:
        return None
    return there if there.is_file() else None
