"""A broker in memory and its connections: what the fleet relies on of MQTT 5, in virtual time and without a thread.

`FakeConnection` fulfils `mqtt.MqttConnection`; tests/contract/test_mqtt_connection.py holds it to what mosquitto does.
Orders wait until `settle`, or are obeyed at once where the broker is `eager`.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from homebred_protocol.mqtt import Arrived, Connected, Delivered, Ended, HandOver, Happening, SessionTerms, Will

WILL_REASON = "lost"
MayDo = Callable[[str, str, str], bool]
"""Whether a client (its id) may `read` or `write` a topic."""


@dataclass
class Message:
    """One publication."""

    topic: str
    payload: bytes
    retain: bool
    expires_at_s: float | None


@dataclass
class Session:
    """What the broker remembers of a client."""

    expiry_s: int
    subscriptions: list[str] = field(default_factory=list)
    waiting: deque[tuple[Message, bool]] = field(default_factory=deque)
    """Not sent yet, with what its retain flag will be."""
    unacknowledged: dict[int, tuple[Message, bool]] = field(default_factory=dict)
    connection: FakeConnection | None = None
    ends_at_s: float | None = None


class FakeBroker:
    """A broker whose time passes when a test says so."""

    def __init__(self, *, eager: bool = False, may_do: MayDo = lambda _client, _act, _topic: True) -> None:
        self.now_s = 0.0
        self.reachable = True
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Message] = {}
        self.published: list[tuple[str, str, bytes]] = []
        """(client, topic, payload) of all that was taken; wills among them."""
        self._eager = eager
        self._may_do = may_do
        self._orders: deque[Callable[[], None]] = deque()
        self._settling = False
        self._wills: list[tuple[float, str, Will]] = []
        self._turns: dict[str, int] = {}
        self._receipts = itertools.count(1)

    def connection(self, hand_over: HandOver) -> FakeConnection:
        """A client that is not connected yet."""
        return FakeConnection(self, hand_over)

    def settle(self) -> None:
        """Obeys orders until none is left."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._orders:
                self._orders.popleft()()
        finally:
            self._settling = False

    def pass_s(self, seconds: float) -> None:
        """Lets time pass: wills are said, sessions end."""
        self.now_s += seconds
        due = [will for will in self._wills if will[0] <= self.now_s]
        if due:
            self._wills = [will for will in self._wills if will[0] > self.now_s]
        for _, client, will in due:
            self._take(client, Message(will.topic, will.payload, retain=True, expires_at_s=None))
        for client, session in list(self.sessions.items()):
            if session.ends_at_s is not None and session.ends_at_s <= self.now_s:
                del self.sessions[client]
        self.settle()

    def cut(self, client: str) -> None:
        """The client's network fails: both sides notice."""
        session = self.sessions.get(client)
        if session is not None and session.connection is not None:
            self._lose(session.connection, "lost", with_will=True)
            self.settle()

    def restart(self, *, remembers: bool) -> None:
        """The broker is killed and starts again, with its retained messages and sessions or without."""
        for session in list(self.sessions.values()):
            if session.connection is not None:
                self._lose(session.connection, "lost", with_will=False)
        self._wills.clear()
        if not remembers:
            self.sessions.clear()
            self.retained.clear()
        self.settle()

    def order(self, order: Callable[[], None]) -> None:
        """From a connection."""
        self._orders.append(order)
        if self._eager:
            self.settle()

    def open(self, connection: FakeConnection, terms: SessionTerms) -> None:
        """CONNECT."""
        if connection.terms is not None:
            self._lose(connection, "closed", with_will=True)
        if not self.reachable:
            connection.tell(Ended("unreachable"))
            return
        session = self.sessions.get(terms.client_id)
        if session is not None and session.connection is not None:
            self._lose(session.connection, "taken_over", with_will=True)
            session = self.sessions.get(terms.client_id)
        present = session is not None and not terms.clean_start
        if session is None or terms.clean_start:
            session = self.sessions[terms.client_id] = Session(terms.session_expiry_s)
            self._say_wills_of(terms.client_id)  # the old session ended, and no delay outlives it
        self._wills = [will for will in self._wills if will[1] != terms.client_id]
        session.expiry_s, session.ends_at_s, session.connection = terms.session_expiry_s, None, connection
        session.waiting.extendleft(reversed(session.unacknowledged.values()))
        session.unacknowledged.clear()
        connection.terms = terms
        connection.tell(Connected(session_present=present))
        self._send(session)

    def subscribe(self, connection: FakeConnection, topics: tuple[str, ...]) -> None:
        """SUBSCRIBE, and the retained messages that follow from it."""
        session = self._session_of(connection)
        if session is None or connection.terms is None:
            return
        for topic in topics:
            if not self._may_do(connection.terms.client_id, "read", topic):
                self._lose(connection, "unauthorised", with_will=True)
                return
            if topic not in session.subscriptions:
                session.subscriptions.append(topic)
            if not topic.startswith("$share/"):
                session.waiting.extend((m, True) for name, m in self.retained.items() if matches(topic, name))
        self._send(session)

    def publish(self, connection: FakeConnection, message: Message, token: int) -> None:
        """PUBLISH at QoS 1, and its PUBACK."""
        client = connection.terms.client_id if connection.terms is not None else None
        allowed = client is not None and self._may_do(client, "write", message.topic)
        heard = client is None or not allowed or self._take(client, message)
        connection.tell(Delivered(token, ok=allowed, heard=heard))

    def acknowledge(self, connection: FakeConnection, receipt: int) -> None:
        """PUBACK; makes room for the next."""
        session = self._session_of(connection)
        if session is not None and session.unacknowledged.pop(receipt, None) is not None:
            self._send(session)

    def disconnect(self, connection: FakeConnection, *, with_will: bool) -> None:
        """DISCONNECT."""
        if connection.terms is None:
            connection.tell(Ended("closed"))
        else:
            self._lose(connection, "closed", with_will=with_will)

    def forget(self, connection: FakeConnection) -> None:
        """The socket was closed without a word."""
        if connection.terms is not None:
            self._lose(connection, "", with_will=True)

    def _session_of(self, connection: FakeConnection) -> Session | None:
        return self.sessions.get(connection.terms.client_id) if connection.terms is not None else None

    def _lose(self, connection: FakeConnection, reason: str, *, with_will: bool) -> None:
        terms, session = connection.terms, self._session_of(connection)
        if terms is None or session is None:
            return
        connection.terms = None
        session.connection = None
        session.ends_at_s = self.now_s + session.expiry_s
        if with_will and terms.will is not None:
            delay_s = min(terms.will.delay_s, terms.session_expiry_s)
            self._wills.append((self.now_s + delay_s, terms.client_id, terms.will))
        if session.expiry_s == 0:
            del self.sessions[terms.client_id]
            self._say_wills_of(terms.client_id)
        if reason:
            connection.tell(Ended(reason))

    def _say_wills_of(self, client: str) -> None:
        for _, owner, will in [each for each in self._wills if each[1] == client]:
            self._take(owner, Message(will.topic, will.payload, retain=True, expires_at_s=None))
        self._wills = [will for will in self._wills if will[1] != client]

    def _take(self, client: str, message: Message) -> bool:
        """Whether anybody subscribes to it."""
        self.published.append((client, message.topic, message.payload))
        if message.retain:
            if message.payload:
                self.retained[message.topic] = message
            else:
                self.retained.pop(message.topic, None)
        groups: dict[str, list[Session]] = {}
        heard = False
        for session in list(self.sessions.values()):
            plain = False
            for subscription in session.subscriptions:
                if subscription.startswith("$share/"):
                    if matches(subscription.split("/", 2)[2], message.topic):
                        groups.setdefault(subscription, []).append(session)
                elif not plain and matches(subscription, message.topic):
                    plain = heard = True
                    session.waiting.append((message, False))
                    self._send(session)
        for group, members in groups.items():
            turn = self._turns[group] = self._turns.get(group, -1) + 1
            chosen = members[turn % len(members)]
            chosen.waiting.append((message, False))
            self._send(chosen)
        return heard or bool(groups)

    def _send(self, session: Session) -> None:
        connection = session.connection
        while connection is not None and connection.terms is not None and session.waiting:
            if len(session.unacknowledged) >= connection.terms.receive_maximum:
                return
            message, retained = session.waiting.popleft()
            if message.expires_at_s is not None and message.expires_at_s <= self.now_s:
                continue
            receipt = next(self._receipts)
            session.unacknowledged[receipt] = (message, retained)
            connection.tell(Arrived(message.topic, message.payload, retained=retained, receipt=receipt))


