# SPDX-License-Identifier: Apache-2.0
"""Which accelerator to boot with: a /dev/kvm that exists may still hang a guest, so `auto` tries it first."""

import os
import tempfile
from pathlib import Path
from typing import Final

from plx9x5x.errors import BadRequest, SetupError
from plx9x5x.lab.guest.image import GuestFile, GuestImage, program
from plx9x5x.lab.guest.machine import VmSpec
from plx9x5x.lab.host.process import Child, tail_of
from plx9x5x.lab.toolchain import Toolchain

TCG: Final = "tcg"
"""QEMU's own: where it sees the guest's code."""
CHOICES: Final = (TCG, "kvm", "auto")
KVM: Final = Path("/dev/kvm")
PROOF_S: Final = 2.0
_PROOF: Final = "plx9x5x-kvm-works"
_INIT: Final = f"#!/bin/busybox sh\n/bin/busybox echo {_PROOF}\n/bin/busybox poweroff -f\n"


class NoSuchAccelerator(BadRequest):
    """There is no accelerator of that name."""


def choose(wish: str, tc: Toolchain) -> tuple[str, str]:
    """Give the accelerator for `wish`, and why. Raises: NoSuchAccelerator, SetupError for a kvm that is not there."""
    match wish:
        case "tcg":
            return TCG, "asked for"
        case "kvm":
            if not _usable():
                raise SetupError(f"{KVM} cannot be opened", hint="run as a member of the group kvm, or use --accel tcg")
            return "kvm", "asked for"
        case "auto":
            if not _usable():
                return TCG, f"{KVM} cannot be opened"
            if not prove_kvm(tc):
                return TCG, f"{KVM} is there, but a guest did not boot with it within {PROOF_S:g} s"
            return "kvm", "a guest booted with it"
        case _:
            raise NoSuchAccelerator(f"no accelerator '{wish}'; there are {', '.join(CHOICES)}")


def prove_kvm(tc: Toolchain, *, limit_s: float = PROOF_S) -> bool:
    """Boot a guest that only says a word, with kvm; False if it has not said it within `limit_s`."""
    with tempfile.TemporaryDirectory(prefix="plx9x5x-kvm-") as name:
        folder = Path(name)
        init = folder / "init"
        init.write_text(_INIT, encoding="ascii")
        image = GuestImage({"init": GuestFile(init, 0o755), "bin/busybox": program(tc.busybox)})
        spec = VmSpec(tc.qemu.argv, tc.kernel.vmlinuz, image.build(tc.kernel.modules, folder), accel="kvm")
        serial = folder / "serial.log"
        argv = spec.command_line(serial=serial)
        with Child(argv, name="QEMU", log=folder / "qemu.log") as qemu:
            ended = qemu.wait(limit_s) == 0
            qemu.end(grace_s=0)
        return ended and _PROOF in tail_of(serial)


def _usable() -> bool:
    return os.access(KVM, os.R_OK | os.W_OK)
