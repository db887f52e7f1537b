"""Every MQTT topic between devices and controller: built and read here, and nowhere else.

    hb/1/<tenant>/d/<device>/desired      down, retained   Desired
    hb/1/<tenant>/d/<device>/tm-ack       down             TelemetryAck
    hb/1/<tenant>/d/<device>/cmd/<op>     down, expires    Command
    hb/1/<tenant>/d/<device>/rs           down             answers to rq
    hb/1/<tenant>/d/<device>/reported     up, retained     Reported
    hb/1/<tenant>/d/<device>/state        up, retained     DeviceState; the will
    hb/1/<tenant>/d/<device>/tm/<stream>  up               TelemetryBatch
    hb/1/<tenant>/d/<device>/rq/<op>      up               requests
    hb/1/<tenant>/d/<device>/cmd-rs       up               CommandResult
    hb/1/<tenant>/d/<device>/ev           up               receipts of releases
    hb/1/<tenant>/c/<cohort>/hint         down             a reason to look
    hb/1/<tenant>/stop                    down, retained   StopOrder

Building and reading are inverse to each other. What may be in a payload is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from homebred_protocol.ids import TENANT, is_device_id, is_label

ROOT = f"hb/1/{TENANT}"
STOP = f"{ROOT}/stop"
OPERATION = re.compile(r"[a-z][a-z0-9-]{0,30}")
STREAMS = ("gap", "receipt", "evidence", "route", "health")
"""In the order of their importance: the first are sent first and dropped last."""


class Down(str, Enum):
    """What a device is told."""

    DESIRED = "desired"
    ACK = "tm-ack"
    COMMAND = "cmd"
    RESPONSE = "rs"


class Up(str, Enum):
    """What a device tells."""

    REPORTED = "reported"
    STATE = "state"
    TELEMETRY = "tm"
    REQUEST = "rq"
    COMMAND_RESULT = "cmd-rs"
    RECEIPT = "ev"


WITH_NAME: frozenset[Down | Up] = frozenset({Down.COMMAND, Up.TELEMETRY, Up.REQUEST})
"""Those with one more level: an operation or a stream."""


@dataclass(frozen=True)
class DeviceTopic:
    """One topic of one device."""

    device: str
    kind: Down | Up
    name: str = ""
    """Operation or stream; empty: the kind has none."""

    def __post_init__(self) -> None:
        """Raises ValueError where it would be no topic."""
        if not is_device_id(self.device):
            raise ValueError(f"{self.device!r} is no device's name")
        if (self.kind in WITH_NAME) != bool(self.name) or (self.name and not OPERATION.fullmatch(self.name)):
            raise ValueError(f"{self.kind.value!r} with the name {self.name!r} is no topic")

    @property
    def text(self) -> str:
        """As MQTT knows it."""
        last = f"/{self.name}" if self.name else ""
        return f"{ROOT}/d/{self.device}/{self.kind.value}{last}"


def read(topic: str) -> DeviceTopic | None:
    """The topic of a device; None: it is none, or not one of this version."""
    if not topic.startswith(f"{ROOT}/d/"):
        return None
    device, _, rest = topic[len(ROOT) + 3 :].partition("/")
    word, _, name = rest.partition("/")
    kind = _KINDS.get(word)
    if kind is None or (rest.endswith("/") and not name):
        return None
    try:
        return DeviceTopic(device, kind, name)
    except ValueError:
        return None


_KINDS: dict[str, Down | Up] = {kind.value: kind for kind in (*Down, *Up)}


def subscriptions_of_device(device: str) -> tuple[str, ...]:
    """What a device subscribes to."""
    own = f"{ROOT}/d/{device}"
    return (STOP, f"{own}/desired", f"{own}/tm-ack", f"{own}/cmd/+", f"{own}/rs")


def subscriptions_of_controller() -> tuple[str, ...]:
    """What the controller subscribes to: everything that devices tell."""
    every = f"{ROOT}/d/+"
    named = {kind.value: "/+" if kind in WITH_NAME else "" for kind in Up}
    return tuple(f"{every}/{kind}{last}" for kind, last in named.items())


def hint(cohort: str) -> str:
    """Where members of a cohort hear that there may be news. Raises ValueError."""
    if not is_label(cohort):
        raise ValueError(f"{cohort!r} is no cohort's name")
    return f"{ROOT}/c/{cohort}/hint"
