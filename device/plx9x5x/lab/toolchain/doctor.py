# SPDX-License-Identifier: Apache-2.0
"""Is this host able to run everything, and if not, what mends it. Fetches and changes nothing."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x import jail
from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import apt, host, kernels, pciutils, qemu, vfio_user_lib, virtiofsd
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.toolchain.loader import fill_space_mib, variant
from plx9x5x.lab.toolchain.table import BUSYBOX, KERNELS, LIBVFIO_USER, PCIUTILS, QEMU, VIRTIOFSD
from plx9x5x.plane import choice
from plx9x5x.transport.libvfio_abi import load_abi
from plx9x5x.units import MIB

_OLDEST_PYTHON: Final = (3, 11)
_TEST_MIB: Final = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report: `mend` is empty when the line is fine, `warn` when it costs comfort only."""

    what: str
    says: str
    mend: str = ""
    warn: bool = False


def report(kernel: str | None) -> Iterator[Line]:
    """Every check, one after the other; a check that raises fails its own line only."""
    checks: tuple[tuple[str, Callable[[], Line]], ...] = (
        ("python", _python),
        ("machine", _machine),
        ("compiler", _compiler),
        ("make", _make),
        ("plane", _plane),
        ("build tools", _build_tools),
        ("apt", _apt),
        ("cache", _cache),
        ("qemu", _qemu),
        ("libvfio-user", _library),
        ("kernel", lambda: _kernel(kernel)),
        ("busybox", _busybox),
        ("pciutils", _pciutils),
        ("virtiofsd", _virtiofsd),
        ("guest memory", _guest_memory),
        ("jail", _jail),
        ("cores", _cores),
        ("kvm", _kvm),
    )
    for what, check in checks:
        try:
            yield check()
        except SetupError as exc:
            yield Line(what, str(exc), exc.hint)
        except kernels.NoSuchKernel as exc:
            yield Line(what, str(exc), "name one of those")


def _python() -> Line:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _OLDEST_PYTHON:  # a checkout can be run by an older one
        return Line("python", version, "use Python 3.11 or newer")
    return Line("python", f"{version}, {sys.executable}")


def _machine() -> Line:
    system = os.uname()
    if (system.sysname, system.machine) == ("Linux", "x86_64"):
        return Line("machine", f"Linux {system.release}, x86_64")
    return Line("machine", f"{system.sysname} {system.machine}", "use an x86_64 Linux machine, or a container on one")


def _compiler() -> Line:
    path = host.compiler()
    return Line("compiler", f"{path} {host.compiler_version(path)[1]}")


def _make() -> Line:
    host.tool("ld")
    return Line("make", host.tool("make"))


def _plane() -> Line:
    if why := choice.lack():
        return Line("plane", f"python; the native one is not there: {why}", choice.HINT, warn=True)
    return Line("plane", choice.choose().value)


def _build_tools() -> Line:
    if os.environ.get(vfio_user_lib.ENV):
        return Line("build tools", f"not needed, {vfio_user_lib.ENV} names a library")
    try:
        vfio_user_lib.require_tools()
    except SetupError as exc:
        return Line("build tools", str(exc), exc.hint, warn=_library_place() is not None)
    return Line("build tools", "meson, ninja, pkgconf")


def _apt() -> Line:
    try:
        mirrors = apt.mirrors()
    except SetupError as exc:
        return Line("apt", str(exc), exc.hint, warn=_nothing_to_fetch())
    keys = ", ".join(mirrors[0].keys) or "the host's trusted keys"
    return Line("apt", f"{mirrors[0].uri}, checked by {keys}")


def _cache() -> Line:
    cache = Cache.locate()
    above = next(p for p in (cache.root, *cache.root.parents) if p.exists())
    if not os.access(above, os.W_OK):
        raise SetupError(f"{above} is not writable", hint="make it writable, or set PLX9X5X_CACHE to a folder that is")
    free = shutil.disk_usage(above).free // MIB
    if cache.installed():
        return Line("cache", f"{cache.root}, {len(cache.installed())} parts, {free} MiB free")
    need = fill_space_mib()
    if free < need:
        raise SetupError(f"{above} has {free} MiB free, {need} are needed", hint="free some, or set PLX9X5X_CACHE")
    return Line("cache", f"{cache.root}, empty, {free} MiB free", "plx9x5x toolchain fetch", warn=True)


