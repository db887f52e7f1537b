"""What to do about what the controller wants: which message is taken, and for each part what comes next.

A message is taken only where its version is above all that this device has seen (CONTRACT.md I2), and only where it is
this device's. Each part then goes on by itself: obtained, applied, or refused with a reason while the old one stays.
What was decided is on the disk before it is acted on, so that a kill at any place resumes.

    taken ──▶ kept ──▶ obtain ──▶ apply ──▶ applied
                │         │         └─────▶ refused     (the old one stays)
                │         └─ later ──▶ obtain again
                └─ a stop order holds: nothing new begins
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from homebred_daemon.core.fleet_messages import OWN, Desired, Document, PartReport, PartState

PARTS = ("policy", "gazetteer")
AGAIN_AFTER_S = 60.0
"""Before something that failed for now is tried again; doubled each time."""
LONGEST_AGAIN_S = 3600.0


class Verdict(StrEnum):
    """What becomes of a message."""

    TAKEN = "taken"
    KNOWN = "known"
    """It is the one that holds: a retained message comes at every connection."""
    STALE = "stale"
    REPLAYED = "replayed"
    """The version is known, and said something else."""
    OTHER_DEVICE = "other_device"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDesired:
    """What of this is on the disk."""

    highest_version: int = 0
    desired: Desired | None = None
    """The newest that was taken."""
    parts: Mapping[str, PartReport] = field(default_factory=dict)
    """What became of each part."""
    applied: Mapping[str, str] = field(default_factory=dict)
    """Digest of what holds of each part because the fleet wanted it; it stays where a newer one is refused."""


@dataclass(frozen=True, slots=True)
class KeepDesired:
    """Put it on the disk, with its version as the floor."""

    desired: Desired


@dataclass(frozen=True, slots=True)
class KeepPart:
    """Put what became of a part on the disk."""

    report: PartReport
    applied: str
    """Digest of what holds now; empty: the device's own configuration."""


@dataclass(frozen=True, slots=True)
class Obtain:
    """Have a document's bytes on this device, as both repositories have signed them."""

    name: str
    document: Document


@dataclass(frozen=True, slots=True)
class Apply:
    """Check a document and have it hold; an empty digest: the device's own configuration."""

    name: str
    digest: str


