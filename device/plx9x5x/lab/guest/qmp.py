# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor, as far as a test of hot plug needs it: one request at a time, and events that are waited for.

Source: QEMU docs/interop/qmp-spec.rst.
"""

import json
import socket
import time
from types import TracebackType
from typing import Final, Self

from plx9x5x.errors import LostVm
from plx9x5x.lab.guest.machine import Device

ANSWER_S: Final = 20.0
_MOST: Final = 1 << 20


class QmpError(LostVm):
    """QEMU did not answer, or answered that it will not."""


class Qmp:
    """The monitor of one QEMU; `theirs` goes to `GuestVm.boot`. Use as a context manager."""

    def __init__(self, *, limit_s: float = ANSWER_S) -> None:
        self._limit_s = limit_s
        self._ours, self.theirs = socket.socketpair()
        self._rest = b""
        self._events: list[str] = []
        self._greeted = False

    def execute(self, command: str, arguments: dict[str, object]) -> object:
        """Have QEMU do it, and give its answer. Raises: QmpError."""
        deadline = time.monotonic() + self._limit_s
        if not self._greeted:
            self._until("QMP", deadline)
            self._ask("qmp_capabilities", {}, deadline)
            self._greeted = True
        return self._ask(command, arguments, deadline)

    def plug(self, name: str, device: Device) -> None:
        """Add a device that has the id `name` then. Raises: QmpError."""
        self.execute("device_add", {"driver": device.driver, "id": name, **device.properties})

    def unplug(self, name: str) -> None:
        """Ask the guest to let the device go, and wait until it is gone. Raises: QmpError."""
        self._events.clear()
        self.execute("device_del", {"id": name})
        self.wait_for("DEVICE_DELETED", f'"{name}"')

    def wait_for(self, event: str, part: str = "") -> None:
        """Wait for an event of that name with `part` in its data. Raises: QmpError."""
        deadline = time.monotonic() + self._limit_s
        while not any(f'"{event}"' in line and part in line for line in self._events):
            self._take(self._line(deadline))

    def close(self) -> None:
        """Let go of it; QEMU lives on."""
        self._ours.close()
        self.theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _ask(self, command: str, arguments: dict[str, object], deadline: float) -> object:
        request = json.dumps({"execute": command, "arguments": arguments})
        try:
            self._ours.sendall(request.encode() + b"\n")
        except OSError as exc:
            raise QmpError(f"QEMU's monitor is gone: {exc.strerror}") from exc
        return self._until("return", deadline)

    def _until(self, key: str, deadline: float) -> object:
        while True:
            said = self._take(self._line(deadline))
            if "error" in said:
                raise QmpError(f"QEMU refused: {said['error']}")
            if key in said:
                return said[key]

    def _take(self, line: bytes) -> dict[str, object]:
        try:
            said = json.loads(line)
        except ValueError as exc:
            raise QmpError(f"QEMU's monitor said {line[:80]!r}") from exc
        if not isinstance(said, dict):
            raise QmpError(f"QEMU's monitor said {line[:80]!r}")
        if "event" in said:
            self._events.append(line.decode(errors="replace"))
        return said

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._rest:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or len(self._rest) > _MOST:
                raise QmpError(f"QEMU's monitor said nothing more within {self._limit_s:g} s")
            self._ours.settimeout(left_s)
            try:
                more = self._ours.recv(64 * 1024)
            except TimeoutError:
                continue
            except OSError as exc:
                raise QmpError(f"QEMU's monitor is gone: {exc.strerror}") from exc
            if not more:
                raise QmpError("QEMU's monitor is gone")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line
