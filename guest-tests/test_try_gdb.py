# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x try --gdb`: a debugger's protocol, spoken here by hand, stops a driver at its probe, before it has begun."""

import os
import re
import socket
import subprocess
import threading

import pytest
from trying import Ear, folder

from plx9x5x.lab import trial
from plx9x5x.lab.trial import TrySpec

pytestmark = [pytest.mark.guest, pytest.mark.timeout(300)]


class Gdb:
    """As much of the remote serial protocol as a break point takes."""

    def __init__(self, place: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(place)
        self._left = b""

    def ask(self, text: str) -> str:
        self.say(text)
        return self.answer()

    def say(self, text: str) -> None:
        data = text.encode()
        self._socket.sendall(b"$%b#%02x" % (data, sum(data) & 0xFF))

    def answer(self) -> str:
        while not (found := re.search(rb"\$([^#]*)#..", self._left)):
            data = self._socket.recv(4096)
            assert data, "QEMU hung up"
            self._left += data
        self._left = self._left[found.end() :]
        self._socket.sendall(b"+")
        return found[1].decode()

    def close(self) -> None:
        self._socket.close()


class Attached(Ear):
    """Does what `try` says: attaches, breaks at the probe, and presses Enter. `stopped` is where the guest stood."""

    def __init__(self, enter: int) -> None:
        super().__init__()
        self._enter = enter
        self._thread = threading.Thread(target=self._debug)
        self._line = ""
        self.stopped: list[str] = []

    def phase(self, text: str) -> None:
        super().phase(text)
        if text.startswith("attach:"):
            self._line = text
        if text.startswith("then"):
            self._thread.start()

    def wait(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _debug(self) -> None:
        place = re.search(r"target remote (\S+gdb\.sock)", self._line)
        symbols = re.search(r"add-symbol-file (\S+\.ko) (0x[0-9a-f]+)", self._line)
        assert place
        assert symbols
        names = subprocess.run(["nm", symbols[1]], capture_output=True, text=True, check=True).stdout
        offset = re.search(r"^([0-9a-f]+) t blink_probe$", names, re.MULTILINE)
        assert offset
        at = int(symbols[2], 16) + int(offset[1], 16)
        gdb = Gdb(place[1])
        gdb.ask("?")
        assert gdb.ask(f"Z0,{at:x},1") == "OK"
        gdb.say("c")
        os.write(self._enter, b"\n")
        self.stopped.append(gdb.answer()[:3])
        program_counter = bytes.fromhex(gdb.ask("g")[16 * 16 : 17 * 16])
        self.stopped.append(f"{int.from_bytes(program_counter, 'little') - at:d}")
        assert gdb.ask(f"z0,{at:x},1") == "OK"
        gdb.say("D")
        gdb.answer()
        gdb.close()


def test_a_driver_is_stopped_at_its_probe_and_ends_well() -> None:
    reads, enter = os.pipe()
    ear = Attached(enter)
    try:
        result = trial.run(
            TrySpec(trial.parse([folder("blink")]), "cat /sys/bus/pci/drivers/blink/0*/interrupts", gdb=reads),
            listener=ear,
        )
        ear.wait()
    finally:
        os.close(reads)
        os.close(enter)
    assert ear.stopped == ["T05", "0"]
    assert result.exit_code == 0, result.lines()
    assert ear.heard == b"1\n"
    assert re.search(r"^blink lies at 0xffffffffc[0-9a-f]+$", "\n".join(ear.phases), re.MULTILINE)


def test_a_module_that_did_not_load_is_not_waited_for() -> None:
    reads, enter = os.pipe()
    with os.fdopen(reads), os.fdopen(enter, "w"):
        result = trial.run(TrySpec(trial.parse([folder("crash"), "how=refuse"]), gdb=reads), listener=Ear())
    assert result.exit_code == 1
