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
from typing import cast

from plx9x5x.errors import SetupError
from plx9x5x.ports import DeviceFactory
from plx9x5x.transport.wire.server import WireServer

EXIT_USAGE = 2
_HOW = "name it as MODULE:NAME or PATH.py:NAME; it makes a device of (bus, irq)"


def find(factory: str) -> DeviceFactory:
    """Import what makes the device. Raises: SetupError with the reason."""
    module, colon, name = factory.rpartition(":")
    if not colon or not module or not name:
        raise SetupError(f"'{factory}' names no factory", hint=_HOW)
    try:
        found = getattr(_module(module), name)
    except Exception as exc:  # the module's own code: whatever it raises is why there is no device
        raise SetupError(f"{factory} cannot be imported: {type(exc).__name__}: {exc}", hint=_HOW) from exc
    if not callable(found):
        raise SetupError(f"{factory} cannot be called", hint=_HOW)
    return cast("DeviceFactory", found)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 2 for a factory that is none."""
    parser = argparse.ArgumentParser(prog="python -m plx9x5x.transport.alone", description="Serve a PciDevice.")
    parser.add_argument("factory", help="MODULE:NAME or PATH.py:NAME")
    parser.add_argument("--socket-path", type=Path, required=True)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)9.1f ms %(name)s: %(message)s")
    try:
        server = WireServer(args.socket_path, find(args.factory))
    except SetupError as exc:
        print(f"error: {exc}\nhint: {exc.hint}", file=sys.stderr)  # noqa: T201 - a program
        return EXIT_USAGE
    with server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        print("listening on", server.socket_path, flush=True)  # noqa: T201 - what a backend says
        server.run()
    return 0


def _module(name: str) -> object:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