def _qemu() -> Line:
    if own := qemu.from_environment():
        return Line("qemu", f"{own.version}, {own.argv[0]} ({own.source})")
    if found := Cache.locate().find(QEMU):
        version = qemu.verify(qemu.installed(found).argv)
        return Line("qemu", f"{version}, fetched, has {qemu.DEVICE}")
    on_path, why = qemu.from_path()
    if on_path:
        return Line("qemu", f"{on_path.version}, {on_path.argv[0]}, has {qemu.DEVICE}")
    return Line("qemu", f"not fetched yet ({why})", "plx9x5x toolchain fetch", warn=True)


def _library_place() -> Path | None:
    """The library that is there: named, or built earlier."""
    if named := vfio_user_lib.from_environment():
        return named
    found = Cache.locate().find(LIBVFIO_USER, variant(LIBVFIO_USER))
    return found.path / vfio_user_lib.LIBRARY if found else None


def _nothing_to_fetch() -> bool:
    """Tell whether every part is there, so that apt is not needed any more."""
    cache, wish = Cache.locate(), kernels.choose(None)
    others = (
        cache.find(BUSYBOX),
        cache.find(PCIUTILS),
        wish not in KERNELS or cache.find(KERNELS[wish]),
        _library_place(),
    )
    return all(others) and bool(os.environ.get(qemu.ENV) or cache.find(QEMU) or qemu.from_path()[0])


def _library() -> Line:
    path = _library_place()
    if path is None:
        return Line("libvfio-user", "not built yet", "plx9x5x toolchain fetch", warn=True)
    return Line("libvfio-user", f"{path} loads, {load_abi(path).abi.value} ABI")


def _kernel(kernel: str | None) -> Line:
    wish = kernels.choose(kernel)
    if wish not in KERNELS:
        own = kernels.by_path(wish)
        return Line("kernel", f"{own.release}, {own.vmlinuz}")
    found = Cache.locate().find(KERNELS[wish])
    if found is None:
        return Line("kernel", f"{wish} is not fetched yet", f"plx9x5x toolchain fetch --kernel {wish}", warn=True)
    return Line("kernel", f"{wish}: {found.record.facts['release']}")


def _busybox() -> Line:
    found = Cache.locate().find(BUSYBOX)
    if found is None:
        return Line("busybox", "not fetched yet", "plx9x5x toolchain fetch", warn=True)
    return Line("busybox", found.record.version)


def _pciutils() -> Line:
    found = Cache.locate().find(PCIUTILS)
    if found is None:
        return Line("pciutils", "not fetched yet, our tests need it", "plx9x5x toolchain fetch", warn=True)
    return Line("pciutils", f"{pciutils.verify(found.path)}, fetched, has lspci")


def _virtiofsd() -> Line:
    found = Cache.locate().find(VIRTIOFSD)
    if found is None:
        return Line(
            "virtiofsd", "not fetched yet, try --ro, --rw and --root host need it", "plx9x5x toolchain fetch", warn=True
        )
    return Line("virtiofsd", f"{virtiofsd.verify(found.path)}, fetched")


def _guest_memory() -> Line:
    """Guest memory is a memfd that QEMU shares with us: make one, and touch all of it."""
    try:
        handle = os.memfd_create("plx9x5x-doctor")
    except OSError as exc:
        hint = "use a kernel and a container that allow memfd_create"
        raise SetupError(f"no memfd: {exc.strerror}", hint=hint) from exc
    try:
        os.posix_fallocate(handle, 0, _TEST_MIB * MIB)
    except OSError as exc:
        raise SetupError(
            f"a memfd of {_TEST_MIB} MiB fails: {exc.strerror}", hint="give this machine or container more memory"
        ) from exc
    finally:
        os.close(handle)
    return Line("guest memory", f"memfd works, {_available_mib()} MiB of memory available")


def _available_mib() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) // 1024
    return 0


def _jail() -> Line:
    there = jail.offered()
    mend = "use a kernel with seccomp and with Landlock among its security modules (Linux 5.13, CONFIG_LSM or lsm=)"
    return Line("jail", str(there), mend if there.lacks else "", warn=True)


def _cores() -> Line:
    count = len(os.sched_getaffinity(0))
    return Line("cores", str(count), "" if count > 1 else "one core works, and is slow", warn=True)


def _kvm() -> Line:
    path = Path("/dev/kvm")
    if not path.exists():
        return Line("kvm", "absent, not needed: guests run under TCG")
    usable = os.access(path, os.R_OK | os.W_OK)
    return Line("kvm", f"present{'' if usable else ', not accessible'}; unused unless run --accel asks for it")
