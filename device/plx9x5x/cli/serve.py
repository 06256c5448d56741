# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x serve`: one device on one unix socket, for any vfio-user client.

Follows the conventions of vfio-user backends: `--socket-path`, `--print-capabilities`, SIGTERM ends it with exit
code 0. The line `listening on PATH` on stdout says that a client may connect; it is the last line printed there.
"""

import argparse
import json
import logging
import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from plx9x5x.errors import SetupError, UsageError
from plx9x5x.lab import defaults

if TYPE_CHECKING:
    from plx9x5x.ports import BusMaster, IrqLine, PciDevice
    from plx9x5x.transport.libvfio_abi import LibVfioUser

NAME: Final = "serve"
HELP: Final = "Serve a board on a unix socket, for your own QEMU."

READY_LINE: Final = "listening on {path}"
CAPABILITIES: Final = {"type": "misc"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--socket-path", type=Path, metavar="S", help="listen on the unix socket S (removed at the end)"
    )
    parser.add_argument("--board", default=defaults.BOARD, metavar="B", help="what is behind the bridge (%(default)s)")
    parser.add_argument("--libvfio-user", type=Path, metavar="SO", help="the library file to use")
    parser.add_argument("--verbose", "-v", action="store_true", help="log clients and their memory on stderr")
    parser.add_argument("--print-capabilities", action="store_true", help="print a JSON description and exit")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM (exit 0) or Ctrl-C (exit 130)."""
    if args.print_capabilities:
        print(json.dumps(CAPABILITIES))
        return 0
    if args.socket_path is None:
        raise UsageError("serve needs --socket-path, as in: plx9x5x serve --socket-path /tmp/plx.sock")
    from plx9x5x.board import load_board
    from plx9x5x.model.chip import Chip
    from plx9x5x.trace.text import FaultLog
    from plx9x5x.transport.libvfio import LibvfioServer

    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO,
        format="%(relativeCreated)9.1f ms %(name)s: %(message)s",
        stream=sys.stderr,
    )
    board = load_board(args.board)
    faults = FaultLog(logging.getLogger("plx9x5x.driver").warning)

    def make_device(bus: "BusMaster", irq: "IrqLine") -> "PciDevice":
        return Chip(board, bus=bus, irq=irq, trace=faults)

    with LibvfioServer(args.socket_path, make_device, library=_library(args.libvfio_user)) as server:
        caught: list[int] = []

        def end(number: int, _frame: FrameType | None) -> None:
            # Only a note: an exception here might be raised inside a C callback and get lost there.
            caught.append(number)
            server.stop()

        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            print(f"board {board.name}: {board.summary}")
            print(
                "add it to a guest (GUEST_INITRD is yours; see README, Your own driver):\n\n"
                f"{qemu_command(server.socket_path)}\n"
            )
            print(READY_LINE.format(path=server.socket_path), flush=True)
            server.run()
        finally:
            if summary := faults.summary():
                logging.getLogger("plx9x5x.driver").warning(summary)
            for number, handler in before.items():
                signal.signal(number, handler)
        if signal.SIGINT in caught:
            raise KeyboardInterrupt
    return 0


def qemu_command(socket_path: Path) -> str:
    """Give a QEMU command line for the shell, with the three things that must be right.

    Guest memory is shared, or DMA moves wrong bytes in silence; the message time-out survives a stall; the structured
    `socket` property needs the JSON form of -device.
    """
    from plx9x5x.lab.machine import vfio_user_pci

    qemu, kernel = _qemu_and_kernel()
    lines = (
        shlex.join(qemu),
        "-accel tcg -M q35 -m 512M",
        "-object memory-backend-memfd,id=ram,size=512M,share=on -machine memory-backend=ram",
        f"-device {shlex.quote(vfio_user_pci(socket_path).json())}",
        "-nodefaults -nographic -serial mon:stdio -no-reboot",
        f"-kernel {shlex.quote(kernel)}",
        "-initrd GUEST_INITRD -append 'console=ttyS0 panic=-1'",
    )
    return " \\\n".join(f"  {line}" for line in lines)


def _qemu_and_kernel() -> tuple[tuple[str, ...], str]:
    """What `plx9x5x run` would start, as far as that is there already; serving needs neither."""
    from plx9x5x.lab.toolchain import load

    try:
        there = load(need=())
        qemu, kernel = there.qemu.argv, there.kernel.vmlinuz
    except (SetupError, UsageError):
        qemu, kernel = (), Path()
    if named := os.environ.get("PLX9X5X_QEMU"):
        qemu = (named,)
    return qemu or ("qemu-system-x86_64",), str(kernel) if kernel.is_file() else "GUEST_KERNEL"


def _library(named: Path | None) -> "LibVfioUser":
    """Load libvfio-user: the named file, the environment's, or the toolchain's own."""
    from plx9x5x.transport.libvfio_abi import load_abi
    from plx9x5x.transport.libvfio_find import LibraryNotNamed, find_library

    try:
        return load_abi(find_library(named))
    except LibraryNotNamed:
        from plx9x5x.lab.toolchain import for_stream, load

        fetched = load(need={"libvfio-user"}, progress=for_stream(sys.stderr))
        return load_abi(find_library(fetched.libvfio_user))
