# SPDX-License-Identifier: Apache-2.0
"""Guest memory as an interval map: what an access resolves to, and what it never touches."""

import gc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.errors import BusAbort, MasterAbort, TargetAbort
from plx9x5x.plane.choice import Plane
from plx9x5x.transport.client_memory import ClientMemory, client_memory
from plx9x5x.transport.guest_memory import Far, FarFault, GuestMemory, Unreachable
from plx9x5x.units import KIB, BusAddr
from tests.length import tries

PAGE = 4 * KIB
TOP = 1 << 64


_plane = [Plane.PYTHON]


@pytest.fixture(autouse=True, scope="module", params=list(Plane), ids=lambda plane: plane.value)
def plane(request: pytest.FixtureRequest) -> None:
    """Every rule holds on both planes."""
    _plane[0] = request.param


def new_memory() -> ClientMemory:
    return client_memory(_plane[0])


def ram(size: int, fill: int = 0) -> bytearray:
    return bytearray([fill]) * size


def mapped(*ranges: tuple[int, bytearray], writable: bool = True) -> ClientMemory:
    memory = new_memory()
    for start, store in ranges:
        memory.map(start, len(store), memoryview(store), writable)
    return memory


def read(memory: ClientMemory, address: int, length: int) -> bytes:
    into = bytearray(length)
    memory.read_into(BusAddr(address), memoryview(into))
    return bytes(into)


def write(memory: ClientMemory, address: int, data: bytes) -> None:
    memory.write_from(BusAddr(address), memoryview(data))


@pytest.mark.parametrize("start", [0, 1, 3, PAGE - 2, PAGE - 1])
@pytest.mark.parametrize("length", [0, 1, 2, 4, 7, PAGE, PAGE + 1])
def test_an_access_crosses_mappings_and_touches_nothing_else(start: int, length: int) -> None:
    stores = [ram(PAGE, 0xA0 + n) for n in range(3)]
    memory = mapped(*((0x1000 * n, store) for n, store in enumerate(stores)))
    data = bytes(n % 251 for n in range(length))
    write(memory, start, data)
    assert read(memory, start, length) == data
    flat = b"".join(stores)
    before = b"".join(bytes([0xA0 + n]) * PAGE for n in range(3))
    assert flat == before[:start] + data + before[start + length :]


def test_an_unmapped_address_aborts_and_names_the_nearest_ranges() -> None:
    memory = mapped((0x1000, ram(PAGE)), (0x8000, ram(PAGE)), (0x20000, ram(PAGE)))
    with pytest.raises(MasterAbort) as caught:
        read(memory, 0x3000, 4)
    assert caught.value.address == 0x3000
    assert caught.value.moved == 0
    assert caught.value.nearest == ((0x1000, PAGE), (0x8000, PAGE))
    for address, nearest in ((0, ((0x1000, PAGE),)), (TOP - 8, ((0x20000, PAGE),))):
        with pytest.raises(MasterAbort) as caught:
            read(memory, address, 4)
        assert caught.value.nearest == nearest
    with pytest.raises(MasterAbort) as caught:
        read(new_memory(), 0, 4)
    assert caught.value.nearest == ()


def test_bytes_before_the_failing_one_have_moved() -> None:
    store = ram(PAGE)
    memory = mapped((0, store))
    with pytest.raises(MasterAbort) as caught:
        write(memory, PAGE - 3, b"abcdef")
    assert (caught.value.address, caught.value.moved) == (PAGE, 3)
    assert store[-3:] == b"abc"
    into = bytearray(6)
    with pytest.raises(MasterAbort):
        memory.read_into(BusAddr(PAGE - 3), memoryview(into))
    assert into == b"abc\0\0\0"


def test_read_only_memory_is_read_and_refuses_writes() -> None:
    store = ram(PAGE, 0x5A)
    memory = mapped((0, store), writable=False)
    assert read(memory, 8, 4) == b"ZZZZ"
    with pytest.raises(TargetAbort):
        write(memory, 8, b"nono")
    assert store == ram(PAGE, 0x5A)


