"""What the daemon may log about its place in a fleet: the part of the catalogue that only an enrolled device speaks."""

from __future__ import annotations

from homebred_daemon.log_events import Event, Severity

TELEMETRY_HELD_UP = Event(
    name="telemetry_held_up",
    severity=Severity.WARNING,
    message_id="49bfdfd9181949238a94a35d6bc36078",
    sentence="What happens here cannot be noted for the fleet just now: {error_code}.",
    next_step="Free disk space; meanwhile nothing is lost that the ledger keeps.",
    fields=("error_code",),
)
TELEMETRY_GOES_ON = Event(
    name="telemetry_goes_on",
    severity=Severity.NOTICE,
    message_id="8b2e5c1e1aab49d290fc26384898a347",
    sentence="What happens here is noted for the fleet again.",
)
TELEMETRY_LOST = Event(
    name="telemetry_lost",
    severity=Severity.WARNING,
    message_id="16254b468071453fb0b768e7a831e64c",
    sentence="{count} events will not reach the fleet; they are counted in a gap.",
    next_step="Restore the link to the controller, or give the outbox a larger quota.",
    fields=("count",),
)
OUTBOX_SET_ASIDE = Event(
    name="outbox_set_aside",
    severity=Severity.ERROR,
    message_id="e4cbcf323f1641438db476c91c207797",
    sentence="The outbox was damaged and set aside; {count} events in it count as lost.",
    next_step="Check the disk; the damaged file lies beside the new one and may be removed.",
    fields=("count",),
)
OUTBOX_FORGOTTEN = Event(
    name="outbox_forgotten",
    severity=Severity.NOTICE,
    message_id="dd65297e6147431da0fa91ee0251bf1a",
    sentence="The fleet knows this device by another name than before; {count} events for the one before are gone.",
    fields=("count",),
)
ENROLLED = Event(
    name="enrolled",
    severity=Severity.NOTICE,
    message_id="1b64e777defc09d5d4261cddc248d14e",
    sentence="This device is {device} of the site {site} in its fleet.",
    fields=(
        "device",
        "site",
        "days_left",
    ),
)
IDENTITY_UNUSABLE = Event(
    name="identity_unusable",
    severity=Severity.ERROR,
    message_id="e9b416c4eeaf86035b92c071751ab1ef",
    sentence="The device's identity in its fleet cannot be used: {error_code}; it serves without its fleet.",
    next_step="Run `homebred fleet status`, which says what is wrong with it and what to do.",
    fields=("error_code",),
)
ROOTS_PINNED = Event(
    name="roots_pinned",
    severity=Severity.NOTICE,
    message_id="e1d58d8242cfa00616b572500f1d78db",
    sentence="The image repository's root {image_root} and the director's {director_root} were pinned.",
    fields=("director_root", "image_root"),
)
CERTIFICATE_RENEWED = Event(
    name="certificate_renewed",
    severity=Severity.NOTICE,
    message_id="18089fd555d80954083d60ba82045dcd",
    sentence="The device's certificate was renewed; it holds for {days_left} days.",
    fields=(
        "days_left",
        "serial",
    ),
)
CERTIFICATE_NOT_RENEWED = Event(
    name="certificate_not_renewed",
    severity=Severity.WARNING,
    message_id="eb7f374b06bcd0e1dcc56b7917eedc64",
    sentence="The device's certificate could not be renewed, {failures} times in a row: {error_code}.",
    next_step="Nothing for weeks: it is tried again by itself. See `homebred fleet status` where it goes on.",
    fields=(
        "error_code",
        "failures",
    ),
)
CERTIFICATE_ENDS = Event(
    name="certificate_ends",
    severity=Severity.WARNING,
    message_id="731a2e319d093a3ff4e9ce740c9a2356",
    sentence="The device's certificate ends in {days_left} days and could not be renewed so far.",
    next_step="See `homebred fleet status`, and whether this device reaches its controller: `homebred doctor`.",
    fields=("days_left",),
)
CERTIFICATE_ENDED = Event(
    name="certificate_ended",
    severity=Severity.ERROR,
    message_id="b183ec9beb3bf78dc44f261b5215178e",
    sentence="The device's certificate has ended: its fleet does not take this device any more.",
    next_step="See whether the clock is right; else enrol it again with a new token: homebred enroll URL --replace.",
)
CLOCK_DISBELIEVED = Event(
    name="clock_disbelieved",
    severity=Severity.ERROR,
    message_id="219d050d4a3f14a07a3021f5adb93f75",
    sentence="The clock is before the beginning of the device's certificate, and so is wrong.",
    next_step="Set the clock: `timedatectl set-ntp true`, or by hand where there is no network time.",
)
COMMAND_KEPT = Event(
    name="command_kept",
    severity=Severity.NOTICE,
    message_id="504bd3a71d41fe50c328e57982530ca8",
    sentence="The fleet's controller sent the command {command}: {command_state}.",
    fields=(
        "command",
        "command_id",
        "command_state",
        "error_code",
    ),
)
COMMAND_DROPPED = Event(
    name="command_dropped",
    severity=Severity.WARNING,
    message_id="8bcb48459e8b1f912ab8d55a9a22f170",
    sentence="A command of the fleet's controller was dropped: {error_code}.",
    next_step="Nothing, where it happens once: the controller sends it again. Else see whether the disk is full.",
    fields=("error_code",),
)
COMMAND_ENDED = Event(
    name="command_ended",
    severity=Severity.NOTICE,
    message_id="3ecc618e62998fece4ea15efa43abcfa",
    sentence="The command {command} of the fleet's controller has ended: {command_state}.",
    fields=(
        "command",
        "command_id",
        "command_state",
        "error_code",
    ),
)
COMMANDS_SET_ASIDE = Event(
    name="commands_set_aside",
    severity=Severity.ERROR,
    message_id="9a0412cb9dc97224610f9de94ac1c4f7",
    sentence="The file of the fleet's commands could not be used and was set aside; a new one was begun.",
    next_step="See whether the disk fails. Commands that come again are done again; bundles that waited are gone.",
)
BUNDLE_WAITS = Event(
    name="bundle_waits",
    severity=Severity.NOTICE,
    message_id="0a9aebce45b53b6275a4931a0e1e6cdb",
    sentence="A bundle of diagnostics waits for somebody on the site to let it go: homebred fleet diagnostics.",
    fields=("command_id",),
)
BUNDLE_DECIDED = Event(
    name="bundle_decided",
    severity=Severity.NOTICE,
    message_id="c66a5c1ab51a019fdf70947558f6611c",
    sentence="Somebody on the site decided about a bundle of diagnostics: {command_state}.",
    fields=(
        "command_id",
        "command_state",
        "principal",
    ),
)
FLEET_CONNECTED = Event(
    name="fleet_connected",
    severity=Severity.NOTICE,
    message_id="4353c49e34eb9539d01c509d4fc4965a",
    sentence="Connected to the fleet, for the {count}. time since the start.",
    fields=("count",),
)
FLEET_LOST = Event(
    name="fleet_lost",
    severity=Severity.NOTICE,
    message_id="c85bdd96dfd3ef63a82109d9ae930026",
    sentence="No connection to the fleet: {cause}; the next try is in {seconds} s.",
    fields=("cause", "seconds"),
)
FLEET_IGNORED = Event(
    name="fleet_ignored",
    severity=Severity.WARNING,
    message_id="a9db25016f83af88237b7d81011d6546",
    sentence="A message of the fleet ({part}) was ignored: {cause}.",
    next_step="Nothing, where it happens once; else see what publishes on this device's topics beside its controller.",
    fields=("part", "cause"),
)
FLEET_HOLDS_BACK = Event(
    name="fleet_holds_back",
    severity=Severity.WARNING,
    message_id="87a5315970cfb85ba747b94c2cc40046",
    sentence="The controller cannot take telemetry of this version yet: {cause}; tried again in {seconds} s.",
    next_step="Update the controller: it is older than this device may be ahead of it. Nothing is lost meanwhile.",
    fields=("cause", "seconds"),
)
FLEET_HELD_UP = Event(
    name="fleet_held_up",
    severity=Severity.ERROR,
    message_id="93a0310ba14af88db5c142de14d7f999",
    sentence="The link with the fleet cannot read or write its files: {error_code}.",
    next_step="Run `homebred doctor`: the disk may be full. It is tried again by itself.",
    fields=("error_code",),
)
FLEET_STOPPED = Event(
    name="fleet_stopped",
    severity=Severity.WARNING,
    message_id="6cd98a1a0eeea060c27e6e02f0a1fe95",
    sentence="The fleet was stopped, by its order {count}: nothing new is taken up.",
    next_step="Ask whoever runs the fleet; what runs goes on, and the order is lifted by another one.",
    fields=("count",),
)
FLEET_RESUMED = Event(
    name="fleet_resumed",
    severity=Severity.NOTICE,
    message_id="5facd0bc3cd587c88da2dd8df061b3ee",
    sentence="The fleet was resumed, by its order {count}.",
    fields=("count",),
)
STOP_UNPROVEN = Event(
    name="stop_unproven",
    severity=Severity.WARNING,
    message_id="b32e31a012474a619c657ae7f805d201",
    sentence="A stop order ({part}, {count}) does not prove to be the director's: {error_code}.",
    next_step="`unsigned`: it changes nothing; see who may write to the broker, or why this device has not seen the "
    "director's new key. `unchecked`: nobody can say, and a stop holds meanwhile; see what the log says of trust.",
    fields=("part", "count", "error_code"),
)
DESIRED_TAKEN = Event(
    name="desired_taken",
    severity=Severity.NOTICE,
    message_id="57cc7d76c956f6de924ccf1d25af305c",
    sentence="The controller wants version {count} of what this device should be like.",
    fields=("count",),
)
DESIRED_APPLIED = Event(
    name="desired_applied",
    severity=Severity.NOTICE,
    message_id="b458c7b2fab8d14fb091f32c10e89b5b",
    sentence="The {part} that the fleet wants holds now.",
    fields=("part", "document"),
)
DESIRED_REFUSED = Event(
    name="desired_refused",
    severity=Severity.ERROR,
    message_id="ec73b8cca3691503ad0ca88e51a8e34b",
    sentence="The {part} that the fleet wants was refused: {error_code}; the one before still holds.",
    next_step="See `homebred-fleet devices why` on the controller: docs/trust.md has the code.",
    fields=("part", "document", "error_code"),
)
DESIRED_LATER = Event(
    name="desired_later",
    severity=Severity.WARNING,
    message_id="26cd9f6d7262ab8e3a80ebbde87444bd",
    sentence="The {part} that the fleet wants cannot hold yet: {error_code}; it is tried again.",
    next_step="Nothing, where it happens once; else see to link, disk or what is published: docs/trust.md.",
    fields=("part", "error_code"),
)
GAZETTEER_CHANGED = Event(
    name="gazetteer_changed",
    severity=Severity.NOTICE,
    message_id="62a3d949d6f017c159a03c95f1c1e6ea",
    sentence="Another gazetteer of the fleet holds beside the site's own.",
    fields=("gazetteer",),
)

