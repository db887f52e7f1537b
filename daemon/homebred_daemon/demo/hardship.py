"""The story's hard part: people answer what no machine may, applications come and go, and the power fails.

Every part is real: the queue's items are those that the tasks before left, and the daemon is killed by the kernel.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homebred_daemon.demo.screen import Screen
from homebred_daemon.demo.stage import RunningDaemon
from homebred_daemon.errors import HomebredError
from homebred_protocol.client import ConnectionLostError, Decision, Task
from homebred_protocol.v1 import control_pb2 as wire

ANSWERS = {
    "triage.intent": "complaint",
    "": "A person at the office will call you about it this afternoon.",
}
"""What the person on duty answers, by workflow; a workflow that is not named gets the last."""
INTERRUPTED = Task(
    "Write down what is asked: the boiler failed twice in March, the night guard smelled gas on Sunday, the plumber can"
    " come on Thursday or next week, and the school visits are on Wednesday. Should we close until then?",
    kind="synthesis",
    data_classes=("public",),
    allows_escalation=True,
)
APPLICATIONS = (
    ("kiosk.py", ["two teas please", "a map for my daughter"]),
    ("clinic.py", ["Hedda Brauner, MRN 6104873, x-ray of the ankle"]),
    ("factory.py", ["--events", "6", "--in-flight", "2"]),
)
APPLICATION_WITHIN_S = 120.0


@dataclass(slots=True)
class Hardship:
    """Tells these chapters on one stage; what it measured stands in `record`."""

    screen: Screen
    record: dict[str, Any]

    def reviewed(self, daemon: RunningDaemon) -> None:
        """Chapter: a person takes the oldest task that waits, and whoever asked gets the answer."""
        self.screen.chapter("A person answers")
        reviews = daemon.control.status().reviews
        self.screen.say(f"{reviews.waiting} tasks wait for a person; what they say is encrypted on the disk.")
        claimed = daemon.control.claim_review()
        shown = daemon.control.show_review(claimed.review.route_id)
        self.screen.fact("task", " / ".join(message.content for message in shown.messages))
        self.screen.fact("because", claimed.review.reason_code)
        output = ANSWERS.get(claimed.review.workflow, ANSWERS[""])
        daemon.control.resolve_review(claimed.review.route_id, claimed.claim_id, output=output)
        heard = daemon.client.get_review(claimed.review.route_id)
        if heard.output != output:
            raise HomebredError("the person's answer did not reach who asked", hint="report this")
        self.screen.fact("answered", f"{heard.output} (whoever asked has it now, and can ask for it for days)")
        self.record["reviews_answered"] = 1

    def visited(self, daemon: RunningDaemon, applications: Path) -> None:
        """Chapter: the example applications for a kiosk, a clinic and a shop floor call the daemon."""
        self.screen.chapter("Applications call")
        ended = {}
        for name, arguments in APPLICATIONS:
            command = [sys.executable, str(applications / name), *arguments, "--socket", str(daemon.socket)]
            ran = subprocess.run(  # noqa: S603  # our own examples
                command, capture_output=True, text=True, timeout=APPLICATION_WITHIN_S, check=False
            )
            self.screen.say(f"$ python {applications.name}/{name} " + " ".join(arguments))
            for line in (ran.stdout + ran.stderr).splitlines():
                self.screen.say(f"  {line}")
            if ran.returncode:
                raise HomebredError(f"the example {name} ended with status {ran.returncode}", hint="report this")
            ended[name] = ran.returncode
        self.record["applications"] = ended

    def killed(self, daemon: RunningDaemon) -> None:
        """Chapter: the power fails in the middle of an answer."""
        self.screen.chapter("The power fails")
        self.record["waiting_before_kill"] = daemon.control.status().reviews.waiting
        with daemon.client.stream(INTERRUPTED) as events:
            self.screen.begin_answer()
            try:
                for event in events:
                    if isinstance(event, str):
                        self.screen.piece(event)
                        daemon.kill()
                    elif isinstance(event, Decision):
                        self.record["interrupted_route"] = event.route_id
            except ConnectionLostError as error:
                self.screen.end_answer()
                self.screen.say(f"kill -9. The caller hears: {error.message}; {error.hint}.")
                return
        raise HomebredError("the answer was over before the daemon was killed", hint="run the demo again")

    def survived(self, daemon: RunningDaemon) -> None:
        """Chapter: the next start finds everything, and closes what was cut off."""
        status = daemon.control.status()
        self._require_nothing_lost(status)
        self.screen.say(
            f"homebredd is up again after {daemon.ready_s:.2f} s. {status.reviews.waiting} tasks still wait for a"
            " person, and the answer that was cut off stands in the ledger as an error."
        )
        self.record |= {"ready_after_kill_s": round(daemon.ready_s, 3), "waiting_after_kill": status.reviews.waiting}

    def _require_nothing_lost(self, status: wire.GetStatusResponse) -> None:
        if status.reviews.waiting != self.record["waiting_before_kill"] or not status.outcomes.get("error"):
            raise HomebredError(
                "something was lost when the daemon was killed", hint="report this, with the demo's output"
            )
