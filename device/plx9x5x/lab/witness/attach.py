# SPDX-License-Identifier: Apache-2.0
"""Have QEMU load the witness's plugin: the memory that it shares with servers and launcher, and its option.

::

    ready_made = prepare(tc, sources.witness)
    with attached(ready_made, devices=("0000:00:02.0",), watch=("my_drv",)) as witness:
        ...                       # each server inherits its descriptor of witness.rings
        vm = ready.boot(..., witness=witness)
        ...                       # witness.code is the code map; both stay readable after the guest's end
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from plx9x5x.errors import BadRequest, SetupError
from plx9x5x.lab.toolchain import Toolchain, kmod, loader
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.toolchain.doctor import Line
from plx9x5x.lab.witness import codemap, facts
from plx9x5x.lab.witness.facts import KernelFacts
from plx9x5x.lab.witness.kernel_image import UnreadableKernel
from plx9x5x.witness import ring

PLUGIN: Final = "witness"
MAX_WATCHED: Final = 64


class NoWitness(SetupError):
    """The host, QEMU or the kernel gives no witness; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class QemuWitness:
    """What a guest is watched by: a plugin, a ring for each card, one code map. All descriptors are ours to close.

    `rings[n]` is the ring of the n-th device that was asked for.
    """

    plugin: Path
    facts: KernelFacts
    facts_fd: int
    rings: tuple[int, ...]
    code: int
    watch: tuple[str, ...]

    @property
    def fds(self) -> tuple[int, ...]:
        """What QEMU has to inherit."""
        return (self.facts_fd, *self.rings, self.code)

    def option(self) -> str:
        """The value of QEMU's -plugin."""
        words = (
            f"facts={self.facts_fd}",
            *(f"ring={fd}" for fd in self.rings),
            f"code={self.code}",
            *(f"watch={name}" for name in self.watch),
        )
        return ",".join((str(self.plugin).replace(",", ",,"), *words))


class Prepared(NamedTuple):
    """What a host, its QEMU and a kernel give: the plugin that was compiled, and what it has to know."""

    plugin: Path
    facts: KernelFacts


def prepare(tc: Toolchain, source: Path) -> Prepared:
    """Compile the C files of the folder `source`, and read the kernel; both are kept. Raises: NoWitness."""
    cache = Cache(tc.cache)
    try:
        known = facts.of_kernel(tc.kernel.vmlinuz, cache)  # first: of a kernel that cannot be read no plugin is made
        return Prepared(kmod.plugin(cache, source, name=PLUGIN, qemu=tc.qemu), known)
    except SetupError as exc:
        raise NoWitness(str(exc), hint=exc.hint) from exc
    except UnreadableKernel as exc:
        raise NoWitness(str(exc), hint="a kernel that plx9x5x fetches has what the witness needs") from exc


def report(kernel: str | None, source: Path) -> Line:
    """The witness's line in the doctor's report, of what is there already: fetches and changes nothing."""
    cost = "drivers run unwatched"
    try:
        tc = loader.present(kernel, need=frozenset(("qemu", "kernel")))
        built = None if tc is None else kmod.plugin_built(Cache(tc.cache), source, name=PLUGIN, qemu=tc.qemu)
        if tc is None or built is None:
            return Line(PLUGIN, f"not built yet, {cost}", "plx9x5x toolchain fetch", warn=True)
        facts.of_image(tc.kernel.vmlinuz.read_bytes())
    except SetupError as exc:
        return Line(PLUGIN, f"{exc}; {cost}", exc.hint, warn=True)
    except (BadRequest, OSError) as exc:
        return Line(PLUGIN, f"{exc}; {cost}", "name another kernel", warn=True)
    said = kmod.loaded_by(tc.qemu, built).strip().splitlines()
    says = said[0].removeprefix(f"{PLUGIN}: ") if said else "QEMU says nothing"
    return Line(PLUGIN, f"{says}; reads Linux {tc.kernel.release}")


@contextlib.contextmanager
def attached(
    prepared: Prepared, *, devices: Sequence[str], watch: Sequence[str], records: int = ring.CAPACITY
) -> Iterator[QemuWitness]:
    """Make the memory for cards at these places of the guest ("0000:00:02.0") and modules of these names ('*': all).

    `records`, a power of two, is what a ring holds. Raises: NoWitness if there is no memory for that, if a name is none
    or there are more than the plugin takes; RingRefused for a place or a number that no ring takes.
    """
    for name in watch:
        if name != "*" and not kmod.MODULE_NAME.fullmatch(name):  # a comma would begin another option of QEMU's
            raise NoWitness(
                f"{name[:80]!r} is no name of a module", hint="names have letters, digits and _, 55 at most"
            )
    if len(watch) > MAX_WATCHED:
        raise NoWitness(f"{len(watch)} modules are too many to be watched", hint=f"try at most {MAX_WATCHED} at once")
    with contextlib.ExitStack() as stack:
        try:
            facts_fd = _memory(stack, "facts")
            os.pwrite(facts_fd, prepared.facts.text.encode("ascii"), 0)
            rings = tuple(_closed(stack, ring.create(device, records)) for device in devices)
            codemap.prepare(code := _memory(stack, "code"))
            for fd in (facts_fd, code):
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        except OSError as exc:
            raise NoWitness(f"no memory to share with QEMU: {exc.strerror}", hint="allow memfd_create") from exc
        yield QemuWitness(prepared.plugin, prepared.facts, facts_fd, rings, code, tuple(watch))


def _memory(stack: contextlib.ExitStack, name: str) -> int:
    """Shared memory, empty, whose size can be sealed."""
    return _closed(stack, os.memfd_create(f"plx9x5x-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))


def _closed(stack: contextlib.ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd
