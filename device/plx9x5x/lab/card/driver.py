# SPDX-License-Identifier: Apache-2.0
"""The project's own driver for the card, and the program that puts it to the test: built, and in a guest."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from plx9x5x.lab.guest.image import GuestImage, program
from plx9x5x.lab.guest.sources import GuestSources, base_image
from plx9x5x.lab.toolchain import Toolchain, build_module, build_static

DRIVER: Final = "plx_test"
BOARDS: Final = ("9080-401b", "rdk-9054-lite", "rdk-9056-lite", "rdk-9656-lite", "pex-8311-rdk")
"""Those that driver and program know: PLX's reference boards (guest-tests/user/board.c)."""


@dataclass(frozen=True, slots=True)
class GuestTests:
    """Driver and program, built for one kernel."""

    module: Path
    program: Path


def _kmod(sources: GuestSources) -> Path:
    return sources.root / "kmod"


def build_program(sources: GuestSources) -> Path:
    """Compile the test program, which also runs on the host to list its cases. Raises: SetupError."""
    return build_static(sources.root / "user", name=DRIVER, include=(_kmod(sources),))


def build(tc: Toolchain, sources: GuestSources) -> GuestTests:
    """Build driver and program; from the cache when nothing changed. Raises: SetupError."""
    return GuestTests(build_module(tc, _kmod(sources), name=DRIVER), build_program(sources))


def driver_image(
    tc: Toolchain, sources: GuestSources, built: GuestTests, *, mode: str = "test", arguments: tuple[str, ...] = ()
) -> GuestImage:
    """The guest that runs the cases."""
    base = base_image(tc, sources)
    files = {**base.files, f"bin/{DRIVER}": program(built.program)}
    return replace(base, files=files, own_modules=(built.module,), mode=mode, arguments=arguments)
