# SPDX-License-Identifier: Apache-2.0
"""`serve --fault`: the same plan, accesses and seed give the same faults on each transport and plane, and are kept."""

import json
import signal
from contextlib import closing
from pathlib import Path

import pytest

from plx9x5x.plane.choice import Plane
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.units import KIB
from tests.transport.test_serve_process import Serve

CONFIG = 7
RAM = 0x10_0000
PLAN = (
    "channel 0: master abort at transfer 2",
    "corrupted byte at transfer 3",
    "bad read of MBOX0 with probability 0.5",
    "lost interrupt at interrupt 99",
)
DONE = 0x10


def block(client: VfioUserClient, *, wait: bool = True) -> int:
    for offset, value in ((0x80, 0x43), (0x84, RAM), (0x88, 0), (0x8C, 64), (0x90, 8)):
        client.write(0, offset, value)
    client.write(0, 0xA8, 3, 1)
    for _ in range(20_000 if wait else 200):
        if client.read(0, 0xA8, 1) & DONE:
            break
    return client.read(0, 0xA8, 1)


def seen_by(path: Path) -> tuple[object, ...]:
    """What a driver sees of the plan."""
    with VfioUserClient(path) as client, closing(SharedRam(64 * KIB)) as ram:
        client.map(RAM, 64 * KIB, ram.fd)
        client.write(CONFIG, 4, 7, 2)
        first, second = block(client), block(client, wait=False)
        errors = client.read(CONFIG, 6, 2) & 0x3000
        client.write(0, 0xA8, 0, 1)
        client.write(0, 0xA8, 4, 1)
        third = block(client)
        data = ram.bytes[:64]
        chance = tuple(client.read(0, 0x78) for _ in range(40))
    return first, second, errors, third, data, chance


def served(folder: Path, library: Path, *options: str) -> tuple[tuple[object, ...], list[dict[str, object]], str]:
    kept = folder / "kept"
    kept.unlink(missing_ok=True)
    faults = [word for sentence in PLAN for word in ("--fault", sentence)]
    serve = Serve(folder / "s", library, "--summary", str(kept), *faults, *options)
    said = serve.until_ready()
    assert f"fault 1 is planned: {PLAN[0]}\n" in said
    seen = seen_by(folder / "s")
    serve.process.send_signal(signal.SIGTERM)
    _, log = serve.process.communicate(timeout=20)
    assert serve.process.returncode == 0
    record = json.loads(kept.read_text().splitlines()[0])
    return seen, record["faults"], log


def test_faults_are_the_same_on_every_transport_and_plane(folder: Path, library_path: Path) -> None:
    found = [
        served(folder, library_path, "--transport", transport, "--plane", plane.value, "--seed", "3")
        for transport in ("libvfio", "wire")
        for plane in Plane
    ]
    (first, second, errors, third, data, chance), faults, log = found[0]
    assert (first, second, errors, third) == (0x11, 0x01, 0x2000, 0x11)
    assert data == b"\x01" + bytes(63)
    assert set(chance) == {0, 0xFFFF_FFFF}
    assert [it["struck"] for it in faults] == [1, 1, sum(map(bool, chance)), 0]
    assert all(seen == found[0][0] for seen, _, _ in found)
    assert f"fault 1 strikes (1): {PLAN[0]} - write of 64 bytes at 0x100000, channel 0" in log
    assert "(unmapped-address)" not in log


def test_a_trace_has_the_strike_before_what_comes_of_it(folder: Path, library_path: Path) -> None:
    trace = folder / "trace"
    served(folder, library_path, "--transport", "wire", "--trace", str(trace))
    lines = [line.partition(" ")[2] for line in trace.read_text().splitlines()]
    at = lines.index(f"fault 1 {PLAN[0]}; write of 64 bytes at 0x100000, channel 0")
    assert lines[at + 1] == "error 0 master abort at 0x100000, data"


@pytest.mark.parametrize("plan", ["master abord", "@/nowhere/plan"])
def test_a_plan_that_says_nothing_is_a_usage_error(folder: Path, library_path: Path, plan: str) -> None:
    serve = Serve(folder / "s", library_path, "--fault", plan)
    _, log = serve.process.communicate(timeout=20)
    assert serve.process.returncode == 2
    assert "plx9x5x faults" in log or "cannot be read" in log
