# SPDX-License-Identifier: Apache-2.0
"""What a client leaves in a server: descriptors, mappings, threads, memory; and a card that is not as new."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plx9x5x.transport.wire.client import Refused, SharedRam, VfioUserClient
from plx9x5x.units import KIB

LIMIT_S: Final = 10.0
"""How long anything may take before it counts as hung."""
CLEAN_LIMIT_S: Final = 1.0
_POLL_S: Final = 0.001
_CONFIG: Final = 7
_NUMBER: Final = re.compile(r"\[\d+\]")
_PLACES: Final = (0x68, 0x78, 0x80, 0x90, 0xA8)
"""In BAR0: interrupts, a mailbox, mode, descriptor pointer and command of a channel."""


class Wrong(Exception):
    """A client was answered, but not as the first one was."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds: its descriptors by kind, mappings of clients' files, threads; `rss_kib` is not compared."""

    descriptors: tuple[tuple[str, int], ...]
    mappings: int
    threads: int
    rss_kib: int = field(compare=False)

    @classmethod
    def of(cls, pid: int) -> "Footprint":
        """Look at it now."""
        home = Path(f"/proc/{pid}")
        kinds: Counter[str] = Counter()
        for link in (home / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                kinds[_NUMBER.sub("", str(link.readlink()))] += 1
        maps = (home / "maps").read_text(encoding="utf-8", errors="replace")
        status = (home / "status").read_text(encoding="utf-8")
        return cls(
            tuple(sorted(kinds.items())),
            maps.count("/memfd:"),
            _of_status(status, "Threads"),
            _of_status(status, "VmRSS"),
        )

    def more_than(self, other: "Footprint") -> str:
        """Say what differs, in words; empty if nothing does."""
        mine, before = dict(self.descriptors), dict(other.descriptors)
        told = [
            f"{before.get(kind, 0)} -> {mine.get(kind, 0)} descriptors of {kind}"
            for kind in sorted(mine.keys() | before.keys())
            if mine.get(kind) != before.get(kind)
        ]
        counts = (("mappings", other.mappings, self.mappings), ("threads", other.threads, self.threads))
        told += [f"{was} -> {now} {what}" for what, was, now in counts if was != now]
        return ", ".join(told)


def _of_status(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0


def settled(pid: int, wanted: Footprint) -> Footprint:
    """Give the footprint once it is the wanted one, or what it is at the end of the limit."""
    end = time.monotonic() + CLEAN_LIMIT_S
    while (there := Footprint.of(pid)) != wanted and time.monotonic() < end:
        time.sleep(_POLL_S)
    return there


Readings = tuple[int, ...]


@contextmanager
def newcomer(path: Path, expected: Readings | None = None) -> Iterator[tuple[VfioUserClient, Readings]]:
    """Be the next client: negotiate, and read what the one before has changed. Raises: Wrong, OSError."""
    with VfioUserClient(path, timeout=LIMIT_S) as client:
        try:
            found: Readings = (client.read(_CONFIG, 0), client.read(_CONFIG, 4, 2))
            client.write(_CONFIG, 4, 6, 2)
            found += tuple(client.read(0, place) for place in _PLACES)
        except Refused as exc:
            raise Wrong(f"the next client is refused: {exc}") from exc
        if expected is not None and found != expected:
            raise Wrong(f"the next client reads {_hex(found)} and the first one read {_hex(expected)}")
        yield client, found


def arrival(path: Path, expected: Readings | None, *, alive: Callable[[], bool]) -> Readings:
    """Be the next client as soon as somebody listens, and leave; `alive` is false once nobody will.

    Raises: Wrong, OSError.
    """
    end = time.monotonic() + LIMIT_S
    while True:
        try:
            with newcomer(path, expected) as (_, found):
                return found
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end or not alive():
                raise
            time.sleep(_POLL_S)


def prove_dma(client: VfioUserClient) -> None:
    """Move a page to local memory and back, bus mastering being on. Raises: Wrong, OSError."""
    ram = SharedRam(64 * KIB)
    try:
        pattern = bytes(range(1, 256)) * 16
        ram.bytes[: len(pattern)] = pattern
        client.map(0, 64 * KIB, ram.fd)
        for at, direction in ((0, 0), (0x8000, 8)):
            for offset, value in ((0x80, 0x43), (0x84, at), (0x88, 0), (0x8C, len(pattern)), (0x90, direction)):
                client.write(0, offset, value)
            client.write(0, 0xA8, 3, 1)
            end = time.monotonic() + LIMIT_S
            while not client.read(0, 0xA8, 1) & 0x10:
                if time.monotonic() > end:
                    raise Wrong("the next client's DMA does not end")
            client.write(0, 0xA8, 8, 1)
        if ram.bytes[0x8000 : 0x8000 + len(pattern)] != pattern:
            raise Wrong("the next client's DMA moved wrong bytes")
    finally:
        ram.close()


def _hex(readings: Readings) -> str:
    return " ".join(f"{value:#x}" for value in readings)
