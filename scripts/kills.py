#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of raw clients, servers and QEMU at random instants: who comes next is served at once, and nothing is left.

Clients die while they attach, in half a header, with descriptors in flight, under endless DMA; servers from their first
instruction on; QEMU while its guest boots and while a ring runs. The exit code is 1 if a client was answered wrongly or
a descriptor, mapping, thread or file was left; times are told, not judged.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "device")]

from plx9x5x import boards  # noqa: E402
from plx9x5x.errors import LostVm, SetupError  # noqa: E402
from plx9x5x.lab.card.backend import board_backend  # noqa: E402
from plx9x5x.lab.host.server import Backend, DeviceServer  # noqa: E402
from plx9x5x.lab.kills.clients import kill_clients  # noqa: E402
from plx9x5x.lab.kills.guests import kill_guests  # noqa: E402
from plx9x5x.lab.kills.servers import kill_servers  # noqa: E402
from plx9x5x.lab.kills.tally import Tally, table  # noqa: E402
from plx9x5x.lab.kills.traces import Wrong  # noqa: E402
from plx9x5x.lab.kills.victims import Victims  # noqa: E402
from plx9x5x.lab.toolchain import FOR_A_RUN, Toolchain, for_stream, load  # noqa: E402
from plx9x5x.plane.choice import NAMES as PLANES  # noqa: E402
from plx9x5x.plane.choice import Plane, choose  # noqa: E402
from plx9x5x.transport.choice import Transport  # noqa: E402

EXIT_HOST = 69
LIMIT = (
    "libvfio-user hangs up on a client whose message comes in pieces, and keeps the descriptors beside it: "
    "--transport wire does not"
)


def parser() -> argparse.ArgumentParser:
    """Declare the options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--clients", type=int, default=1000, metavar="N", help="raw clients to kill (%(default)s)")
    made.add_argument("--servers", type=int, default=1000, metavar="N", help="servers to kill (%(default)s)")
    made.add_argument("--qemus", type=int, default=50, metavar="N", help="QEMUs to kill (%(default)s)")
    made.add_argument("--transport", choices=[t.value for t in Transport], default=Transport.WIRE.value)
    made.add_argument("--plane", choices=PLANES, help="what moves data (the usual one)")
    made.add_argument("--seed", type=int, default=1, metavar="S", help="of all that is random (%(default)s)")
    return made


def run(args: argparse.Namespace, tc: Toolchain, backend: Backend) -> Iterator[Tally]:
    """Kill all that was asked for, a kind at a time. Raises: LostVm, SetupError, Wrong, OSError."""
    about, seed = f"{args.transport}, {choose(args.plane).value}", args.seed
    with ExitStack() as stack:
        folder, logs = (Path(stack.enter_context(TemporaryDirectory(prefix="plx-kills-"))) for _ in range(2))
        victims = stack.enter_context(Victims(logs))
        for whole, limit, count in shares(args):
            with DeviceServer.start(backend=backend, logs=logs) as server:
                pid, path = server.wait_ready().pid, server.socket_path
                what = f"raw client{', whole messages' if whole else ''} ({about})"
                done = kill_clients(pid, path, count, seed=seed, victims=victims, what=what, whole=whole, limit=limit)
                yield judged(done, server)
        if args.qemus:
            with DeviceServer.start(backend=backend, logs=logs) as server:
                server.wait_ready()
                yield judged(kill_guests(tc, server, args.qemus, seed=seed, logs=logs, what=f"QEMU ({about})"), server)
        if args.servers:
            yield kill_servers(
                backend, folder, logs, args.servers, seed=seed, victims=victims, what=f"server ({about})"
            )


def shares(args: argparse.Namespace) -> list[tuple[bool, str, int]]:
    """Clients to kill: (do their messages come whole, whose limit is it, how many).

    libvfio-user takes no message that comes in pieces, so there half of the clients send none.
    """
    half = args.clients // 2
    wire = args.transport == Transport.WIRE.value
    wanted = [(False, "", args.clients)] if wire else [(True, "", args.clients - half), (False, LIMIT, half)]
    return [share for share in wanted if share[-1]]


def judged(done: Tally, server: DeviceServer) -> Tally:
    """End the server; what was wrong in it is wrong."""
    if trouble := server.trouble():
        done.wrong.append(f"the server: {trouble}")
    return done


def main() -> int:
    """Kill, and tell; 1 if something was left or wrong."""
    args = parser().parse_args()
    try:
        tc = load(need=FOR_A_RUN if args.qemus else {"libvfio-user"}, progress=for_stream(sys.stderr))
        plane = None if args.plane is None else Plane(args.plane)
        backend = board_backend(boards.DEFAULT, libvfio_user=tc.libvfio_user, transport=args.transport, plane=plane)
        tallies = []
        for done in run(args, tc, backend):
            print(f"{done.what}: {done.kills} kills, {'as it should be' if done.ok else 'NOT CLEAN'}", file=sys.stderr)
            tallies.append(done)
    except (SetupError, LostVm, Wrong) as exc:
        hint = getattr(exc, "hint", "")
        print(f"error: {exc}" + (f"\nhint: {hint}" if hint else ""), file=sys.stderr)
        return EXIT_HOST if isinstance(exc, SetupError) else 1
    print(table(tallies))
    return 0 if all(one.ok for one in tallies) else 1


if __name__ == "__main__":
    sys.exit(main())
