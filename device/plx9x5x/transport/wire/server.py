# SPDX-License-Identifier: Apache-2.0
"""Serves a `PciDevice` over vfio-user without libvfio-user: one thread, one client at a time, any number that wait.

The loop, in one breath::

    no client:  wait for the lobby -> the first that has said VERSION takes the seat
    client:     up to BATCH messages, each a call of the device -> device.step(BUDGET) -> wait if nothing to do

- Nothing blocks but that wait: the sockets do not, and what the client hands over is made or checked not to.
- DMA happens in `step`, between messages, so a driver sees busy.
- A client that stops in the middle of a message, or reads none of its answers, is hung up on after STALL_S.
- An exception of the device is EIO for the client, and `run` raises it.

On the native plane the loop is C's (plane/serving.c), and so is the way of a register access through the socket
(hot.c), which asks the device where no page answers; everything else comes here by the same `Session`.

The file is long because both loops, and all that ends a client, meet in one object.
"""

import errno
import logging
import os
import select
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from plx9x5x.errors import SetupError
from plx9x5x.plane.choice import Plane, choose
from plx9x5x.plane.port import Paged
from plx9x5x.ports import DeviceFactory, PciDevice, ResetKind
from plx9x5x.transport import sockets
from plx9x5x.transport.client_memory import ClientMemory, client_memory
from plx9x5x.transport.intx import IntxLine
from plx9x5x.transport.lookout import MOST_TOLD, SECOND_CLIENT
from plx9x5x.transport.ppoll import NanoPoll
from plx9x5x.transport.serving import BATCH, BUDGET, LONGEST_WAIT_NS, is_want_of_room, make_line
from plx9x5x.transport.unix_socket import SocketFile
from plx9x5x.transport.wake_pipe import WakePipe
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.codec import FramingLost
from plx9x5x.transport.wire.connection import MAX_UNSENT, Connection, Gone
from plx9x5x.transport.wire.lobby import TOLD, Arrival, Lobby
from plx9x5x.transport.wire.message_memory import MessageMemory
from plx9x5x.transport.wire.session import Session
from plx9x5x.transport.wire.signaller import Signaller

if TYPE_CHECKING:
    from plx9x5x.plane.serving import NativeServing
    from plx9x5x.transport.wire.hot import Asker, NativeInbox

STALL_S: Final = 5.0
"""How long a client may stall in the middle of a message, or leave answers unread."""
LOOK_NS: Final = 20_000_000
"""Between two looks at the lobby, at most, while the client keeps us busy; and how long a batch goes on."""
BACKLOG: Final = 16


