"""A filter of devices as a condition of SQL: the same answer as core/device_filters.py, on SQLite and PostgreSQL.

No comparison is ever NULL, so that `not` is its opposite. LIKE is not used: SQLite's takes `A` for `a`.
"""

from __future__ import annotations

from typing import Final, assert_never

from sqlalchemy import ColumnElement, FromClause, and_, case, false, func, literal, not_, or_, select, true

from homebred_fleet.adapters.store.tables import certificates, desired, devices, presence, reported
from homebred_fleet.core.device_filters import NEVER_S
from homebred_fleet.core.filter_values import ABSENT, Pattern
from homebred_fleet.core.filters import And, Comparison, Not, Or, Tree

WITH_STATES: Final[FromClause] = (
    devices.outerjoin(presence, presence.c.device == devices.c.number)
    .outerjoin(desired, desired.c.device == devices.c.number)
    .outerjoin(reported, reported.c.device == devices.c.number)
)
"""Every device with what is known of it, one row each."""

CERTIFICATE_ENDS: Final = (
    select(func.max(certificates.c.not_after_s))
    .where(certificates.c.device == devices.c.number, certificates.c.revoked_at_s.is_(None))
    .correlate(devices)
    .scalar_subquery()
)


def _standing() -> ColumnElement[str]:
    """core.device_filters.DesiredFacts.word."""
    return case(
        (desired.c.version.is_(None), "unset"),
        (func.coalesce(reported.c.desired_version, -1) < desired.c.version, "behind"),
        (reported.c.standing == "refused", "refused"),
        (reported.c.standing == "applied", "in_step"),
        else_="behind",
    )


_TEXTS: Final[dict[str, ColumnElement[str]]] = {
    "id": devices.c.id,
    "site": devices.c.site,
    "state": devices.c.state,
    "version": func.coalesce(reported.c.software_version, ""),
    "policy": func.coalesce(reported.c.policy_digest, ""),
    "desired": _standing(),
}


def condition(tree: Tree, now_s: int) -> ColumnElement[bool]:
    """Whether a row of WITH_STATES is a device that the filter means."""
    match tree:
        case And(parts=parts):
            return and_(true(), *(condition(part, now_s) for part in parts))
        case Or(parts=parts):
            return or_(false(), *(condition(part, now_s) for part in parts))
        case Not(part=part):
            return not_(condition(part, now_s).self_group())
        case Comparison(operator="=="):
            return _equals_any(tree)
        case Comparison(operator="!="):
            return not_(_equals_any(tree).self_group())
        case Comparison():
            return _orders(tree, now_s)
        case _ as never:
            assert_never(never)


def _equals_any(asked: Comparison) -> ColumnElement[bool]:
    return or_(false(), *(_equals(asked, value) for value in asked.values))


def _equals(asked: Comparison, value: Pattern | bool | int) -> ColumnElement[bool]:  # noqa: FBT001  # a filter's own value
    if not isinstance(value, Pattern):
        return func.coalesce(presence.c.online, false()).is_(true() if value else false())
    text = _text(asked)
    return text == "" if value == ABSENT else _fits(text, value)


def _text(asked: Comparison) -> ColumnElement[str]:
    if asked.key == "label":
        return func.coalesce(devices.c.labels[asked.label].as_string(), "")
    return _TEXTS[asked.key]


def _fits(text: ColumnElement[str], pattern: Pattern) -> ColumnElement[bool]:
    length = len(pattern.text)
    if length == 0:
        return text != ""
    if pattern.open_start and pattern.open_end:
        return func.replace(text, pattern.text, "") != text
    if pattern.open_start:
        return and_(func.length(text) >= length, func.substr(text, func.length(text) - (length - 1)) == pattern.text)
    return func.substr(text, 1, length) == pattern.text if pattern.open_end else text == pattern.text


def _orders(asked: Comparison, now_s: int) -> ColumnElement[bool]:
    now = literal(now_s)
    if asked.key == "seen":
        left = now - func.coalesce(presence.c.heard_at_s, NEVER_S)
    else:
        left = func.coalesce(CERTIFICATE_ENDS, NEVER_S) - now
    bound = int(asked.values[0]) if isinstance(asked.values[0], int) else 0
    orders = {"<": left < bound, "<=": left <= bound, ">": left > bound, ">=": left >= bound}
    return orders[asked.operator]
