# SPDX-License-Identifier: Apache-2.0
"""The group `guest`: what a driver in a guest under QEMU (TCG) sees of ours, of the peer in C, and of QEMU's own `edu`.

Guests with ours and guests with the peer are booted in turn, each with its server on one core; the driver and its
bench are the same, since the peer has the registers that they touch. A write counts as issued when the CPU goes on, as
drained when a read after the last one has its answer.
"""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from plx9x5x.errors import LostVm
from plx9x5x.lab.bench import contest
from plx9x5x.lab.bench.contest import OURS, PEER
from plx9x5x.lab.bench.figures import Figure, Part, Row
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.card import driver
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.launch import Ready
from plx9x5x.lab.guest.machine import EDU
from plx9x5x.lab.host.server import Backend, DeviceServer
from plx9x5x.lab.report.ktap import Report

GROUP: Final = "guest"
TITLE: Final = "From a guest under QEMU (TCG), guest and server on one core"
BOOTS_MAX: Final = 3
_LINE: Final = re.compile(r"bench name=(?P<name>\w+) .*ns_per_op=(?P<ns>[\d.]+)")
Times = Mapping[str, Figure]

_NAMES: Final = (
    ("register read, round trip", "bar0_read", "edu_read"),
    ("register write, issued", "bar0_write_issued", "edu_write_issued"),
    ("register write, drained", "bar0_write_drained", "edu_write_drained"),
    ("port read (BAR1)", "bar1_in", "edu_read"),
    ("port write (BAR1)", "bar1_out", "edu_write_drained"),
    ("START of a 4-byte block to interrupt handled", "irq_round_trip", None),
)


def measure(options: Options) -> Part:
    """Run the group. Raises: SetupError, LostVm."""
    sources = guest_sources.find()
    built = driver.build(options.tc, sources)
    image = driver.driver_image(options.tc, sources, built, mode="bench")
    boots = 1 if options.quick else min(options.rounds, BOOTS_MAX)
    turns = {
        name: lambda backend=backend: _boot(options, image, backend)
        for name, backend in contest.both_backends(options).items()
    }
    reports = contest.alternate(boots, turns)
    ours, theirs = (times_of(reports[who]) for who in (OURS, PEER))
    return Part(GROUP, TITLE, rows_of(ours, theirs, plane=options.plane))


def rows_of(ours: Times, theirs: Times, *, plane: str = "") -> tuple[Row, ...]:
    """Each thing that the guest timed, beside the peer, and beside edu where that has one."""
    rows = [Row(name, "us", ours[key], theirs[key], PEER, plane=plane) for name, key, _ in _NAMES]
    rows += [Row(name, "us", ours[key], ours[edu], "edu", plane=plane) for name, key, edu in _NAMES if edu]
    return tuple(rows)


def times_of(reports: list[Report]) -> dict[str, Figure]:
    """What the guests' benches said, by name, in microseconds: all rounds of all guests."""
    rounds: dict[str, list[float]] = {}
    for report in reports:
        for case in report.cases:
            for line in case.diagnostics:
                if found := _LINE.search(line):
                    rounds.setdefault(found["name"], []).append(float(found["ns"]) * 1e-3)
    return {name: Figure(tuple(values)) for name, values in rounds.items()}


def _boot(options: Options, image: GuestImage, backend: Backend) -> Report:
    """One guest that measures. Raises: LostVm, also when it does not pass."""
    with tempfile.TemporaryDirectory(prefix="plx-bench-") as folder:
        logs = Path(folder)
        initrd = image.build(options.tc.kernel.modules, options.tc.cache)
        with DeviceServer.start(backend=backend, logs=logs, cpus=options.cpus) as server:
            server.wait_ready()
            ready = Ready(options.tc, image, initrd, server, options.cpus)
            with ready.boot(devices=(*ready.device(), EDU), logs=logs) as vm:
                report = vm.run_ktap()
                problems = (*report.problems, *vm.vfio_errors(), *(oops.title for oops in vm.oopses))
    if not report.ok or problems:
        raise LostVm(f"the guest's bench failed: {report.summary()} {'; '.join(problems)}".strip())
    return report
