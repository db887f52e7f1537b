"""I4 on real processes: 6,000 canaries in local-only tasks, and none in a byte that leaves the daemon and its workers.

Callers write them into every field of the wire and go every way there is, while public tasks do reach a stand-in cloud
beside them. Then everything that the processes sent over IP (packets of their network namespace), wrote into files and
logs, said to others and show of themselves is searched, in plain and in the usual encodings.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.support.canaries import CONTENT, NAME, PATIENT, Canaries, files_below, found_in
from tests.support.canary_callers import FIT, FRAIL, OPEN, WAYS, WEAK, Company, Tally
from tests.support.daemon_process import Site
from tests.support.isolated_cloud import IsolatedCloud, is_possible
from tests.support.metrics_reader import exchanged
from tests.support.quoting_worker import interpreter
from tests.support.trace_collector import TraceCollector
from tests.support.wire_client import DaemonClient
from typing_extensions import override

from homebred_daemon.demo.stand_in_cloud import Fault
from homebred_protocol.client import ReviewState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_possible, reason="NOT TESTED HERE: no network namespace can be made"),
]

CANARIES, CALLERS = 6000, 8
LIVES = (
    (0.7, "openai_chat", signal.SIGTERM),
    (0.8, "openai_responses", signal.SIGKILL),
    (0.9, "anthropic_messages", signal.SIGABRT),
    (1.0, "openai_chat", signal.SIGTERM),
)
"""Of the daemon: how many of the canaries are made before it ends, what its cloud speaks, and how it ends."""
PATIENCE_S, ENDED_WITHIN_S = 120.0, 20.0
ENDED_TOO = [state for state in ReviewState if state is not ReviewState.UNKNOWN]
CORELESS = re.compile(r"^Max core file size +0 +0 ", re.MULTILINE)
PART = re.compile(r"(?:state/)?[a-z]+")
"""Of a place's name, what the figures are told by."""
RECORDS = ("state/ledger.sqlite", "state/review.sqlite", "review list")
"""Have ids, workflows and labels, as SECURITY.md says."""
LANES = {
    *("task local_only", "task below_floor", "task no_candidate", "task answer", "task review", "task error"),
    *("error bad_request", "error overloaded", "error deadline_exceeded", "error engine_unavailable"),
    *("error not_found", "error daemon_unreachable", "error draining", "fallback", "dry run local_only"),
    *("public answer", "public degraded", "public review", "cloud_failed"),
    *(f"fault {fault}" for fault in Fault),
    *WAYS,
}
"""All that callers must have gone through."""
CONFIGURATION = """
[log]
level = "debug"
[link]
state = "up"
[detection]
gazetteer_file = "{gazetteer}"
recognizer = "off"
[engine]
python = "{python}"
max_models = 4
stall_timeout_s = 1.0
[requests]
max_streams = 7
drain_s = 1.0
[review]
{review}
[metrics]
socket = "{metrics}"
[tracing]
socket = "{traces}"
[policy]
file = "{policy}"
[cloud]
max_calls_per_day = 0
[cloud.endpoints."cloud/default"]
base_url = "{base_url}"
wire_format = "{wire_format}"
model = "stand-in"
"""
FULL_SOON, EXPIRES_SOON = "max_items = 100", "retention_h = 0.0005"
"""In [review]."""
LETS_ALL_LEAVE = 'local_only_classes = []\ndefault_class = "public"\nmaximum_residual_risk = 1.0\n'


@dataclass(slots=True, kw_only=True)
class WatchedSite(Site):
    """A site in the cloud's namespace."""

    beside: Path
    """Holds what a site protects itself."""
    cloud: IsolatedCloud
    collector: TraceCollector = field(default_factory=TraceCollector)
    """Of traces."""

    @property
    def traces(self) -> Path:
        """Where the collector is."""
        return self.beside / "otlp.sock"

    @property
    def figures(self) -> Path:
        """Where the daemon shows its figures."""
        return self.folder / "metrics.sock"

    def connect(self) -> DaemonClient:
        """Another connection."""
        return DaemonClient(self.socket)

    @override
    def command(self, *flags: str) -> list[str]:
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        return [*self.cloud.way_in, "env", f"TMPDIR={temporary}", *super(WatchedSite, self).command(*flags)]

    def configure(self, *, wire_format: str, review: str = "", policy: str = "") -> None:
        """Writes what the daemon reads."""
        gazetteer, policy_file = self.beside / "gazetteer.jsonl", self.beside / "policy.toml"
        gazetteer.write_text(json.dumps({"text": PATIENT, "class": "patient"}) + "\n")
        policy_file.write_text(f"version = 1\n{policy}")
        text = CONFIGURATION.format(
            gazetteer=gazetteer,
            python=interpreter(self.beside),
            policy=policy_file,
            review=review,
            metrics=self.figures,
            traces=self.traces,
            wire_format=wire_format,
            base_url=self.cloud.base_url,
        )
        (self.folder / "daemon.toml").write_text(text)

    @contextmanager
    def lives(self, ending: signal.Signals) -> Iterator[DaemonClient]:
        """A daemon that ends like this, whatever it is doing."""
        flags = ("--config", str(self.folder / "daemon.toml"))
        with self.daemon(*flags, killed=ending is not signal.SIGTERM) as client:
            yield client
            assert self.process is not None
            self.process.send_signal(ending)
            self.process.wait(ENDED_WITHIN_S)