def test_a_mapping_without_host_memory_says_so() -> None:
    memory = new_memory()
    memory.map(0x1000, PAGE, None, writable=True)
    for access in (lambda: read(memory, 0x1000, 4), lambda: write(memory, 0x1000, b"abcd")):
        with pytest.raises(Unreachable, match="no file descriptor") as caught:
            access()
        assert isinstance(caught.value, TargetAbort)


def test_unmap_drops_everything_inside_a_range() -> None:
    memory = mapped(*((PAGE * n, ram(PAGE)) for n in range(16)))
    memory.unmap(0, 1 << 40)
    assert memory.ranges == ()


def test_unmap_keeps_the_part_outside() -> None:
    memory = mapped((0, ram(4 * PAGE, 7)))
    memory.unmap(PAGE, PAGE)
    assert memory.ranges == ((0, PAGE), (2 * PAGE, 2 * PAGE))
    assert read(memory, 4 * PAGE - 1, 1) == b"\7"
    with pytest.raises(MasterAbort):
        read(memory, PAGE, 1)


def test_a_map_replaces_what_it_overlaps() -> None:
    memory = mapped((0, ram(3 * PAGE, 1)), (PAGE, ram(PAGE, 2)))
    assert memory.ranges == ((0, PAGE), (PAGE, PAGE), (2 * PAGE, PAGE))
    assert read(memory, PAGE - 1, PAGE + 2) == b"\1" + b"\2" * PAGE + b"\1"


@pytest.mark.parametrize("forget", [lambda m: m.unmap(0, PAGE), lambda m: m.clear()])
def test_no_pointer_outlives_an_unmap(forget: object) -> None:
    memory = mapped((0, ram(PAGE)))
    read(memory, 0, 4)  # the range is the last one hit
    assert callable(forget)
    forget(memory)
    for access in (lambda: read(memory, 0, 4), lambda: write(memory, 0, b"abcd")):
        with pytest.raises(MasterAbort):
            access()


def test_the_backing_store_is_let_go() -> None:
    store = ram(PAGE)
    memory = mapped((0, store))
    read(memory, 0, 4)
    memory.unmap(0, PAGE)
    store.extend(b"x")  # BufferError while any view is left


def test_the_backing_store_of_a_split_mapping_is_let_go_with_its_last_part() -> None:
    store = ram(4 * PAGE)
    memory = mapped((0, store))
    memory.unmap(PAGE, PAGE)
    memory.map(3 * PAGE, PAGE, None, writable=False)
    memory.unmap(0, PAGE)
    assert memory.ranges == ((2 * PAGE, PAGE), (3 * PAGE, PAGE))
    with pytest.raises(BufferError):
        store.extend(b"x")
    memory.unmap(2 * PAGE, PAGE)
    store.extend(b"x")


def test_both_parts_of_a_split_mapping_keep_their_own_bytes() -> None:
    store = bytearray(n % 251 for n in range(4 * PAGE))
    memory = mapped((0, store))
    memory.unmap(PAGE, 5)
    assert read(memory, PAGE - 4, 4) == store[PAGE - 4 : PAGE]
    assert read(memory, PAGE + 5, 100) == store[PAGE + 5 : PAGE + 105]
    write(memory, 4 * PAGE - 1, b"z")
    assert store[-1:] == b"z"


def test_memory_in_a_circle_of_garbage_is_collected() -> None:
    store = ram(PAGE)
    holder: list[object] = [memoryview(store)]
    memory = mapped((0, store))
    holder += [memory, memory.map, holder]
    del memory, holder
    gc.collect()
    store.extend(b"x")


def test_who_mapped_a_view_may_release_it() -> None:
    store = ram(PAGE, 3)
    view = memoryview(store)
    memory = new_memory()
    memory.map(0, PAGE, view, writable=True)
    view.release()
    assert read(memory, 0, 2) == b"\3\3"
    memory.clear()
    store.extend(b"x")


