"""Stands before gRPC on the public Unix socket and lets the kernel say who calls.

grpcio takes no inherited socket and shows no user id. So this relay accepts, asks the kernel who connected, and carries
the bytes to gRPC's private socket from an end of its own, whose abstract name nobody can guess. By that name, which
`context.peer()` tells, a call finds its Peer; whoever reaches the private socket by another way has none.

Connections over the bound are closed at once, and what a client leaves unread is ended. No message is interpreted.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from homebred_daemon.adapters.grpc_api.connection import Connection
from homebred_daemon.adapters.peer_credentials import attested_peer
from homebred_daemon.core.access import Peer
from homebred_daemon.errors import OverloadedError, RequestError, UnattestedError

MAX_CONNECTIONS: Final = 192
"""Each takes three descriptors of this process, which services commonly have 1,024 of."""
MAX_CONNECTIONS_OF_A_USER: Final = 128
UNREAD_GRACE_S: Final = 1.0
"""The call's own handler notices first, and records why it ended."""
REFUSAL_TOLD_S: Final = 10.0
FLUSH_S: Final = 1.0
"""What gRPC has already said at the end gets this long to reach the clients."""

_BUFFER_BYTES: Final = 65_536
_NAME_BYTES: Final = 16
_PEER_SCHEME: Final = "unix-abstract:"
_RETRY_S: Final = 0.05
_MAX_LOOK_S: Final = 5.0
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRules:
    """What the relay bounds, and whom it tells."""

    unread_timeout_s: float
    """Longest time a client may leave its answers unread."""
    on_refusal: Callable[[RequestError], None]
    """Hears why a connection was closed at once; of more than one in REFUSAL_TOLD_S only the first."""
    max_connections: int = MAX_CONNECTIONS
    max_connections_of_a_user: int = MAX_CONNECTIONS_OF_A_USER


class Relay:
    """The connections of one listening socket, for as long as `running` lasts."""

    def __init__(self, listener: socket.socket, backend: Path, rules: RelayRules) -> None:
        self._listener = listener
        self._backend = str(backend)
        self._rules = rules
        self._buffer = bytearray(_BUFFER_BYTES)
        self._connections: dict[Connection, str] = {}
        """Each with what gRPC calls it."""
        self._peers: dict[str, Peer] = {}
        self._of_user: Counter[int] = Counter()
        self._accepting: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()
        self._told_s = -REFUSAL_TOLD_S

    @property
    def connections(self) -> int:
        """Those that are open."""
        return len(self._connections)

    def peer_of(self, context: grpc.aio.ServicerContext[Any, Any]) -> Peer:
        """Who makes this call, as the kernel attests.

        Raises:
            UnattestedError: it did not come through this relay, or its connection is gone.
        """
        peer = self._peers.get(context.peer())
        if peer is None:
            raise UnattestedError
        return peer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relays for as long as the context lasts; on leaving, connections get a moment to end by themselves."""
        self._listener.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        async with asyncio.TaskGroup() as tasks:
            self._accepting = tasks.create_task(self._accept())
            looking = tasks.create_task(self._end_unread())
            try:
                yield
            finally:
                self.accept_no_more()
                looking.cancel()
                await self._flush()

    def accept_no_more(self) -> None:
        """Leaves new clients in the listening socket's queue; those that are connected are served on."""
        if self._accepting is not None:
            self._accepting.cancel()

    async def _flush(self) -> None:
        if self._connections:
            self._empty.clear()
            try:
                async with asyncio.timeout(FLUSH_S):
                    await self._empty.wait()
            except TimeoutError:
                for connection in list(self._connections):
                    connection.abort()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listener)
            except ConnectionAbortedError:
                continue  # it left before its turn
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                await asyncio.sleep(_RETRY_S)  # it waits in the socket's queue until another connection closes
                continue
            try:
                await self._admit(accepted)
            except RequestError as refusal:
                accepted.close()
                self._tell(refusal)
            except BaseException:
                accepted.close()
                raise

    async def _admit(self, accepted: socket.socket) -> None:
        """Attests a new connection and joins it to gRPC.

        Raises:
            RequestError: it may not stay.
        """
        peer = attested_peer(accepted)
        self._refuse_surplus(peer)
        loop = asyncio.get_running_loop()
        backend, address = await self._connected()
        connection = Connection(self._buffer, self._closed)
        self._connections[connection] = address
        self._peers[address] = peer
        self._of_user[peer.uid] += 1
        try:
            await loop.create_unix_connection(lambda: connection.server, sock=backend)
            await loop.connect_accepted_socket(lambda: connection.client, accepted)
        except BaseException:
            backend.close()
            connection.abort()
            self._closed(connection)
            raise
        connection.begin()

    def _tell(self, refusal: RequestError) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told_s >= REFUSAL_TOLD_S:
            self._told_s = now_s
            self._rules.on_refusal(refusal)

    def _refuse_surplus(self, peer: Peer) -> None:
        if len(self._connections) >= self._rules.max_connections:
            raise OverloadedError(f"{self._rules.max_connections} connections are open", retry_after_s=1.0)
        if self._of_user[peer.uid] >= self._rules.max_connections_of_a_user:
            raise OverloadedError(
                f"user {peer.uid} has {self._rules.max_connections_of_a_user} connections open", retry_after_s=1.0
            )

    async def _connected(self) -> tuple[socket.socket, str]:
        """A socket connected to gRPC's own, and what gRPC calls it."""
        name = f"homebred.{secrets.token_hex(_NAME_BYTES)}"
        try:
            backend = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise OverloadedError(f"no socket is left: {error.strerror}", retry_after_s=1.0) from error
        try:
            backend.bind(f"\0{name}")
            while True:
                try:
                    backend.connect(self._backend)
                except BlockingIOError:
                    await asyncio.sleep(_RETRY_S)  # its queue is full (connect(2): EAGAIN)
                else:
                    return backend, _PEER_SCHEME + name
        except BaseException:
            backend.close()
            raise

    def _closed(self, connection: Connection) -> None:
        if connection not in self._connections:
            return  # it never got as far as to be relayed
        peer = self._peers.pop(self._connections.pop(connection))
        self._of_user[peer.uid] -= 1
        if not self._of_user[peer.uid]:
            del self._of_user[peer.uid]
        if not self._connections:
            self._empty.set()

    async def _end_unread(self) -> None:
        """Looks now and then for what was left unread too long."""
        bound_s = self._rules.unread_timeout_s + UNREAD_GRACE_S
        while True:
            await asyncio.sleep(min(bound_s / 4, _MAX_LOOK_S))
            since_s = asyncio.get_running_loop().time() - bound_s
            for connection in list(self._connections):
                connection.end_unread(since_s)
