"""Writes docs/metrics.md, which is generated from the catalogue of figures.

Usage: python packaging/tools/metric_docs.py. A test compares what is committed with what this would write.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from homebred_daemon.core.measures import MEASURES, MOST_WORDS, Given, Histogram, Label, Measure, most_series

ROOT = Path(__file__).parents[2]
HEAD = f"""# What the daemon measures

Generated from the catalogue (`daemon/homebred_daemon/core/measures.py`) by `packaging/tools/metric_docs.py`. Nothing
else is measured. No figure holds a task's content, its id, its workflow, its labels or its caller: a label's words are
those listed below, or names that only the site's administrator gives, the first {MOST_WORDS} of a kind by name; all
else is `other`. There are at most {most_series():,} series, whatever callers do.

Off by default, and then nothing is counted. `[metrics] socket` names a Unix socket (mode 0660 with `group`, else 0600)
that answers `GET /metrics` in Prometheus's text format; `port` is one of 127.0.0.1 in its place, which every local user
may read. The daemon never sends figures anywhere. A request with an `Origin` gets nothing, and at a port nor does one
whose `Host` is another name than this device's, so that no page in a browser can read them.

```
curl --unix-socket /run/homebred/daemon/metrics.sock http://localhost/metrics
```
Prometheus itself scrapes no Unix sockets: let an agent on the device do so, or a reverse proxy that may read the
socket. The packaged service has no network, so there the socket is the way. Where `metrics.group` is another group than
the daemon's own, `homebred`, a drop-in must set `SupplementaryGroups=` of that group and `SystemCallFilter=@chown`.

Figures begin anew with each start. Those of a specialist or cloud endpoint that the site no longer has go with it.
"""


def documents() -> Mapping[Path, str]:
    """The text of every generated file."""
    rows = [_row(measure) for measure in MEASURES]
    table = ["", "| name | kind | labels | what |", "|---|---|---|---|", *rows]
    return {ROOT / "docs" / "metrics.md": HEAD + "\n".join([*table, "", *_labels()]) + "\n"}


def _row(measure: Measure) -> str:
    meaning = measure.meaning
    if isinstance(measure, Histogram):
        meaning += f" Buckets up to {', '.join(f'{bound:g}' for bound in measure.bounds)}."
    labels = ", ".join(f"`{label.name}`" for label in measure.labels)
    return f"| `{measure.name}` | {measure.kind} | {labels} | {meaning} |"


def _labels() -> list[str]:
    users: dict[Label, list[str]] = {}
    for measure in MEASURES:
        for label in measure.labels:
            users.setdefault(label, []).append(f"`{measure.name}`")
    rows = [f"| `{label.name}` of {', '.join(names)} | {_words(label)} |" for label, names in users.items()]
    return ["## Labels", "| label | words, beside `other` |", "|---|---|", *rows]


def _words(label: Label) -> str:
    if isinstance(label.words, Given):
        return label.words.value
    return ", ".join(f"`{word}`" for word in label.words)


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
        print(path.relative_to(ROOT))