INSTALL_MOVED = Event(
    name="install_moved",
    severity=Severity.NOTICE,
    message_id="5c0a7c3d1f6b4a0d9e1f7a2b8c4d6e10",
    sentence="Release {release} of {specialist} is {install_state}.",
    fields=("specialist", "release", "install_state", "error_code"),
)
INSTALL_REFUSED = Event(
    name="install_refused",
    severity=Severity.WARNING,
    message_id="9d41b7e2c0fa4c3f8a5be6d71c2f9034",
    sentence="Release {release} of {specialist} is {install_state}: {error_code}.",
    next_step="`homebred models why {specialist}` says what was found; what served before serves on.",
    fields=("specialist", "release", "install_state", "error_code"),
)
INSTALL_HEALED = Event(
    name="install_healed",
    severity=Severity.ERROR,
    message_id="e83f2a6b94d14f57b0c9d5a17e6c3b28",
    sentence="What served as {specialist} was damaged; what was good before serves again.",
    next_step="Check the disk; the release is installed anew when the fleet wants it again.",
    fields=("specialist",),
)
INSTALL_HELD_UP = Event(
    name="install_held_up",
    severity=Severity.WARNING,
    message_id="17b6d0c95e2a4831a4f7c8e3b9d05f62",
    sentence="A release cannot be installed just now: {error_code}; what serves goes on.",
    next_step="`homebred models history` says what it waits for; it is tried again by itself.",
    fields=("error_code",),
)
OUTCOMES_HELD_UP = Event(
    name="outcomes_held_up",
    severity=Severity.WARNING,
    message_id="0f6a3c1be2d74c5f9b8e417d2a60c9e3",
    sentence="Outcomes of answers cannot be counted for releases just now: {error_code}.",
    next_step="Free disk space; nothing is lost that the ledger keeps.",
    fields=("error_code",),
)
RELEASE_WANTED = Event(
    name="release_wanted",
    severity=Severity.NOTICE,
    message_id="c27e95d0a4b84e6d8f1350b6e97d4a12",
    sentence="Both repositories want {target} on this device.",
    fields=("target",),
)
RELEASE_NOT_TAKEN = Event(
    name="release_not_taken",
    severity=Severity.WARNING,
    message_id="71d4f0b95ae2463c9c0e8a2f5b1d6738",
    sentence="{target} is not taken: {error_code}; what serves goes on.",
    next_step="docs/trust.md and docs/installing.md have the code, and what to do.",
    fields=("target", "error_code"),
)
RELEASES_UNSEEN = Event(
    name="releases_unseen",
    severity=Severity.WARNING,
    message_id="a8b3e6f1720d4d59b64c9f0e1d8a2c75",
    sentence="What is signed for this device cannot be looked at: {error_code}; it is tried again.",
    next_step="docs/trust.md has the code; `homebred doctor` looks at the link with the fleet.",
    fields=("error_code",),
)
RELEASES_SEEN = Event(
    name="releases_seen",
    severity=Severity.NOTICE,
    message_id="3e5c9a70f86b4b1e93d27fa4c05b81d6",
    sentence="What is signed for this device can be looked at again.",
)

