# SPDX-License-Identifier: Apache-2.0
"""Find each part of the lab: named by the environment, on the host, in the cache, or fetched now."""

import os
import platform
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from plx9x5x.errors import BadRequest, SetupError
from plx9x5x.lab.toolchain import host, kernels, pciutils, qemu, unpack, vfio_user_lib, virtiofsd
from plx9x5x.lab.toolchain.apt import PrivateApt
from plx9x5x.lab.toolchain.cache import Cache, Installed, Package, Record, remove
from plx9x5x.lab.toolchain.kernels import GuestKernel
from plx9x5x.lab.toolchain.pciutils import Pciutils
from plx9x5x.lab.toolchain.progress import Progress, Silent
from plx9x5x.lab.toolchain.qemu import Qemu
from plx9x5x.lab.toolchain.table import BUSYBOX, INDEX_SPACE_MIB, KERNELS, LIBVFIO_USER, PCIUTILS, QEMU, VIRTIOFSD, Part
from plx9x5x.lab.toolchain.virtiofsd import Virtiofsd

FOR_A_RUN: Final = frozenset(("qemu", "kernel", "busybox", "libvfio-user"))
"""Parts without which no guest runs our device."""
ALL: Final = FOR_A_RUN | {"pciutils", "virtiofsd"}
_ABSENT: Final = Path(os.devnull) / "absent"
_BUSYBOX_PATHS: Final = ("usr/bin/busybox", "bin/busybox")


class NoSuchPart(BadRequest):
    """The toolchain has no part of that name."""


@dataclass(frozen=True)
class Toolchain:
    """Everything that a guest run needs. Parts that `load` was not asked for may name files that do not exist."""

    qemu: Qemu
    kernel: GuestKernel
    busybox: Path
    libvfio_user: Path
    cache: Path
    recorded: Mapping[str, str] = field(default_factory=dict)
    pciutils: Pciutils = field(default_factory=lambda: Pciutils(_ABSENT))
    virtiofsd: Virtiofsd = field(default_factory=lambda: Virtiofsd(_ABSENT))

    def versions(self) -> Mapping[str, str]:
        """What is in use, by part, for logs and reports."""
        return dict(self.recorded)


def load(
    *, kernel: str | None = None, progress: Progress | None = None, need: Collection[str] = FOR_A_RUN
) -> Toolchain:
    """Give the toolchain; fetch and build what is missing, and touch nothing when nothing is.

    `kernel` is a name of KERNELS or a path (see kernels.py); absent, $PLX9X5X_KERNEL, then the first series.
    `need` names the parts that must be there: "qemu", "kernel", "busybox", "libvfio-user", "pciutils", "virtiofsd".
    Raises: SetupError when the host lacks something, NoSuchKernel, NoSuchPart.
    """
    plan = _plan(kernel, need)
    ensure(plan.cache, plan.wanted, progress or Silent())
    return _describe(plan)


def present(kernel: str | None, *, need: Collection[str]) -> Toolchain | None:
    """As `load`, of what is there; None if some of it would have to be fetched. Raises: SetupError, NoSuchKernel."""
    plan = _plan(kernel, need)
    return None if _missing(plan.cache, plan.wanted) else _describe(plan)


class _Plan(NamedTuple):
    """What is wished, what of it the user brought, and which parts come from the cache."""

    cache: Cache
    wish: str
    qemu: Qemu | None
    kernel: GuestKernel | None
    library: Path | None
    wanted: tuple[Part, ...]


