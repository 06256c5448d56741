# SPDX-License-Identifier: Apache-2.0
"""What a guest's own tools say of the device: real lspci, and the kernel's log with its levels.

The guest runs pci-report (guest-tests/initramfs), which needs no driver; its KTAP is read here. lspci has most of its
text from configuration space, and some from sysfs: `from_config_space` drops the latter. What is left must be what the
host's lspci makes of the same bytes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from plx9x5x.errors import LostVm
from plx9x5x.lab import defaults
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.card.config_space import SIZE, from_lspci
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestFile, GuestImage
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.host.symptoms import Oops
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.toolchain import Toolchain

FOLDER: Final = "pciutils"
"""Where lspci lies in the guest; /bin/lspci runs it."""
PROGRAM: Final = "/bin/pci-report"
WARNING: Final = 4
"""The kernel's level of a warning; smaller is worse."""

_BAR: Final = "|"
_LOG_LINE: Final = re.compile(r"<(\d+)>\[\s*\d+\.\d+\]\s?(.*)")
_HEX_LINE: Final = re.compile(r"[0-9a-f]{2,3}:(?: [0-9a-f]{2})+\s*$")

# What lspci has from sysfs, the kernel's idea of the device. Sizes: configuration space tells them to who writes it.
SYSFS_WORDS: Final = re.compile(r" \[size=\w+\]")
SYSFS_LINES: Final = (
    "Interrupt: ",  # the kernel's number, not that of the interrupt line register
    "Physical Slot: ",
    "DeviceName: ",
    "NUMA node: ",
    "IOMMU group: ",
    "Kernel driver in use: ",
    "Kernel modules: ",
)
"""Whole lines, by their first words."""
VPD: Final = "Vital Product Data"
"""The lines below this capability are its content, which the kernel reads from the device: not in the 256 bytes."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the kernel's log."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class PciReport:
    """What was said. `log_at_boot` is the kernel's log before anybody touched the device, `log` the one at the end."""

    slot: str
    numbers: str
    """By lspci -n."""
    untouched: bytes = field(repr=False)
    """Configuration space, by lspci -xxx, before anything read the VPD."""
    text: str = field(repr=False)
    """By lspci -vvv."""
    image: bytes = field(repr=False)
    """Configuration space, by lspci -xxx in the same run as `text`: the VPD registers may have moved in between."""
    log_at_boot: tuple[LogLine, ...] = field(repr=False)
    log: tuple[LogLine, ...] = field(repr=False)
    oopses: tuple[Oops, ...] = ()
    trouble: tuple[str, ...] = ()
    """Of QEMU and of the server."""

    def complaints(self, log: Iterable[LogLine]) -> tuple[str, ...]:
        """Lines of a log that name the device and are warnings or worse."""
        return tuple(line.text for line in log if line.level <= WARNING and self.slot in line.text)


def take(board: str, tc: Toolchain, *, logs: Path, timeout_s: float = defaults.TIMEOUT_S) -> PciReport:
    """Boot a guest with the board and have it look. Raises: SetupError, LostVm."""
    backend = board_backend(board, libvfio_user=tc.libvfio_user)
    with (
        prepared(tc, image(tc, guest_sources.find()), backend=backend, logs=logs) as ready,
        ready.boot(devices=ready.device(), logs=logs, timeout_s=timeout_s) as vm,
    ):
        said = read(vm.run_ktap())
        vm.end()
        trouble = [*vm.vfio_errors(), ready.trouble()]
        return replace(said, oopses=vm.oopses, trouble=tuple(text for text in trouble if text))


def image(tc: Toolchain, sources: guest_sources.GuestSources) -> GuestImage:
    """A guest with lspci and no driver. Needs the toolchain's part `pciutils`."""
    base = guest_sources.base_image(tc, sources)
    scripts = sources.init.parent
    files = {
        **base.files,
        "bin/lspci": GuestFile(scripts / "lspci", 0o755),
        PROGRAM.lstrip("/"): GuestFile(scripts / "pci-report", 0o755),
        **{f"{FOLDER}/{path}": GuestFile(source, 0o755) for path, source in tc.pciutils.files().items()},
    }
    return replace(base, files=files, words=(f"plx.run={PROGRAM}",))


def read(report: Report) -> PciReport:
    """Take the report apart. Raises: LostVm if it is not whole, or is not of exactly one device."""
    if not report.ok:
        raise LostVm(f"the guest's report on its PCI device is not whole:\n{report.summary()}")
    numbers, whole = _said(report, "numbers"), _said(report, "whole")
    slot, untouched = _only_device(numbers)
    again, found = _only_device(whole)
    if again != slot:
        raise LostVm(f"the PLX device moved in the guest from {slot} to {again}")
    return PciReport(
        slot=slot,
        numbers=decoded(numbers),
        untouched=untouched,
        text=decoded(whole),
        image=found,
        log_at_boot=kernel_log(_said(report, "log_at_boot")),
        log=kernel_log(_said(report, "log")),
    )


def _only_device(lines: Sequence[str]) -> tuple[str, bytes]:
    """Slot and bytes of the one device in lspci's output."""
    devices = from_lspci("\n".join(lines))
    if len(devices) != 1:
        raise LostVm(f"the guest sees {len(devices)} PLX devices, not one:\n" + "\n".join(lines))
    ((slot, image),) = devices.items()
    if len(image) != SIZE:
        raise LostVm(f"the guest's lspci gives {len(image)} bytes of configuration space, not {SIZE}")
    return slot, image


def _said(report: Report, name: str) -> list[str]:
    """Output of one of the guest's commands."""
    case = report.find(name)
    if case is None:
        raise LostVm(f"the guest's report on its PCI device has no '{name}'")
    return [line[len(_BAR) :] for line in case.diagnostics if line.startswith(_BAR)]


def kernel_log(lines: Iterable[str]) -> tuple[LogLine, ...]:
    """Lines of `dmesg -r`; one without a level belongs to the line before."""
    found: list[LogLine] = []
    for line in lines:
        if match := _LOG_LINE.match(line):
            # Above the level stands who said it: the kernel is 0.
            found.append(LogLine(int(match[1]) & 7, match[2]))
        elif found:
            found.append(LogLine(found[-1].level, line))
    return tuple(found)


def decoded(lines: Iterable[str]) -> str:
    """The output of `lspci -vvv -xxx` without its hex lines and empty lines."""
    return "\n".join(line.rstrip() for line in lines if line.strip() and not _HEX_LINE.match(line))


def from_config_space(text: str) -> tuple[str, ...]:
    """The lines of lspci's text that come from configuration space and from nothing else."""
    kept: list[str] = []
    inside: int | None = None
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip("\t"))
        if inside is not None and depth > inside:
            continue
        inside = depth if VPD in line else None
        if line.strip().startswith(SYSFS_LINES):
            continue
        kept.append(SYSFS_WORDS.sub("", line))
    return tuple(kept)


def differing(ours: bytes, theirs: bytes) -> tuple[str, ...]:
    """Bytes that differ, each as `offset: ours, theirs`."""
    pairs = enumerate(zip(ours, theirs, strict=True))
    return tuple(f"0x{at:02x}: {a:02x}, {b:02x}" for at, (a, b) in pairs if a != b)
