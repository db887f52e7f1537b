"""Why something signed is not taken: one stable code a reason, with a sentence and what to do next.

Codes go into receipts and logs, and are the rows of docs/trust.md. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from homebred_daemon.errors import UntrustedError


class Reason(StrEnum):
    """Stable machine codes."""

    # what became of a look at a repository
    UNREACHABLE = "unreachable"
    ABSENT = "absent"
    TOO_LONG = "too_long"
    TOO_SLOW = "too_slow"
    SOURCE_FAULT = "source_fault"
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    EXPIRED = "expired"
    ROLLBACK = "rollback"
    MISMATCHED = "mismatched"
    WRONG_REPOSITORY = "wrong_repository"
    TOO_MANY = "too_many"
    OTHER_DEVICE = "other_device"
    CHECK_FAILED = "check_failed"
    # what became of a target
    UNKNOWN_PATH = "unknown_path"
    NOT_IN_IMAGE = "not_in_image"
    WRONG_ROLE = "wrong_role"
    DISAGREEMENT = "disagreement"
    TOO_LARGE = "too_large"
    OTHER_SITE = "other_site"
    NUMBER_FELL = "number_fell"
    NUMBER_REUSED = "number_reused"
    TOO_MANY_LINES = "too_many_lines"
    NOT_DIRECTED = "not_directed"
    # what became of a lease
    NO_LEASE = "no_lease"
    LEASE_EXPIRED = "lease_expired"
    OTHER_DIGEST = "other_digest"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """A reason in words."""

    what: str
    next: str


_REPAIR: Final = "the fleet's administrator repairs it: homebred-fleet repository check"
_SIGN: Final = "have it signed anew: homebred-fleet repository status"
_WAIT: Final = "nothing: it is tried again"

MEANINGS: Final[Mapping[Reason, Meaning]] = MappingProxyType(
    {
        Reason.UNREACHABLE: Meaning(what="the signed metadata could not be fetched", next=_WAIT),
        Reason.ABSENT: Meaning(
            what="a file that the signed metadata names is not there",
            next="publish the repository whole; a folder that is carried is copied anew",
        ),
        Reason.TOO_LONG: Meaning(
            what="a file is longer than it may be, and was not read to its end",
            next="look at who serves it: somebody may send without end on purpose",
        ),
        Reason.TOO_SLOW: Meaning(
            what="a file came too slowly, and was given up", next="look at the network, or at who serves it"
        ),
        Reason.SOURCE_FAULT: Meaning(
            what="a file could not be read as it was offered",
            next="copy the folder anew, or look at who serves it: only plain files are read, no redirect is followed",
        ),
        Reason.MALFORMED: Meaning(what="a file is not what signed metadata looks like", next=_REPAIR),
        Reason.UNSIGNED: Meaning(
            what="too few of those who must sign a file have signed it",
            next="if a key was rotated, publish all of the repository; else somebody may be forging it",
        ),
        Reason.EXPIRED: Meaning(
            what="signed metadata has expired", next=f"{_SIGN}; and see that this device's clock is right: timedatectl"
        ),
        Reason.ROLLBACK: Meaning(
            what="signed metadata is older than what this device has taken",
            next="serve the newest; a controller that was restored from a copy must sign with higher versions",
        ),
        Reason.MISMATCHED: Meaning(
            what="a file is not the one that the signed metadata describes",
            next="publish the repository whole: files of two states do not go together",
        ),
        Reason.WRONG_REPOSITORY: Meaning(
            what="a root is the other repository's, or does not say whose it is",
            next="serve each repository's own roots; if they are, the director's key may be stolen",
        ),
        Reason.TOO_MANY: Meaning(
            what="a role signs for more targets than a device reads", next="remove what no device needs any more"
        ),
        Reason.OTHER_DEVICE: Meaning(
            what="the director signed this for another device",
            next="look at broker, mirror or stick: they bring one device what is another's",
        ),
        Reason.CHECK_FAILED: Meaning(
            what="the process that checks signed metadata ended without an answer",
            next="look at the device's memory and at the room on its disks: homebred doctor; it is tried again",
        ),
        Reason.UNKNOWN_PATH: Meaning(
            what="the director names a target of no kind that this device knows", next="update homebred on this device"
        ),
        Reason.NOT_IN_IMAGE: Meaning(
            what="the image repository does not hold what the director names",
            next="publish it there; if nobody assigned it, the director's key may be stolen",
        ),
        Reason.WRONG_ROLE: Meaning(
            what="it is not signed by the role that is for its kind", next="sign it with the keys of its family or kind"
        ),
        Reason.DISAGREEMENT: Meaning(
            what="director and image repository describe different bytes",
            next="assign it anew; if it persists, the director's key may be stolen",
        ),
        Reason.TOO_LARGE: Meaning(what="it is longer than a target may be", next="keep bytes outside of the target"),
        Reason.OTHER_SITE: Meaning(
            what="it is bound to another site than this device's", next="assign it to devices of its own site"
        ),
        Reason.NUMBER_FELL: Meaning(
            what="it is older than what this device has taken of its line",
            next="publish what should run under a higher number; older ones are never taken again",
        ),
        Reason.NUMBER_REUSED: Meaning(
            what="another one of this line was taken under the same number", next="publish it under a higher number"
        ),
        Reason.TOO_MANY_LINES: Meaning(
            what="this device has taken up more lines of targets than it remembers",
            next="use the names that are there; enrolled anew, a device begins with none",
        ),
        Reason.NOT_DIRECTED: Meaning(
            what="the fleet asks for it, and the director does not name it",
            next="assign it anew; if nobody assigned it, somebody speaks over the broker in the controller's name",
        ),
        Reason.NO_LEASE: Meaning(
            what="the director gives no lease for it, or one that cannot be read",
            next="nothing while the fleet is stopped; else update the controller",
        ),
        Reason.LEASE_EXPIRED: Meaning(
            what="the lease has expired", next="bring the device in touch with its controller, or carry a new lease"
        ),
        Reason.OTHER_DIGEST: Meaning(what="the lease is for other bytes", next=_WAIT),
        Reason.STOPPED: Meaning(
            what="a stop order came after the lease was given", next="lift the stop, then a new lease is given"
        ),
    }
)

FINAL: Final = frozenset(
    {
        Reason.UNKNOWN_PATH,
        Reason.WRONG_ROLE,
        Reason.DISAGREEMENT,
        Reason.TOO_LARGE,
        Reason.OTHER_SITE,
        Reason.NUMBER_FELL,
        Reason.NUMBER_REUSED,
        Reason.TOO_MANY_LINES,
    }
)
"""What no other look makes good: both repositories were verified, and say it of the target itself.

All else may have been done by whoever brings the files, or passes by itself: what a mirror held back or mixed up for an
hour must not keep a device from what is signed for it until somebody assigns it anew.
"""


def meaning_of(code: str) -> Meaning | None:
    """What a code means; None: it is none of these."""
    return next((meaning for reason, meaning in MEANINGS.items() if reason == code), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something that was not taken, as it is reported. It holds no content of anything."""

    reason: Reason
    about: str = ""
    """A target's path, or `image` or `director`, or a file of theirs."""
    detail: str = ""
    """What was found, in words; empty: the reason says all."""

    @property
    def sentence(self) -> str:
        """What and why."""
        said = f"{self.about}: {MEANINGS[self.reason].what}" if self.about else MEANINGS[self.reason].what
        return f"{said} ({self.detail})" if self.detail else said

    @property
    def hint(self) -> str:
        """What next."""
        return MEANINGS[self.reason].next

    def error(self) -> UntrustedError:
        """The same as an error."""
        return UntrustedError(self.sentence, hint=self.hint, reason=self.reason, detail=self.detail)


def refusal_of(error: UntrustedError, about: str) -> Refusal:
    """The refusal that an error tells of."""
    return Refusal(reason=Reason(error.reason), about=about, detail=error.detail)
