# SPDX-License-Identifier: Apache-2.0
"""Inputs for `tests.fuzz.wire`: messages that mean something, what a corpus begins with, and how inputs change."""

import random
import struct
from collections.abc import Callable

from tests.fuzz.wire import (
    ANSWER,
    CLIENT,
    DEAF,
    HANGUP,
    MESSAGE,
    RAM,
    RAW,
    REPEAT,
    TIME,
    TRUNCATE,
    TURN,
    item,
    items,
)

NO_REPLY = 0x10
_OFFSETS = (
    *range(0, 0x110, 4),
    0xA8,
    0xA9,
    0xA8,
    0xA9,
    0x68,
    0x6C,
    0x60,
    0x64,
    0x100,
    0xFFFC,
    0x1_0000,
    0x1_FFF8,
    1 << 32,
)
_COUNTS = (4, 4, 4, 4, 4, 1, 1, 2, 8, 3, 5, 16, 64, 4096, 0x1_0000, 0, 0x8000_0000, 0xFFFF_FFFF)
_VALUES = (
    0,
    1,
    2,
    3,
    7,
    0x43,
    0x643,
    0x243,
    0x1F,
    0xFF,
    0x1000,
    0x1_0001,
    0x1_0009,
    0x2000_0000,
    0x8000_0000,
    0xFFFF_FFFF,
)
_LONG = (
    0,
    1,
    0x1000,
    0x2000,
    0x1_0000,
    0x4_0000,
    0xFFFF_F000,
    1 << 32,
    1 << 63,
    (1 << 64) - 0x1000,
    (1 << 64) - 1,
    0xFFF,
)
_VERSIONS = (
    b'{"capabilities":{"max_msg_fds":8,"twin_socket":{"supported":true}}}\0',
    b'{"capabilities":{"max_data_xfer_size":4096,"write_multiple":true}}\0',
    b'{"capabilities":{"max_data_xfer_size":1048576,"twin_socket":{"supported":true},"write_multiple":true}}\0',
    b"", b"\0", b"{}", b"[]", b'{"capabilities":[]}\0', b"[" * 4000, b'{"capabilities":{"max_msg_fds":-1}}', b"\xff\xfe", b"1" * 4097,
)  # fmt: skip


def message(command: int, body: bytes = b"", *, flags: int = 0, fds: int = 0, cut: int = 0) -> bytes:
    """Make an item that sends one."""
    return item(MESSAGE, cut << 4 | fds, struct.pack("<HI", command, flags) + body)


def access(region: int, offset: int, value: int | None, width: int = 4, flags: int = 0) -> bytes:
    """Make one that reads a register, or writes it."""
    head = struct.pack("<QII", offset, region, width)
    return (
        message(9, head, flags=flags)
        if value is None
        else message(10, head + value.to_bytes(width, "little"), flags=flags)
    )


def _access(rng: random.Random) -> bytes:
    region = rng.choice((0, 0, 0, 0, 0, 0, 1, 2, 2, 3, 7, 7, 8, 9, 200))
    offset, count = rng.choice(_OFFSETS), rng.choice(_COUNTS) if rng.random() < 0.3 else 4
    if region == 7:
        offset &= 0xFF
    head = struct.pack("<QII", offset, region, count)
    if rng.random() < 0.5:
        return message(9, head)
    data = rng.choice(_VALUES).to_bytes(4, "little") * 2 if count <= 8 else bytes(min(count, 4096))
    return message(10, head + data[:count], flags=NO_REPLY if rng.random() < 0.3 else 0)


def _map(rng: random.Random) -> bytes:
    plain = rng.random() < 0.7
    address = rng.randrange(16) << 16 if plain else rng.choice(_LONG)
    length = rng.randrange(1, 17) << 12 if plain else rng.choice(_LONG)
    offset = rng.randrange(16) << 12 if plain else rng.choice(_LONG)
    body = struct.pack(
        "<IIQQQ",
        rng.choice((32, 32, 32, 32, 0, 31, 1 << 31)),
        rng.choice((3, 3, 3, 1, 2, 0, 4)),
        offset,
        address,
        length,
    )
    return message(2, body, fds=rng.choice((0, 0, 1, 1, 1, 3, 4, rng.randrange(16))))


