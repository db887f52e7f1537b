"""Who may read and write which topic at the broker: mosquitto's access file, derived from the topics themselves.

A device's name is its certificate's common name, which the broker puts in place of `%u`; ids.py keeps every character
out of names that a broker would read as a pattern. Nothing else is allowed to anybody. The file's own order means
nothing: whatever is not granted is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from homebred_protocol.ids import CONTROLLER
from homebred_protocol.topics import ROOT, STOP, WITH_NAME, Down, Up

OWN = f"{ROOT}/d/%u"
"""The part of the topics that is a device's own."""
HINTS = f"{ROOT}/c/+/hint"
HEAD = """\
# Who may read and write what: generated, see `homebred-fleet broker config`.
# %u is the common name of a client's certificate, which the controller chose when it enrolled the device.
"""


def access_file() -> str:
    """What mosquitto's `acl_file` holds."""
    return "\n".join([HEAD, *_of_controller(), "", *_of_devices(), ""])


def granted_to_device() -> tuple[tuple[str, str], ...]:
    """What a device may do: `read` or `write`, and the topic with `%u` for its name."""
    told = [("read", topic) for topic in (STOP, HINTS)]
    told += [("read", _own(kind)) for kind in Down]
    return (*told, *(("write", _own(kind)) for kind in Up))


def granted_to_controller() -> tuple[tuple[str, str], ...]:
    """What the controller may do: everything of the fleet, as it reads back what the broker may have lost."""
    return (("readwrite", f"{ROOT}/#"), ("read", "$SYS/broker/#"))


def _of_controller() -> Iterator[str]:
    yield f"user {CONTROLLER}"
    for access, topic in granted_to_controller():
        yield f"topic {access} {topic}"


def _of_devices() -> Iterator[str]:
    for access, topic in granted_to_device():
        yield f"pattern {access} {topic}"


def _own(kind: Down | Up) -> str:
    return f"{OWN}/{kind.value}/+" if kind in WITH_NAME else f"{OWN}/{kind.value}"
