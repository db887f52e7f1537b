"""Why a device is as it is: an ordered chain of small rules over what the controller knows, a finding of each.

A rule says what holds, the facts it rests on, and what to do where something is wrong. Nothing is fetched here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from homebred_fleet.core.device_filters import DeviceFacts
from homebred_fleet.core.durations import DAY_S, counted, span

SILENT_AFTER_S: Final = 2 * 3600 + 600
"""An idle device tells of its health once an hour; that it is connected is the broker's word, not a message."""
RENEWAL_DUE_S: Final = 25 * DAY_S
"""A 90-day certificate is renewed when 30 are left, give or take some; less than this means that it was not."""


Facts = dict[str, str | int | bool | None]


class Verdict(StrEnum):
    """How much of an admin's attention a finding wants."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule found."""

    rule: str
    verdict: Verdict
    what: str
    """A sentence."""
    hint: str = ""
    """What to do next; empty: nothing."""
    facts: Facts = field(default_factory=dict)
    """What the sentence rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """What a device reported of one part of what it should be."""

    name: str
    """policy, gazetteer."""
    state: str
    """applied, refused, fetching, stopped."""
    digest: str
    problem_code: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopFacts:
    """The newest stop order, and what the device knows of it."""

    epoch: int
    """0: there was none."""
    stopped: bool
    reason_code: str
    reported_epoch: int
    reported_stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """All that the rules may ask about one device."""

    facts: DeviceFacts
    enrolled_at_s: int
    revoked_at_s: int | None = None
    revoke_reason: str = ""
    replaced_by: str = ""
    presence_reason: str = ""
    """birth, stopping, lost."""
    presence_changed_at_s: int | None = None
    boot_number: int | None = None
    published_version: int = 0
    """Of the desired state, what the broker has taken."""
    parts: tuple[PartFacts, ...] = ()
    stop: StopFacts = StopFacts(epoch=0, stopped=False, reason_code="", reported_epoch=0, reported_stopped=False)
    stored_events: int = 0
    forgotten_events: int = 0
    """Of them, those that were deleted again."""
    lost_events: Mapping[str, int] = field(default_factory=dict)
    """By reason, of the device and of the controller."""
    quarantined: Mapping[str, int] = field(default_factory=dict)
    """Messages by cause."""
    open_commands: int = 0
    overdue_commands: int = 0
    """Their deadline passed without an answer."""


Rule = Callable[[DeviceRecord, int], Finding]


def explain(record: DeviceRecord, now_s: int) -> tuple[Finding, ...]:
    """A finding of every rule, in the order in which a person would ask."""
    return tuple(rule(record, now_s) for rule in RULES)


def _enrolment(record: DeviceRecord, now_s: int) -> Finding:
    facts = record.facts
    told: Facts = {"state": facts.state, "enrolled_at_s": record.enrolled_at_s, "revoked_at_s": record.revoked_at_s}
    if facts.state == "replaced":
        what = f"{record.replaced_by or 'another device'} took its place"
        hint = f"look at `homebred-fleet devices why {record.replaced_by}`" if record.replaced_by else ""
        return Finding(rule="enrolment", verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    if facts.state == "revoked":
        what = f"it was revoked {_ago(record.revoked_at_s, now_s)}: {record.revoke_reason or 'no reason was given'}"
        hint = "enrol it again with a token that names it: `homebred-fleet tokens create --device`"
        return Finding(rule="enrolment", verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    what = f"it was enrolled {_ago(record.enrolled_at_s, now_s)}, at site {facts.site}"
    return Finding(rule="enrolment", verdict=Verdict.OK, what=what, facts=told)


def _certificate(record: DeviceRecord, now_s: int) -> Finding:
    ends_at_s = record.facts.certificate_ends_at_s
    told: Facts = {"ends_at_s": ends_at_s}
    again = "enrol it again with a token that names it: `homebred-fleet tokens create --device`"
    if ends_at_s is None:
        what = "it has no certificate that is not revoked, so that neither broker nor controller let it in"
        return Finding(rule="certificate", verdict=Verdict.PROBLEM, what=what, hint=again, facts=told)
    if ends_at_s <= now_s:
        what = f"its certificate ended {_ago(ends_at_s, now_s)}: it cannot connect"
        return Finding(rule="certificate", verdict=Verdict.PROBLEM, what=what, hint=again, facts=told)
    left = f"its certificate holds for another {span(ends_at_s - now_s)}"
    if ends_at_s - now_s < RENEWAL_DUE_S:
        what = f"{left}, and should have been renewed by now"
        hint = "see that it reaches the controller over HTTPS: `homebred doctor` on the device"
        return Finding(rule="certificate", verdict=Verdict.NOTE, what=what, hint=hint, facts=told)
    return Finding(rule="certificate", verdict=Verdict.OK, what=left, facts=told)


def _heard(record: DeviceRecord, now_s: int) -> Finding:
    heard_at_s = record.facts.heard_at_s
    told: Facts = {"heard_at_s": heard_at_s}
    if heard_at_s is None:
        hint = "see that its daemon runs and reaches the broker: `homebred doctor` on the device"
        what = "it was never heard over the broker"
        return Finding(rule="heard", verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    what = f"it was last heard {_ago(heard_at_s, now_s)}"
    if record.facts.online and now_s - heard_at_s > SILENT_AFTER_S:
        what += ", and is connected: it should tell of its health every hour"
        return Finding(rule="heard", verdict=Verdict.NOTE, what=what, facts=told)
    return Finding(rule="heard", verdict=Verdict.OK, what=what, facts=told)


_GONE: Final = {
    "lost": "the broker lost it",
    "stopping": "it said that it stops",
    "revoked": "it was revoked",
}


def _presence(record: DeviceRecord, now_s: int) -> Finding:
    told: Facts = {
        "online": record.facts.online,
        "reason": record.presence_reason,
        "changed_at_s": record.presence_changed_at_s,
        "boot_number": record.boot_number,
    }
    if record.facts.online:
        what = f"it is connected{_for(record.presence_changed_at_s, now_s)}, start {record.boot_number}"
        return Finding(rule="presence", verdict=Verdict.OK, what=what, facts=told)
    if record.presence_changed_at_s is None:
        return Finding(rule="presence", verdict=Verdict.NOTE, what="it was never connected", facts=told)
    why = _GONE.get(record.presence_reason, record.presence_reason or "nobody said why")
    what = f"it is offline{_for(record.presence_changed_at_s, now_s)}: {why}"
    return Finding(rule="presence", verdict=Verdict.NOTE, what=what, facts=told)


def _desired(record: DeviceRecord, _now_s: int) -> Finding:
    desired = record.facts.desired
    told: Facts = {
        "version": desired.version,
        "published_version": record.published_version,
        "reported_version": desired.reported_version,
        "standing": desired.word,
    }
    rule = "desired"
    match desired.word:
        case "unset":
            what = "nothing was assigned to it: its own configuration holds"
            return Finding(rule=rule, verdict=Verdict.OK, what=what, facts=told)
        case "in_step":
            what = f"it is as it should be: version {desired.version}"
            return Finding(rule=rule, verdict=Verdict.OK, what=what, facts=told)
        case "refused":
            what = f"it refused version {desired.version}, at least in part"
            hint = "see the rule `parts`"
            return Finding(rule=rule, verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    reported = "nothing yet" if desired.reported_version is None else f"version {desired.reported_version}"
    if record.published_version < (desired.version or 0):
        what = f"it should be at version {desired.version}, which the broker has not taken yet"
        hint = "see that the controller reaches the broker"
        return Finding(rule=rule, verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    what = f"it should be at version {desired.version} and reported {reported}"
    where = "it takes it when it connects" if not record.facts.online else "give it a moment, then ask again"
    return Finding(rule=rule, verdict=Verdict.NOTE, what=what, hint=where, facts=told)


def _parts(record: DeviceRecord, _now_s: int) -> Finding:
    told: Facts = {}
    for part in record.parts:
        told[part.name] = f"{part.state} {part.digest}".rstrip()
    refused = [part for part in record.parts if part.state == "refused"]
    if refused:
        hint = "sign a better one under a higher number, and assign it; what was in force before is still so"
        what = f"refused: {_problems(refused)}"
        return Finding(rule="parts", verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    hindered = [part for part in record.parts if part.state == "fetching" and part.problem_code]
    if hindered:
        hint = "the device tries again by itself, at least hourly; what was in force before is still so"
        what = f"not taken yet: {_problems(hindered)}"
        return Finding(rule="parts", verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    waiting = [f"{part.name} is {part.state}" for part in record.parts if part.state not in {"applied", "stopped"}]
    if waiting:
        return Finding(rule="parts", verdict=Verdict.NOTE, what=", ".join(waiting), facts=told)
    what = "every part is applied" if record.parts else "it reported no parts"
    return Finding(rule="parts", verdict=Verdict.OK, what=what, facts=told)


def _problems(parts: Iterable[PartFacts]) -> str:
    return "; ".join(f"{one.name}: {one.problem or one.problem_code or 'no reason was given'}" for one in parts)


def _stop(record: DeviceRecord, _now_s: int) -> Finding:
    stop = record.stop
    told: Facts = {
        "epoch": stop.epoch,
        "stopped": stop.stopped,
        "reason": stop.reason_code,
        "reported_epoch": stop.reported_epoch,
        "reported_stopped": stop.reported_stopped,
    }
    if stop.stopped and not stop.reported_stopped:
        what = f"a stop is in force ({stop.reason_code}), and the device has not said that it knows"
        hint = "it hears the stop first thing when it connects"
        return Finding(rule="stop", verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    if stop.stopped:
        hint = "`homebred-fleet stop off` lifts it"
        what = f"a stop is in force ({stop.reason_code}): it takes nothing new up"
        return Finding(rule="stop", verdict=Verdict.PROBLEM, what=what, hint=hint, facts=told)
    if stop.reported_stopped:
        what = "the stop was lifted, and the device has not said that it knows"
        return Finding(rule="stop", verdict=Verdict.NOTE, what=what, facts=told)
    return Finding(rule="stop", verdict=Verdict.OK, what="no stop is in force", facts=told)


def _gaps(record: DeviceRecord, _now_s: int) -> Finding:
    lost = sum(record.lost_events.values())
    told: Facts = {
        "stored_events": record.stored_events,
        "forgotten_events": record.forgotten_events,
        **dict(record.lost_events),
    }
    stored = f"{counted(record.stored_events, 'event')} stored"
    if record.forgotten_events:
        stored += f" ({record.forgotten_events:,} of them deleted again: too old, or too many)"
    if lost == 0:
        what = f"{stored}, and none was lost"
        return Finding(rule="gaps", verdict=Verdict.OK, what=what, facts=told)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(record.lost_events.items()))
    what = f"{stored}, and {lost:,} lost and counted: {reasons}"
    hint = f"see `homebred-fleet telemetry gaps --filter 'id=={record.facts.id}'`"
    return Finding(rule="gaps", verdict=Verdict.NOTE, what=what, hint=hint, facts=told)


def _quarantine(record: DeviceRecord, _now_s: int) -> Finding:
    told: Facts = dict(record.quarantined)
    if not record.quarantined:
        return Finding(rule="quarantine", verdict=Verdict.OK, what="every message could be taken", facts=told)
    causes = ", ".join(f"{count:,} {cause}" for cause, count in sorted(record.quarantined.items()))
    what = f"messages that could not be taken: {causes}"
    return Finding(
        rule="quarantine",
        verdict=Verdict.PROBLEM,
        what=what,
        hint="see `homebred-fleet telemetry quarantine`; a device's software may be too new, or not what it says it is",
        facts=told,
    )


def _commands(record: DeviceRecord, _now_s: int) -> Finding:
    told: Facts = {"open": record.open_commands, "overdue": record.overdue_commands}
    if record.overdue_commands:
        what = f"{counted(record.overdue_commands, 'command')} without an answer by the deadline"
        return Finding(rule="commands", verdict=Verdict.NOTE, what=what, facts=told)
    what = (
        f"{counted(record.open_commands, 'command')} without an answer yet"
        if record.open_commands
        else "no command is open"
    )
    return Finding(rule="commands", verdict=Verdict.OK, what=what, facts=told)


RULES: Final[tuple[Rule, ...]] = (
    _enrolment,
    _certificate,
    _heard,
    _presence,
    _stop,
    _desired,
    _parts,
    _gaps,
    _quarantine,
    _commands,
)


def _ago(at_s: int | None, now_s: int) -> str:
    if at_s is None:
        return "at an unknown time"
    return f"{span(now_s - at_s)} ago" if at_s <= now_s else f"{span(at_s - now_s)} ahead of the controller's clock"


def _for(since_s: int | None, now_s: int) -> str:
    return f" for {span(now_s - since_s)}" if since_s is not None and since_s <= now_s else ""
