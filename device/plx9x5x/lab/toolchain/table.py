# SPDX-License-Identifier: Apache-2.0
"""The one table of what is fetched: suites, packages, and what is kept of them.

Raise a part's `recipe` when what is made of the same packages changes: caches then rebuild that part and no other.
A kernel is added by one `_kernel` line here.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Wanted:
    """Packages of one suite.

    `also` names suites that dependencies may come from. `closure` takes everything that the packages depend on;
    `follow` takes only dependencies whose names start so (and then not the packages themselves, which are empty);
    `source` takes the upstream archive of the source package. `into` is the folder of the part that they unpack to.
    """

    suite: str
    packages: tuple[str, ...]
    also: tuple[str, ...] = ()
    closure: bool = False
    follow: tuple[str, ...] = ()
    source: bool = False
    into: str = "root"

    @property
    def suites(self) -> tuple[str, ...]:
        """Every suite that apt must see to resolve this."""
        return (self.suite, *self.also)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing in the cache. `space_mib` is what it takes at most while it is made; `title` is for people.

    `pack_modules` keeps a kernel's modules gzipped: some thousand of them, of which a guest loads a few.
    """

    name: str
    title: str
    recipe: int
    wanted: tuple[Wanted, ...]
    space_mib: int
    pack_modules: bool = False


_FULL: Final = "-full"
_KERNEL_FOLLOW: Final = ("linux-image-", "linux-headers-", "linux-kbuild-")
# What kbuild's own programs load; the host's libraries may be older, or absent.
_KBUILD_NEEDS: Final = ("libc6", "zlib1g")


def _kernel(series: str, suite: str, *, libelf: tuple[str, ...], full: bool = False) -> Part:
    """A kernel with its headers, by the suite that carries the series: Debian's for clouds, or the `full` one."""
    flavour = "amd64" if full else "cloud-amd64"
    return Part(
        name=f"kernel-{series}{_FULL if full else ''}",
        title=f"Linux {series} image and headers{', with all modules' if full else ''}",
        recipe=1,
        wanted=(
            Wanted(suite, (f"linux-image-{flavour}", f"linux-headers-{flavour}"), follow=_KERNEL_FOLLOW),
            Wanted(suite, _KBUILD_NEEDS + libelf, into="runtime"),
        ),
        space_mib=700 if full else 450,
        pack_modules=full,
    )


QEMU: Final = Part(
    name="qemu",
    title="QEMU with vfio-user-pci",
    recipe=1,
    wanted=(Wanted("trixie-backports", ("qemu-system-x86",), also=("trixie",), closure=True),),
    space_mib=260,
)
BUSYBOX: Final = Part(
    name="busybox",
    title="static busybox",
    recipe=1,
    wanted=(Wanted("trixie", ("busybox-static",)),),
    space_mib=5,
)
PCIUTILS: Final = Part(
    name="pciutils",
    title="pciutils (lspci)",
    recipe=1,
    wanted=(Wanted("trixie", ("pciutils",), closure=True),),
    space_mib=50,
)
VIRTIOFSD: Final = Part(
    name="virtiofsd",
    title="virtiofsd (folders of the host in a guest)",
    recipe=1,
    # bookworm has no such package.
    wanted=(Wanted("trixie", ("virtiofsd",), closure=True),),
    space_mib=40,
)
LIBVFIO_USER: Final = Part(
    name="libvfio-user",
    title="libvfio-user, built here",
    recipe=2,
    wanted=(
        Wanted("trixie", ("qemu",), source=True, into="source"),
        # The oldest suite on purpose: its static json-c links with every newer libc.
        Wanted("bookworm", ("libjson-c-dev", "libjson-c5", "libcmocka-dev", "libcmocka0"), into="sysroot"),
    ),
    space_mib=60,
)
_LIBELF: Final = {"6.1": ("libelf1",), "6.12": ("libelf1t64", "libzstd1")}
_SUITE: Final = {"6.1": "bookworm", "6.12": "trixie"}
KERNEL_SERIES: Final[tuple[str, ...]] = tuple(_SUITE)
"""The series, as kernels for clouds: small, and without sound, CAN and most drivers. The first one is the default."""
KERNELS: Final = {
    f"{series}{_FULL if full else ''}": _kernel(series, _SUITE[series], libelf=_LIBELF[series], full=full)
    for full in (False, True)
    for series in KERNEL_SERIES
}
"""The guest kernels by name. One with all of Debian's modules is fetched when it is named, and never before."""

INDEX_SPACE_MIB: Final = 150
"""Package indexes while a fetch runs."""