def _plan(kernel: str | None, need: Collection[str]) -> _Plan:
    if unknown := set(need) - ALL:
        raise NoSuchPart(f"no part {', '.join(sorted(unknown))}; there are {', '.join(sorted(ALL))}")
    cache = Cache.locate()
    wish = kernels.choose(kernel)
    own_qemu = qemu.from_environment() if "qemu" in need else None
    own_library = vfio_user_lib.from_environment() if "libvfio-user" in need else None
    own_kernel = kernels.by_path(wish) if wish not in KERNELS else None
    if own_qemu is None and "qemu" in need and cache.find(QEMU) is None:
        own_qemu, _ = qemu.from_path()
    wanted = tuple(
        part
        for name, part, own in (
            ("qemu", QEMU, own_qemu),
            ("busybox", BUSYBOX, None),
            ("pciutils", PCIUTILS, None),
            ("virtiofsd", VIRTIOFSD, None),
            ("kernel", KERNELS.get(wish), own_kernel),
            ("libvfio-user", LIBVFIO_USER, own_library),
        )
        if name in need and own is None and part is not None
    )
    return _Plan(cache, wish, own_qemu, own_kernel, own_library, wanted)


def variant(part: Part) -> str:
    """What of the host a part depends on."""
    return host.libc() if part is LIBVFIO_USER else ""


def ensure(cache: Cache, parts: Collection[Part], progress: Progress) -> None:
    """Bring the parts that are missing into the cache, one after the other. Raises: SetupError."""
    if not _missing(cache, parts):
        return
    if platform.machine() != "x86_64":
        raise SetupError(
            f"the parts that plx9x5x fetches are for x86_64, this machine is {platform.machine()}",
            hint="name your own: PLX9X5X_QEMU, PLX9X5X_KERNEL, PLX9X5X_LIBVFIO_USER",
        )
    with cache.lock(progress):
        missing = _missing(cache, parts)
        if not missing:
            return
        if LIBVFIO_USER in missing:
            vfio_user_lib.require_tools()
        with cache.stage() as stage:
            cache.check_space(INDEX_SPACE_MIB + max(p.space_mib for p in missing))
            progress.note(f"fetching into {cache.root}: {', '.join(p.title for p in missing)}")
            with cache.guard():
                apt = PrivateApt.open(stage / "apt", [w for p in missing for w in p.wanted], cache, progress)
                for part in missing:
                    cache.check_space(part.space_mib)
                    _make(cache, apt, part, stage, progress)


def fill_space_mib() -> int:
    """What the cache must be able to hold while it is filled for the default kernel."""
    parts = (QEMU, BUSYBOX, PCIUTILS, VIRTIOFSD, next(iter(KERNELS.values())), LIBVFIO_USER)
    return INDEX_SPACE_MIB + sum(p.space_mib for p in parts)


def _missing(cache: Cache, parts: Collection[Part]) -> list[Part]:
    return [p for p in parts if cache.find(p, variant(p)) is None]


def _make(cache: Cache, apt: PrivateApt, part: Part, stage: Path, progress: Progress) -> None:
    """Fetch, unpack, adapt and publish one part."""
    tree = stage / part.name
    packages: list[Package] = []
    for number, wanted in enumerate(part.wanted):
        folder = tree / wanted.into if wanted.source else stage / f"{part.name}-{number}"
        what = "source" if wanted.source else wanted.packages[0] if number else part.title
        with progress.task(f"{part.name}: {what}" if number or wanted.source else what) as task:
            packages += apt.fetch(wanted, folder, task)
            if not wanted.source:
                unpack.debs(folder, tree / wanted.into, cache)
                remove(folder)
    if part is LIBVFIO_USER:
        with progress.task("compiling libvfio-user"):
            record = _record(
                part, packages, vfio_user_lib.build(tree, cache), keep=(vfio_user_lib.LIBRARY, vfio_user_lib.HEADERS)
            )
    elif part is QEMU:
        record = _finish_qemu(tree, packages)
    elif part is BUSYBOX:
        record = _finish_busybox(tree, packages)
    elif part is PCIUTILS:
        record = _finish_pciutils(tree, packages)
    elif part is VIRTIOFSD:
        record = _finish_virtiofsd(tree, packages)
    else:
        with progress.task(f"{part.name}: modules and headers"):
            facts = kernels.adapt(tree, pack_modules=part.pack_modules)
        keep = (facts["vmlinuz"], facts["modules"], f"{facts['headers']}/Makefile")
        record = _record(part, packages, facts, keep=keep)
    found = cache.publish(part, tree, record, variant(part))
    progress.note(f"{part.title}: {found.record.version}")


