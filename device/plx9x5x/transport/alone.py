# SPDX-License-Identifier: Apache-2.0
"""A device of one's own, served by one command: `python -m plx9x5x.transport.alone FACTORY --socket-path S`.

FACTORY is `MODULE:NAME`, or `PATH.py:NAME`: what makes a `PciDevice` of a `BusMaster` and an `IrqLine` (`ports.py`). It
keeps the conventions of a backend (`lab/host/server.py`), speaks vfio-user without a library, and runs the device's
code as it is, in no jail: what that code will open, nobody here can know.
"""

import argparse
import importlib
import importlib.util
import logging
import signal
import sys
from pathlib import Path
from typing import Final, cast

from plx9x5x.errors import BadRequest, SetupError
from plx9x5x.ports import DeviceFactory
from plx9x5x.transport.wire.server import WireServer

EXIT_USAGE: Final = 2
EXIT_HOST: Final = 69
_HOW: Final = "name it as MODULE:NAME or PATH.py:NAME; it makes a device of (bus, irq)"


class NoFactory(BadRequest):
    """What was named makes no device; why, the text says."""


def find(factory: str) -> DeviceFactory:
    """Import what makes the device. Raises: NoFactory."""
    module, colon, name = factory.rpartition(":")
    if not colon or not module or not name:
        raise NoFactory(f"'{factory}' names no factory: {_HOW}")
    try:
        found = getattr(_module(module), name)
    except Exception as exc:  # the module's own code: whatever it raises is why there is no device
        raise NoFactory(f"{factory} cannot be imported: {type(exc).__name__}: {exc}; {_HOW}") from exc
    if not callable(found):
        raise NoFactory(f"{factory} cannot be called: {_HOW}")
    return cast("DeviceFactory", found)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 2 for a factory that is none, 69 for a socket that cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m plx9x5x.transport.alone", description="Serve a PciDevice.")
    parser.add_argument("factory", help="MODULE:NAME or PATH.py:NAME")
    parser.add_argument("--socket-path", type=Path, required=True)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)9.1f ms %(name)s: %(message)s")
    servers: list[WireServer] = []
    caught: list[int] = []

    def end(number: int, _frame: object) -> None:
        caught.append(number)
        for server in servers:
            server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        with WireServer(args.socket_path, find(args.factory)) as server:
            servers.append(server)
            if not caught:
                print("listening on", server.socket_path, flush=True)  # noqa: T201 - what a backend says
                server.run()
    except NoFactory as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - a program
        return EXIT_USAGE
    except SetupError as exc:
        print(f"error: {exc}\nhint: {exc.hint}", file=sys.stderr)  # noqa: T201 - a program
        return EXIT_HOST
    return 0


def _module(name: str) -> object:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    private = f"_device_{path.stem}"  # it may be called as a module that others want
    spec = importlib.util.spec_from_file_location(private, path)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[private] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
