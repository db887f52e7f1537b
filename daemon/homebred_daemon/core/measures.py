"""The catalogue of figures: all that the daemon measures, and the few words that each label may have.

A label's words are listed here, or they are names that only the site's administrator gives (`Given`), MOST_WORDS of
them at most; everything else is `other`. So no text of a caller becomes a label (I4), and there are never more series
than `most_series` says (I9). Nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import ClassVar

from typing_extensions import override

from homebred_daemon.core.decision import Reason, Runtime
from homebred_daemon.core.link import Link
from homebred_daemon.core.review import OPEN, State
from homebred_daemon.core.supervision import Event
from homebred_daemon.core.verification import Finding

OTHER = "other"
MOST_WORDS = 64
"""Of one list that the site gives; the first ones by name."""


class Given(StrEnum):
    """Lists of words that are known once the daemon runs; a task's caller cannot add to any."""

    SPECIALIST = "specialists that can be served, by id"
    ALIAS = "cloud endpoints, as [cloud] names them"
    ENTITY_TYPE = "what the detectors can find"
    VERSION = "of homebred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a figure is told apart by."""

    name: str
    words: tuple[str, ...] | Given
    """All that it may be, beside `other`."""

    def most(self) -> int:
        """How many words it may have, `other` among them."""
        return 1 + (MOST_WORDS if isinstance(self.words, Given) else len(self.words))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measure:
    """One figure, or one for each combination of its labels' words. Equal to itself alone: looked up quickly."""

    kind: ClassVar[str]
    """As the exposition format calls it."""
    name: str
    meaning: str
    labels: tuple[Label, ...] = ()

    def most_series(self) -> int:
        """Series that it may have."""
        return prod(label.most() for label in self.labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counter(Measure):
    """What is counted as it happens."""

    kind: ClassVar[str] = "counter"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Total(Measure):
    """What somebody else counts, and is read."""

    kind: ClassVar[str] = "counter"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauge(Measure):
    """What stands as it stands when it is read."""

    kind: ClassVar[str] = "gauge"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histogram(Measure):
    """How values are spread."""

    kind: ClassVar[str] = "histogram"
    bounds: tuple[float, ...]
    """Upper ends of the buckets, rising; one more holds all that is greater."""

    @override
    def most_series(self) -> int:
        """A bucket is a series; so are sum and count."""
        return prod(label.most() for label in self.labels) * (len(self.bounds) + 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The value of one series of a counter, total or gauge."""

    measure: Counter | Total | Gauge
    words: tuple[str, ...] = ()
    """Of its labels, in order."""
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The values of one series of a histogram."""

    measure: Histogram
    words: tuple[str, ...] = ()
    """Of its labels, in order."""
    counts: tuple[int, ...]
    """Values in each bucket alone, and beyond the last bound."""
    total: float
    """Sum of the values."""


_SPECIALIST = Label(name="specialist", words=Given.SPECIALIST)
_ALIAS = Label(name="alias", words=Given.ALIAS)
_CLOUD_OUTCOMES = (
    *("answered", Finding.STOPPED_AT_GATE, Finding.CLOUD_CLOSED, Finding.CLOUD_BUDGET_SPENT),
    *(Finding.CLOUD_UNREACHABLE, Finding.CAPTIVE_PORTAL, Finding.WRONG_CERTIFICATE, Finding.CLOUD_RATE_LIMITED),
    *(Finding.PROVIDER_FAILED, Finding.CLOUD_REFUSED, Finding.BROKEN_ANSWER, Finding.CLOUD_CUT_OFF),
    *(Finding.CLOUD_DEADLINE,),
)
_TOKEN_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_WAIT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LOAD_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_DISK_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

TASKS = Counter(
    name="homebred_tasks_total",
    meaning="Accepted tasks that have ended, by their outcome.",
    labels=(Label(name="status", words=("answer", "degraded", "review", "error")),),
)
TASKS_RUNNING = Gauge(name="homebred_tasks_running", meaning="Tasks being answered.")
DRAINING = Gauge(name="homebred_draining", meaning="1 while the daemon takes no more tasks, else 0.")
DECISIONS = Counter(
    name="homebred_decisions_total",
    meaning="Recorded decisions; a task has several where a specialist failed before its first token.",
    labels=(
        Label(name="runtime", words=tuple(Runtime)),
        Label(name="reason_code", words=tuple(Reason)),
    ),
)
FINDINGS = Counter(
    name="homebred_findings_total",
    meaning="What verification found in outcomes, and what happened on the way to them.",
    labels=(Label(name="finding", words=tuple(Finding)),),
)
CALLERS_UNREAD = Counter(
    name="homebred_callers_unread_total", meaning="Callers dropped because they left their answer unread."
)

FIRST_TOKEN_SECONDS = Histogram(
    name="homebred_first_token_seconds",
    meaning="From asking a local engine to its first text, loading and queueing included.",
    labels=(_SPECIALIST,),
    bounds=_WAIT_S,
)
INTER_TOKEN_SECONDS = Histogram(
    name="homebred_inter_token_seconds",
    meaning="Between two pieces of a local answer, a token each as a rule; a caller that reads slowly holds them up.",
    labels=(_SPECIALIST,),
    bounds=_TOKEN_S,
)
TOKENS = Counter(
    name="homebred_tokens_total",
    meaning="Tokens that local engines read (`in`), of these not computed again (`cached`), and made (`out`).",
    labels=(_SPECIALIST, Label(name="direction", words=("in", "cached", "out"))),
)
EMBEDDINGS = Counter(
    name="homebred_embeddings_total", meaning="Texts that local engines turned into vectors.", labels=(_SPECIALIST,)
)
ENGINE_QUEUED = Gauge(name="homebred_engine_queued", meaning="Generations that wait for a slot, over all workers.")
ENGINE_QUEUE_LIMIT = Gauge(name="homebred_engine_queue_limit", meaning="Generations that may wait, over all workers.")
ENGINE_RUNNING = Gauge(name="homebred_engine_running", meaning="Generations in a slot, over all workers.")
ENGINE_SLOTS = Gauge(name="homebred_engine_slots", meaning="Slots, over all workers.")
ENGINE_MEMORY_BYTES = Gauge(
    name="homebred_engine_memory_bytes", meaning="Memory of the workers that is in RAM; shared pages count for each."
)
ENGINES_SILENT = Gauge(
    name="homebred_engines_silent",
    meaning="Workers that did not say in time how they stand; the sums are without them.",
)
MODELS_RESIDENT = Gauge(name="homebred_models_resident", meaning="Models that can answer without loading.")
MODELS_PARKED = Gauge(
    name="homebred_models_parked", meaning="Models that kept failing and wait for `homebred models load`."
)
MODEL_LOADS = Counter(
    name="homebred_model_loads_total",
    meaning="Attempts to load a model into a new worker, and why they failed.",
    labels=(Label(name="result", words=("loaded", Event.NO_START, Event.FAILURE, Event.REFUSAL)),),
)
MODEL_LOAD_SECONDS = Histogram(
    name="homebred_model_load_seconds",
    meaning="From having room to being loaded, where that succeeded.",
    bounds=_LOAD_S,
)
MODEL_EVICTIONS = Counter(
    name="homebred_model_evictions_total", meaning="Models that were unloaded so that another one had room."
)
ADAPTERS_RESIDENT = Gauge(name="homebred_adapters_resident", meaning="Adapters that workers serve, over all workers.")
ADAPTER_CHANGES = Counter(
    name="homebred_adapter_changes_total",
    meaning="Times that a loaded model was to serve other adapters.",
    labels=(Label(name="result", words=("changed", "failed")),),
)
ADAPTER_CHANGE_SECONDS = Histogram(
    name="homebred_adapter_change_seconds",
    meaning="How long that took, where it succeeded; no answer waits for it but those that need a new adapter.",
    bounds=_LOAD_S,
)
WORKER_FAILURES = Counter(
    name="homebred_worker_failures_total",
    meaning="Workers with a loaded model that ended by themselves, hung, or failed at every task.",
    labels=(Label(name="cause", words=("ended", "hung", "faulty")),),
)
WORKER_RESTARTS = Counter(
    name="homebred_worker_restarts_total", meaning="Loads that succeeded for a model that had failed before."
)

REVIEWS_OPEN = Gauge(
    name="homebred_reviews_open",
    meaning="Tasks that a person must answer.",
    labels=(Label(name="state", words=tuple(sorted(OPEN))),),
)
REVIEWS_CAPACITY = Gauge(name="homebred_reviews_capacity", meaning="Open tasks that the queue takes.")
REVIEWS_ENDED = Total(
    name="homebred_reviews_ended_total",
    meaning="What became of them, since the queue was made.",
    labels=(Label(name="state", words=(State.ANSWERED, State.DECLINED, State.EXPIRED)),),
)

CLOUD_CALLS = Counter(
    name="homebred_cloud_calls_total",
    meaning="Tries of calls to a cloud model, by how they ended; one that its task gave up is not among them.",
    labels=(_ALIAS, Label(name="outcome", words=_CLOUD_OUTCOMES)),
)
CLOUD_BYTES = Counter(
    name="homebred_cloud_bytes_total",
    meaning="Bytes sent to and received from a cloud model, without what HTTP and TLS add.",
    labels=(_ALIAS,),
)
CLOUD_MONEY = Counter(
    name="homebred_cloud_money_total",
    meaning="What calls to a cloud model cost, in the prices' currency.",
    labels=(_ALIAS,),
)
CLOUD_TOKENS = Counter(
    name="homebred_cloud_tokens_total",
    meaning="Tokens that a cloud model's provider counted.",
    labels=(_ALIAS, Label(name="direction", words=("in", "out"))),
)
LINK = Gauge(
    name="homebred_link",
    meaning="1 for the state that the router sees the link to a cloud model in, 0 for the others.",
    labels=(_ALIAS, Label(name="state", words=tuple(Link))),
)
REDACTIONS = Counter(
    name="homebred_redactions_total",
    meaning="Different values masked in a task that was about to leave for a cloud model.",
    labels=(Label(name="entity_type", words=Given.ENTITY_TYPE),),
)

LEDGER_ENTRIES = Counter(
    name="homebred_ledger_entries_total",
    meaning="Decisions and outcomes on their way into the ledger.",
    labels=(Label(name="kind", words=("decision", "outcome")), Label(name="result", words=("stored", "failed"))),
)
LEDGER_COMMIT_SECONDS = Histogram(
    name="homebred_ledger_commit_seconds",
    meaning="How long the ledger's writer took for all that waited for it.",
    bounds=_DISK_S,
)

OUTBOX_EVENTS = Gauge(
    name="homebred_outbox_events", meaning="Events for the fleet's controller that it has not acknowledged; 0 if alone."
)
OUTBOX_BYTES = Gauge(name="homebred_outbox_bytes", meaning="What they take of the outbox's quota.")
OUTBOX_LOST = Total(
    name="homebred_outbox_lost_events_total",
    meaning="Events dropped since the device was enrolled; each is counted in a gap that the controller gets.",
)
OUTBOX_CUT = Total(
    name="homebred_outbox_cut_events_total", meaning="Events put into batches since the device was enrolled."
)
OUTBOX_ACKNOWLEDGED = Total(
    name="homebred_outbox_acknowledged_events_total",
    meaning="Events that the controller has committed since the device was enrolled.",
)

TRACES = Counter(
    name="homebred_traces_total",
    meaning="Traces of tasks: those that a collector took, that it did not take, and that there was no room to keep.",
    labels=(Label(name="result", words=("sent", "not_taken", "no_room")),),
)

BUILD = Gauge(
    name="homebred_build_info",
    meaning="1; the version is in the label.",
    labels=(Label(name="version", words=Given.VERSION),),
)
PROCESS_MEMORY_BYTES = Gauge(name="process_resident_memory_bytes", meaning="Memory of the daemon that is in RAM.")
PROCESS_CPU_SECONDS = Total(name="process_cpu_seconds_total", meaning="Processor time of the daemon.")
PROCESS_OPEN_FILES = Gauge(name="process_open_fds", meaning="File descriptors that the daemon has open.")
PROCESS_MOST_FILES = Gauge(name="process_max_fds", meaning="File descriptors that it may have open.")
PROCESS_STARTED = Gauge(name="process_start_time_seconds", meaning="When the daemon started, in seconds since 1970.")

MEASURES: tuple[Measure, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Measure))
"""All of them, in the order above."""


def most_series(measures: tuple[Measure, ...] = MEASURES) -> int:
    """Series that there can be at most, whatever happens."""
    return sum(measure.most_series() for measure in measures)


def fitted(measure: Measure, words: tuple[str, ...], given: Mapping[Given, frozenset[str]]) -> tuple[str, ...]:
    """The words as they may be shown: each is one of its label's, or `other`."""
    return tuple(
        word if word in _known(label, given) else OTHER for label, word in zip(measure.labels, words, strict=True)
    )


def bounded(words: Collection[str]) -> frozenset[str]:
    """The first MOST_WORDS of them, by name."""
    return frozenset(words if len(words) <= MOST_WORDS else sorted(words)[:MOST_WORDS])


def _known(label: Label, given: Mapping[Given, frozenset[str]]) -> Collection[str]:
    return given.get(label.words, frozenset()) if isinstance(label.words, Given) else label.words