class WireServer:
    """One device on one socket. Use as a context manager; `run` returns after `stop`.

    `given` is a socket in place of one at `socket_path`: one that somebody else has bound and listens on, for any
    number of clients, or one that is connected, and then `run` returns once that client has left.

    Raises: SetupError from the constructor if the socket is not usable.
    """

    def __init__(
        self,
        socket_path: Path | None,
        make_device: DeviceFactory,
        *,
        given: socket.socket | None = None,
        logger: logging.Logger | None = None,
        budget: int = BUDGET,
        batch: int = BATCH,
        plane: Plane | str | None = None,
    ) -> None:
        self._log = logger or logging.getLogger(__name__)
        self._budget, self._batch = budget, batch
        self._stopping = self._closed = False
        self._session: Session | None = None
        self._connection: Connection | None = None
        self._inbox: NativeInbox | None = None
        """The client's, on the native plane."""
        self._asker: Asker | None = None
        self._twin: Connection | None = None
        self._far: MessageMemory | None = None
        self._lost: str | None = None
        self._failure: BaseException | None = None
        self._seen_stalled: tuple[int, ...] | None = None
        self._stalled_since = 0.0
        self._told = self._looked = self._said = 0
        self._left_over = False
        """Messages have come while a reply was waited for, and poll does not know of them."""
        plane = choose(plane)
        self._memory = client_memory(plane)
        self._line = make_line(plane, self._edge)
        self._device: PciDevice = make_device(self._memory, self._line)
        self._wake = WakePipe()
        self._signaller = Signaller()
        self._native = self._native_serving() if plane is Plane.NATIVE else None
        self._file = SocketFile(socket_path) if socket_path is not None else None
        if self._file is None and given is None:
            raise ValueError("neither a path nor a socket to listen on")
        self._listening: socket.socket | None = None
        try:
            connected = given if given is not None and not sockets.listens(given) else None
            self._listening = None if connected is not None else given or self._listen()
            self._lobby = Lobby(self._listening, self._wake.fd, self._connect, self._log)
            if connected is not None:
                self._lobby.admit(connected)
            if self._native is not None:
                self._native.wake_by(self._lobby.fd)
        except BaseException:
            if self._listening is not None and self._listening is not given:
                self._listening.close()
            if self._file is not None:
                self._file.remove()
            self._signaller.close()
            self._wake.close()
            raise

    @property
    def socket_path(self) -> Path:
        """Where clients connect, absolute; a socket that was given may have no name."""
        return self._file.path if self._file is not None else Path(sockets.name(self._listening))

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
        """Drop the client, remove the socket. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._session is not None:
            self._lose()
        self._lobby.close()
        if self._listening is not None:
            self._listening.close()
        if self._file is not None:
            self._file.remove()
        self._signaller.close()
        self._wake.close()

    # The loop.

    def run(self) -> None:
        """Serve clients, one after the other, until `stop`. Raises: what the device raised (its bug)."""
        while not self._stopping:
            if self._session is not None:
                self._serve()
            elif (arrival := self._lobby.next()) is not None:
                self._seat(arrival)
            elif self._lobby.over:
                return
            else:
                _poll(self._lobby.fd).poll(_ns(self._lobby.timeout_s))
                self._wake.drain()
                self._lobby.look()

    def _serve(self) -> None:
        """Messages and DMA in turn, until the client is gone or `stop`."""
        try:
            if self._native is not None:
                with self._wake.by_signals():
                    self._until_gone(partial(self._serve_natively, self._native))
            else:
                self._until_gone(self._serve_here)
        finally:
            if self._lost is not None:
                self._lose()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _until_gone(self, serve: Callable[[], None]) -> None:
        """Serve, and note the end. Not outside of `by_signals`: an exception through it stays in a circle of frames."""
        try:
            serve()
        except Gone as exc:
            self._lost = str(exc)
        except FramingLost as exc:
            self._log.warning("dropping the client: %s", exc)
            self._lost = str(exc)

    def _serve_here(self) -> None:
        step, wait_ns, budget, line = self._step, self._device.wait_ns, self._budget, self._line
        connection, batch = self._connection, self._batch
        assert connection is not None
        client_fd = connection.fd
        both, lobby = _poll(client_fd, self._lobby.fd), _poll(self._lobby.fd)
        # With whole milliseconds alone this one is quicker, and it is on the way of each access.
        quick = select.poll()
        quick.register(client_fd, select.POLLIN)
        quick.register(self._lobby.fd, select.POLLIN)
        wait: int | None = 0
        whole = False
        while not self._stopping:
            if connection.unsent > MAX_UNSENT:
                ready = lobby.poll(wait)
            elif wait:
                ready = both.poll(wait)
            else:
                ready = quick.poll(wait)
            came = others = False
            for fd, _ in ready:
                if fd == client_fd:
                    came = True
                else:
                    others = True
            if (came or whole or self._left_over) and connection.unsent <= MAX_UNSENT:
                self._left_over = False
                whole = self._take(batch, read=came)
            if line.due:
                line.retry()
            more = step(budget)
            if self._lost is not None:
                return
            minded = self._minded
            if others or (minded and self._is_time_to_look):
                if not self._look():
                    return
                minded = self._minded
            there = (whole or self._left_over) and connection.unsent <= MAX_UNSENT
            wait = 0 if more or there else self._wait(wait_ns(), minded=minded)

    def _serve_natively(self, native: "NativeServing") -> None:
        """The same with the loop in C, which comes back when the device had a say, or has work."""
        from plx9x5x.plane.serving import Served  # noqa: PLC0415 - there only if it was compiled

        step, wait_ns, budget, line = self._step, self._device.wait_ns, self._budget, self._line
        assert self._connection is not None
        connection, inbox = self._connection, self._inbox
        assert inbox is not None, "_seat() has set it"
        native.attach(inbox.address, connection.fd)
        lobby = _poll(self._lobby.fd)
        wait: int | None = 0
        while not self._stopping:
            if connection.unsent > MAX_UNSENT or self._is_busy:
                lobby.poll(wait)
                why = Served.WOKEN
            else:
                inbox.settle(connection)  # C answers only while nothing of ours waits to be sent
                why = native.serve(wait)
            if why is Served.TAKING_FAILED:
                raise Gone(os.strerror(native.code))
            inbox.settle(connection)
            if (inbox.ours or self._is_busy) and self._lost is None:
                self._take(1, read=False)
            if line.due:
                line.retry()
            more = step(budget)
            if self._lost is not None:
                return
            # C comes back without being woken while it is kept busy: what waits is looked at now and then.
            if (why is Served.WOKEN or self._is_time_to_look) and not self._look():
                return
            minded = self._minded
            there = (inbox.ours or self._is_busy) and connection.unsent <= MAX_UNSENT
            wait = 0 if more or there else self._wait(wait_ns(), minded=minded)

    def _take(self, most: int, *, read: bool) -> bool:
        """Handle so many messages at most, those that have come and those that one read brings; True if there are more.

        Raises: Gone, FramingLost.
        """
        connection = self._connection
        assert connection is not None
        done = self._handle(most) if connection.inbox.partial or self._is_busy else 0
        if done < most and read and self._lost is None and connection.fill():
            done += self._handle(most - done)
        return done >= most

    def _handle(self, most: int) -> int:
        """Handle so many of the messages that have come; give how many it were.

        A batch that takes long, or whose answers nobody reads, is taken for whole: the rest has to wait.
        """
        connection, session = self._connection, self._session
        assert connection is not None
        assert session is not None
        inbox = connection.inbox
        until = time.perf_counter_ns() + LOOK_NS  # one with 200 writes that each reset the chip takes as long
        try:
            if session.is_busy():
                session.go_on()
                return most
            for done in range(most):
                if session.is_busy():
                    return most
                if not inbox.partial:
                    return done
                if connection.unsent > MAX_UNSENT:
                    return most
                if not session.handle_access(inbox):
                    message = inbox.next()
                    if message is None:
                        return done
                    session.handle(message)
                if time.perf_counter_ns() > until:
                    return most
        except (Gone, FramingLost):
            raise
        except Exception as exc:  # noqa: BLE001 - `run` raises it once all is put away
            self._device_failed(exc)
            return 0
        return most

    def _asked_to_read(self, bar: int, offset: int, width: int) -> int:
        """What C asks for: the value, or an errno below 0."""
        far = self._far
        assert far is not None
        far.in_requests += 1
        try:
            return self._device.read(bar, offset, width)
        except BaseException as exc:  # noqa: BLE001 - C cannot unwind Python
            return self._device_failed(exc)
        finally:
            far.in_requests -= 1
            self._keep_order()

    def _asked_to_write(self, bar: int, offset: int, width: int, data: int) -> int:
        """What C asks for: 0, or an errno below."""
        far = self._far
        assert far is not None
        far.in_requests += 1
        try:
            self._device.write(bar, offset, width, data)
        except BaseException as exc:  # noqa: BLE001 - as above
            return self._device_failed(exc)
        finally:
            far.in_requests -= 1
            self._keep_order()
        return 0

    def _keep_order(self) -> None:
        """Answers may have come to wait meanwhile, if the device asked the client for its memory."""
        if self._inbox is not None and self._connection is not None and self._connection.unsent:
            self._inbox.block()

    @property
    def _is_busy(self) -> bool:
        """True while one access is being done in pieces."""
        return self._session is not None and self._session.is_busy()

    def _step(self, budget: int) -> bool:
        """Have the device do its work, but if it has failed."""
        if self._lost is not None:
            return False
        try:
            return self._device.step(budget)
        except Exception as exc:  # noqa: BLE001 - as above
            self._device_failed(exc)
            return False

    def _device_failed(self, exc: BaseException) -> int:
        """It has a bug, or the host no descriptor or memory for it: that costs the client, and nobody else anything.

        Gives what the client is told, an errno below 0.
        """
        if is_want_of_room(exc):
            self._log.warning("dropping the client: %s", exc if str(exc) else "no memory")
        else:
            self._failure = self._failure or exc
        self._lost = "the device failed"
        return -errno.EIO

    @property
    def _minded(self) -> bool:
        """True while somebody has to be looked at now and then."""
        connection = self._connection
        stalls = connection is not None and (connection.unsent or connection.inbox.partial)
        return bool(stalls) or not self._lobby.rests

    @property
    def _is_time_to_look(self) -> bool:
        """True after a while, and while answers wait: room for them ends a wait only once that is asked for."""
        connection = self._connection
        return time.monotonic_ns() - self._looked >= LOOK_NS or (connection is not None and connection.unsent > 0)

    def _look(self) -> bool:
        """What else there is: signals, the lobby, answers that could not be sent, a client that stalls.

        False if that is the end of the client. Raises: Gone.
        """
        self._look_around()
        connection = self._connection
        if connection is None:
            return True
        connection.flush()
        self._lobby.watch(connection.fd, writable=bool(connection.unsent))
        stalled = connection.inbox.partial or connection.unsent
        # A client that is busy is in the middle of a message whenever we look, and never twice at the same place.
        seen = (*connection.inbox.place, connection.unsent) if stalled else None
        if seen != self._seen_stalled:
            self._seen_stalled, self._stalled_since = seen, time.monotonic()
        elif seen is not None and time.monotonic() - self._stalled_since > STALL_S:
            what = "reads no answers" if connection.unsent else "stopped in the middle of a message"
            self._log.warning("dropping the client: it %s for %g s", what, STALL_S)
            self._lost = "it stalled"
        return self._lost is None

    def _look_around(self) -> None:
        """Signals, and those who wait."""
        self._looked = time.monotonic_ns()
        self._wake.drain()
        if self._lobby.look() and self._connection is not None and not self._connection.hung_up:
            self._warn(SECOND_CLIENT)

    def _warn(self, what: str) -> None:
        """Tell of what a client may cause again and again, but not for ever."""
        self._told += 1
        self._log.log(logging.WARNING if self._told <= MOST_TOLD else logging.DEBUG, what)

    def _wait(self, device_ns: int | None, *, minded: bool) -> int | None:
        """How long may be waited, in ns: as the device says, and until the lobby or a stall has to be looked at."""
        if device_ns is None and not minded:
            return None
        found = [LONGEST_WAIT_NS] if device_ns is None else [LONGEST_WAIT_NS, max(0, device_ns)]
        if (lobby := self._lobby.timeout_s) is not None:
            found.append(round(lobby * 1e9) + 1_000_000)
        return min(found)

    def _await(self, there: Callable[[], bool]) -> bool:
        """Serve the client until a reply of its is there; False if it does not come: `MessageMemory` asks."""
        self._left_over = True
        end = time.monotonic() + STALL_S
        connection = self._connection
        assert connection is not None
        twin = self._twin
        more = False
        while self._lost is None and not self._stopping:
            left = end - time.monotonic()
            if left <= 0:  # however much else it says meanwhile
                self._not_answered()
                return False
            try:
                if twin is not None:
                    twin.flush()
                    if self._take_twin(twin, there):
                        return True
                more = connection.unsent <= MAX_UNSENT and self._take(1, read=not more)
                connection.flush()
            except (Gone, FramingLost) as exc:
                self._lost = str(exc)
                return False
            if there():
                return True
            if more:
                continue
            if self._is_time_to_look:
                self._look_around()
            fds = [connection.fd] if twin is None else [connection.fd, twin.fd]
            _poll(*fds).poll(min(round(left * 1e9), LOOK_NS))
        return False

    def _not_answered(self) -> None:
        self._warn("the client does not answer a request for its memory")
        if self._far is not None and self._far.is_given_up:
            self._log.warning("dropping the client: it answers no request for its memory")
            self._lost = "it answers nothing"

    def _take_twin(self, twin: Connection, there: Callable[[], bool]) -> bool:
        """Take a batch of the replies, which alone come this way; True if the one that is waited for was among them."""
        assert self._far is not None
        for _ in range(self._batch):
            message = twin.take()
            if message is None:
                return False
            message.close()
            if message.header.is_reply:
                self._far.answered(message)
            if there():
                return True
        return False

    # Clients come and go.

    def _seat(self, arrival: Arrival) -> None:
        """Answer VERSION, and serve."""
        connection, theirs = arrival.connection, arrival.version.capabilities
        ours = codec.Capabilities(
            max_msg_fds=codec.MAX_FDS,
            twin_socket=theirs.twin_socket and theirs.max_msg_fds > 0,
            write_multiple=theirs.write_multiple,
        )
        twin: socket.socket | None = None
        try:
            if ours.twin_socket:
                mine, twin = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
                self._twin = Connection(mine)
            version = codec.Version(0, 0, ours, twin_fd=None if twin is None else 0)
            reply = codec.answer(arrival.header, version.pack())
            connection.send(reply, () if twin is None else (twin.fileno(),))
        except (Gone, OSError, MemoryError) as exc:
            self._say(f"a client failed to attach: {exc}")
            connection.close()
            self._close_twin()
            return
        finally:
            if twin is not None:
                twin.close()
        self._connection = connection
        self._far = MessageMemory(
            self._twin or connection, piece=theirs.max_data_xfer_size, wait=self._await, alone=self._twin is not None
        )
        inbox = self._inbox = self._native_inbox(connection)
        if inbox is not None and not isinstance(self._line, IntxLine):
            inbox.signal_by(self._signaller)
            self._line.connect(inbox.edger, inbox.address)
        self._session = Session(
            connection,
            device=self._device,
            memory=self._memory,
            line=self._line,
            far=self._far,
            on_listener=inbox.listen if inbox is not None else _nobody,
            signaller=self._signaller,
            log=self._log,
        )
        self._lost, self._seen_stalled, self._told = None, None, 0
        self._left_over = True  # what came with VERSION
        self._say("client connected")

    def _lose(self) -> None:
        """The client is gone: what is its own goes, whatever the device makes of it."""
        session, connection = self._session, self._connection
        self._session = self._connection = self._far = None
        if not isinstance(self._line, IntxLine):
            self._line.connect(0, 0)
        self._inbox = None
        try:
            self._memory.clear()
            if session is not None:
                session.close()  # before the device: it may need the room
            self._device.reset(ResetKind.LOST_CLIENT)
        except Exception as exc:  # noqa: BLE001 - `run` raises it once all is put away
            self._failure = self._failure or exc
        finally:
            self._line.reset()
            if connection is not None:
                self._lobby.watch(connection.fd, writable=False)
                connection.close()
            self._close_twin()
            self._lost = None
            self._say("client left")

    def _say(self, what: str) -> None:
        """Tell of clients that come and go, but not for ever: one that does nothing else would fill a disk."""
        self._said += 1
        self._log.log(logging.INFO if self._said <= TOLD else logging.DEBUG, what)

    def _native_inbox(self, connection: Connection) -> "NativeInbox | None":
        if self._native is None:
            return None
        from plx9x5x.transport.wire.hot import NativeInbox  # noqa: PLC0415 - there only if it was compiled

        assert isinstance(connection.inbox, NativeInbox), "_connect() makes no other on this plane"
        return connection.inbox

    def _close_twin(self) -> None:
        if self._twin is not None:
            self._twin.close()
        self._twin = None

    # Setting up.

    def _listen(self) -> socket.socket:
        assert self._file is not None, "neither a path nor a socket"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            with self._file.claim():
                listening.bind(str(self._file.path))
                listening.listen(BACKLOG)
        except OSError as exc:
            listening.close()
            raise SetupError(
                f"cannot listen on {self._file.path}: {exc.strerror}",
                hint="choose another --socket-path, in a folder that you can write",
            ) from exc
        except BaseException:
            listening.close()
            raise
        return listening

    def _connect(self, peer: socket.socket) -> Connection:
        if self._native is None:
            return Connection(peer)
        from plx9x5x.transport.wire.hot import NativeInbox  # noqa: PLC0415 - there only if it was compiled

        native, asker = self._native, self._asker
        assert asker is not None, "_native_serving() has made it"
        return Connection(peer, lambda socket: NativeInbox(socket, native, asker))

    def _edge(self) -> bool:
        return self._session is not None and self._session.edge()

    def _native_serving(self) -> "NativeServing":
        from plx9x5x.plane.line import NativeLine  # noqa: PLC0415 - there only if it was compiled
        from plx9x5x.plane.serving import NativeServing  # noqa: PLC0415 - as above
        from plx9x5x.transport.wire.hot import Asker, taker  # noqa: PLC0415 - as above

        assert isinstance(self._line, NativeLine), "make_line() makes no other on this plane"
        sizes = [spec.size for spec in self._device.regions]
        self._asker = Asker(sizes, self._asked_to_read, self._asked_to_write)
        native = NativeServing(take=taker(), wake_fd=-1, batch=self._batch, budget=self._budget, line=self._line)
        if isinstance(self._device, Paged):
            for bar, page in self._device.pages.items():
                native.show(bar, page)
            if self._device.part is not None:
                native.ask(self._device.part)
        return native


def _nobody(_fd: int) -> None:
    """Edges are sent from here, where the session knows who listens."""


def _poll(*fds: int) -> NanoPoll:
    poll = NanoPoll()
    for fd in fds:
        poll.register(fd)
    return poll


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)
