"""Whether a device fits a filter, from what is known of it. The store asks the same in SQL; a test compares the two.

Every comparison is true or false, never unknown: `!=` is the opposite of `==`, and what is absent equals nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from homebred_fleet.core.filter_values import ABSENT, Pattern, Value
from homebred_fleet.core.filters import And, Comparison, Not, Or, Tree

NEVER_S: Final = -(10**12)
"""Of a device that was never heard, or has no certificate: longer ago than any filter can ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredFacts:
    """What a device should be like, against what it says it is."""

    version: int | None
    """The newest that was set for it; None: none was."""
    reported_version: int | None
    """The newest that it took or refused; None: it has said nothing yet."""
    standing: str = "applied"
    """Of the parts it reported: applied, pending, refused."""

    @property
    def word(self) -> str:
        """One of STANDINGS."""
        if self.version is None:
            return "unset"
        if self.reported_version is None or self.reported_version < self.version:
            return "behind"
        if self.standing == "refused":
            return "refused"
        return "in_step" if self.standing == "applied" else "behind"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What a filter can ask about one device."""

    id: str
    site: str
    state: str
    """enrolled, revoked, replaced."""
    labels: Mapping[str, str]
    online: bool
    heard_at_s: int | None
    """By the controller's clock; None: never."""
    software_version: str
    """Empty: it has said nothing yet."""
    policy_digest: str
    """In force there; empty: unknown."""
    desired: DesiredFacts
    certificate_ends_at_s: int | None
    """Of the one that ends last and is not revoked; None: it has none."""


def fits(facts: DeviceFacts, tree: Tree, now_s: int) -> bool:
    """Whether the filter means this device."""
    match tree:
        case And(parts=parts):
            return all(fits(facts, part, now_s) for part in parts)
        case Or(parts=parts):
            return any(fits(facts, part, now_s) for part in parts)
        case Not(part=part):
            return not fits(facts, part, now_s)
        case Comparison():
            return _compare(facts, tree, now_s)
        case _ as never:
            assert_never(never)


def _compare(facts: DeviceFacts, asked: Comparison, now_s: int) -> bool:
    match asked.operator:
        case "==":
            return any(_equals(facts, asked, value) for value in asked.values)
        case "!=":
            return not any(_equals(facts, asked, value) for value in asked.values)
        case _:
            return _orders(asked.operator, _duration_s(facts, asked.key, now_s), asked.values[0])


def _equals(facts: DeviceFacts, asked: Comparison, value: Value) -> bool:
    if not isinstance(value, Pattern):
        return facts.online == value
    text = _text(facts, asked)
    return not text if value == ABSENT else value.fits(text)


def _text(facts: DeviceFacts, asked: Comparison) -> str:
    texts = {
        "id": facts.id,
        "site": facts.site,
        "state": facts.state,
        "label": facts.labels.get(asked.label, ""),
        "version": facts.software_version,
        "policy": facts.policy_digest,
        "desired": facts.desired.word,
    }
    return texts[asked.key]


def _duration_s(facts: DeviceFacts, key: str, now_s: int) -> int:
    if key == "seen":
        return now_s - (NEVER_S if facts.heard_at_s is None else facts.heard_at_s)
    return (NEVER_S if facts.certificate_ends_at_s is None else facts.certificate_ends_at_s) - now_s


def _orders(operator: str, left: int, right: Value) -> bool:
    bound = int(right) if isinstance(right, int) else 0
    return {"<": left < bound, "<=": left <= bound, ">": left > bound, ">=": left >= bound}[operator]
