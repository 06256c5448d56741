# SPDX-License-Identifier: Apache-2.0
"""Serves a `PciDevice` over vfio-user with libvfio-user: one thread, one client at a time, for as long as asked.

The loop, in one breath::

    no client:  poll(listening socket, wake pipe) -> attach
    client:     up to BATCH messages, each a callback into the device -> device.step(BUDGET) -> poll if nothing to do

- A callback only turns bytes into a device access; DMA happens in `step`, between messages, so a driver sees busy.
- BATCH bounds how long a flood of posted writes keeps DMA waiting; BUDGET bounds how long DMA keeps a message waiting
  (natively twice that where C leaves off in the middle and Python goes on).
- An exception in a callback cannot cross C: it becomes EIO for the client, and `run` raises it as soon as C returns.
- The library's own reads block (VERSION on attach, a message's body), so a watch ends an attach that takes too long,
  and receive and send time-outs are set on the connection: a silent client costs seconds, not the server.
- The library forgets descriptors that a client sends and it has no use for. `close_leftovers` closes them when that
  client leaves (leftovers.py); until then a lack of descriptors costs the client its connection, and nobody else.
- `vfu_sgl_read/write` are never used: against QEMU they lose the socket's framing
  (reference/qemu-vfio-user.md section 5).

The file is long because all that the library calls back, and all that may go wrong with a client, meets in one object.
"""

import contextlib
import ctypes as c
import errno
import logging
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from plx9x5x.errors import SetupError
from plx9x5x.plane.choice import Plane, choose
from plx9x5x.plane.port import Paged
from plx9x5x.ports import DeviceFactory, PciDevice, RegionSpec, ResetKind
from plx9x5x.transport import libvfio_abi as abi
from plx9x5x.transport.client_memory import ClientMemory, client_memory
from plx9x5x.transport.client_view import NotSafe, Probe, view_of
from plx9x5x.transport.guest_memory import WRITE_ONLY, Far, NoMemory
from plx9x5x.transport.intx import IntxLine
from plx9x5x.transport.leftovers import Leftovers
from plx9x5x.transport.lookout import SECOND_CLIENT, Lookout
from plx9x5x.transport.ppoll import NanoPoll
from plx9x5x.transport.refusals import LibraryRefusals
from plx9x5x.transport.serving import (
    BATCH,
    BUDGET,
    CONFIG_SPACE,
    LONGEST_WAIT_NS,
    NO_ROOM,
    is_want_of_room,
    make_line,
)
from plx9x5x.transport.unix_socket import SocketFile
from plx9x5x.transport.wake_pipe import WakePipe

if TYPE_CHECKING:
    from plx9x5x.plane.serving import NativeServing

CLIENT_TIMEOUT_S: Final = 5.0
"""How long a client may stall in the middle of a message; QEMU itself gives up after 5 s by default."""

LOOK_S: Final = 0.25
"""How often a device that never rests is left for a look at who else is there."""

_LOG_LEVELS: Final = {3: logging.WARNING, 4: logging.INFO, 5: logging.INFO, 6: logging.DEBUG, 7: logging.DEBUG}
"""syslog level to ours. The library's errors are the client's mistakes and no fault here, hence warnings."""

MAX_CLIENT_LINES: Final = 1000
"""Lines of the library's and of ours that one client may cause, but for debugging."""

_NO_EVENTFD: Final = b"no fd for interrupt"
"""The client listens to no interrupt yet; `IntxLine` keeps the edge due, so this is no news."""

_TORN_MESSAGE: Final = b"short read"
"""The library read the first part of a long message as the whole, so the rest would be taken for messages: the socket's
framing is lost. QEMU sends accesses of 8 bytes, which arrive whole."""

# A register access of a usual width goes by an integer in place; anything else by bytes.
_INTEGER_AT: Final[dict[int, Callable[[int], Any]]] = {
    1: c.c_uint8.from_address,
    2: c.c_uint16.from_address,
    4: c.c_uint32.from_address,
    8: c.c_uint64.from_address,
}


