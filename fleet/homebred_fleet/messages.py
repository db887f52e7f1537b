"""The catalogue of all that the controller may log: event by event, with a sentence for people and its fields.

docs/fleet-messages.md is generated from it.
"""

from __future__ import annotations

from homebred_fleet.log_events import Event, Severity

STARTING = Event(
    name="starting",
    severity=Severity.NOTICE,
    sentence="Starting version {version} as process {pid}.",
    fields=("version", "pid"),
)
READY = Event(
    name="ready",
    severity=Severity.NOTICE,
    sentence="Ready after {seconds} s: HTTPS on {address}.",
    fields=("address", "seconds"),
)
STOPPING = Event(name="stopping", severity=Severity.NOTICE, sentence="Told to stop.")
STOPPED = Event(
    name="stopped",
    severity=Severity.NOTICE,
    sentence="Stopped in good order after {seconds} s.",
    fields=("seconds",),
)
START_REFUSED = Event(
    name="start_refused",
    severity=Severity.ERROR,
    sentence="The controller refuses to start: {error_code}.",
    next_step="Read what it wrote to standard error beside this: what is wrong, and what to do.",
    fields=("error_code",),
)
CRASHED = Event(
    name="crashed",
    severity=Severity.CRITICAL,
    sentence="The controller ends: {error_type} was not expected, at {where}.",
    next_step="Report it with the place named here, and start it again: devices keep what is not acknowledged.",
    fields=("error_type", "where"),
)
DEFECT = Event(
    name="defect",
    severity=Severity.ERROR,
    sentence="A fault of homebred-fleet's own: {error_type} at {where}.",
    next_step="Report it with the place named here. Whoever asked saw an error; everything else goes on.",
    fields=("error_type", "where"),
)
LIBRARY_REPORTED = Event(
    name="library_reported",
    severity=Severity.WARNING,
    sentence="{library} reported something of the severity {severity} at {where}.",
    next_step="Nothing, where it happens once; else report it with the place named here.",
    fields=("library", "severity", "error_type", "where"),
)
ENTRIES_LOST = Event(
    name="entries_lost",
    severity=Severity.ERROR,
    sentence="{count} log entries could not be written.",
    next_step="Look at what takes the controller's standard error.",
    fields=("count",),
)
ENTRIES_HELD_BACK = Event(
    name="entries_held_back",
    severity=Severity.WARNING,
    sentence="{count} entries of the kind {kind} were one too many and left out.",
    next_step="Find out who causes them: the first ones were written.",
    fields=("count", "kind"),
)
ENROLLED = Event(
    name="enrolled",
    severity=Severity.NOTICE,
    sentence="{device} was let in, from {address}.",
    fields=("device", "serial", "address"),
)
RENEWED = Event(
    name="renewed",
    severity=Severity.INFO,
    sentence="{device} has another certificate.",
    fields=("device", "serial"),
)
ENROLMENT_REFUSED = Event(
    name="enrolment_refused",
    severity=Severity.WARNING,
    sentence="Somebody at {address} was not let in: {error_code}.",
    next_step="Nothing, where a technician mistyped a token; else see who is at that address.",
    fields=("address", "error_code"),
)
RENEWAL_REFUSED = Event(
    name="renewal_refused",
    severity=Severity.WARNING,
    sentence="{device} gets no other certificate: {error_code}.",
    next_step="Nothing, where it was to be taken out; else a token made for it lets it in again.",
    fields=("device", "error_code"),
)
REVOKED = Event(
    name="revoked",
    severity=Severity.NOTICE,
    sentence="{device} was taken out of the fleet by {admin}.",
    fields=("device", "admin"),
)
REVOCATION_IN_FORCE = Event(
    name="revocation_in_force",
    severity=Severity.NOTICE,
    sentence="The broker refuses {certificates} certificates that were taken back; {devices} devices were thrown out.",
    fields=("certificates", "devices", "seconds"),
)
REVOCATION_NOT_IN_FORCE = Event(
    name="revocation_not_in_force",
    severity=Severity.ERROR,
    sentence="The broker does not refuse yet what was taken back: {cause}.",
    next_step="See that the broker runs with the files of `homebred-fleet init`, and that the controller may reload it "
    "([broker] in fleet.toml). It is tried again all the time; over HTTPS such devices are refused already.",
    fields=("cause", "devices"),
)
CERTIFICATES_RENEWED = Event(
    name="certificates_renewed",
    severity=Severity.NOTICE,
    sentence="Certificates of the controller's own were renewed: {certificates}.",
    fields=("certificates",),
)
CERTIFICATES_NOT_RENEWED = Event(
    name="certificates_not_renewed",
    severity=Severity.ERROR,
    sentence="Certificates of the controller's own could not be renewed: {error_code}.",
    next_step="See that authority/ and controller/ can be read and written; they run out in some months.",
    fields=("error_code",),
)

