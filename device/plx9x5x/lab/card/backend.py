# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x serve` with a board, as the program that a `DeviceServer` starts."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import plx9x5x
from plx9x5x.lab.host.server import Backend, device_backend
from plx9x5x.plane.choice import Plane
from plx9x5x.transport.choice import AUTO

FINDINGS: Final = "findings.jsonl"
"""What a run and the fixtures call the file of `summary`, among their logs: a line a client (docs/findings.md)."""


class Watched(NamedTuple):
    """What a server needs to know what the guest's driver does: the witness's ring, and where it keeps the calls."""

    ring: int
    calls: Path
    shows_sync: bool


def board_backend(
    board: str,
    *,
    libvfio_user: Path | None,
    verbose: bool = False,
    trace: Path | None = None,
    plane: Plane | None = None,
    transport: str = AUTO,
    summary: Path | None = None,
    faults: Sequence[str] = (),
    seed: int = 0,
    watched: Watched | None = None,
    settings: Sequence[str] = (),
) -> Backend:
    """Serve `board` by `transport`, with the library `libvfio_user`.

    The register trace goes to the file `trace`, what each client came to and its findings to `summary`.
    `faults` are the sentences of a plan, `seed` what chance in them begins with (docs/faults.md). `watched`: the
    guest's driver is. `settings` are options of the board, with whole paths.
    """
    options = (
        *(("--verbose",) if verbose else ()),
        *(("--trace", str(trace)) if trace is not None else ()),
        *(("--summary", str(summary)) if summary is not None else ()),
        *(("--plane", plane.value) if plane is not None else ()),
        *(word for fault in faults for word in ("--fault", fault)),
        *(word for setting in settings for word in ("--set", setting)),
        *(("--seed", str(seed)) if seed else ()),
        *(("--transport", transport) if transport != AUTO else ()),
        *(_watching(watched) if watched is not None else ()),
    )
    return Backend(
        (sys.executable, "-m", "plx9x5x", "serve", "--board", board, *options),
        environment=_environment(libvfio_user),
        pass_fds=() if watched is None else (watched.ring,),
    )


def own_backend(
    device: str, *, libvfio_user: Path | None, transport: str, summary: Path, watched: Watched | None = None
) -> Backend:
    """Serve a device of one's own (`lab.host.server.device_backend`) with the same options."""
    made = device_backend(
        device,
        *("--transport", transport),
        *("--summary", str(summary)),
        *(_watching(watched) if watched is not None else ()),
        pass_fds=() if watched is None else (watched.ring,),
    )
    return replace(made, environment={**made.environment, **_library(libvfio_user)})


def _watching(watched: Watched) -> tuple[str, ...]:
    given = ("--witness-fd", str(watched.ring), "--witness-log", str(watched.calls))
    return (*given, "--witness-sync") if watched.shows_sync else given


def _environment(libvfio_user: Path | None) -> dict[str, str]:
    """The library, and this very package first, which may be a bare checkout."""
    root = str(Path(plx9x5x.__file__).resolve().parent.parent)
    before = os.environ.get("PYTHONPATH")
    return {
        **_library(libvfio_user),
        "PYTHONPATH": f"{root}{os.pathsep}{before}" if before else root,
        "PYTHONUNBUFFERED": "1",
    }


def _library(libvfio_user: Path | None) -> dict[str, str]:
    return {} if libvfio_user is None else {"PLX9X5X_LIBVFIO_USER": str(libvfio_user)}
