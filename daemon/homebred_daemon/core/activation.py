"""Which release of a specialist a device serves: its activation record, and the one to fall back to.

Releases of one specialist stand side by side in the model store, each in a slot `<id>@<number>`; `<id>` alone is the
slot of what an administrator put in by hand (number 0). The router sees one specialist `<id>`: the slot that the record
names. The record is all that a restart needs to serve an active release (I1). Nothing here reads, writes or judges.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from homebred_protocol.documents.fields import DocumentError, Fields
from homebred_protocol.documents.specialist import is_specialist_id

Record = dict[str, Any]
BY_HAND = 0
"""The number of what came by no release."""
_SLOT = re.compile(r"(?P<id>[^@]+)(?:@(?P<number>[1-9][0-9]{0,15}))?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in the model store: `@` stands in no specialist's id, so no id can be another's slot."""

    id: str
    number: int = BY_HAND
    """Of the release."""

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.id if self.number == BY_HAND else f"{self.id}@{self.number}"


def read_slot(name: str) -> Slot | None:
    """The slot of a folder's name; None: it is none."""
    found = _SLOT.fullmatch(name)
    if found is None or not is_specialist_id(found["id"]):
        return None
    return Slot(id=found["id"], number=int(found["number"] or BY_HAND))


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """What was activated, by what right."""

    number: int
    """Of the release; BY_HAND: what an administrator put in."""
    digest: str = ""
    """`sha256:` of the release's manifest; empty: it came by hand."""
    activated_at_s: int = 0
    """Trusted time, Unix seconds."""
    lease_expires_at_s: int = 0
    """Of the lease that it was activated under (I8)."""
    is_good: bool = True
    """Whether it has stood its probation; what came by hand has no need to."""
    built: str = ""
    """`sha256:` of what this device built of it and its gate measured: no other form of it serves; empty: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What serves as one specialist."""

    current: Activation | None = None
    """None: nothing does."""
    last_good: Activation | None = None
    """What a rollback goes back to; None: nothing was good before."""

    def activated(self, new: Activation) -> InForce:
        """After another one is activated: what has not stood its probation is nothing to go back to."""
        good = self.current if self.current is not None and self.current.is_good else self.last_good
        return InForce(current=new, last_good=good)

    def moved_back(self) -> InForce:
        """After a rollback."""
        return InForce(current=self.last_good)

    def settled(self) -> InForce:
        """After the current one has stood its probation."""
        return replace(self, current=None if self.current is None else replace(self.current, is_good=True))

    def serves(self, number: int) -> bool:
        """Whether it is this release that serves."""
        return self.current is not None and self.current.number == number

    @property
    def needed(self) -> frozenset[int]:
        """Numbers that must stay in the store."""
        return frozenset(each.number for each in (self.current, self.last_good) if each is not None)


def activation_record(activation: Activation) -> Record:
    """An activation as a JSON value."""
    record = {"version": 1, **asdict(activation)}
    return record if activation.built else {key: value for key, value in record.items() if key != "built"}


def read_activation(document: object) -> Activation:
    """The activation in a parsed record.

    Raises:
        DocumentError: it is none.
    """
    fields = Fields(document)
    if fields.integer("version", required=True) not in (None, 1):
        fields.complain(("version",), "is not known", "read it with the homebred that wrote it")
    digest, built = fields.text("digest", required=True), fields.text("built")
    for key, found in (("digest", digest), ("built", built)):
        if found is not None and _DIGEST.fullmatch(found) is None:
            fields.complain((key,), f"is {found!r}", "write sha256: and 64 hexadecimal digits in lower case")
    activation = Activation(
        number=fields.integer("number", low=1, required=True) or BY_HAND,
        digest=digest or "",
        activated_at_s=fields.integer("activated_at_s", required=True) or 0,
        lease_expires_at_s=fields.integer("lease_expires_at_s", required=True) or 0,
        is_good=bool(fields.boolean("is_good", default=False)),
        built=built or "",
    )
    fields.finish()
    if fields.problems:
        raise DocumentError("activation", fields.problems)
    return activation