def _finish_qemu(tree: Path, packages: list[Package]) -> Record:
    root = tree / "root"
    qemu.prune(root)
    version = qemu.verify(qemu.argv_of(root))
    keep = (f"root/usr/bin/{qemu.PROGRAM}", str(unpack.loader(root).relative_to(tree)))
    return Record(QEMU.name, QEMU.recipe, version, keep, tuple(packages), _package(QEMU, packages))


def _finish_busybox(tree: Path, packages: list[Package]) -> Record:
    binary = next((p for name in _BUSYBOX_PATHS if (p := tree / "root" / name).is_file()), None)
    if binary is None:
        raise SetupError("the package busybox-static holds no busybox", hint="look for a newer version of plx9x5x")
    shutil.move(binary, tree / "busybox")
    unpack.keep_only(tree, ("busybox",))
    return _record(BUSYBOX, packages, {}, keep=("busybox",))


def _finish_pciutils(tree: Path, packages: list[Package]) -> Record:
    keep = pciutils.arrange(tree)
    version = pciutils.verify(tree)
    return Record(PCIUTILS.name, PCIUTILS.recipe, version, keep, tuple(packages), _package(PCIUTILS, packages))


def _finish_virtiofsd(tree: Path, packages: list[Package]) -> Record:
    keep = virtiofsd.arrange(tree)
    version = virtiofsd.verify(tree)
    return Record(VIRTIOFSD.name, VIRTIOFSD.recipe, version, keep, tuple(packages), _package(VIRTIOFSD, packages))


def _package(part: Part, packages: list[Package]) -> dict[str, str]:
    """The version of a closure's own package, among those that it depends on."""
    asked = part.wanted[0].packages[0]
    return {"package": next((p.version for p in packages if p.name == asked), "")}


def _record(part: Part, packages: list[Package], facts: Mapping[str, str], *, keep: tuple[str, ...]) -> Record:
    return Record(part.name, part.recipe, packages[0].version, keep, tuple(packages), facts)


def _describe(plan: _Plan) -> Toolchain:
    """Put the parts together, wherever they come from."""
    cache, wish, own_qemu, own_kernel, own_library, _ = plan
    recorded: dict[str, str] = {}

    def found(part: Part, name: str) -> Installed | None:
        if installed := cache.find(part, variant(part)):
            recorded[name] = installed.record.version
        return installed

    if own_qemu is None:
        place = found(QEMU, "qemu")
        own_qemu = qemu.installed(place) if place else Qemu((), "", "absent")
    if own_qemu.version:
        recorded["qemu"] = f"{own_qemu.version} ({own_qemu.argv[0] if own_qemu.source != 'debian' else 'fetched'})"
    if own_kernel is None:
        place = found(KERNELS[wish], "kernel")
        own_kernel = kernels.installed(place, wish) if place else GuestKernel(wish, "", _ABSENT, _ABSENT, _ABSENT, ())
        if place:
            recorded["kernel"] = f"{own_kernel.release} ({place.record.version})"
    else:
        recorded["kernel"] = f"{own_kernel.release} ({own_kernel.vmlinuz})"
    found(BUSYBOX, "busybox")
    if own_library is None:
        found(LIBVFIO_USER, "libvfio-user")
        own_library = cache.place(LIBVFIO_USER, variant(LIBVFIO_USER)) / vfio_user_lib.LIBRARY
    else:
        recorded["libvfio-user"] = str(own_library)
    lspci = found(PCIUTILS, "pciutils")
    folders = found(VIRTIOFSD, "virtiofsd")
    return Toolchain(
        own_qemu,
        own_kernel,
        cache.place(BUSYBOX) / "busybox",
        own_library,
        cache.root,
        recorded,
        Pciutils(lspci.path, lspci.record.version) if lspci else Pciutils(_ABSENT),
        Virtiofsd(folders.path, folders.record.version) if folders else Virtiofsd(_ABSENT),
    )