class LibvfioServer:
    """One device on one socket. Use as a context manager; `run` returns after `stop`.

    Raises: SetupError from the constructor if the socket or the library is not usable.
    """

    def __init__(
        self,
        socket_path: Path,
        make_device: DeviceFactory,
        *,
        library: abi.LibVfioUser,
        logger: logging.Logger | None = None,
        budget: int = BUDGET,
        batch: int = BATCH,
        plane: Plane | str | None = None,
        close_leftovers: bool = False,
    ) -> None:
        self._library = library
        self._lib = library.lib
        self._log = logger or logging.getLogger(__name__)
        self._budget = budget
        self._batch = batch
        self._ctx: int | None = None
        self._stopping = False
        self._attached = False
        self._client_lines = 0
        self._failure: BaseException | None = None
        self._callbacks: list[Any] = []  # ctypes keeps no reference: a collected callback is a jump into nothing
        plane = choose(plane)
        self._memory = client_memory(plane)
        self._refusals = LibraryRefusals(self._memory.refused)
        self._intx = make_line(plane, self._trigger)
        self._device: PciDevice = make_device(self._memory, self._intx)
        self._socket = SocketFile(socket_path)
        self._leftovers = Leftovers() if close_leftovers else None
        self._wake = WakePipe()
        self._lookout = Lookout(self._wake)
        self._look_at = 0.0
        self._another_waits = False
        self._probe = Probe()
        self._native = self._native_serving() if plane is Plane.NATIVE else None
        try:
            with self._socket.claim():
                self._create()
            self._set_up()
            self._listening = self._poll_fd()
            self._lookout.listen(self._listening)
        except BaseException:
            self.close()
            raise

    @property
    def socket_path(self) -> Path:
        """Where clients connect, absolute."""
        return self._socket.path

    @property
    def memory(self) -> ClientMemory:
        """The client's memory as mapped now."""
        return self._memory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Make `run` return soon; may be called from a signal handler or another thread."""
        self._stopping = True
        self._wake.wake()

    def close(self) -> None:
        """Drop the client, free the library's context, remove the socket. May be called twice."""
        ctx, self._ctx = self._ctx, None
        if ctx is not None:
            if not isinstance(self._intx, IntxLine):
                self._intx.connect(0, 0)
            self._lib.vfu_destroy_ctx(ctx)  # unregisters all memory and resets the device by our callbacks
            self._memory.clear()
            self._socket.remove()
        if self._failure is not None:
            self._log.error("while closing", exc_info=self._failure)
            self._failure = None
        if self._leftovers is not None:
            self._leftovers.end()
        self._lookout.close()
        self._wake.close()
        self._probe.close()

    # The loop.

    def run(self) -> None:
        """Serve clients, one after the other, until `stop`. Raises: what a callback raised (our bug)."""
        while not self._stopping:
            if self._attached:
                self._serve_or_drop()
            elif self._wait(self._poll_fd()):
                self._attach()
            self._raise_failure()

    def _serve_or_drop(self) -> None:
        """Serve the client; it pays for what fails for want of descriptors or memory, for it may have taken them."""
        try:
            self._serve_client()
            self._raise_failure()
        except (MemoryError, OSError) as exc:
            if not is_want_of_room(exc):
                raise
            self._of_client("dropping the client: %s", exc if str(exc) else "no memory")
            self._hang_up()

    def _serve_client(self) -> None:
        """Messages and DMA in turn, until the client is gone or `stop`."""
        with self._wake.by_signals():
            if self._native is not None:
                self._serve_natively(self._native)
            else:
                self._serve_in_python()

    def _serve_in_python(self) -> None:
        ctx, run_ctx, step = self._ctx, self._lib.vfu_run_ctx, self._device.step
        batch, budget, intx = range(self._batch), self._budget, self._intx
        wait_ns = self._device.wait_ns
        poll, lookout = NanoPoll(), self._lookout.fd
        poll.register(self._poll_fd())
        poll.register(lookout)
        while not self._stopping:
            for _ in batch:
                served = run_ctx(ctx)
                if served <= 0:
                    break
            if self._failure is not None:
                return
            if served < 0 and not self._survives(c.get_errno()):
                return
            if self._another_waits:
                self._tell_who_waits()
            if intx.due:
                intx.retry()
            more = step(budget)
            if served <= 0 and not more:
                nanoseconds = wait_ns()
                ready = poll.poll(None if nanoseconds is None else min(nanoseconds, LONGEST_WAIT_NS))
                if any(fd == lookout for fd, _ in ready):
                    self._look()
            elif monotonic() > self._look_at:
                self._look()

    def _serve_natively(self, native: "NativeServing") -> None:
        """The same with the loop in C, which comes back when the device had a say, or has work."""
        from plx9x5x.plane.serving import Served  # noqa: PLC0415 - there only if it was compiled

        step, wait_ns, budget, intx = self._device.step, self._device.wait_ns, self._budget, self._intx
        serve = native.serve
        native.attach(self._ctx or 0, self._poll_fd())
        wait: int | None = 0
        while not self._stopping:
            why = serve(wait)
            if self._failure is not None:
                return
            if why is Served.TAKING_FAILED and not self._survives(native.code):
                return
            if self._another_waits:
                self._tell_who_waits()
            if why is Served.WOKEN or monotonic() > self._look_at:
                self._look()
            more = step(budget)
            if intx.due:
                intx.retry()
            if more or self._another_waits:
                wait = 0
            elif (wait := wait_ns()) is not None:
                wait = min(wait, LONGEST_WAIT_NS)

    def _look(self) -> None:
        """See what ended the wait; also now and then while nothing waits, for a device may have work for ever."""
        self._look_at = monotonic() + LOOK_S
        self._another_waits |= self._lookout.look()

    def _tell_who_waits(self) -> None:
        """Say that another client waits. Not before this one has had a turn: most often it has just left."""
        self._another_waits = False
        self._of_client("%s", SECOND_CLIENT)

    def _survives(self, code: int) -> bool:
        """Handle a failed vfu_run_ctx; False if the client is gone."""
        if code == errno.ENOTCONN:
            self._log.info("client left")
            self._lost_client()
            return False
        if code != errno.EINTR:
            self._log.warning("dropping the client: %s", os.strerror(code))
            self._hang_up()  # the next vfu_run_ctx finds the end of the stream and cleans up
        return True

    def _attach(self) -> None:
        if self._leftovers is not None:
            self._leftovers.mark()
        with self._watched_attach():
            result = self._lib.vfu_attach_ctx(self._ctx)
            code = c.get_errno()
        if result == 0:
            self._attached = True
            self._client_lines = 0
            self._limit_stalls()
            self._log.info("client connected")
            return
        if code in NO_ROOM:
            self._of_client("cannot accept a client: %s", os.strerror(code))
            self._wait(-1, timeout_ms=100)
        elif code not in (errno.EAGAIN, errno.EINTR):
            self._log.info("a client failed to attach: %s", os.strerror(code))
        self._close_leftovers()

    def _wait(self, fd: int, timeout_ms: int | None = None) -> bool:
        """Block until `fd` is readable or somebody wakes us; True if it is `fd`."""
        poll = select.poll()
        poll.register(self._wake.fd, select.POLLIN)
        if fd >= 0:
            poll.register(fd, select.POLLIN)
        return any(ready == fd for ready, _ in poll.poll(timeout_ms))

    def _poll_fd(self) -> int:
        """The listening socket, or the client's: it changes with each attach and each loss."""
        return int(self._lib.vfu_get_poll_fd(self._ctx))

    # What a client may do to us, and when we have had enough.

    @contextlib.contextmanager
    def _watched_attach(self) -> Iterator[None]:
        """Hang up on a client that connects and then says nothing: the library waits for VERSION for ever."""
        watch = threading.Timer(CLIENT_TIMEOUT_S, self._hang_up)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()
            watch.join()

    def _hang_up(self) -> None:
        """Make the library find the end of the client's stream."""
        fd = self._poll_fd()
        if fd != self._listening:  # never the socket that takes the next one
            with contextlib.suppress(OSError), _borrowed(fd) as connection:
                connection.shutdown(socket.SHUT_RDWR)

    def _limit_stalls(self) -> None:
        limit = struct.pack("@ll", *divmod(round(CLIENT_TIMEOUT_S * 1_000_000), 1_000_000))  # struct timeval
        with _borrowed(self._poll_fd()) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def _lost_client(self) -> None:
        """The library has unregistered the memory, called `_reset` and closed the eventfds; make sure of our side."""
        self._attached = self._another_waits = False
        self._memory.clear()
        self._intx.reset()
        self._close_leftovers()

    def _close_leftovers(self) -> None:
        if self._leftovers is not None and (count := self._leftovers.close()):
            self._of_client("closed %d descriptors that libvfio-user left open", count)

    # Setting up.

    def _create(self) -> None:
        path = os.fsencode(self._socket.path)
        own = None if self._native is None else self._native.address
        self._ctx = self._lib.vfu_create_ctx(abi.TRANS_SOCK, path, abi.FLAG_ATTACH_NB, own, abi.DEV_TYPE_PCI)
        if self._ctx is None:
            code = c.get_errno()
            raise SetupError(
                f"cannot listen on {self._socket.path}: {os.strerror(code)}",
                hint="choose another --socket-path, in a folder that you can write",
            )
        if not isinstance(self._intx, IntxLine):
            self._intx.connect(_address(self._lib.vfu_irq_trigger), self._ctx)

    def _set_up(self) -> None:
        lib, ctx = self._lib, self._ctx
        level = 6 if self._log.isEnabledFor(logging.DEBUG) else 3
        self._check("vfu_setup_log", lib.vfu_setup_log(ctx, self._callback(abi.LogCb, self._on_log), level))
        kind = (abi.PCI_TYPE_CONVENTIONAL, abi.PCI_HEADER_TYPE_NORMAL, 0)
        self._check("vfu_pci_init", lib.vfu_pci_init(ctx, *kind))
        for bar, spec in enumerate(self._device.regions):
            self._set_up_bar(bar, spec)
        config = self._callback(abi.RegionCb, self._access(self._device.config_read, self._device.config_write), -1)
        self._set_up_region(abi.CFG_REGION_IDX, CONFIG_SPACE, config, abi.REGION_FLAG_ALWAYS_CB)
        reset = self._callback(abi.ResetCb, self._on_reset, -1)
        self._check("vfu_setup_device_reset_cb", lib.vfu_setup_device_reset_cb(ctx, reset))
        dma = (self._callback(abi.DmaCb, self._on_map), self._callback(abi.DmaCb, self._on_unmap))
        self._check("vfu_setup_device_dma", self._library.setup_device_dma(ctx, *dma))
        self._check("vfu_setup_device_nr_irqs", lib.vfu_setup_device_nr_irqs(ctx, abi.INTX_IRQ, 1))
        if self._native is None:
            state = self._callback(abi.IrqStateCb, self._on_irq_state)
        else:
            state = abi.IrqStateCb(self._native.line_callback)
        self._check("vfu_setup_irq_state_callback", lib.vfu_setup_irq_state_callback(ctx, abi.INTX_IRQ, state))
        self._check("vfu_realize_ctx", lib.vfu_realize_ctx(ctx))

    def _set_up_bar(self, bar: int, spec: RegionSpec) -> None:
        if spec.size == 0:
            return
        device = self._device

        def read(offset: int, width: int) -> int:
            return device.read(bar, offset, width)

        def write(offset: int, width: int, data: int) -> None:
            device.write(bar, offset, width, data)

        access = self._callback(abi.RegionCb, self._access(read, write), -1)
        if self._native is not None:
            pages = device.pages if isinstance(device, Paged) else {}
            address = self._native.region(bar, device=_address(access), page=pages.get(bar))
            access = abi.RegionCb(address)
        self._set_up_region(bar, spec.size, access, 0 if spec.is_io else abi.REGION_FLAG_MEM)

    def _set_up_region(self, index: int, size: int, access: Any, flags: int) -> None:
        result = self._lib.vfu_setup_region(self._ctx, index, size, access, abi.REGION_FLAG_RW | flags, None, 0, -1, 0)
        self._check(f"vfu_setup_region({index})", result)

    def _check(self, call: str, result: int) -> None:
        if result != 0:
            code = c.get_errno()
            raise SetupError(
                f"{self._library.path}: {call} failed: {os.strerror(code)}",
                hint="is this the libvfio-user that `plx9x5x toolchain fetch` builds?",
            )

    # Callbacks. Each runs inside a call into C.

    def _callback(self, kind: Any, function: Callable[..., Any], on_error: int | None = None) -> Any:
        """Wrap `function` for C, keep it alive, and let no exception out of it."""
        native = self._native

        def no_raise(*args: Any) -> Any:
            if native is not None:
                native.say()
            try:
                return function(*args)
            except BaseException as exc:  # noqa: BLE001 - C cannot unwind Python: `run` raises it
                self._failure = self._failure or exc
                c.set_errno(errno.EIO)
                return on_error

        callback = kind(no_raise)
        self._callbacks.append(callback)
        return callback

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    @staticmethod
    def _access(
        read: Callable[[int, int], int], write: Callable[[int, int, int], None]
    ) -> Callable[[int, int, int, int, bool], int]:
        """Make a region callback: little-endian bytes at `buffer` from or to a device access."""
        integer_at = _INTEGER_AT.get

        def access(_ctx: int, buffer: int, count: int, offset: int, is_write: bool) -> int:
            at = integer_at(count)
            if at is not None:
                if is_write:
                    write(offset, count, at(buffer).value)
                else:
                    at(buffer).value = read(offset, count)
            elif is_write:
                write(offset, count, int.from_bytes(c.string_at(buffer, count), "little"))
            else:
                c.memmove(buffer, read(offset, count).to_bytes(count, "little"), count)
            return count

        return access

    def _on_reset(self, _ctx: int, kind: int) -> int:
        self._device.reset(ResetKind.LOST_CLIENT if kind == abi.ResetType.LOST_CONN else ResetKind.POWER_ON)
        self._intx.reset()
        return 0

    def _on_irq_state(self, _ctx: int, _start: int, _count: int, mask: bool) -> None:
        assert isinstance(self._intx, IntxLine), "the loop in C has its own callback"
        if mask:
            self._intx.mask()
        else:
            self._intx.unmask()

    def _on_map(self, _ctx: int, pointer: Any) -> None:
        info = pointer.contents
        start, length = info.iova.iov_base or 0, info.iova.iov_len
        try:
            view = view_of(info, self._probe)
        except NotSafe as exc:
            view = None
            self._of_client("the client's mapping %#x+%#x is not used: %s", start, length, exc)
        writable = bool(info.prot & abi.PROT_WRITE)
        far = Far(NoMemory(WRITE_ONLY), 0) if writable and not info.prot & abi.PROT_READ else None
        self._memory.map(start, length, view, writable, far)
        self._memory.refused.drop(start, start + length)
        self._log.debug("map %#x+%#x prot %d%s", start, length, info.prot, "" if view else " (no memory shared)")

    def _on_unmap(self, _ctx: int, pointer: Any) -> None:
        info = pointer.contents
        start, length = info.iova.iov_base or 0, info.iova.iov_len
        self._memory.unmap(start, length)
        self._log.debug("unmap %#x+%#x", start, length)

    def _of_client(self, words: str, *values: object, level: int = logging.WARNING) -> None:
        """Log what a client makes us say; a hostile one makes one with each message, so not for ever."""
        self._client_lines += 1
        self._log.log(logging.DEBUG if self._client_lines > MAX_CLIENT_LINES else level, words, *values)

    def _on_log(self, _ctx: int, level: int, message: bytes) -> None:
        ours = _LOG_LEVELS.get(level, logging.ERROR)
        if message.startswith(_NO_EVENTFD) or not self._attached:
            ours = min(ours, logging.DEBUG)  # `_attach` says in one line what came of it
        self._of_client("libvfio-user: %s", message.decode(errors="replace"), level=ours)
        self._refusals.hear(message)
        if _TORN_MESSAGE in message:
            self._log.warning("dropping the client: the library reads no message that arrives in pieces")
            self._hang_up()

    def _native_serving(self) -> "NativeServing":
        from plx9x5x.plane.line import NativeLine  # noqa: PLC0415 - there only if it was compiled
        from plx9x5x.plane.serving import NativeServing  # noqa: PLC0415 - as above

        assert isinstance(self._intx, NativeLine), "make_line() makes no other on this plane"
        take, private_of = _address(self._lib.vfu_run_ctx), _address(self._lib.vfu_get_private)
        native = NativeServing(
            take=take,
            private_of=private_of,
            wake_fd=self._lookout.fd,
            batch=self._batch,
            budget=self._budget,
            line=self._intx,
        )
        if isinstance(self._device, Paged) and self._device.part is not None:
            native.ask(self._device.part)
        return native

    def _trigger(self) -> bool:
        return self._ctx is not None and self._lib.vfu_irq_trigger(self._ctx, 0) == 0


def _address(function: Any) -> int:
    """Where a C function is."""
    return int(c.cast(function, c.c_void_p).value or 0)


@contextlib.contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """The library's socket, left open. Without a descriptor of our own: there may be none left."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        yield connection
    finally:
        connection.detach()
