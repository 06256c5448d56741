# SPDX-License-Identifier: Apache-2.0
"""What `run` and `try` have in common around a guest with cards: who speaks vfio-user, what that takes, how it ended.

::

    tc, carrier = lay(transport=..., shape=...)
    serving(tc, board, transport=carrier.transport.value) ... GuestVm ... aftermath(vm, servers)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypedDict

from plx9x5x.lab.card.backend import FINDINGS, Watched, board_backend, own_backend
from plx9x5x.lab.guest.shapes import Shape
from plx9x5x.lab.guest.vm import GuestVm
from plx9x5x.lab.host.server import Backend
from plx9x5x.lab.host.symptoms import Oops
from plx9x5x.lab.toolchain import FOR_A_RUN, Progress, Toolchain, load
from plx9x5x.plane.choice import Plane
from plx9x5x.transport import choice as transports


class Ground(NamedTuple):
    """The toolchain, and what carries the cards."""

    tc: Toolchain
    carrier: transports.Choice


def lay(
    *,
    transport: str,
    shape: Shape,
    kernel: str | None,
    progress: Progress | None,
    more: frozenset[str] = frozenset(),
) -> Ground:
    """Choose what carries cards into a guest of this shape, and have all that it takes, and the parts `more`.

    Raises: NoSuchTransport, TooManyMappings, before anything is fetched; SetupError.
    """
    carrier = transports.choose(transport, has_library=True, many_mappings=shape.needs_many_mappings)
    by_library = carrier.transport is transports.Transport.LIBVFIO
    need = FOR_A_RUN if by_library else FOR_A_RUN - {"libvfio-user"}
    return Ground(load(kernel=kernel, progress=progress, need=need | more), carrier)


def serving(
    tc: Toolchain,
    board: str,
    *,
    transport: str,
    logs: Path,
    trace: Path | None = None,
    verbose: bool = False,
    plane: Plane | None = None,
    watched: Watched | None = None,
    faults: Sequence[str] = (),
    seed: int = 0,
    settings: Sequence[str] = (),
) -> Backend:
    """The server of a card by the transport that was chosen; its findings go to the folder `logs`."""
    return board_backend(
        board,
        libvfio_user=tc.libvfio_user if transport == transports.Transport.LIBVFIO.value else None,
        verbose=verbose,
        trace=None if trace is None else trace.absolute(),
        plane=plane,
        transport=transport,
        summary=(logs / FINDINGS).absolute(),
        watched=watched,
        faults=faults,
        seed=seed,
        settings=settings,
    )


def own_serving(tc: Toolchain, device: str, *, transport: str, logs: Path, watched: Watched | None = None) -> Backend:
    """The server of a device of one's own, likewise."""
    library = tc.libvfio_user if transport == transports.Transport.LIBVFIO.value else None
    return own_backend(
        device, libvfio_user=library, transport=transport, summary=(logs / FINDINGS).absolute(), watched=watched
    )


OWN_CODE: Final = "the card's own code failed: {}"
"""A problem that is neither the driver's nor ours: an error in the code of a board or of a device of one's own."""


class Served(Protocol):
    """Whoever knows of a card's server."""

    def trouble(self) -> str | None:
        """End it; what went wrong in it."""
        ...

    @property
    def authors_error(self) -> str | None:
        """What went wrong in the card's own code."""
        ...


class Aftermath(TypedDict):
    """What went wrong beside what the guest reported, as `RunResult` and `TryResult` have it."""

    oopses: tuple[Oops, ...]
    vfio_errors: tuple[str, ...]
    server_trouble: str | None
    authors_error: str | None


def aftermath(vm: GuestVm, *servers: Served) -> Aftermath:
    """Look at a guest that has ended, and end the servers of its cards."""
    troubles = [server.trouble() for server in servers]
    return Aftermath(
        oopses=vm.oopses,
        vfio_errors=vm.vfio_errors(),
        server_trouble=next((trouble for trouble in troubles if trouble), None),
        authors_error=next((said for server in servers if (said := server.authors_error)), None),
    )