def test_all_of_the_address_space_may_be_mapped() -> None:
    memory = new_memory()
    memory.map(0, TOP, None, writable=True)
    with pytest.raises(Unreachable):
        read(memory, TOP - 1, 2)
    memory.unmap(TOP - 1, 1)
    assert memory.ranges == ((0, TOP - 1),)
    memory.unmap(-5, 6)
    assert memory.ranges == ((1, TOP - 2),)


def test_the_last_address_wraps_to_the_first() -> None:
    low, high = ram(PAGE, 1), ram(PAGE, 2)
    memory = mapped((0, low), (TOP - PAGE, high))
    assert read(memory, TOP - 2, 4) == b"\2\2\1\1"
    write(memory, TOP - 1, b"ab")
    assert (high[-1:], low[:1]) == (b"a", b"b")
    memory.clear()
    memory.map(TOP - PAGE, 2 * PAGE, memoryview(ram(2 * PAGE)), writable=True)  # a client's nonsense
    with pytest.raises(MasterAbort) as caught:
        read(memory, TOP - 2, 4)
    assert (caught.value.address, caught.value.moved) == (0, 2)


@pytest.mark.parametrize("address", [TOP, TOP + 5, 1 << 70])
def test_addresses_beyond_64_bits_wrap(address: int) -> None:
    memory = mapped((0, ram(PAGE, 3)))
    assert read(memory, address, 2) == b"\3\3"


def test_empty_mappings_and_unmaps_change_nothing() -> None:
    memory = mapped((0, ram(PAGE)))
    memory.map(0x5000, 0, None, writable=True)
    memory.unmap(0, 0)
    assert memory.ranges == ((0, PAGE),)
    read(new_memory(), 0, 0)
    write(new_memory(), 0, b"")


def test_a_view_of_the_wrong_size_is_our_bug() -> None:
    with pytest.raises(ValueError, match="for a mapping of"):
        new_memory().map(0, 8, memoryview(ram(4)), writable=True)
    with pytest.raises(ValueError, match="for a mapping of"):
        new_memory().map(0, 8, memoryview(bytes(8)), writable=True)


SPACE = 64
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["map", "map-ro", "map-none", "unmap", "read", "write"]),
        st.integers(0, SPACE - 1),
        st.integers(0, SPACE),
    ),
    max_size=30,
)


@settings(max_examples=tries(65, 200))
@given(ACTIONS)
def test_any_history_equals_an_array_of_cells(actions: list[tuple[str, int, int]]) -> None:
    """The oracle is one cell a byte: None (unmapped), or [value, writable, shared]."""
    memory = new_memory()
    cells: list[list[int] | None] = [None] * (2 * SPACE)
    for number, (action, start, length) in enumerate(actions):
        value = number & 0xFF
        if action.startswith("map"):
            shared, writable = action != "map-none", action != "map-ro"
            view = memoryview(bytearray([value]) * length) if shared else None
            memory.map(start, length, view, writable)
            for at in range(start, start + length):
                cells[at] = [value, writable, shared]
        elif action == "unmap":
            memory.unmap(start, length)
            cells[start : start + length] = [None] * length
        else:
            good = 0
            into = bytearray([0xEE]) * length
            for cell in cells[start : start + length]:
                if cell is None or not cell[2] or (action == "write" and not cell[1]):
                    break
                good += 1
            abort: BusAbort | None = None
            try:
                if action == "read":
                    memory.read_into(BusAddr(start), memoryview(into))
                else:
                    memory.write_from(BusAddr(start), memoryview(bytes([value]) * length))
            except BusAbort as exc:
                abort = exc
            assert (abort is None) == (good == length)
            if abort is not None:
                assert (abort.moved, abort.address) == (good, start + good)
                assert isinstance(abort, MasterAbort) == (cells[start + good] is None)
            done = cells[start : start + good]
            if action == "read":
                assert list(into) == [cell[0] for cell in done if cell] + [0xEE] * (length - good)
            else:
                for cell in done:
                    assert cell is not None
                    cell[0] = value
        starts = [first for first, _ in memory.ranges]
        assert starts == sorted(starts)
        assert sum(count for _, count in memory.ranges) == sum(cell is not None for cell in cells)