class FakeConnection:
    """Fulfils `mqtt.MqttConnection`."""

    def __init__(self, broker: FakeBroker, hand_over: HandOver) -> None:
        self.terms: SessionTerms | None = None
        """None: not connected."""
        self._broker = broker
        self._hand_over = hand_over
        self._closed = False

    def connect(self, terms: SessionTerms) -> None:
        self._broker.order(lambda: self._broker.open(self, terms))

    def subscribe(self, topics: tuple[str, ...]) -> None:
        self._broker.order(lambda: self._broker.subscribe(self, topics))

    def publish(self, topic: str, payload: bytes, *, token: int, retain: bool = False, expiry_s: int = 0) -> None:
        expires_at_s = self._broker.now_s + expiry_s if expiry_s else None
        message = Message(topic, payload, retain, expires_at_s)
        self._broker.order(lambda: self._broker.publish(self, message, token))

    def acknowledge(self, receipt: int) -> None:
        self._broker.order(lambda: self._broker.acknowledge(self, receipt))

    def disconnect(self, *, with_will: bool = False) -> None:
        self._broker.order(lambda: self._broker.disconnect(self, with_will=with_will))

    def close(self) -> None:
        self._closed = True
        self._broker.order(lambda: self._broker.forget(self))

    def tell(self, happening: Happening) -> None:
        """From the broker."""
        if not self._closed:
            self._hand_over(happening)


@lru_cache(maxsize=4096)
def matches(pattern: str, topic: str) -> bool:
    """Whether a topic is one of a subscription's (MQTT 5 §4.7)."""
    wanted, levels = pattern.split("/"), topic.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)
