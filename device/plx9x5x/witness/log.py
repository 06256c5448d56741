# SPDX-License-Identifier: Apache-2.0
"""The calls of a guest's DMA API as a file: a JSON object a line, in the order in which they happened."""

import json
import os
from typing import Final

from plx9x5x.units import MIB
from plx9x5x.witness.records import FOR_DEVICE, GONE, Alloc, Kind, Mask, Master, Record

MOST: Final = 64 * MIB

_ARGUMENTS: Final[dict[int, tuple[str, ...]]] = {
    Kind.ALLOC: ("va", "handle", "size", "physical", "gfp", "attrs"),
    Kind.FREE: ("va", "handle", "size"),
    Kind.MAP: ("handle", "size", "direction", "physical", "va", "list", "index", "segments"),
    Kind.UNMAP: ("handle", "size", "direction", "", "", "list", "", "entries"),
    Kind.SYNC: ("handle", "size", "direction", "", "", "list"),
    Kind.MASK: ("mask", "refused"),
    Kind.MASTER: (),
    Kind.CONFIG: ("offset", "value"),
    Kind.IRQ: ("irq", "handler", "thread", "irq_flags", "dev_id", "result"),
    Kind.POOL_CREATE: ("pool", "size", "align", "boundary"),
    Kind.POOL_ALLOC: ("va", "handle", "pool"),
    Kind.POOL_FREE: ("va", "handle", "pool"),
    Kind.POOL_DESTROY: ("pool",),
    Kind.MODULE: ("module", "core", "core_size", "init", "init_size"),
}


def as_json(record: Record) -> dict[str, object] | None:
    """A record as the file has it; None for what is no call."""
    names = _ARGUMENTS.get(record.kind)
    if names is None:
        return None
    told: dict[str, object] = {"kind": Kind(record.kind).name.lower(), "seq": record.seq, "pc": record.pc}
    told |= {name: value for name, value in zip(names, record.a, strict=False) if name}
    flags = record.flags
    match record.kind:
        case Kind.ALLOC | Kind.FREE:
            told |= {"pool_page": bool(flags & Alloc.POOL_PAGE), "managed": bool(flags & Alloc.MANAGED)}
        case Kind.SYNC:
            told["for_device"] = bool(flags & FOR_DEVICE)
        case Kind.MASK:
            told["coherent"] = bool(flags & Mask.COHERENT)
        case Kind.MASTER:
            told |= {"set": bool(flags & Master.SET), "disabled": bool(flags & Master.DISABLED)}
        case Kind.MODULE:
            told |= {"name": record.text, "gone": bool(flags & GONE)}
        case Kind.IRQ:
            told["freed"] = bool(flags & GONE)
    return told


class CallLog:
    """Writes such a file, at most `MOST` bytes of it. What cannot be written is left out, and `trouble` says so."""

    def __init__(self, fd: int, most: int = MOST) -> None:
        self._fd = fd
        self._left = most
        self._lines: list[str] = []
        self.trouble = ""

    def take(self, record: Record) -> None:
        """Add a record, if it is a call."""
        if not self.trouble and (told := as_json(record)) is not None:
            self._lines.append(json.dumps(told, separators=(",", ":")))

    def flush(self) -> None:
        """Write what there is."""
        if not self._lines:
            return
        data = "".join(f"{line}\n" for line in self._lines).encode()
        self._lines.clear()
        if len(data) > self._left:
            self.trouble = "the log of calls has its bytes: what follows is left out"
            return
        self._left -= len(data)
        try:
            written = os.write(self._fd, data)
        except OSError as exc:
            self.trouble = f"the log of calls cannot be written: {exc.strerror}"
            return
        if written < len(data):
            self.trouble = "the log of calls was cut off: is the disk full?"
