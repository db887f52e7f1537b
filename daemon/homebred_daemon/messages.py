"""The catalogue of all that the daemon may log: event by event with a fixed id, a sentence for people and its fields.

docs/messages.md and the journal's own catalogue (`journalctl -x`) are generated from it.
"""

from __future__ import annotations

from homebred_daemon import fleet_messages
from homebred_daemon.log_events import Event, Severity

STARTING = Event(
    name="starting",
    severity=Severity.NOTICE,
    message_id="6490b21a370849afa827b442bb00dd24",
    sentence="Starting version {version} as process {pid}.",
    fields=("version", "pid"),
)
READY = Event(
    name="ready",
    severity=Severity.NOTICE,
    message_id="54ba9787ecb245a2bf4070f25a1da90a",
    sentence="Ready after {seconds} s, on {socket}.",
    fields=("socket", "socket_from", "seconds", "service_manager"),
)
STOPPING = Event(
    name="stopping",
    severity=Severity.NOTICE,
    message_id="bc236e8006a04b819d295c958a3687c9",
    sentence="Told to stop; answers get {grace_s} s to end.",
    fields=("grace_s",),
)
DRAINED = Event(
    name="drained",
    severity=Severity.NOTICE,
    message_id="2a2e3a3cdfc242d5ade53fee2ec51e40",
    sentence="{streams} answers were cut off by the end.",
    fields=("streams", "seconds"),
)
STOPPED = Event(
    name="stopped",
    severity=Severity.NOTICE,
    message_id="d90a2f4c91d949c982eef3e2682abdd1",
    sentence="Stopped in good order after {seconds} s.",
    fields=("seconds",),
)
START_REFUSED = Event(
    name="start_refused",
    severity=Severity.ERROR,
    message_id="f8a10d34ad0a4ccab82ca017afde0854",
    sentence="The daemon refuses to start: {error_code}.",
    next_step="Read what it wrote to standard error beside this: what is wrong, and what to do.",
    fields=("error_code",),
)
SECOND_DAEMON_REFUSED = Event(
    name="second_daemon_refused",
    severity=Severity.ERROR,
    message_id="ab1cb6cef803410b9a1fba2ce0f8549e",
    sentence="Another daemon serves here already; this one gives way.",
    next_step="Stop one of the two, or give this one a state_dir and a runtime_dir of its own.",
)
CRASHED = Event(
    name="crashed",
    severity=Severity.CRITICAL,
    message_id="955c5847b18f4e15846a724893b8c9d8",
    sentence="The daemon ends: {error_type} was not expected.",
    next_step="Report it with the places named here. systemd starts the daemon again; callers saw their tasks "
    "end in an error.",
    fields=("error_type", "where"),
)
DEFECT = Event(
    name="defect",
    severity=Severity.ERROR,
    message_id="76599777fb6a4808b04f20105f3659ac",
    sentence="A fault of homebred's own: {error_type}.",
    next_step="Report it with the places named here. Its caller saw an error; other tasks go on.",
    fields=("error_type", "where"),
)
LIBRARY_REPORTED = Event(
    name="library_reported",
    severity=Severity.WARNING,
    message_id="f3859cb31a974d0ba63d81fa23853d32",
    sentence="{library} reported something of the severity {severity}.",
    next_step="Nothing, where it happens once; else report it with the places named here. Its words are not "
    "kept: they may quote a task.",
    fields=("library", "severity", "error_type", "where"),
)
ENTRIES_LOST = Event(
    name="entries_lost",
    severity=Severity.ERROR,
    message_id="b3b2cc9022154f7ca1cb7469090e2600",
    sentence="{count} log entries could not be written.",
    next_step="Look at what takes the daemon's standard error, and at `systemctl status systemd-journald`.",
    fields=("count",),
)
ENTRIES_HELD_BACK = Event(
    name="entries_held_back",
    severity=Severity.WARNING,
    message_id="8ee40683bcce4fa1a0ae825c6dc36087",
    sentence="{count} entries of the kind {kind} were one too many and left out.",
    next_step="Find out who causes them: the first ones were written.",
    fields=("count", "kind"),
)
BEAT_WITHHELD = Event(
    name="beat_withheld",
    severity=Severity.CRITICAL,
    message_id="4d0a6508dcb14ebf87c028953292bfa8",
    sentence="The watchdog is not told that the daemon lives, as its {part} does not.",
    next_step="Nothing: systemd starts the daemon again. Report it where it repeats.",
    fields=("part",),
)
MANAGER_SILENT = Event(
    name="manager_silent",
    severity=Severity.WARNING,
    message_id="24a639542a85479d8033e27fcb9e0a48",
    sentence="The service manager cannot be told how the daemon stands.",
    next_step="See `systemctl status homebred`. Where it waits for the watchdog, it starts the daemon again.",
)
MANAGER_HEARS = Event(
    name="manager_hears",
    severity=Severity.NOTICE,
    message_id="e2f08eed50774fc2b24278eaed810e32",
    sentence="The service manager can be told again how the daemon stands.",
)
RECOVERED = Event(
    name="recovered",
    severity=Severity.WARNING,
    message_id="381d15c35b33407388b764932736415a",
    sentence="The daemon had not ended in good order: {interrupted} tasks were interrupted, {reviews} wait "
    "for a person.",
    next_step="See the entries before the last start for the cause.",
    fields=("interrupted", "reviews"),
)
RECOVERY_POSTPONED = Event(
    name="recovery_postponed",
    severity=Severity.ERROR,
    message_id="91c0144f09fa4e2f91505c13e70bc31c",
    sentence="What may have been interrupted before could not be closed in the ledger: {error_code}.",
    next_step="Free disk space, then restart the daemon; until there is room no task is taken.",
    fields=("error_code",),
)
WORKER_STARTED = Event(
    name="worker_started",
    severity=Severity.INFO,
    message_id="9916a10dd95f415392edb9097a622659",
    sentence="Worker {pid} serves a model with {engine} after {seconds} s.",
    fields=("engine", "model", "pid", "seconds"),
)
WORKER_GONE = Event(
    name="worker_gone",
    severity=Severity.INFO,
    message_id="cda2c7c6de2d4112b4be591296d6e3e7",
    sentence="Worker {pid} is gone.",
    fields=("pid",),
)
WORKER_ENDED = Event(
    name="worker_ended",
    severity=Severity.ERROR,
    message_id="44937c0f2d594e979795f31a902a15b4",
    sentence="Worker {pid} ended in the middle of its work, after {seconds} s.",
    next_step="See `homebred status` for the cause. Its tasks were decided again or ended in an error; "
    "another is started by itself.",
    fields=("engine", "model", "pid", "exit", "seconds"),
)
WORKER_HUNG = Event(
    name="worker_hung",
    severity=Severity.ERROR,
    message_id="ea2fb95c819a439aa16ca8f8970c538e",
    sentence="Worker {pid} made no progress and was ended, after {seconds} s of service.",
    next_step="See `homebred status`. On a machine that is only slow, raise engine.stall_timeout_s.",
    fields=("engine", "model", "pid", "seconds"),
)
WORKER_NOT_STARTED = Event(
    name="worker_not_started",
    severity=Severity.ERROR,
    message_id="d91e655b2ad3490eb1448a952fcd8306",
    sentence="No worker could be started for a model: {cause}.",
    next_step="Run `homebred doctor`, and see `homebred status` for the cause.",
    fields=("engine", "model", "cause"),
)
ADAPTERS_CHANGED = Event(
    name="adapters_changed",
    severity=Severity.INFO,
    message_id="fda1fd6066184c8a9db0757449969911",
    sentence="A model serves {adapters} adapters after {seconds} s.",
    fields=("engine", "model", "adapters", "seconds"),
)
ADAPTER_REFUSED = Event(
    name="adapter_refused",
    severity=Severity.ERROR,
    message_id="0eb0f443989e4b59ba3d4a1dbb326fc5",
    sentence="A model is served without an adapter that does not fit it.",
    next_step="Run `homebred models verify`; add the specialist again, or one made for this base.",
    fields=("engine", "model", "adapter"),
)
ADAPTERS_NOT_CHANGED = Event(
    name="adapters_not_changed",
    severity=Severity.WARNING,
    message_id="223ff6f815614abaa6277e911beb591b",
    sentence="A model goes on with the adapters it had: {error_code}.",
    next_step="Where memory is short, lower engine.max_adapters or raise engine.memory_budget_mb.",
    fields=("engine", "model", "error_code"),
)
MODEL_HEALTHY = Event(
    name="model_healthy",
    severity=Severity.NOTICE,
    message_id="c8fd8c8316244f768b11d5dd62000cb2",
    sentence="A model that had failed answers again.",
    fields=("engine", "model"),
)
MODEL_BACKING_OFF = Event(
    name="model_backing_off",
    severity=Severity.WARNING,
    message_id="736efc4428334e2a9bd61e2ded02dee4",
    sentence="A model rests for {seconds} s after {failures} failures in a row.",
    next_step="Nothing: it is tried again by itself. See `homebred status` for the cause.",
    fields=("engine", "model", "failures", "seconds"),
)
MODEL_PARKED = Event(
    name="model_parked",
    severity=Severity.ERROR,
    message_id="e5361e5ba04d4ba498214c69230a883c",
    sentence="A model is parked after {failures} failures.",
    next_step="Find the cause with `homebred status` and remove it, then `homebred models load` tries it again.",
    fields=("engine", "model", "failures"),
)
MODELS_RELOADED = Event(
    name="models_reloaded",
    severity=Severity.NOTICE,
    message_id="952f3f8fc25745919c529b29ecd0f8c0",
    sentence="{specialists} specialists can be served; {damaged} cannot be read.",
    fields=("registry", "specialists", "damaged"),
)
POLICY_CHANGED = Event(
    name="policy_changed",
    severity=Severity.NOTICE,
    message_id="2a51c189b88142d9aa64600efc8278b6",
    sentence="Another policy holds, from {origin}.",
    fields=("policy", "previous_policy", "origin"),
)
DRAINING = Event(
    name="draining",
    severity=Severity.NOTICE,
    message_id="bf72407edc664e81a60f09687a7cf963",
    sentence="No more tasks are taken; {streams} are still answered.",
    fields=("streams",),
)
RESUMED = Event(
    name="resumed",
    severity=Severity.NOTICE,
    message_id="c878ada748e04ea790d3ce2e0caafc76",
    sentence="Tasks are taken again.",
)
LEVEL_CHANGED = Event(
    name="level_changed",
    severity=Severity.NOTICE,
    message_id="6a25471c0bef4e86b2e91bd031178c4f",
    sentence="Entries are written from the severity {severity} on; before, from {previous_severity} on.",
    fields=("severity", "previous_severity"),
)
GATE_STOPPED = Event(
    name="gate_stopped",
    severity=Severity.ERROR,
    message_id="b073f90ef7364e8c9ec39a05b5f53a59",
    sentence="An escalation was not sent: what was about to leave still held {entity_types}.",
    next_step="Report it: masking should have found that. Until then add what it was to the site's gazetteer.",
    fields=("entity_types",),
)
NETWORK_UNHEARD = Event(
    name="network_unheard",
    severity=Severity.NOTICE,
    message_id="1704557d6b944c16903285a0f4cb6921",
    sentence="What the system says of its network cannot be heard (no AF_NETLINK); calls and probes alone judge links, "
    "and no interface makes one metered.",
)
SPENDING_UNREADABLE = Event(
    name="spending_unreadable",
    severity=Severity.WARNING,
    message_id="5fd813aeb72142cea65ea3ba2b56cd74",
    sentence="Today's whole cloud budget counts as spent: what it cost so far cannot be read.",
    next_step="Nothing: tomorrow's budget is there at 00:00 UTC. See whether the disk fails.",
)
RECOGNIZER_FAILED = Event(
    name="recognizer_failed",
    severity=Severity.WARNING,
    message_id="d4e7407cbb7444d98488938ca07e07a1",
    sentence="The recognizer of names ended with {error_code}; a text that it should have searched did not leave.",
    next_step="Look at the memory and at `homebred doctor`; it is started again for one of the next texts.",
    fields=("error_code",),
)
LINK_CHANGED = Event(
    name="link_changed",
    severity=Severity.NOTICE,
    message_id="13d691e428874c28bac3d1e01ab3cf81",
    sentence="The link to {alias} is {link}: {link_cause}.",
    fields=("alias", "link", "link_cause"),
)
GATEWAY_OPEN = Event(
    name="gateway_open",
    severity=Severity.NOTICE,
    message_id="b77577ed17df4a419207cc3b4886fce3",
    sentence="The OpenAI-compatible gateway listens at {gateway}.",
    fields=("gateway",),
)
GATEWAY_REFUSED = Event(
    name="gateway_refused",
    severity=Severity.WARNING,
    message_id="c342e2bc180a4bb4a29a84dd27bbed4c",
    sentence="The gateway refused a request: {error_code}.",
    next_step="Look for a program with a wrong token (unattested), or a page in a browser (not_permitted).",
    fields=("error_code",),
)
CONNECTION_REFUSED = Event(
    name="connection_refused",
    severity=Severity.WARNING,
    message_id="89e58d4ae9484c0790c4bb3d8937125b",
    sentence="A connection was closed at once: {error_code}.",
    next_step="Look for an application that opens connections and does not close them.",
    fields=("error_code",),
)
CALLER_UNREAD = Event(
    name="caller_unread",
    severity=Severity.WARNING,
    message_id="d63cfbf04adf4bf3b1be0b1cdf1c5b3b",
    sentence="A caller left its answer unread too long and was dropped.",
    next_step="Look at the application that runs as {principal}: it stops reading its streams.",
    fields=("principal",),
)
REVIEW_FILED = Event(
    name="review_filed",
    severity=Severity.NOTICE,
    message_id="31ea5e5c45bb41dfa5923fd5d9c2a718",
    sentence="A task waits for a person: {reason_code}.",
    fields=("route_id", "reason_code"),
)
REVIEW_CLAIMED = Event(
    name="review_claimed",
    severity=Severity.INFO,
    message_id="f01707051f224903890e31bea4cda829",
    sentence="Somebody looks at a task that waited.",
    fields=("route_id", "principal"),
)
REVIEW_GIVEN_BACK = Event(
    name="review_given_back",
    severity=Severity.INFO,
    message_id="1f0f937b93f9460ab9fdac233dcb0d61",
    sentence="A task waits again: its claim was given back, or its lease is over.",
    fields=("route_id",),
)
REVIEW_ENDED = Event(
    name="review_ended",
    severity=Severity.NOTICE,
    message_id="2b338ea6e10c45d5abdbc9e58d2860ee",
    sentence="A person has ended a task: {outcome}.",
    fields=("route_id", "outcome"),
)
REVIEW_EXPIRED = Event(
    name="review_expired",
    severity=Severity.WARNING,
    message_id="16153f8ca6604ec787dabc18367ee97e",
    sentence="A task expired before anybody answered it.",
    next_step="Have somebody look at `homebred review list` more often, or lengthen review.retention_h.",
    fields=("route_id",),
)
REVIEW_QUEUE_FULL = Event(
    name="review_queue_full",
    severity=Severity.WARNING,
    message_id="020b7e23c774404d94dd25bbbb44ab75",
    sentence="The review queue is full, and a task was refused: {waiting} wait.",
    next_step="Have reviewers work it off (`homebred review list`), or raise review.max_items and review.max_mb.",
    fields=("waiting",),
)
REVIEWS_IN_TROUBLE = Event(
    name="reviews_in_trouble",
    severity=Severity.ERROR,
    message_id="f5c0dba2cbaa48ceb8d225b76f8b9f9a",
    sentence="Time could not catch up with the review queue: {error_code}.",
    next_step="Run `homebred doctor`: the disk may be full, or the file damaged. It is tried again by itself.",
    fields=("error_code",),
)