class Store:
    """Far memory: reached up to `end`, `piece` bytes a call; `meanwhile` happens within each call."""

    reason = "the store ends there"

    def __init__(self, size: int, *, piece: int = 1 << 20, fill: int = 0) -> None:
        self.bytes = bytearray([fill]) * size
        self.end = size
        self.piece = piece
        self.calls: list[tuple[int, int]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def read_into(self, offset: int, into: memoryview) -> int:
        self.calls.append((offset, len(into)))
        count = max(0, min(len(into), self.end - offset))
        into[:count] = self.bytes[offset : offset + count]
        self.meanwhile()
        return count

    def write_from(self, offset: int, data: memoryview) -> int:
        self.calls.append((offset, len(data)))
        count = max(0, min(len(data), self.end - offset))
        self.bytes[offset : offset + count] = data[:count]
        self.meanwhile()
        return count


def test_an_access_crosses_near_and_far_mappings_in_any_order() -> None:
    near = [ram(PAGE, 1), ram(PAGE, 3), ram(PAGE, 5)]
    store = Store(2 * PAGE, fill=2)
    memory = mapped((0, near[0]), (2 * PAGE, near[1]), (4 * PAGE, near[2]))
    memory.map(PAGE, PAGE, None, writable=True, far=Far(store, 0))
    memory.map(3 * PAGE, PAGE, None, writable=True, far=Far(store, PAGE))
    assert read(memory, PAGE - 2, 3 * PAGE + 4) == b"\1\1" + b"\2" * PAGE + b"\3" * PAGE + b"\2" * PAGE + b"\5\5"
    assert store.calls == [(0, PAGE), (PAGE, PAGE)]
    data = bytes(n % 251 for n in range(3 * PAGE + 4))
    write(memory, PAGE - 2, data)
    assert read(memory, PAGE - 2, len(data)) == data
    assert near[0][:-2] == b"\1" * (PAGE - 2)
    assert store.bytes == data[2 : PAGE + 2] + data[2 * PAGE + 2 : 3 * PAGE + 2]


def test_far_memory_is_asked_for_in_pieces_of_its_size() -> None:
    store = Store(PAGE, piece=1000)
    memory = new_memory()
    memory.map(0, PAGE, None, writable=True, far=Far(store, 0))
    read(memory, 96, PAGE - 96)
    assert store.calls == [(96, 1000), (1096, 1000), (2096, 1000), (3096, 1000)]


def test_parts_of_a_split_far_mapping_keep_their_offsets() -> None:
    store = Store(4 * PAGE)
    store.bytes[:] = bytes(n // PAGE for n in range(4 * PAGE))
    memory = new_memory()
    memory.map(0, 4 * PAGE, None, writable=True, far=Far(store, 0))
    memory.unmap(PAGE, PAGE)
    memory.map(2 * PAGE, 8, memoryview(ram(8, 9)), writable=True)
    assert memory.ranges == ((0, PAGE), (2 * PAGE, 8), (2 * PAGE + 8, 2 * PAGE - 8))
    assert read(memory, 2 * PAGE, 16) == b"\11" * 8 + b"\2" * 8
    assert read(memory, 3 * PAGE, 1) == b"\3"


@pytest.mark.parametrize(
    "access", [read, lambda memory, at, count: write(memory, at, bytes(count))], ids=["read", "write"]
)
def test_far_memory_that_falls_short_says_where_and_why(access: Callable[[ClientMemory, int, int], object]) -> None:
    near = ram(PAGE)
    store = Store(PAGE, piece=256)
    store.end = 1000
    memory = mapped((0, near), (2 * PAGE, near))
    memory.map(PAGE, PAGE, None, writable=True, far=Far(store, 0))
    with pytest.raises(FarFault, match="the store ends there") as caught:
        access(memory, PAGE - 8, 2 * PAGE)
    assert (caught.value.address, caught.value.moved) == (PAGE + 1000, 1008)
    assert caught.value.nearest == ((PAGE, PAGE), (2 * PAGE, PAGE))


def test_a_far_mapping_that_is_read_only_takes_no_write() -> None:
    store = Store(PAGE)
    memory = mapped((0, ram(PAGE)))
    memory.map(PAGE, PAGE, None, writable=False, far=Far(store, 0))
    assert read(memory, PAGE, 4) == bytes(4)
    with pytest.raises(TargetAbort) as caught:
        write(memory, PAGE - 4, b"12345678")
    assert type(caught.value) is TargetAbort
    assert (caught.value.address, caught.value.moved) == (PAGE, 4)
    assert store.calls == [(0, 4)]


CHANGES: dict[str, tuple[Callable[[ClientMemory], None], int | None]] = {
    "nothing": (lambda memory: None, None),
    "all is unmapped": (lambda memory: memory.clear(), 0),
    "the range is unmapped": (lambda memory: memory.unmap(0, 1 << 40), 0),
    "the rest is unmapped": (lambda memory: memory.unmap(2048, PAGE), 2048),
    "the rest is near": (
        lambda memory: memory.map(1024, PAGE - 1024, memoryview(ram(PAGE - 1024)), writable=True),
        None,
    ),
    "another mapping comes before": (lambda memory: memory.map(1 << 30, PAGE, None, writable=True), None),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize(
    "access", [read, lambda memory, at, count: write(memory, at, bytes(count))], ids=["read", "write"]
)
def test_what_changes_within_a_call_counts_from_the_next_piece_on(
    what: str, access: Callable[[ClientMemory, int, int], object]
) -> None:
    change, ends_at = CHANGES[what]
    store = Store(PAGE, piece=1024)
    memory = new_memory()
    memory.map(0, PAGE, None, writable=True, far=Far(store, 0))

    def once() -> None:
        store.meanwhile = lambda: None
        change(memory)

    store.meanwhile = once
    if ends_at is None:
        access(memory, 0, PAGE)
        return
    with pytest.raises(MasterAbort) as caught:
        access(memory, 0, PAGE)
    expected = max(ends_at, 1024)  # the piece on its way has come
    assert (caught.value.address, caught.value.moved) == (expected, expected)
    assert caught.value.nearest == memory.ranges


FAR_ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["near", "near-ro", "far", "far", "far-ro", "none", "unmap", "read", "write"]),
        st.integers(0, SPACE - 1),
        st.integers(0, SPACE),
    ),
    max_size=20,
)


