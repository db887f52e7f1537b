"""What NetworkManager says of this machine's network, over D-Bus: whether it is metered, and its connectivity.

It reads two properties and changes nothing. It decides nothing either: `core.metering` does. Neither a system bus nor a
NetworkManager has to be there, and each may come, go and come again; in the meantime nothing is said. Others on the bus
may send this process what they like: only the name's owner is listened to (dbus-daemon vouches for senders), and a
message of more than LONGEST_MESSAGE bytes ends the connection.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

from jeepney import DBusAddress, HeaderFields, MatchRule, Message, MessageFlag, MessageType, Properties, message_bus
from jeepney.auth import BEGIN, AuthenticationError, Authenticator
from jeepney.bus import get_connectable_addresses
from jeepney.low_level import calc_msg_size

from homebred_daemon.core.metering import SILENCE, ManagerWord, saying

NAME = "org.freedesktop.NetworkManager"
PATH = "/org/freedesktop/NetworkManager"
BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
DEFAULT_BUS = "unix:path=/run/dbus/system_bus_socket"
RETRY_S = 10.0
"""Between two looks for a system bus that is not there."""
LONGEST_MESSAGE = 1_000_000
"""Bytes; all that NetworkManager says of itself is a hundredth of that."""
_LONGEST_LINE = 1024
_HEAD_BYTES = 16
"""Of a message: from them its length is known."""
_UNREADABLE = (ValueError, LookupError, TypeError, AssertionError, RecursionError, struct.error)
"""What the library raises for a message that it cannot read."""


def system_bus(environ: Mapping[str, str]) -> str | None:
    """The socket of D-Bus's system bus; None: the environment names one that is no Unix socket."""
    try:
        socket: str = next(get_connectable_addresses(environ.get(BUS_VARIABLE) or DEFAULT_BUS))
    except (RuntimeError, ValueError):
        return None
    return socket


async def listen(heard: Callable[[ManagerWord], None], bus: str, *, retry_s: float = RETRY_S) -> None:
    """Calls `heard` whenever NetworkManager on a bus says something else, until cancelled."""
    while True:
        with suppress(OSError, EOFError, AuthenticationError):  # not there, gone, or not for this user
            await _hear(heard, bus)
        heard(SILENCE)
        await asyncio.sleep(retry_s)


class Conversation:
    """What is said on one connection, without the connection: messages in, messages out."""

    def __init__(self) -> None:
        self.word = SILENCE
        """NetworkManager's last."""
        self._owner = ""
        """The connection that has NetworkManager's name; empty: none."""
        self._serials = count(1)
        self._asked_who = self._asked_all = 0

    def opening(self) -> Iterator[Message]:
        """What to send first: changes are asked for before the state, so that none falls between."""
        appears = MatchRule(type="signal", sender=message_bus.bus_name, member="NameOwnerChanged")
        appears.add_arg_condition(0, NAME)
        changes = MatchRule(type="signal", sender=NAME, path=PATH, member="PropertiesChanged")
        changes.add_arg_condition(0, NAME)
        yield self._numbered(message_bus.Hello())
        yield self._numbered(message_bus.AddMatch(appears))
        yield self._numbered(message_bus.AddMatch(changes))
        asks_who = self._numbered(message_bus.GetNameOwner(NAME))
        self._asked_who = asks_who.header.serial
        yield asks_who

    def heard(self, message: Message) -> Iterator[Message]:
        """Takes a message in; what to send upon it."""
        fields = message.header.fields
        sender, answers = fields.get(HeaderFields.sender), fields.get(HeaderFields.reply_serial)
        match message.header.message_type, sender, fields.get(HeaderFields.member), message.body:
            case MessageType.method_return, message_bus.bus_name, _, (str(owner),) if answers == self._asked_who:
                yield from self._owned_by(owner)
            case MessageType.signal, message_bus.bus_name, "NameOwnerChanged", (_, _, str(owner)):
                yield from self._owned_by(owner)
            case MessageType.method_return, self._owner, _, (dict(values),) if answers == self._asked_all:
                self._take(values)
            case MessageType.signal, self._owner, "PropertiesChanged", (str(name), dict(values), _) if name == NAME:
                self._take(values)

    def _owned_by(self, owner: str) -> Iterator[Message]:
        self._owner, self.word = owner, SILENCE
        if owner:
            asks = self._numbered(Properties(DBusAddress(PATH, bus_name=owner, interface=NAME)).get_all())
            self._asked_all = asks.header.serial
            yield asks

    def _take(self, values: Mapping[str, Any]) -> None:
        """Takes properties in, each a pair of type and value; those that are not among them stay as they were."""
        metered, connectivity = self.word.metered, self.word.connectivity
        match values.get("Metered"):
            case "u", number:
                metered = saying(number)
        match values.get("Connectivity"):
            case "u", int(state):
                connectivity = state
        self.word = ManagerWord(metered=metered, connectivity=connectivity)

    def _numbered(self, message: Message) -> Message:
        message.header.serial = next(self._serials)
        message.header.flags = MessageFlag.no_auto_start  # a NetworkManager that does not run is not wanted
        return message


async def _hear(heard: Callable[[ManagerWord], None], bus: str) -> None:
    """Listens on one connection.

    Raises:
        OSError, EOFError: there is no bus, or it is gone.
        AuthenticationError: it does not take this user.
    """
    reader, writer = await asyncio.open_unix_connection(bus)
    try:
        await _introduce(reader, writer)
        conversation = Conversation()
        _send(writer, conversation.opening())
        while True:
            before = conversation.word
            if (message := await _next_message(reader)) is not None:
                _send(writer, conversation.heard(message))
            if conversation.word != before:
                heard(conversation.word)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _introduce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says who this is (D-Bus specification, "Authentication Protocol"); the kernel vouches for it."""
    introduction = Authenticator()
    for line in introduction:
        writer.write(line)
        if not (answer := await reader.read(_LONGEST_LINE)):
            raise EOFError
        introduction.feed(answer)
    writer.write(BEGIN)


def _send(writer: asyncio.StreamWriter, messages: Iterator[Message]) -> None:
    """Sends a few short messages, for which no buffer is too small."""
    for message in messages:
        writer.write(message.serialise())


async def _next_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None: it cannot be read.

    Raises:
        EOFError: the connection is over.
        ConnectionAbortedError: it is too long, or no message at all.
    """
    head = await reader.readexactly(_HEAD_BYTES)
    try:
        length = calc_msg_size(head)
    except _UNREADABLE as error:
        raise ConnectionAbortedError from error
    if length > LONGEST_MESSAGE:
        raise ConnectionAbortedError
    raw = head + await reader.readexactly(length - _HEAD_BYTES)
    try:
        return Message.from_buffer(raw)
    except _UNREADABLE:
        return None