EVENTS: tuple[Event, ...] = (
    STARTING,
    READY,
    STOPPING,
    DRAINED,
    STOPPED,
    START_REFUSED,
    SECOND_DAEMON_REFUSED,
    CRASHED,
    DEFECT,
    LIBRARY_REPORTED,
    ENTRIES_LOST,
    ENTRIES_HELD_BACK,
    BEAT_WITHHELD,
    MANAGER_SILENT,
    MANAGER_HEARS,
    RECOVERED,
    RECOVERY_POSTPONED,
    WORKER_STARTED,
    WORKER_GONE,
    WORKER_ENDED,
    WORKER_HUNG,
    WORKER_NOT_STARTED,
    ADAPTERS_CHANGED,
    ADAPTER_REFUSED,
    ADAPTERS_NOT_CHANGED,
    MODEL_HEALTHY,
    MODEL_BACKING_OFF,
    MODEL_PARKED,
    MODELS_RELOADED,
    POLICY_CHANGED,
    DRAINING,
    RESUMED,
    LEVEL_CHANGED,
    GATE_STOPPED,
    NETWORK_UNHEARD,
    SPENDING_UNREADABLE,
    RECOGNIZER_FAILED,
    LINK_CHANGED,
    GATEWAY_OPEN,
    GATEWAY_REFUSED,
    CONNECTION_REFUSED,
    CALLER_UNREAD,
    REVIEW_FILED,
    REVIEW_CLAIMED,
    REVIEW_GIVEN_BACK,
    REVIEW_ENDED,
    REVIEW_EXPIRED,
    REVIEW_QUEUE_FULL,
    REVIEWS_IN_TROUBLE,
    *fleet_messages.EVENTS,
)
