"""Callers of a real daemon whose local-only tasks hold canaries in every field, and public ones that may leave.

They go every way that a task can go, and hold each answer against their own canaries: nobody hears somebody else's.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

from google.protobuf.message import Message
from tests.support.canaries import CONTENT, LOCAL_ONLY, NAME, SAYS_SO, Canaries, plainly_in
from tests.support.isolated_cloud import IsolatedCloud
from tests.support.obligations import STATUS_WORDS
from tests.support.quoting_worker import PRINTS, QUOTES, RAISES
from tests.support.wire_client import DaemonClient

from homebred_daemon.demo.stand_in_cloud import Fault
from homebred_daemon.errors import HomebredError
from homebred_protocol.v1 import inference_pb2 as wire

OPEN = "lantern"
"""In every public task: it must be found where the canaries must not."""
FIT, WEAK, FRAIL = "fit.work", "weak.work", "frail.work"
SLOW = "[echo token_delay_s=0.04]\n"
PAUSE_S = 0.05
ENDS = {"daemon_unreachable", "draining"}


WAYS = {
    "answered": 1.0,
    "criticised": 1.0,
    "guided": 1.0,
    "equipped": 1.0,
    "attached": 1.0,
    "fallen_back": 0.2,
    "quoted": 0.15,
    "crashed": 0.05,
    "hung": 0.02,
    "killed": 0.02,
    "late": 0.2,
    "left": 1.0,
    "slow": 0.3,
    "routed": 1.0,
    "refused": 1.0,
    "strayed": 0.2,
    "unjudged": 0.2,
    "reviewed": 1.0,
    "looked": 1.0,
    "escalated": 1.0,
}
"""What a Caller can do, and how often it does."""


def never(event: wire.GenerateEvent) -> bool:
    """Nobody has heard enough."""
    del event
    return False


@dataclass(slots=True)
class Tally:
    """What callers went through; any thread."""

    counts: Counter[str] = field(default_factory=Counter)
    foreign: set[str] = field(default_factory=set)
    """Canaries that came to somebody who had not sent them, or where there may be none."""
    faults: Iterator[Fault] = field(default_factory=lambda: cycle(Fault))
    """What goes wrong next in the cloud."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *what: str) -> None:
        """Counts each."""
        with self._lock:
            self.counts.update(what)

    def heard(self, message: Message | str, own: Iterable[str]) -> None:
        """Something that the daemon said."""
        with self._lock:
            self.foreign |= plainly_in(str(message)) - set(own)