DesiredStep = KeepDesired | KeepPart | Obtain | Apply


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an `Obtain` or `Apply`."""

    name: str
    digest: str
    problem_code: str = ""
    """Empty: it was done."""
    problem: str = ""
    again: bool = False
    """It may work later: the network, a full disk."""


class DesiredState:
    """What is desired of one device. Times are seconds of one monotonic clock."""

    def __init__(self, device_id: str, kept: KeptDesired) -> None:
        self._device_id = device_id
        self._highest_version = kept.highest_version
        self._desired = kept.desired
        self._parts = dict(kept.parts)
        self._applied = dict(kept.applied)
        self._keeping: Desired | None = None
        self._keep_from_s = 0.0
        self._is_writing = False
        self._doing: Obtain | Apply | None = None
        self._obtained: set[tuple[str, str]] = set()
        self._trouble: dict[str, tuple[str, float, float]] = {}
        """Digest, when it is tried again, and after what time then, by part."""

    @property
    def version(self) -> int:
        """Of the newest that was taken."""
        return self._desired.version if self._desired else 0

    @property
    def highest_version(self) -> int:
        """The floor."""
        return self._highest_version

    @property
    def labels(self) -> Mapping[str, str]:
        """What the controller calls this device by."""
        return self._desired.labels if self._desired else {}

    @property
    def digests(self) -> frozenset[str]:
        """Of all documents that are wanted or hold."""
        wanted = {self._wanted(name).digest for name in PARTS}
        return frozenset((wanted | set(self._applied.values())) - {""})

    def reports(self, *, stopped: bool) -> tuple[PartReport, ...]:
        """How far each part is."""
        return tuple(
            replace(report, state=PartState.STOPPED) if stopped and not _is_settled(report) else report
            for name in PARTS
            if (report := self._report(name)) is not None
        )

    def hear(self, desired: Desired) -> Verdict:
        """Judges a message; `steps` then says what follows."""
        if desired.device_id != self._device_id:
            return Verdict.OTHER_DEVICE
        newest = self._keeping or self._desired
        seen = max(self._highest_version, newest.version if newest else 0)
        if desired.version < seen:
            return Verdict.STALE
        if desired.version == seen:
            return Verdict.KNOWN if desired == newest else Verdict.REPLAYED
        self._keeping, self._keep_from_s = desired, 0.0
        return Verdict.TAKEN

    def was_kept(self, desired: Desired) -> None:
        """It is on the disk."""
        self._is_writing = False
        self._highest_version, self._desired = desired.version, desired
        if self._keeping is not None and self._keeping.version <= desired.version:
            self._keeping = None
        self._trouble.clear()
        self._parts.clear()  # what was refused is tried once more where it is wanted once more

    def was_not_kept(self, now_s: float) -> None:
        """The disk did not take it: it is tried again."""
        self._is_writing = False
        self._keep_from_s = now_s + AGAIN_AFTER_S

    def was_done(self, outcome: Outcome, now_s: float) -> list[DesiredStep]:
        """What follows from the end of an `Obtain` or `Apply`."""
        did, self._doing = self._doing, None
        if did is None or (did.name, _digest(did)) != (outcome.name, outcome.digest):
            self._doing = did
            return []
        if not outcome.problem_code:
            self._trouble.pop(outcome.name, None)
            if isinstance(did, Obtain):
                self._obtained.add((outcome.name, outcome.digest))
                return []
            return self._settle(PartReport(name=outcome.name, digest=outcome.digest, state=PartState.APPLIED))
        self._obtained.discard((outcome.name, outcome.digest))
        report = PartReport(
            name=outcome.name,
            digest=outcome.digest,
            state=PartState.FETCHING if outcome.again else PartState.REFUSED,
            problem_code=outcome.problem_code,
            problem=outcome.problem,
        )
        if not outcome.again:
            return self._settle(report)
        _, _, wait_s = self._trouble.get(outcome.name, ("", 0.0, AGAIN_AFTER_S))
        self._trouble[outcome.name] = (outcome.digest, now_s + wait_s, min(2 * wait_s, LONGEST_AGAIN_S))
        return [] if self._wanted(outcome.name).digest != outcome.digest else self._remember(report)

    def steps(self, now_s: float, *, stopped: bool) -> list[DesiredStep]:
        """What is to be done now; one thing at a time, since what is done takes its time."""
        if self._keeping is not None and not self._is_writing and now_s >= self._keep_from_s:
            self._is_writing = True
            return [KeepDesired(self._keeping)]
        if self._is_writing or self._doing is not None or stopped:
            return []
        for name in PARTS:
            if self._is_open(name) and now_s >= self._again_at_s(name):
                self._doing = self._next(name, self._wanted(name))
                return [self._doing]
        return []

    def due_s(self, *, stopped: bool) -> float | None:
        """When `steps` may have something to say without anything happening before; None: never."""
        if self._keeping is not None and not self._is_writing:
            return self._keep_from_s
        if stopped or self._doing is not None:
            return None
        waits = [self._again_at_s(name) for name in PARTS if self._is_open(name)]
        return min(waits) if waits else None

    def _next(self, name: str, wanted: Document) -> Obtain | Apply:
        if not wanted.digest or (name, wanted.digest) in self._obtained:
            return Apply(name, wanted.digest)
        return Obtain(name, wanted)

    def _wanted(self, name: str) -> Document:
        if self._desired is None:
            return OWN
        return self._desired.policy if name == "policy" else self._desired.gazetteer

    def _report(self, name: str) -> PartReport | None:
        """How far a part is; None: the fleet has never set it, and does not want to."""
        wanted, kept, applied = self._wanted(name), self._parts.get(name), self._applied.get(name, "")
        if self._desired is None or (not wanted.digest and not applied):
            return None
        if wanted.digest == applied:
            return PartReport(name=name, digest=applied, state=PartState.APPLIED)
        if kept is not None and kept.digest == wanted.digest:
            return kept
        return PartReport(name=name, digest=wanted.digest, state=PartState.FETCHING)

    def _is_open(self, name: str) -> bool:
        report = self._report(name)
        return report is not None and not _is_settled(report)

    def _again_at_s(self, name: str) -> float:
        digest, at_s, _ = self._trouble.get(name, ("", 0.0, 0.0))
        return at_s if digest == self._wanted(name).digest else 0.0

    def _settle(self, report: PartReport) -> list[DesiredStep]:
        self._trouble.pop(report.name, None)
        return self._remember(report)

    def _remember(self, report: PartReport) -> list[DesiredStep]:
        self._parts[report.name] = report
        if report.state is PartState.APPLIED:
            self._applied[report.name] = report.digest
        return [KeepPart(report, self._applied.get(report.name, ""))]


def _is_settled(report: PartReport) -> bool:
    return report.state in {PartState.APPLIED, PartState.REFUSED}


def _digest(step: Obtain | Apply) -> str:
    return step.document.digest if isinstance(step, Obtain) else step.digest
