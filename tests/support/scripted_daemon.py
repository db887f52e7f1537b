"""A grpc server on a Unix socket that answers as a test says: what a daemon may ever say, and what none should."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from homebred_protocol.v1 import control_pb2, inference_pb2, status_pb2

SERVICES = (
    inference_pb2.DESCRIPTOR.services_by_name["Inference"],
    control_pb2.DESCRIPTOR.services_by_name["Control"],
)
HELD_S = 30.0
NO_DEADLINE_S = 1e6
"""Where a call has no deadline, grpc says some centuries."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Ends a call with a status; with a problem as the daemon does, without as grpc itself does."""

    status: grpc.StatusCode
    problem: inference_pb2.Problem | None = None
    details: str = "refused"


@dataclass(frozen=True, slots=True)
class Held:
    """Says nothing until the caller goes, or for a while."""

    seconds: float = HELD_S


@dataclass(frozen=True, slots=True)
class Heard:
    """One call that arrived."""

    method: str
    request: Any
    time_left_s: float | None


def refusal(status: grpc.StatusCode, code: str, *, retry_after_s: float = 0) -> Refusal:
    """As the daemon refuses."""
    problem = inference_pb2.Problem(code=code, message=f"it is {code}", hint="wait", retry_after_s=retry_after_s)
    return Refusal(status, problem)


OVERLOADED = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "overloaded", retry_after_s=0.02)
DRAINING = refusal(grpc.StatusCode.UNAVAILABLE, "draining", retry_after_s=0.02)


@dataclass(slots=True)
class ScriptedDaemon:
    """`will(method, answer, …)`: the answers to its calls in order, the last one for ever.

    An answer is a message, a Refusal, a Held, or for a stream a list of these.
    """

    socket: Path
    heard: list[Heard] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a caller went before its call had ended."""
    _answers: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    _server: grpc.Server | None = None

    def start(self) -> None:
        """Serves the socket."""
        self._server = grpc.server(ThreadPoolExecutor(32))
        for service in SERVICES:
            handlers = {method.name: self._handler(method) for method in service.methods}
            generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
            self._server.add_generic_rpc_handlers((generic,))
        self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()

    def stop(self) -> None:
        """Breaks every connection."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def will(self, method: str, *answers: Any) -> None:
        """What it answers from now on."""
        self._answers[method] = deque(answers)

    def requests(self, method: str) -> list[Any]:
        """What arrived."""
        return [one.request for one in self.heard if one.method == method]

    def _handler(self, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
        request, response = (GetMessageClass(one) for one in (method.input_type, method.output_type))

        def stream(message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            said = threading.Event()
            context.add_callback(lambda: None if said.is_set() else self.left.set())
            for one in self._next(method.name, message, context):
                if isinstance(one, Refusal):
                    said.set()
                yield self._said(one, context)
            said.set()

        def unary(message: Any, context: grpc.ServicerContext) -> Any:
            (answer,) = self._next(method.name, message, context)
            return self._said(answer, context)

        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, request.FromString, response.SerializeToString)
        return grpc.unary_unary_rpc_method_handler(unary, request.FromString, response.SerializeToString)

    def _next(self, method: str, request: Any, context: grpc.ServicerContext) -> list[Any]:
        left_s = context.time_remaining()
        self.heard.append(Heard(method, request, left_s if left_s < NO_DEADLINE_S else None))
        answers = self._answers[method]
        if not answers:
            return [Refusal(grpc.StatusCode.UNIMPLEMENTED, details="Method not found!")]
        answer = answers[0] if len(answers) == 1 else answers.popleft()
        return answer if isinstance(answer, list) else [answer]

    def _said(self, answer: Any, context: grpc.ServicerContext) -> Any:
        if isinstance(answer, Refusal):
            refuse(context, answer)
        if isinstance(answer, Held):
            ends_s = time.monotonic() + answer.seconds
            while context.is_active() and time.monotonic() < ends_s:
                time.sleep(0.005)
            if not context.is_active():
                self.left.set()
            refuse(context, Refusal(grpc.StatusCode.CANCELLED))
        return answer() if isinstance(answer, Callable) else answer  # type: ignore[arg-type]


def refuse(context: grpc.ServicerContext, answer: Refusal) -> NoReturn:
    """Ends the call."""
    if answer.problem is not None:
        status = status_pb2.StatusDetails(code=answer.status.value[0], message=answer.problem.message)
        status.details.add().Pack(answer.problem)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(answer.status, answer.details)
    raise AssertionError("abort does not return")
