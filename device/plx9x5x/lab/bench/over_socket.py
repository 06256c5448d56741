# SPDX-License-Identifier: Apache-2.0
"""The group `socket`: one access, one interrupt, one transfer over vfio-user, ours beside the peer in C.

The raw client plays QEMU's part against all, so what differs is the server alone: ours on libvfio-user, ours on the
wire, and the peer, which is on the same libvfio-user. Bare ping-pong of two C processes on one socket is what no server
can be faster than.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from plx9x5x.lab.bench import contest
from plx9x5x.lab.bench.contest import OURS, PEER, WIRE, Timing
from plx9x5x.lab.bench.figures import Figure, Part, Row
from plx9x5x.lab.bench.options import Options
from plx9x5x.transport.choice import Transport

GROUP: Final = "socket"
TITLE: Final = "Over the socket: a raw client and a server on one core"
FLOOR: Final = "ping-pong"
ACCESSES: Final = 3000
INTERRUPTS: Final = 1000
TRANSFERS: Final = 200
CHAIN: Final = 256
Found = Mapping[tuple[str, str], list[dict[str, Timing]]]
Pick = Callable[[Timing], float]


def measure(options: Options) -> Part:
    """Run the group. Raises: SetupError, LostVm."""
    backends = contest.both_backends(options)
    backends[WIRE] = contest.our_backend(options.tc, options.plane, transport=Transport.WIRE)
    with contest.serving(backends, cpus=options.cpus) as servers:
        requests = _requests(options)
        turns = {
            (who, what): partial(contest.run_client, server.socket_path, *arguments, cpus=options.cpus)
            for what, arguments in requests.items()
            for who, server in servers.items()
        }
        floor = partial(contest.run_client, None, FLOOR, options.count(ACCESSES), cpus=options.cpus)
        found = contest.alternate(options.rounds, {**turns, (FLOOR, FLOOR): floor})
    return Part(GROUP, TITLE, tuple(_rows(options, found)))


def _requests(options: Options) -> dict[str, tuple[str | int, ...]]:
    """What the client is to time, by the name that the rows use: its arguments."""
    accesses, transfers = options.count(ACCESSES), options.count(TRANSFERS)
    names = ("read", "posted", "command-posted", "acknowledged", "command-acknowledged")
    return {
        **{name: (name, accesses) for name in names},
        "interrupt": ("interrupt", options.count(INTERRUPTS)),
        "block of 4 B": ("block", 4, transfers),
        "block of 64 KiB": ("block", 64 * 1024, transfers),
        "chain": ("chain", CHAIN, options.count(TRANSFERS // 4)),
    }


def _rows(options: Options, found: Found) -> list[Row]:
    def figure(who: str, what: str, pick: Pick, key: str | None = None) -> Figure:
        return contest.figure(found[who, what], key or what, pick)

    def beside_peer(name: str, what: str, pick: Pick, key: str | None = None, note: str = "") -> Row:
        ours, theirs = figure(OURS, what, pick, key), figure(PEER, what, pick, key)
        return Row(name, "us", ours, theirs, PEER, note, options.plane)

    def beside_plain(name: str, command: str, plain: str, pick: Pick) -> Row:
        ours, theirs = figure(OURS, command, pick), figure(OURS, plain, pick)
        return Row(name, "us", ours, theirs, "ours, plain write", plane=options.plane)

    def by_wire(row: str, what: str, pick: Pick, key: str | None = None) -> Row:
        wire, library = figure(WIRE, what, pick, key), figure(OURS, what, pick, key)
        return Row(f"{row}, by wire", "us", wire, library, "ours, libvfio", plane=options.plane)

    floor = figure(FLOOR, FLOOR, _median)
    descriptor = figure(OURS, "chain", _median).median / CHAIN
    return [
        beside_peer("register read, round trip", "read", _median),
        beside_peer("register read, 99th percentile", "read", _p99),
        Row("register read", "us", figure(OURS, "read", _median), floor, "bare ping-pong", plane=options.plane),
        beside_peer("posted register write, drained", "posted", _mean),
        beside_peer("acknowledged register write", "acknowledged", _median),
        beside_peer("posted DMACSR write, drained", "command-posted", _mean),
        beside_peer("acknowledged DMACSR write", "command-acknowledged", _median),
        beside_plain("posted DMACSR write, drained", "command-posted", "posted", _mean),
        beside_plain("acknowledged DMACSR write", "command-acknowledged", "acknowledged", _median),
        beside_peer("interrupt: write that raises, to eventfd", "interrupt", _median, "interrupt-rise"),
        beside_peer("interrupt: raised, heard, lowered, unmasked", "interrupt", _median),
        beside_peer("block of 4 B: programmed, run, acknowledged", "block of 4 B", _median, "block"),
        beside_peer("block of 64 KiB: the same", "block of 64 KiB", _median, "block"),
        beside_peer(
            f"chain of {CHAIN} x 256 B: the same", "chain", _median, note=f"{1e3 / descriptor:.0f} k descriptors/s"
        ),
        by_wire("register read, round trip", "read", _median),
        by_wire("register read, 99th percentile", "read", _p99),
        by_wire("posted register write, drained", "posted", _mean),
        by_wire("acknowledged register write", "acknowledged", _median),
        by_wire("posted DMACSR write, drained", "command-posted", _mean),
        by_wire("acknowledged DMACSR write", "command-acknowledged", _median),
        by_wire("interrupt: write that raises, to eventfd", "interrupt", _median, "interrupt-rise"),
        by_wire("interrupt: raised, heard, lowered, unmasked", "interrupt", _median),
        by_wire("block of 4 B: programmed, run, acknowledged", "block of 4 B", _median, "block"),
        by_wire("block of 64 KiB: the same", "block of 64 KiB", _median, "block"),
        by_wire(f"chain of {CHAIN} x 256 B: the same", "chain", _median),
    ]


def _median(timing: Timing) -> float:
    return timing.median


def _p99(timing: Timing) -> float:
    return timing.p99


def _mean(timing: Timing) -> float:
    return timing.mean
