"""Whether this machine's network is metered, and who says so.

It hears nothing itself: the site's setting, what NetworkManager said and the interfaces of the default routes come in.
Only endpoints beyond this device are concerned; telling them apart is left to `endpoint_urls`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Literal


class Saying(IntEnum):
    """What NetworkManager says of metering, numbered as its D-Bus API has it (NMMetered)."""

    UNKNOWN = 0
    """It does not know, or there is no NetworkManager."""
    YES = 1
    NO = 2
    GUESS_YES = 3
    """A person has not said; the kind of the device, or what a phone told with its address, speaks for it."""
    GUESS_NO = 4


METERED_SAYINGS = frozenset({Saying.YES, Saying.GUESS_YES})


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerWord:
    """What NetworkManager said last; a NetworkManager that is not there has said nothing."""

    metered: Saying = Saying.UNKNOWN
    connectivity: int = 0
    """NMConnectivityState; nobody decides by it, but its change is a hint to look."""


SILENCE = ManagerWord()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """All that is known about whether the network is metered."""

    wanted: Literal["auto", "yes", "no"] = "auto"
    """The site's word; auto: what is heard."""
    patterns: tuple[str, ...] = ()
    """Names of metered interfaces, as a shell matches them."""
    manager: Saying = Saying.UNKNOWN
    interfaces: frozenset[str] = frozenset()
    """Those that default routes go through."""


def metered_cause(metering: Metering) -> str:
    """Why the network is metered, a word for a decision's trace; empty: it is not.

    The site's word wins. Without one, either of the two that says so is believed: to take a metered network for a free
    one costs money.
    """
    match metering.wanted:
        case "yes":
            return "metered_configured"
        case "no":
            return ""
        case "auto":
            if any(fnmatchcase(name, pattern) for name in metering.interfaces for pattern in metering.patterns):
                return "metered_interface"
            return "metered_network_manager" if metering.manager in METERED_SAYINGS else ""


def saying(number: object) -> Saying:
    """NetworkManager's number as a saying; one that its API did not have when this was written says nothing."""
    return Saying(number) if isinstance(number, int) and number in set(Saying) else Saying.UNKNOWN
