"""Writes docs/tracing.md, which is generated from the catalogue of spans.

Usage: python packaging/tools/trace_docs.py. A test compares what is committed with what this would write.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from homebred_daemon.adapters.otlp import PATH, SENT_WITHIN_S
from homebred_daemon.core.traces import KINDS, MAX_SPANS, SpanKind
from homebred_daemon.services.tracing import AGAIN_AFTER_S, MAX_TOGETHER, MAX_WAITING

ROOT = Path(__file__).parents[2]
HEAD = f"""# Traces of tasks

Generated from the catalogue (`daemon/homebred_daemon/core/traces.py`) by `packaging/tools/trace_docs.py`. Nothing else
is traced. A trace says when the parts of a task began and ended, in the names and words listed below: no content, no
id, no workflow, no label, no caller and no specialist. Its own ids are random.

Off by default, and then nothing is timed. `[tracing] socket` names the Unix socket of an OpenTelemetry collector on
this device, `port` one of 127.0.0.1 in its place; no other place can be named, and no environment variable is read.
Traces go there as OTLP over HTTP (`POST {PATH}`, protobuf); what the collector does with them is the site's affair.
The packaged service has no network, so there the socket is the way; the daemon's user must be able to write to it.

It needs the extra `otel`, which is the messages of OpenTelemetry alone (`opentelemetry-proto`, Apache-2.0, 72 kB,
beside the protobuf that the daemon has), in the daemon's environment:

```
pip install --require-hashes --no-deps -r packaging/locks/otel.lock
```

No task waits for its trace, or fails with it. At most {MAX_WAITING:,} finished ones are kept; up to {MAX_TOGETHER} go
in one message, one message every {AGAIN_AFTER_S:g} s at most, which the collector has {SENT_WITHIN_S:g} s to take. What
it does not take is dropped, not sent again, and counted in `homebred_traces_total` (docs/metrics.md). A task has
at most {MAX_SPANS} parts.

## A caller's own trace
A task is a part of its caller's trace where the call says so in `traceparent`, a header over HTTP and metadata over
gRPC, as W3C's Trace Context writes it. One that is not well-formed, or stands there twice, is passed over. Those ids
are the only thing in a trace that a caller can choose.

## Spans
A task is one span of the kind *server*, the parts are its children. Names of attributes begin with `homebred.`; every
word that is not listed is `other`.

| name | what | attributes |
|---|---|---|
"""


def documents() -> Mapping[Path, str]:
    """The text of every generated file."""
    return {ROOT / "docs" / "tracing.md": HEAD + "".join(map(_row, KINDS))}


def _row(kind: SpanKind) -> str:
    labels = "; ".join(f"`{label.name}`: " + ", ".join(f"`{word}`" for word in label.words) for label in kind.labels)
    return f"| `{kind.name}` | {kind.meaning} | {labels} |\n"


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
        print(path.relative_to(ROOT))
