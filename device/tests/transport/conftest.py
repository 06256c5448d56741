# SPDX-License-Identifier: Apache-2.0
"""A served fake device, on either transport and plane; and what is done with the limits of a rule."""

import ctypes as c
import os
import platform
import re
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.ports import BusMaster, IrqLine
from plx9x5x.transport.leftovers import Leftovers
from plx9x5x.transport.libvfio import LibvfioServer
from plx9x5x.transport.libvfio_abi import Abi, LibVfioUser, load_abi
from plx9x5x.transport.libvfio_find import ENV_VAR, find_library
from plx9x5x.transport.wire import signaller
from plx9x5x.transport.wire.client import VfioUserClient
from plx9x5x.transport.wire.server import WireServer
from tests.transport.conformance.rules import TRANSPORTS, Limit, Missing, rule_of
from tests.transport.fake_device import FakeDevice


class Served:
    """A server that runs in a thread, and its device. `failure` is what `run` raised."""

    def __init__(self, path: Path, library: LibVfioUser | None, *, native: bool = False) -> None:
        self.path = path
        self.failure: BaseException | None = None
        plane = "native" if native else "python"
        self.server: LibvfioServer | WireServer = (
            WireServer(path, self._make, plane=plane)
            if library is None
            else LibvfioServer(path, self._make, library=library, plane=plane)
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _make(self, bus: BusMaster, irq: IrqLine) -> FakeDevice:
        self.device = FakeDevice(bus, irq)
        return self.device

    def _run(self) -> None:
        try:
            self.server.run()
        except Exception as exc:  # noqa: BLE001 - the test looks at it
            self.failure = exc

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive(), "run() does not return"

    def close(self) -> None:
        self.server.stop()
        self.join()
        self.server.close()

    def client(self) -> VfioUserClient:
        return VfioUserClient(self.path)


@pytest.fixture(scope="session")
def library_path() -> Path:
    """The real library: the one that the environment names, else the toolchain's. Never skipped."""
    if os.environ.get(ENV_VAR):
        return find_library()
    from plx9x5x.lab.toolchain import load

    return find_library(load(need={"libvfio-user"}).libvfio_user)


@pytest.fixture(scope="session")
def library(library_path: Path) -> LibVfioUser:
    return load_abi(library_path)


class _KeptContexts:
    """The C library, but a context for asynchronous reads that is given back goes to the next who wants one.

    The kernel takes 40 ms to destroy one, of a hundred tests' each. A child has none of its parent's.
    """

    def __init__(self, real: c.CDLL, setup: int, destroy: int) -> None:
        self._real, self._setup, self._destroy = real, setup, destroy
        self._kept: list[int] = []
        self._owner = os.getpid()

    def syscall(self, number: c.c_long, *args: Any) -> int:
        if os.getpid() == self._owner:
            if number.value == self._setup and self._kept:
                args[1]._obj.value = self._kept.pop()
                return 0
            if number.value == self._destroy:
                self._kept.append(args[0].value)
                return 0
        return int(self._real.syscall(number, *args))

    def end(self) -> None:
        """Give all back to the kernel, which knows them still."""
        for context in self._kept:
            assert self._real.syscall(c.c_long(self._destroy), c.c_ulong(context)) == 0
        self._kept.clear()


@pytest.fixture(scope="session", autouse=True)
def kept_contexts() -> Iterator[None]:
    """A server that ends does not wait for the kernel; what it does is the same."""
    setup, destroy, _, _ = signaller._CALLS.get(platform.machine(), (-1, -1, -1, -1))
    kept = _KeptContexts(signaller._LIBC, setup, destroy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signaller, "_LIBC", kept)
        yield
    kept.end()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, since a socket path has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="plx-") as name:
        yield Path(name)


@pytest.fixture(params=[False, True], ids=["python", "native"])
def native(request: pytest.FixtureRequest) -> bool:
    """Which plane takes the messages."""
    return bool(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`transport` is what carries the messages: each, but those that do not have what a rule is about."""
    if "transport" in metafunc.fixturenames:
        kept = rule_of(metafunc.function)
        missing = {name for name, said in kept.short.items() if isinstance(said, Missing)} if kept else set()
        metafunc.parametrize("transport", [name for name in TRANSPORTS if name not in missing])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A transport that falls short of a rule fails in the way that stands beside the rule, and in no other."""
    kept, transport = rule_of(pyfuncitem.function), pyfuncitem.funcargs.get("transport")
    limit = kept.short.get(str(transport)) if kept is not None else None
    if not isinstance(limit, Limit):
        return (yield)
    try:
        yield
    except limit.error as exc:
        if not re.search(limit.match, str(exc)):
            raise
        return True
    library = pyfuncitem.funcargs["library"]
    assert isinstance(library, LibVfioUser)
    if transport == "libvfio" and library.abi is Abi.NEW:
        return True  # upstream's head has mended some
    raise AssertionError(f"{transport} has this limit no longer: take it from the rule, and write the page again")


@pytest.fixture
def make_served(library: LibVfioUser, transport: str, native: bool) -> Callable[[Path], Served]:
    """One that has not started."""
    return lambda path: Served(path, library if transport == "libvfio" else None, native=native)


@pytest.fixture
def serve(make_served: Callable[[Path], Served]) -> Callable[[Path], AbstractContextManager[Served]]:
    @contextmanager
    def serving(path: Path) -> Iterator[Served]:
        leftovers = Leftovers()
        leftovers.mark()
        served = make_served(path)
        served.start()
        try:
            yield served
        finally:
            served.close()
            leftovers.close()  # what the library forgot would be in the way of the tests to come
            leftovers.end()

    return serving


@pytest.fixture
def served(serve: Callable[[Path], AbstractContextManager[Served]], folder: Path) -> Iterator[Served]:
    with serve(folder / "s") as running:
        yield running
        assert running.failure is None


@pytest.fixture
def client(served: Served) -> Iterator[VfioUserClient]:
    with served.client() as connected:
        yield connected
