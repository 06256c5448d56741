# SPDX-License-Identifier: Apache-2.0
"""The one table of what is fetched: suites, packages, and what is kept of them.

Raise a part's `recipe` when what is made of the same packages changes: caches then rebuild that part and no other.
A kernel series is added by one `_kernel` line here.
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
    """One thing in the cache. `space_mib` is what it takes at most while it is made; `title` is for people."""

    name: str
    title: str
    recipe: int
    wanted: tuple[Wanted, ...]
    space_mib: int


_KERNEL_PACKAGES: Final = ("linux-image-cloud-amd64", "linux-headers-cloud-amd64")
_KERNEL_FOLLOW: Final = ("linux-image-", "linux-headers-", "linux-kbuild-")
# What kbuild's own programs load; the host's libraries may be older, or absent.
_KBUILD_NEEDS: Final = ("libc6", "zlib1g")


def _kernel(series: str, suite: str, *, libelf: tuple[str, ...]) -> Part:
    """A kernel with its headers, by the suite that carries the series."""
    return Part(
        name=f"kernel-{series}",
        title=f"Linux {series} image and headers",
        recipe=1,
        wanted=(
            Wanted(suite, _KERNEL_PACKAGES, follow=_KERNEL_FOLLOW),
            Wanted(suite, _KBUILD_NEEDS + libelf, into="runtime"),
        ),
        space_mib=450,
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
KERNELS: Final = {
    "6.1": _kernel("6.1", "bookworm", libelf=("libelf1",)),
    "6.12": _kernel("6.12", "trixie", libelf=("libelf1t64", "libzstd1")),
}
KERNEL_SERIES: Final[tuple[str, ...]] = tuple(KERNELS)
"""The guest kernels; the first one is the default."""

INDEX_SPACE_MIB: Final = 150
"""Package indexes while a fetch runs."""