EVENTS: tuple[Event, ...] = (
    TELEMETRY_HELD_UP,
    TELEMETRY_GOES_ON,
    TELEMETRY_LOST,
    OUTBOX_SET_ASIDE,
    OUTBOX_FORGOTTEN,
    ENROLLED,
    IDENTITY_UNUSABLE,
    ROOTS_PINNED,
    CERTIFICATE_RENEWED,
    CERTIFICATE_NOT_RENEWED,
    CERTIFICATE_ENDS,
    CERTIFICATE_ENDED,
    CLOCK_DISBELIEVED,
    COMMAND_KEPT,
    COMMAND_DROPPED,
    COMMAND_ENDED,
    COMMANDS_SET_ASIDE,
    BUNDLE_WAITS,
    BUNDLE_DECIDED,
    FLEET_CONNECTED,
    FLEET_LOST,
    FLEET_IGNORED,
    FLEET_HOLDS_BACK,
    FLEET_HELD_UP,
    FLEET_STOPPED,
    FLEET_RESUMED,
    STOP_UNPROVEN,
    DESIRED_TAKEN,
    DESIRED_APPLIED,
    DESIRED_REFUSED,
    DESIRED_LATER,
    GAZETTEER_CHANGED,
    INSTALL_MOVED,
    INSTALL_REFUSED,
    INSTALL_HEALED,
    INSTALL_HELD_UP,
    OUTCOMES_HELD_UP,
    RELEASE_WANTED,
    RELEASE_NOT_TAKEN,
    RELEASES_UNSEEN,
    RELEASES_SEEN,
)