@contextmanager
def watched(folders: pytest.TempPathFactory) -> Iterator[WatchedSite]:
    beside = folders.mktemp("beside")
    with IsolatedCloud(beside / "cloud") as cloud:
        site = WatchedSite(folders.mktemp("site"), beside=beside, cloud=cloud)
        site.add_echo("fit", workflow=FIT, size_rank=2)
        site.add_echo("spare", workflow=FIT, fitness=0.95, size_rank=1, script={"logprob": -0.02})
        site.add_echo("weak", workflow=WEAK, fitness=0.3, script={"logprob": -0.03})
        site.add_echo("frail", workflow=FRAIL, script={"logprob": -0.04})
        with site.collector.listening(site.traces):
            yield site


def shown_by(site: WatchedSite, client: DaemonClient) -> dict[str, bytes]:
    """What the daemon tells everybody, its figures, reviewers without content; what processes show of themselves."""
    assert site.process is not None
    status = client.status()
    shown = {
        "status": status.SerializeToString(),
        "policy": client.get_policy().SerializeToString(),
        "figures": exchanged(site.figures),
        "review list": client.list_reviews(ENDED_TOO).SerializeToString(),
    }
    for pid in (site.process.pid, *(worker.process_id for worker in status.workers)):
        with suppress(OSError):  # a worker that callers killed meanwhile; and only root may look at these processes
            about = Path("/proc", str(pid))
            assert (about / "ns" / "net").readlink() == site.cloud.namespace
            assert CORELESS.search((about / "limits").read_text())
            shown |= {f"process {pid} {name}": (about / name).read_bytes() for name in ("cmdline", "environ", "comm")}
    return shown


def leaks(places: Mapping[str, bytes], canaries: Canaries) -> list[str]:
    """Every word of a local-only task that is where it may not be."""
    found = []
    for place, data in places.items():
        kinds = [CONTENT] if place.startswith(RECORDS) else [CONTENT, NAME]
        found += [f"{place}: {what}" for word in (*kinds, PATIENT.split()[1]) for what in found_in(data, word)]
        tails = (tail for kind in kinds for tail in canaries.sample(kind))
        found += [f"{place}: {tail}" for tail in tails if tail.encode() in data]
    return found


def until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def live(
    site: WatchedSite, company: Company, canaries: int, ending: signal.Signals, *, expire: bool
) -> dict[str, bytes]:
    """One life of the daemon amid its callers; everything there is to search of it."""
    with site.lives(ending) as client:
        company.begin(CALLERS, f"{ending} {canaries}")
        until(lambda: len(company.canaries.made) >= canaries or bool(company.failures))
        company.check()
        until(lambda: not expire or client.status().reviews.expired > 0)
        until(lambda: bool(client.status().workers))
        places = shown_by(site, client) | {f"{name} meanwhile": data for name, data in files_below(site.folder).items()}
    company.end()
    return places | files_below(site.folder)


def test_no_canary_of_a_local_only_task_leaves_real_processes(tmp_path_factory: pytest.TempPathFactory) -> None:
    canaries, tally, places, sizes = Canaries("real"), Tally(), dict[str, bytes](), Counter[str]()
    with watched(tmp_path_factory) as site:
        for number, (share, wire_format, ending) in enumerate(LIVES, start=1):
            is_last = number == len(LIVES)
            site.configure(wire_format=wire_format, review=EXPIRES_SOON if is_last else FULL_SOON)
            company = Company(site.connect, canaries, site.cloud, tally)
            told = live(site, company, round(share * CANARIES), ending, expire=is_last)
            places |= {f"{place} (life {number})": data for place, data in told.items()}
    places |= {"cloud": site.cloud.received, "wire": site.cloud.on_the_wire}
    places["traces"] = b"".join(site.collector.bodies)
    for place, data in places.items():
        sizes.update({part: len(data) for part in PART.findall(place)[:1]})
    sys.stdout.write(f"{len(canaries.made)} canaries; {dict(sorted(tally.counts.items()))}; searched {dict(sizes)}\n")
    assert leaks(places, canaries) == []
    assert tally.foreign == set(), "somebody heard of a task of somebody else"
    assert len(canaries.made) >= CANARIES
    assert LANES - tally.counts.keys() == set()
    assert "Fatal Python error: Aborted" in site.log, "what a crash prints was among it"
    assert site.cloud.lost_packets == 0
    assert all(OPEN.encode() in places[place] for place in ("cloud", "wire")), "neither of them is blind"
    assert all(b'homebred_tasks_total{status="answer"}' in places[f"figures (life {number})"] for number in (1, 4))
    traced = Counter(span.name for span in site.collector.spans)
    assert {"task", "decide", "generate", "escalate", "review"} <= traced.keys()
    assert NAME.encode() in places["state/ledger.sqlite (life 4)"], "what holds names is searched too"
    assert sizes["process"] or os.geteuid()


def test_where_a_policy_lets_everything_leave_the_same_search_finds_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    canaries, tally = Canaries("open"), Tally()
    with watched(tmp_path_factory) as site:
        site.configure(wire_format="openai_chat", policy=LETS_ALL_LEAVE)
        company = Company(site.connect, canaries, site.cloud, tally)
        live(site, company, 300, signal.SIGTERM, expire=False)
        with (site.folder / "log").open("a") as log:
            log.write(quote(f"{canaries.made[0]}\n"))
    places = {"cloud": site.cloud.received, "wire": site.cloud.on_the_wire, **files_below(site.folder)}
    found = leaks(places, canaries)
    assert {leak.partition(":")[0] for leak in found} == {"cloud", "wire", "log"}