@settings(max_examples=tries(20, 60))
@given(FAR_ACTIONS, st.integers(1, 20), st.integers(0, 2 * SPACE))
def test_both_memories_do_the_same_with_any_history(actions: list[tuple[str, int, int]], piece: int, end: int) -> None:
    """Each against the same actions, with stores of its own."""
    results = []
    for memory in (GuestMemory(), client_memory(Plane.NATIVE)):
        store = Store(2 * SPACE, piece=piece)
        store.end = end
        seen: list[object] = []
        for number, (action, start, length) in enumerate(actions):
            writable = not action.endswith("-ro")
            if action.startswith("near"):
                memory.map(start, length, memoryview(bytearray([number]) * length), writable)
            elif action.startswith("far"):
                memory.map(start, length, None, writable, Far(store, start))
            elif action == "none":
                memory.map(start, length, None, writable)
            elif action == "unmap":
                memory.unmap(start, length)
            else:
                into = bytearray([0xEE]) * length
                try:
                    if action == "read":
                        memory.read_into(BusAddr(start), memoryview(into))
                    else:
                        memory.write_from(BusAddr(start), memoryview(bytes([number]) * length))
                except BusAbort as abort:
                    seen.append((type(abort), abort.address, abort.moved, abort.nearest))
                seen.append(bytes(into))
            seen.append(memory.ranges)
        results.append((seen, bytes(store.bytes), store.calls))
    assert results[0] == results[1]