BROKER_CONNECTED = Event(
    name="broker_connected",
    severity=Severity.NOTICE,
    sentence="Connected to the broker.",
)
BROKER_LOST = Event(
    name="broker_lost",
    severity=Severity.WARNING,
    sentence="There is no connection to the broker: {cause}.",
    next_step="It is tried again all the time, and devices keep what they have to tell. Where it lasts: see that the "
    "broker runs, and that [broker] in fleet.toml names it.",
    fields=("cause",),
)
STORE_FAILS = Event(
    name="store_fails",
    severity=Severity.ERROR,
    sentence="What devices tell cannot be stored: {error_code}; tried again in {seconds} s.",
    next_step="Free disk space, or start the database. Nothing is lost: what is not stored is not acknowledged.",
    fields=("error_code", "seconds"),
)
MESSAGE_SET_ASIDE = Event(
    name="message_set_aside",
    severity=Severity.ERROR,
    sentence="A message of {device} could not be stored and was put into quarantine: {error_type}.",
    next_step="Report it with `homebred-fleet telemetry quarantine`: every other message is taken.",
    fields=("device", "error_type"),
)
RECEIPT_REFUSED = Event(
    name="receipt_refused",
    severity=Severity.ERROR,
    sentence="A receipt that {device} sent was not signed by a key of its own: {cause}.",
    next_step="docs/air-gap.md has the causes. Who forges receipts is taken out: `homebred-fleet devices revoke`.",
    fields=("device", "cause"),
)
ANSWER_FAILS = Event(
    name="answer_fails",
    severity=Severity.WARNING,
    sentence="What a device asked for over the broker could not be answered: {error_code}.",
    next_step="See to the database, the releases' folders and `homebred-fleet director status`; devices ask again.",
    fields=("error_code",),
)
ANSWER_DEFECT = Event(
    name="answer_defect",
    severity=Severity.ERROR,
    sentence="What {device} asked for over the broker could not be answered, by a fault of our own: {error_type}.",
    next_step="Report it: every other request is answered.",
    fields=("device", "error_type"),
)
REQUESTS_DROPPED = Event(
    name="requests_dropped",
    severity=Severity.WARNING,
    sentence="{count} requests were dropped since this was last said, the last one of {device}: {cause}.",
    next_step="Nothing, where many devices fetch at once: they ask again. Else see what that device is up to.",
    fields=("count", "device", "cause"),
)
NOT_RECONCILED = Event(
    name="not_reconciled",
    severity=Severity.ERROR,
    sentence="What devices should be told could not be published: {error_code}.",
    next_step="See to the database and the documents' folder; it is tried again within seconds.",
    fields=("error_code",),
)
OLD_FORGOTTEN = Event(
    name="old_forgotten",
    severity=Severity.INFO,
    sentence="{count} {kind} older than {days} days were deleted.",
    fields=("kind", "count", "days"),
)
SURPLUS_FORGOTTEN = Event(
    name="surplus_forgotten",
    severity=Severity.WARNING,
    sentence="The oldest {count} {kind} of {device} were deleted: there were more than {most}, and it had most.",
    next_step="Find out why that device tells so much, or raise what [telemetry] allows if the disk has room.",
    fields=("device", "kind", "count", "most"),
)
NOT_FORGOTTEN = Event(
    name="not_forgotten",
    severity=Severity.ERROR,
    sentence="Telemetry that is too old or too much could not be deleted: {error_code}.",
    next_step="See to the database; it is tried again within seconds while telemetry comes, else in an hour.",
    fields=("error_code",),
)
DESIRED_PUBLISHED_AGAIN = Event(
    name="desired_published_again",
    severity=Severity.NOTICE,
    sentence="The broker had lost what {devices} devices should be like; it was published again.",
    fields=("devices",),
)
STOP_TAKEN_OVER = Event(
    name="stop_taken_over",
    severity=Severity.ERROR,
    sentence="A {source} had a stop order of the director's that the database did not know of; the order {order} of "
    "epoch {epoch} holds.",
    next_step="Where the database was replaced by an older copy, that is right: see `homebred-fleet stop status`, and "
    "order anew what should hold. Else somebody else has the director's key: see docs/signing.md.",
    fields=("source", "order", "epoch"),
)
STOP_UNPROVEN = Event(
    name="stop_unproven",
    severity=Severity.ERROR,
    sentence="A {source} had a stop order ({order}, epoch {epoch}) that the director has not signed: it is none.",
    next_step="See who may write to the broker. Where the director's key was replaced and the database by an older "
    "copy, order anew what should hold: `homebred-fleet stop on` or `stop off`.",
    fields=("source", "order", "epoch"),
)
STOP_UNSIGNED = Event(
    name="stop_unsigned",
    severity=Severity.ERROR,
    sentence="No stop order can be signed: {error_code}. Devices heed what they heard last; nobody gets leave to take "
    "anything up while the fleet is stopped.",
    next_step="See that the director's folder is published and names the controller's online key: docs/signing.md. The "
    "order is signed and published within seconds then.",
    fields=("error_code",),
)
DEVICES_UNHEARD = Event(
    name="devices_unheard",
    severity=Severity.WARNING,
    sentence="{devices} devices did not come back to the broker and count as offline.",
    next_step="See them with `homebred-fleet devices list 'online==false'`, and why with `devices why`.",
    fields=("devices",),
)

EVENTS: tuple[Event, ...] = (
    STARTING,
    READY,
    STOPPING,
    STOPPED,
    START_REFUSED,
    CRASHED,
    DEFECT,
    LIBRARY_REPORTED,
    ENTRIES_LOST,
    ENTRIES_HELD_BACK,
    ENROLLED,
    RENEWED,
    ENROLMENT_REFUSED,
    RENEWAL_REFUSED,
    REVOKED,
    REVOCATION_IN_FORCE,
    REVOCATION_NOT_IN_FORCE,
    CERTIFICATES_RENEWED,
    CERTIFICATES_NOT_RENEWED,
    BROKER_CONNECTED,
    BROKER_LOST,
    STORE_FAILS,
    MESSAGE_SET_ASIDE,
    RECEIPT_REFUSED,
    ANSWER_FAILS,
    ANSWER_DEFECT,
    REQUESTS_DROPPED,
    NOT_RECONCILED,
    OLD_FORGOTTEN,
    SURPLUS_FORGOTTEN,
    NOT_FORGOTTEN,
    DESIRED_PUBLISHED_AGAIN,
    STOP_TAKEN_OVER,
    STOP_UNPROVEN,
    STOP_UNSIGNED,
    DEVICES_UNHEARD,
)