def _unmap(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return message(3, struct.pack("<IIQQ", 24, 2, 0, 0))
    body = struct.pack(
        "<IIQQ",
        rng.choice((24, 24, 24, 23)),
        rng.choice((0, 0, 0, 1, 2)),
        rng.randrange(16) << 16,
        rng.choice((0x1000, 0x1_0000, *_LONG)),
    )
    return message(3, body)


def _irqs(rng: random.Random) -> bytes:
    kind, action = rng.choice((1, 2, 4, 4, 4, 3)), rng.choice((8, 16, 32, 32, 32, 48))
    count = rng.choice((1, 1, 1, 1, 0, 2, 0xFFFF_FFFF))
    body = struct.pack(
        "<IIIII",
        20,
        kind | action,
        rng.choice((0, 0, 0, 0, 1, 2, 3, 4, 5)),
        rng.choice((0, 0, 0, 0, 1, 0xFFFF_FFFF)),
        count,
    )
    return message(
        8,
        body + bytes([1] * count if kind & 2 and count < 9 else ()),
        fds=rng.choice((0, 5, 5, 5, 6, rng.randrange(16))),
    )


def _info(rng: random.Random) -> bytes:
    command = rng.choice((4, 5, 6, 7))
    index = rng.choice((0, 1, 2, 3, 4, 7, 8, 9, 0xFFFF_FFFF))
    if command == 5:
        return message(5, struct.pack("<IIIIQQ", 32, 0, index, 0, 0, 0))
    return message(command, struct.pack("<IIII", rng.choice((16, 16, 15)), 0, index, 0))


def _multi(rng: random.Random) -> bytes:
    count = rng.choice((1, 2, 3, 8, 200, 201))
    ones = (
        struct.pack("<QII8s", rng.choice(_OFFSETS[:80]), rng.choice((0, 0, 2, 7)), rng.choice((1, 2, 4, 4, 8)), b"\x03")
        for _ in range(count)
    )
    return message(15, struct.pack("<Q", count) + b"".join(ones))


def _other(rng: random.Random) -> bytes:
    return message(
        rng.choice((1, 11, 12, 13, 13, 14, 16, 0, 0xFFFF)),
        rng.randbytes(rng.choice((0, 0, 0, 4, 16, 100))),
        flags=rng.choice((0, 0, 0, 1, 2, 0x10, 0x11, 0xF, 0x20)),
    )


def _transfer(rng: random.Random) -> bytes:
    """Memory, and a block or a chain that uses it."""
    channel, chain = rng.randrange(2), rng.random() < 0.6
    base = 0x80 + 0x14 * channel
    where = rng.randrange(4) << 16
    said = b"".join(
        struct.pack("<IIIII", (rng.randrange(4) << 16) + rng.choice((0, 1, 0x800, 0xFFC)), rng.choice((0, 0, 0x2000_0000, 0x2_0000, 0xFFFF_F000)),
                    rng.choice((0, 1, 4, 64, 256, 4097, 0x1_0000)), where + (rng.randrange(8) << 5) | rng.choice((1, 1, 9, 3, 0xB, 5)), 0) + bytes(12)
        for _ in range(8)
    )  # fmt: skip
    found = [
        item(RAM, 0, said),
        message(2, struct.pack("<IIQQQ", 32, 3, 0, where, 0x1_0000), fds=rng.choice((1, 1, 1, 0, 3, 4))),
    ]
    values = (
        rng.choice((0x243, 0x643, 0x2_0643, 0xA43)) if chain else rng.choice((0x43, 0x443, 0x843)),
        where,
        0,
        rng.choice((4, 64, 4096, 0x2_0000)),
        where | (1 if chain else 8),
    )
    found += [access(7, 4, 7, 2), *(access(0, base + 4 * n, value, flags=NO_REPLY) for n, value in enumerate(values))]
    found += [access(0, 0xA8 + channel, 3, 1), item(TURN), access(0, 0xA8 + channel, None, 1)]
    return b"".join(found)


def _raw(rng: random.Random) -> bytes:
    size = rng.choice((16, 16, 17, 32, 15, 0, 1 << 20, (1 << 20) + 4113, 0xFFFF_FFFF))
    body = rng.randbytes(rng.choice((0, 1, 16, 40)))
    return item(
        RAW, rng.randrange(16), struct.pack("<HHIII", rng.getrandbits(16), rng.randrange(17), size, 0, 0) + body
    )


def _around(rng: random.Random) -> bytes:
    match rng.randrange(13):
        case 11:  # more answers than anybody keeps, for a client that reads none for a while
            read = message(9, struct.pack("<QII", 0, 2, 0x1_0000))
            flood = read + item(REPEAT, rng.choice((3, 20, 63))) + item(TURN) + read + item(TURN)
            return item(DEAF, 1) + flood + item(DEAF, rng.randrange(2)) + item(TURN)
        case 9 | 10:
            return item(REPEAT, rng.randrange(64))
        case 0 | 1:
            return item(
                ANSWER, rng.choice((0, 0, 0, 1, 2, 0x83, 4, 5, 6, 7, 8, 9)), rng.randbytes(rng.choice((0, 16, 40)))
            )
        case 2:
            return item(
                CLIENT, rng.choice((0, 1, 2, 0x10, 0x11, 0x10, 0x20, 0x41, 0x61)), b"\0\0\0\0" + rng.choice(_VERSIONS)
            )
        case 3:
            return item(HANGUP, rng.randrange(2))
        case 4:
            return item(TIME, rng.choice((1, 1, 1, 2, 30, 110)))
        case 5:
            return item(TRUNCATE, rng.randrange(129))
        case 6:
            return item(DEAF, rng.randrange(2))
        case 7:
            return _raw(rng)
        case _:
            return item(TURN)


_MAKERS: tuple[Callable[[random.Random], bytes], ...] = (
    *(_access,) * 20, _map, _map, _unmap, _irqs, _irqs, _info, _multi, _other, _transfer, _around, _around,
)  # fmt: skip


def fresh(rng: random.Random) -> bytes:
    """Make an item or some that mean something."""
    return rng.choice(_MAKERS)(rng)


def seeds(rng: random.Random) -> list[bytes]:
    """Give what a corpus begins with."""
    found = []
    for n in range(48):
        version = item(CLIENT, 0x10, b"\0\0\0\0" + _VERSIONS[n % len(_VERSIONS)]) if n < 24 else b""
        found.append(version + b"".join(fresh(rng) for _ in range(rng.choice((16, 64, 128)))))
    return found


def mutate(rng: random.Random, data: bytes, other: bytes, most: int = 16384) -> bytes:
    """Change an input: items come, go and move, from `other` too, and bytes in them change."""
    parts = [item(*one) for one in items(data)]
    for _ in range(1 << rng.randrange(4)):
        at = rng.randrange(len(parts) + 1)
        match rng.randrange(9):
            case 0 | 1 | 2:
                parts[at:at] = [fresh(rng)]
            case 3:
                del parts[at : at + rng.randrange(1, 5)]
            case 4 if at < len(parts):
                parts[at] = _mangled(rng, parts[at])
            case 5:
                start = rng.randrange(len(parts) + 1)
                parts[at:at] = parts[start : start + rng.randrange(1, 9)]
            case 6:
                theirs = [item(*one) for one in items(other)]
                start = rng.randrange(len(theirs) + 1)
                parts[at:at] = theirs[start : start + rng.randrange(1, 17)]
            case 7 if at < len(parts) and parts[at][0] & 15 == MESSAGE:  # in two pieces
                parts[at] = bytes((MESSAGE, parts[at][1] & 0xF | rng.randrange(16) << 4)) + parts[at][2:]
            case 8 if rng.random() < 0.5:
                parts[:0] = [item(CLIENT, 0x10, b"\0\0\0\0" + rng.choice(_VERSIONS))]
            case _:
                parts[at:at] = [item(TURN)]
    new = b"".join(parts)
    return new if len(new) <= most else new[: most & ~3]


def _mangled(rng: random.Random, part: bytes) -> bytes:
    """An item with other bytes in it, and its length right."""
    kind, a, payload = next(items(part))
    new = bytearray(payload)
    if not new:
        return part
    match rng.randrange(5):
        case 0:
            new[rng.randrange(len(new))] ^= 1 << rng.randrange(8)
        case 1:
            at = rng.randrange(len(new)) & ~1
            new[at : at + 4] = rng.choice(_VALUES).to_bytes(4, "little")
        case 2:
            at = rng.randrange(len(new)) & ~1
            new[at : at + 8] = rng.choice(_LONG).to_bytes(8, "little")
        case 3:
            del new[rng.randrange(len(new)) :]
        case _:
            a = rng.randrange(256)
            new += rng.randbytes(rng.randrange(9))
    return item(kind, a, bytes(new[:65535]))
