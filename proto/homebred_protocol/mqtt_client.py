"""One MQTT 5 connection by paho, from its first packet to its end; the only module that imports paho.

paho keeps sessions and queues in memory alone, and queues what is published before it is connected. So each connection
has a fresh client, what is published without one is refused at once, and nothing outlives it. When its socket is read
and written says `mqtt_thread`; everything here runs on that thread.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from typing_extensions import override

from homebred_protocol.mqtt import Arrived, Connected, Credentials, Delivered, Ended, Endpoint, Happening, SessionTerms

CLOSE_TIMEOUT_S = 5.0
"""How long a goodbye may take to be written."""
MOST_ON_THEIR_WAY = 8192
"""Publications without an acknowledgement; more are refused."""
MOST_IN_FLIGHT = 512
"""Of those, the ones already on the wire, where the broker allows it."""
MOST_UNACKNOWLEDGED = 8192
"""Messages that came, and were not acknowledged: far above a receive maximum, which mosquitto 2.0 itself oversteps."""
LONGEST_WAIT_S = 5.0
"""Between two looks at the keepalive."""
READS_IN_A_ROW = 100
"""Of what TLS has decrypted already, which epoll does not see."""

UNAUTHORISED = frozenset({134, 135, 138, 140})
"""Reason codes (MQTT 5 §2.4): bad user name, not authorized, banned, bad authentication method."""
TAKEN_OVER = 142
NO_SUBSCRIBERS = 16
WITH_WILL = 4

PUBLISH = 3
QOS_BITS, QOS_1 = 0b0110, 0b0010
FROM_BROKER = frozenset({2, PUBLISH, 4, 9, 13, 14})
"""CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT (MQTT 5 §2.1.2): all that a broker has to say at QoS 1."""

_receipts = itertools.count(1)
"""Of all connections: a packet id is used again by the next."""


class PahoConnection:
    """One connection and its client."""

    def __init__(
        self,
        endpoint: Endpoint,
        terms: SessionTerms,
        selector: selectors.EpollSelector,
        tell: Callable[[PahoConnection, Happening], None],
        timeout_s: float,
    ) -> None:
        self._endpoint = endpoint
        self._terms = terms
        self._selector = selector
        self._hear = tell
        self._timeout_s = timeout_s
        self._client = self._made_client()
        self._events = selectors.EVENT_READ
        self._tokens: dict[int, int] = {}
        """Token by packet id, of publications without an acknowledgement."""
        self._most_in_flight = 1
        self._unsent: deque[Callable[[], None]] = deque()
        """Publications for which the broker has no room yet (its Receive Maximum, MQTT 5 §3.2.2.3.3)."""
        self._messages: dict[int, MQTTMessage] = {}
        """By receipt: what the broker waits for."""
        self._unacknowledged_bytes = 0
        self._connected = False
        self._ended = False
        self._deadline_s: float | None = None
        """By when the broker must have answered, or a goodbye must be written."""
        self._asked: dict[int, tuple[str, ...]] = {}
        """Topics by the packet id of a SUBSCRIBE."""
        self._complaint = ""
        """The last error that paho logged before the broker's answer: TLS 1.3 refuses a client after the handshake."""
        self._broker_max_packet_bytes = 0
        self._more_to_read = False

    def open(self) -> None:
        """Connects; may take the timeout for TCP and again for TLS."""
        try:
            if self._endpoint.credentials is not None:
                self._client.use_tls(_tls(self._endpoint.credentials))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.end("tls", f"its own files: {error}")
            return
        try:
            self._client.connect(
                self._endpoint.host,
                self._endpoint.port,
                keepalive=self._terms.keepalive_s,
                clean_start=self._terms.clean_start,
                properties=self._session_properties(),
            )
        except ssl.SSLError as error:
            self.end("tls", str(error))
        except (OSError, UnicodeError) as error:  # a host's name that is none is a UnicodeError
            self.end("unreachable", str(error))
        else:
            self._deadline_s = time.monotonic() + self._timeout_s

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """At QoS 1; what is refused ends the connection."""
        if self._connected:
            self._guarded(lambda: self._ask_for(topics))

    def publish(self, topic: str, payload: bytes, token: int, *, retain: bool, expiry_s: int) -> bool:
        """At QoS 1; False: it is not on its way, and never will be."""
        too_large = 0 < self._broker_max_packet_bytes < len(payload) + len(topic) + 32
        waiting = len(self._tokens) + len(self._unsent)
        if not self._connected or self._ended or too_large or waiting >= MOST_ON_THEIR_WAY:
            return False
        self._unsent.append(lambda: self._send(topic, payload, token, retain=retain, expiry_s=expiry_s))
        self._guarded(self._send_more)
        return True

    def acknowledge(self, receipt: int) -> None:
        """Sends the PUBACK of a message of this connection."""
        message = self._messages.pop(receipt, None)
        if message is not None:
            self._unacknowledged_bytes -= len(message.payload)
            self._guarded(lambda: self._client.ack(message.mid, message.qos))

    def say_goodbye(self, *, with_will: bool) -> None:
        """Writes what is on the wire already, then DISCONNECT (MQTT 5 §3.14)."""
        if not self._connected:
            self.end("closed", "before it was connected")
            return
        self._deadline_s = time.monotonic() + CLOSE_TIMEOUT_S
        reason = ReasonCode(PacketTypes.DISCONNECT, identifier=WITH_WILL if with_will else 0)
        self._guarded(lambda: self._client.disconnect(reason))

    def wait_s(self) -> float:
        """Until something must be looked at without an event."""
        if self._more_to_read:
            return 0
        longest_s = LONGEST_WAIT_S if self._deadline_s is None else 0.25
        return min(longest_s, self._terms.keepalive_s / 4)

    def move(self, events: int) -> None:
        """Reads and writes what the socket has and takes."""
        if events & selectors.EVENT_WRITE:
            self._guarded(self._client.loop_write)
        if events & selectors.EVENT_READ or self._more_to_read:
            self._guarded(self._read)

    def tend(self, now_s: float) -> None:
        """Keeps alive, gives up on what takes too long, and waits for what there is to write."""
        self._guarded(self._client.loop_misc)
        if self._ended:
            return
        if self._deadline_s is not None and now_s >= self._deadline_s:
            self.end("lost" if self._connected else "unreachable", "no answer in time")
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        if wanted != self._events and (opened := self._client.socket()) is not None:
            self._events = wanted
            self._selector.modify(opened, wanted)

    def end(self, reason: str, detail: str = "") -> None:
        """Says once that there is no connection any more."""
        if not self._ended:
            self.drop()
            self._tell(Ended(reason, detail))

    def drop(self) -> None:
        """Closes without a word; the broker says the will."""
        if not self._ended:
            self._ended = True
            opened = self._client.socket()
            if opened is not None:
                self._forget(opened)
                opened.close()

    def _ask_for(self, topics: tuple[str, ...]) -> None:
        _, packet_id = self._client.subscribe([(topic, 1) for topic in topics])
        if packet_id is not None:
            self._asked[packet_id] = topics

    def _send_more(self) -> None:
        while self._unsent and len(self._tokens) < self._most_in_flight:
            self._unsent.popleft()()

    def _send(self, topic: str, payload: bytes, token: int, *, retain: bool, expiry_s: int) -> None:
        terms = _properties(PacketTypes.PUBLISH, MessageExpiryInterval=expiry_s) if expiry_s else None
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=terms)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:  # the packet id is still in use
            self._tell(Delivered(token, ok=False))
        else:
            self._tokens[info.mid] = token

    def _read(self) -> None:
        for _ in range(READS_IN_A_ROW):
            self._client.loop_read()
            opened = self._client.socket()
            self._more_to_read = not self._ended and isinstance(opened, ssl.SSLSocket) and opened.pending() > 0
            if not self._more_to_read:
                return

    def _guarded(self, act: Callable[[], object]) -> None:
        """What a hostile broker makes paho trip over ends the connection, and nothing else."""
        if self._ended:
            return
        try:
            act()
        except _HandOverError:
            raise
        except _BreachError as error:
            self.end("lost", str(error))
        except Exception as error:  # noqa: BLE001 - paho raises whatever its parsing met
            self.end("lost", f"{type(error).__name__}: {error}")

    def _tell(self, happening: Happening) -> None:
        try:
            self._hear(self, happening)
        except Exception as error:
            raise _HandOverError from error

    def _made_client(self) -> _Client:
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._terms.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.max_packet_bytes = self._terms.max_packet_bytes
        client.connect_timeout = self._timeout_s
        client.max_inflight_messages_set(65_535)  # it keeps no queue of its own: see `_unsent`
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_log = self._on_log
        client.on_socket_open = lambda _client, _data, opened: self._remember(opened)
        client.on_socket_close = lambda _client, _data, opened: self._forget(opened)
        if self._terms.will is not None:
            delay = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=self._terms.will.delay_s)
            client.will_set(self._terms.will.topic, self._terms.will.payload, qos=1, retain=True, properties=delay)
        return client

    def _session_properties(self) -> Properties:
        return _properties(
            PacketTypes.CONNECT,
            SessionExpiryInterval=self._terms.session_expiry_s,
            ReceiveMaximum=self._terms.receive_maximum,
            MaximumPacketSize=self._terms.max_packet_bytes,
        )

    def _remember(self, opened: Any) -> None:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small packets that the other side waits for
        self._events = selectors.EVENT_READ
        self._selector.register(opened, self._events)

    def _forget(self, opened: Any) -> None:
        if opened.fileno() >= 0 and opened.fileno() in self._selector.get_map():
            self._selector.unregister(opened)

    def _on_log(self, _client: Client, _data: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._complaint = text

    def _on_connect(
        self, client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self.end(_word(reason, "refused"), str(reason))
            return
        self._connected = True
        self._deadline_s = None
        client.on_log = None  # each packet would be written out for it
        self._most_in_flight = min(MOST_IN_FLIGHT, getattr(properties, "ReceiveMaximum", MOST_IN_FLIGHT))
        self._broker_max_packet_bytes = getattr(properties, "MaximumPacketSize", 0)
        self._tell(Connected(session_present=flags.session_present))

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.end("taken_over" if reason.value == TAKEN_OVER else _word(reason, "lost"), str(reason))
        elif not reason.is_failure and self._connected:
            self.end("closed")
        elif not self._connected and "SSL" in self._complaint:
            self.end("tls", self._complaint)
        else:
            hint = "" if self._connected else "; before the broker answered: it may not take this client's certificate"
            self.end("lost", f"{self._complaint or reason}{hint}")

    def _on_subscribe(
        self, _client: Client, _data: object, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        for topic, reason in zip(self._asked.pop(mid, ()), reasons, strict=False):
            if reason.is_failure:
                self.end(_word(reason, "refused"), f"{topic}: {reason}")
                return

    def _on_publish(
        self, _client: Client, _data: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        token = self._tokens.pop(mid, None)
        if token is not None:
            self._tell(Delivered(token, ok=not reason.is_failure, heard=reason.value != NO_SUBSCRIBERS))
            self._send_more()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.qos != 1:
            return  # nobody here publishes otherwise, and no receive maximum would hold it back
        self._unacknowledged_bytes += len(message.payload)
        most_bytes = self._terms.receive_maximum * self._terms.max_packet_bytes
        if len(self._messages) >= MOST_UNACKNOWLEDGED or self._unacknowledged_bytes > most_bytes:
            held = f"{len(self._messages)} messages and {self._unacknowledged_bytes} bytes wait unacknowledged"
            raise _BreachError(f"the broker does not keep to the receive maximum: {held}")
        receipt = next(_receipts)
        self._messages[receipt] = message
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # no topic of ours; whoever gets it counts it like any other that it does not know
        self._tell(Arrived(topic, bytes(message.payload), retained=message.retain, receipt=receipt))


class _HandOverError(Exception):
    """Whoever is handed over to failed: its fault ends the thread, not as the broker's."""


class _BreachError(Exception):
    """The broker does not keep to what it was told at CONNECT; the connection ends before that costs memory."""


class _Client(Client):
    """paho's, held to what was agreed.

    paho itself leaves a socket open where its handshake fails, tries proxies of the environment, buffers packets of any
    length, and keeps QoS 2 messages and answers for as long as the broker wants.
    """

    max_packet_bytes = 0
    _context: ssl.SSLContext | None = None

    def use_tls(self, context: ssl.SSLContext) -> None:
        """From the first byte on; were `_create_socket` not called any more, paho would do it in its own way."""
        self._context = context
        self.tls_set_context(context)

    @override
    def _create_socket(self) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), self.connect_timeout)
        if self._context is None:
            return plain
        try:
            return self._context.wrap_socket(plain, server_hostname=self.host)
        finally:
            plain.close()  # TLS has its own, or there is none

    @override
    def _sock_recv(self, bufsize: int) -> bytes:
        """As much as it asks for is what a packet still lacks: at its beginning, its whole length."""
        if bufsize > self.max_packet_bytes:
            raise _BreachError(f"the broker sent a packet of {bufsize} bytes, above the {self.max_packet_bytes} told")
        return super()._sock_recv(bufsize)

    @override
    def _packet_handle(self) -> MQTTErrorCode:
        first = self._in_packet["command"]
        if first >> 4 not in FROM_BROKER or (first >> 4 == PUBLISH and first & QOS_BITS > QOS_1):
            raise _BreachError(f"the broker sent a packet that nobody asked for, 0x{first:02x}")
        return super()._packet_handle()


def _word(reason: ReasonCode, otherwise: str) -> str:
    return "unauthorised" if reason.value in UNAUTHORISED else otherwise


def _properties(packet: int, **values: int) -> Properties:
    made = Properties(packet)  # type: ignore[no-untyped-call]  # paho left it without types
    for name, value in values.items():
        setattr(made, name, value)
    return made


def _tls(credentials: Credentials) -> ssl.SSLContext:
    """Both ends show certificates; the broker's must be of these authorities and for the host's name."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(credentials.authorities))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(credentials.certificate, credentials.key)
    return context
