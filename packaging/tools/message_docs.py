"""Writes what is generated from the message catalogues: their documents, and the journal's catalogue (`journalctl -x`).

Usage: python packaging/tools/message_docs.py. A test compares what is committed with what this would write.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from homebred_daemon.log_events import FIELDS, Event
from homebred_daemon.messages import EVENTS
from homebred_fleet import log_events as fleet_events
from homebred_fleet import messages as fleet_messages

ROOT = Path(__file__).parents[2]
HEAD = """# What the daemon logs

Generated from the catalogue (`daemon/homebred_daemon/messages.py`) by `packaging/tools/message_docs.py`. Nothing else
is logged, and no entry holds a task's content: a field is a number, a word of some list, an id, a digest or a place.

`[log] format` says in which form: `journal` sends fields to the systemd journal (`auto` does where the journal reads
the daemon's standard error), `json` writes one object a line, `console` text. Severity, sentence and fields are the
same. In the journal a field is called `HOMEBRED_` and its name in capitals, beside `MESSAGE`, `PRIORITY`,
`MESSAGE_ID`, `SYSLOG_IDENTIFIER=homebredd`, `HOMEBRED_EVENT` and `HOMEBRED_NEXT`, which says what to do:
```
journalctl -u homebred -p warning -x          # what was wrong, each with what to do about it
journalctl HOMEBRED_EVENT=worker_hung -o json # one kind of event, with its fields
```
Beyond 200 entries of one kind in 10 seconds the rest is left out and counted (`entries_held_back`); entries that
could not be written are counted too (`entries_lost`).
"""
FLEET_HEAD = """# What the controller logs

Generated from the catalogue (`fleet/homebred_fleet/messages.py`) by `packaging/tools/message_docs.py`. Nothing else is
logged, and no entry holds a text that somebody sent: a field is a name, a number, a digest or a place in the code.

One object a line on standard error (`log.format = "json"`), with `event`, `level`, `message`, `next`, the fields and
`timestamp`, or text for people (`console`). Beyond 200 entries of one kind in 10 seconds the rest is left out and
counted (`entries_held_back`).
"""


def documents() -> Mapping[Path, str]:
    """The text of every generated file."""
    return {
        ROOT / "docs" / "messages.md": HEAD + "".join(_section(event) for event in EVENTS) + _fields(),
        ROOT / "docs" / "fleet-messages.md": FLEET_HEAD + "".join(map(_fleet_section, fleet_messages.EVENTS)),
        ROOT / "packaging" / "systemd" / "homebred.catalog": "\n".join(_catalogued(event) for event in EVENTS),
    }


def _section(event: Event) -> str:
    lines = ["", f"## {event.name}", f"{event.severity.name.lower()}, `{event.message_id}`: {event.sentence}"]
    lines += ["", f"What to do: {event.next_step}"] if event.next_step else []
    lines += ["", f"Fields: {', '.join(f'`{name}`' for name in event.fields)}."] if event.fields else []
    return "\n".join(lines) + "\n"


def _fleet_section(event: fleet_events.Event) -> str:
    lines = ["", f"## {event.name}", f"{event.severity.name.lower()}: {event.sentence}"]
    lines += ["", f"What to do: {event.next_step}"] if event.next_step else []
    lines += ["", f"Fields: {', '.join(f'`{name}`' for name in event.fields)}."] if event.fields else []
    return "\n".join(lines) + "\n"


def _fields() -> str:
    rows = [f"| `{name}` | {field.shape.name.lower()} | {field.meaning} |" for name, field in FIELDS.items()]
    return "\n".join(["", "## Fields", "| field | shape | meaning |", "|---|---|---|", *rows]) + "\n"


def _catalogued(event: Event) -> str:
    """One entry as systemd's "Journal Message Catalogs" has it; @FIELD@ stands for a field of the entry."""
    explained = _substituted(event, event.next_step) or "Nothing needs to be done."
    subject = _substituted(event, event.sentence)
    return f"-- {event.message_id}\nSubject: {subject}\nDefined-By: homebred\n\n{explained}\n"


def _substituted(event: Event, sentence: str) -> str:
    return sentence.format_map({name: f"@HOMEBRED_{name.upper()}@" for name in event.fields})


if __name__ == "__main__":
    for path, text in documents().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(path.relative_to(ROOT))