class Caller:
    """One caller with a connection of its own; `play` does one thing after another."""

    def __init__(
        self, client: DaemonClient, canaries: Canaries, tally: Tally, cloud: IsolatedCloud, random: Random
    ) -> None:
        self._client = client
        self._canaries = canaries
        self._tally = tally
        self._cloud = cloud
        self._random = random
        self._own: list[str] = []

    def play(self, way: str) -> bool:
        """One task on its way; whether the daemon is still there."""
        self._own = []
        try:
            getattr(self, way)()
        except HomebredError as error:
            self._heard(f"{error.message} {error.hint}")
            self._tally.add(f"error {error.code}")
            if error.code in ENDS:
                return False
            time.sleep(PAUSE_S)  # whoever is refused asks again at leisure
        self._tally.add(way)
        return True

    def canary(self, kind: str = CONTENT) -> str:
        """One of its own."""
        canary = self._canaries(kind)
        self._own.append(canary)
        return canary

    def task(self, first: str = "", **more: object) -> wire.Task:
        """A local-only task that asks to leave, with a canary wherever a caller may write."""
        words, labels = "please look after {canary}", ["public", self._random.choice(LOCAL_ONLY)]
        match self._random.randrange(4):
            case 0:
                words, labels = self._random.choice(SAYS_SO), ["public"]
            case 1:
                labels = []  # the policy's default class, `client`
            case 2:
                labels = ["public", self.canary(NAME)]  # a label that nobody knows
        text = words.format(canary=self.canary(), number=self._random.randrange(10**6, 10**7))
        given: dict[str, object] = {
            "task_id": self.canary(NAME),
            "data_classes": labels,
            "kind": self._random.choice(("repeat", "tool_loop", "synthesis", "drafting", "other")),
            "allows_escalation": True,
            "minimum_margin": self._random.choice((-1.0, 0.0, 1.0)),
            "session_id": self._random.choice(("", self.canary())),
            **more,
        }
        if self._random.random() < 0.3:  # an answer that is held to them is not streamed, and others must be
            given["constraints"] = wire.Constraints(matches=f"({self.canary()})?", excludes=[self.canary()])
        if self._random.random() < 0.5:
            return wire.Task(text=first + text, **given)  # type: ignore[arg-type]  # as a test writes it
        messages = [wire.Message(role=role, content=self.canary()) for role in ("system", "user", "assistant")]
        messages.append(wire.Message(role="user", content=first + text))
        return wire.Task(messages=messages, **given)  # type: ignore[arg-type]  # as a test writes it

    def send(self, task: wire.Task, *, until: Callable[[wire.GenerateEvent], bool] = never) -> str:
        """Sends it, and takes down what comes until the caller has heard enough; the last route."""
        route_id, request = "", wire.GenerateRequest(task=task, stop=[self.canary()])
        stream = self._client.generate(request)
        try:
            for event in stream:
                route_id = event.decision.route_id or route_id
                self._note(event, "task")
                if until(event):
                    break
        finally:
            stream.close()
        return route_id

    def _note(self, event: wire.GenerateEvent, whose: str) -> None:
        self._heard(event)
        match event.WhichOneof("event"):
            case "decision":  # has no content, not even its caller's own, and an id has not so much as names
                self._tally.heard(event, [canary for canary in self._own if canary.startswith(NAME)])
                self._tally.heard(event.decision.route_id, [])
                self._tally.add(f"{whose} {event.decision.reason_code}")
            case "outcome":
                self._tally.add(f"{whose} {STATUS_WORDS[event.outcome.status]}", *event.outcome.findings)

    def _heard(self, message: Message | str) -> None:
        self._tally.heard(message, self._own)

    def answered(self) -> None:
        self.send(self.task(workflow=FIT))

    def criticised(self) -> None:
        route_id = self.send(self.task(workflow=FIT))
        corrected = wire.FeedbackRequest(
            route_id=route_id, verdict=wire.VERDICT_CORRECTED, corrected_output=self.canary()
        )
        self._client.feedback(corrected)

    def guided(self) -> None:
        """Its answer must fit a schema that speaks of people, too."""
        name, value = self.canary(), {"enum": [self.canary()]}
        schema = {"title": self.canary(), "type": "object", "required": [name], "properties": {name: value}}
        self.send(self.task(workflow=FIT, response_schema=json.dumps(schema)))

    def equipped(self) -> None:
        """It brings tools that speak of people, and goes round with what they said."""
        parameters = {"type": "object", "properties": {self.canary(): {"description": self.canary()}}}
        name = self.canary().replace("+", "_")[-64:]
        tool = wire.Tool(name=name, description=self.canary(), parameters=json.dumps(parameters))
        tool.runs_here = self._random.random() < 0.5
        call = wire.ToolCall(id=self.canary(), name=name, arguments=json.dumps({self.canary(): [self.canary()]}))
        messages = [
            wire.Message(role="user", content=self.canary()),
            wire.Message(role="assistant", tool_calls=[call]),
            wire.Message(role="tool", content=self.canary(), tool_call_id=call.id),
        ]
        task = self.task(workflow=self._random.choice((FIT, WEAK)), tools=[tool])
        if self._random.random() < 0.5:
            if task.text:
                task.messages.add(role="user", content=task.text)
                task.ClearField("text")
            task.messages.extend(messages)
        self.send(task)

    def attached(self) -> None:
        """It brings a letter, and a recording that says of itself whose it is."""
        said = self.canary().encode()
        sizes = [(len(said) + more).to_bytes(4, "little") for more in (20, 12, 0)]
        recording = b"RIFF%bWAVELIST%bINFOIART%b" % tuple(sizes) + said + b"\x80"
        files = (
            wire.Attachment(name=f"{self.canary()}.txt", data=f"Dear {self.canary()}".encode()),
            wire.Attachment(name=f"{self.canary()}.wav", data=recording, media_type=self.canary()),
        )
        self.send(self.task(workflow=self._random.choice((FIT, WEAK)), attachments=self._random.sample(files, k=1)))

    def fallen_back(self) -> None:
        self.send(self.task(f"[echo fail_after={self._random.randrange(2)}]\n", workflow=FIT))

    def quoted(self) -> None:
        with suppress(HomebredError):
            self.send(self.task(f"{self._random.choice((QUOTES, RAISES, PRINTS))} ", workflow=FIT))
        self.looked()

    def looked(self) -> None:
        """What everybody may ask, just after somebody's engine may have said too much."""
        self._own = []
        self._heard(self._client.status())

    def crashed(self) -> None:
        self._client.load_model("frail")  # whatever became of it before
        self.send(self.task(f"[echo crash_after={self._random.randrange(2)}]\n", workflow=FRAIL))

    def killed(self) -> None:
        """Its worker is killed in the middle of the answer."""

        def kill(event: wire.GenerateEvent) -> bool:
            if event.delta:
                for worker in self._client.status().workers:
                    with suppress(ProcessLookupError):
                        os.kill(worker.process_id, signal.SIGKILL)
            return False

        self._client.load_model("fit")
        self.send(self.task(SLOW, workflow=FIT), until=kill)

    def hung(self) -> None:
        self._client.load_model("frail")
        self.send(self.task("[echo stall_after=1]\n", workflow=FRAIL))

    def late(self) -> None:
        self.send(self.task("[echo token_delay_s=0.2]\n", workflow=FIT, deadline_s=0.1))

    def left(self) -> None:
        self.send(self.task(SLOW, workflow=FIT), until=lambda event: bool(event.delta))

    def slow(self) -> None:
        self.send(self.task(SLOW, workflow=FIT))

    def routed(self) -> None:
        """A dry run."""
        routed = self._client.routed(self.task(workflow=self._random.choice((FIT, WEAK, self.canary(NAME)))))
        self._heard(routed)
        self._tally.add(f"dry run {routed.decision.reason_code}")

    def refused(self) -> None:
        """Requests that are wrong, each in its own way; the refusal may quote them to their caller."""
        wrong: tuple[dict[str, object], ...] = (
            {"kind": self.canary()},
            {"requires": [self.canary()]},
            {"task_id": self.canary() * 20},
            {"data_classes": [self.canary() * 20]},
            {"session_id": self.canary(), "rejects": self.canary()},
            {"constraints": wire.Constraints(matches=f"({self.canary()}")},
            {"response_schema": self.canary()},
            {"response_schema": json.dumps({"type": self.canary()})},
            {"response_schema": json.dumps({"$ref": f"#/{self.canary()}"})},
            {"first": f"[echo {self.canary()}=1]\n", "workflow": FIT},
            {"first": f"{self.canary()} " * 3000, "workflow": FIT},
        )
        self.send(self.task(**self._random.choice(wrong)))  # type: ignore[arg-type]  # as a test writes it

    def strayed(self) -> None:
        """Asks for tasks that there are not."""
        self._heard(self._client.get_review(self.canary()))

    def unjudged(self) -> None:
        self._client.feedback(wire.FeedbackRequest(route_id=self.canary(), verdict=wire.VERDICT_GOOD))

    def reviewed(self) -> None:
        """Goes to a person, who reads it, and answers or not."""
        task = self.task(workflow=self._random.choice((WEAK, self.canary(NAME), "")))
        route_id = self.send(task)
        if not route_id or self._random.random() < 0.4:
            return
        claim = self._client.claim_review(route_id)
        shown = self._client.show_review(route_id)
        self._heard(shown)
        assert plainly_in(str(shown)) & set(self._own), "a reviewer reads what was asked"
        match self._random.randrange(4):
            case 0:
                self._client.resolve_review(route_id, claim.claim_id, declined=self.canary())
            case 1:
                self._heard(self._client.release_review(route_id, claim.claim_id))
                return
            case 2:
                self._client.resolve_review(route_id, self.canary(), output=self.canary())
            case _:
                self._client.resolve_review(route_id, claim.claim_id, output=self.canary())
        self._heard(self._client.get_review(route_id))

    def escalated(self) -> None:
        """A public task leaves, and something goes wrong with it or not."""
        if self._random.random() < 0.5:
            fault = next(self._tally.faults)
            self._cloud.will(fault)
            self._tally.add(f"fault {fault}")
        text = f"please weigh the plan for the {OPEN}, and answer jo@example.org"
        task = wire.Task(
            text=text,
            workflow=self._random.choice((WEAK, "")),
            data_classes=["public"],
            allows_escalation=True,
            minimum_margin=1.0,
            deadline_s=2.0,
        )
        for event in self._client.generate(wire.GenerateRequest(task=task)):
            self._note(event, "public")


@dataclass(slots=True)
class Company:
    """Callers beside each other, until the daemon is gone."""

    connect: Callable[[], DaemonClient]
    canaries: Canaries
    cloud: IsolatedCloud
    tally: Tally
    failures: list[BaseException] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, callers: int, seed: str) -> None:
        """They begin."""
        for number in range(callers):
            first = list(WAYS)[number::callers]  # so that each way is gone, whatever chance has it
            thread = threading.Thread(target=self._talk, args=(Random(f"{seed} {number}"), first))
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Waits until all have noticed that the daemon is gone."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a caller still waits for a daemon that is gone"
        self.check()

    def check(self) -> None:
        """Raises what went wrong with any of them."""
        for failure in self.failures:
            raise failure

    def _talk(self, random: Random, first: list[str]) -> None:
        try:
            with self.connect() as client:
                caller = Caller(client, self.canaries, self.tally, self.cloud, random)
                while caller.play(first.pop() if first else random.choices(list(WAYS), list(WAYS.values()))[0]):
                    pass
        except BaseException as failure:  # noqa: BLE001  # raised again where the test looks
            self.failures.append(failure)
