"""What detection means: spans, the classes they raise, and the text without them.

It does not find anything: detectors stand behind the `Detector` port. It never lowers a label either (CONTRACT.md I6):
`raised_classes` only ever adds to what a caller declared.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import chain
from types import MappingProxyType
from typing import Protocol

# CONTRACT.md "Detection": record, insurance and health identifiers; source code and secrets; markers and part codes;
# attachments.
DEFAULT_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "MEDICAL_RECORD": "patient",
        "HEALTH_PLAN": "patient",
        "NHS_NUMBER": "patient",
        "SOCIAL_INSURANCE": "patient",
        "SECRET": "code",
        "SOURCE_CODE": "code",
        "MARKER": "trade_secret",
        "PART_CODE": "trade_secret",
        "ATTACHED_VOICE": "voice",
        "ATTACHED_IMAGE": "biometric",
        "ATTACHED_BIOMETRIC": "biometric",
        "ATTACHED_MEDICAL": "patient",
    }
)

ATTACHED_TYPES = frozenset(
    {"ATTACHED_VOICE", "ATTACHED_IMAGE", "ATTACHED_BIOMETRIC", "ATTACHED_MEDICAL", "ATTACHED_UNREADABLE"}
)
"""Types of what an attachment is, whatever a detector finds in it."""

KNOWN = "KNOWN_"
"""Begins the type of what the site's own gazetteer knows; its class follows."""


_LAST_RAISING_TIER = 2  # CONTRACT.md "Detection": patterns and a site's own names; later tiers only mask


@dataclass(frozen=True, slots=True)  # positional: four plain fields, written by the hundred
class Span:
    """A stretch of text that says something about somebody or something protected."""

    start: int
    """First code point, counted from the start of the text."""
    end: int
    """One past the last code point."""
    type: str
    """Entity type in upper case, such as `US_SSN`."""
    tier: int
    """Detection tier that found it: 1 patterns, 2 a site's own names, 3 names in general and what a model finds."""


class Detector(Protocol):
    """Finds sensitive spans in a text, alike for the same text and digest."""

    @property
    def digest(self) -> str:
        """`sha256:…` over everything that shapes the result, so that a decision can name its detector."""
        ...

    @property
    def entity_types(self) -> frozenset[str]:
        """Every entity type that it can find."""
        ...

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every span found, overlapping ones included: a key inside a URL must still raise its class."""
        ...


def resolve(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sorted spans that do not overlap and cover exactly what the given spans cover.

    Where spans contest a code point the longest takes it, then the lower tier, then the earlier. What is left of one
    that lost stays masked under its own type: a code point that was found is never shown. Takes n log n steps, whatever
    overlaps: texts come from strangers.
    """
    arriving = sorted(spans, key=lambda span: span.start)
    resolved: list[Span] = []
    contesting: list[tuple[int, int, int, int]] = []  # heap of length (negative), tier, start, place in `arriving`
    arrived = position = owner = 0
    while contesting or arrived < len(arriving):
        position = position if contesting else max(position, arriving[arrived].start)
        while arrived < len(arriving) and arriving[arrived].start <= position:
            span = arriving[arrived]
            heappush(contesting, (span.start - span.end, span.tier, span.start, arrived))
            arrived += 1
        winner = contesting[0][-1]
        span = arriving[winner]
        if span.end <= position:
            heappop(contesting)
            continue
        until = min(span.end, arriving[arrived].start) if arrived < len(arriving) else span.end
        if resolved and owner == winner and resolved[-1].end == position:  # nobody took it over at the last arrival
            resolved[-1] = Span(resolved[-1].start, until, span.type, span.tier)
        else:
            resolved.append(Span(position, until, span.type, span.tier))
        position, owner = until, winner
    return tuple(resolved)


def clipped(resolved: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    """What of sorted spans that do not overlap lies in one stretch of their text, counted from its start."""
    inside: list[Span] = []
    for at in range(bisect_right(resolved, start, key=lambda span: span.end), len(resolved)):
        span = resolved[at]
        if span.start >= end:
            break
        inside.append(Span(max(span.start, start) - start, min(span.end, end) - start, span.type, span.tier))
    return tuple(inside)


def raised_classes(spans: Iterable[Span], extra: Mapping[str, str]) -> frozenset[str]:
    """Classes that spans of tiers 1 and 2 add to a task; give it the detector's own spans, not the resolved ones.

    Args:
        spans: what a detector returned.
        extra: the policy's `[detection.classes]`, entity type → class, in addition to `DEFAULT_CLASSES`.
    """
    types = {span.type for span in spans if span.tier <= _LAST_RAISING_TIER}
    known = (kind.removeprefix(KNOWN).lower() for kind in types if kind.startswith(KNOWN))
    return frozenset(
        chain(known, (table[kind] for table in (DEFAULT_CLASSES, extra) for kind in types if kind in table))
    )


def types_raising(spans: Iterable[Span], extra: Mapping[str, str], classes: frozenset[str]) -> frozenset[str]:
    """Types of the spans that would raise one of these classes."""
    return frozenset(span.type for span in spans if not classes.isdisjoint(raised_classes((span,), extra)))


def known_type(data_class: str) -> str:
    """Entity type of what a site knows under this class, which is in lower case: `patient` → `KNOWN_PATIENT`."""
    return KNOWN + data_class.upper()


def redact(text: str, spans: Iterable[Span]) -> str:
    """The text with each resolved span replaced by `<TYPE>`."""
    return "".join(stretch if span is None else f"<{span.type}>" for stretch, span in stretches(text, spans))


def stretches(text: str, spans: Iterable[Span]) -> Iterator[tuple[str, Span | None]]:
    """The text cut at its resolved spans, in order: each stretch with the span that it is, None between them."""
    at = 0
    for span in resolve(spans):
        yield text[at : span.start], None
        yield text[span.start : span.end], span
        at = span.end
    yield text[at:], None


def redaction_record(
    record_id: str, text: str, spans: Iterable[Span], *, extra: Mapping[str, str], risk: float
) -> dict[str, object]:
    """One line of `homebred redact --jsonl`, from a detector's spans and the residual risk measured beside them."""
    found = tuple(spans)
    return {
        "id": record_id,
        "text": redact(text, found),
        "spans": [{"start": s.start, "end": s.end, "type": s.type, "tier": s.tier} for s in resolve(found)],
        "classes": sorted(raised_classes(found, extra)),
        "residual_risk": risk,
    }
