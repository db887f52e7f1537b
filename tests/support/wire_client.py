"""Speaks the wire's own messages, so that tests of the daemon see what it sends, not what the library makes of it.

Nothing is tried again, and errors are HomebredErrors, as on the command line.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_client import in_our_words
from homebred_protocol.client import Control
from homebred_protocol.client.blocking import Connection
from homebred_protocol.client.retrying import Repeat
from homebred_protocol.v1 import control_pb2, control_pb2_grpc, inference_pb2, inference_pb2_grpc

Request = TypeVar("Request")
Response = TypeVar("Response")


class _Connection(Connection):
    @override
    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        repeat: Repeat,
        timeout_s: float | None,
    ) -> Response:
        with in_our_words():
            return super().call(method, request, repeat, timeout_s)


class DaemonClient(Control):
    """All calls of one daemon; `with DaemonClient(socket) as daemon:`."""

    def __init__(self, socket: Path) -> None:
        self._connection = _Connection(socket, patience_s=0)
        self._control = control_pb2_grpc.ControlStub(self._connection.channel)
        self._inference = inference_pb2_grpc.InferenceStub(self._connection.channel)
        self._timeout_s = 60.0

    def generate(self, request: inference_pb2.GenerateRequest) -> Generator[inference_pb2.GenerateEvent, None, None]:
        """Streams a task's events; an error outcome is followed by the error itself. Closing it cancels the task."""
        with in_our_words():
            call = self._inference.Generate(request)
            try:
                yield from call
            except grpc.RpcError as error:
                raise self._connection.failure(error) from None
            finally:
                call.cancel()

    def route(self, task: inference_pb2.Task) -> inference_pb2.RouteDecision:
        """A dry run's decision."""
        return self.routed(task).decision

    def routed(self, task: inference_pb2.Task) -> inference_pb2.RouteResponse:
        """A dry run."""
        request = inference_pb2.RouteRequest(task=task)
        return self._connection.call(self._inference.Route, request, Repeat.HARMLESS, 60.0)

    @override
    def watch_reviews(self) -> Generator[control_pb2.Review, None, None]:
        with in_our_words():
            yield from super().watch_reviews()

    def get_review(self, route_id: str, *, wait_s: float = 0.0) -> inference_pb2.GetReviewResponse:
        """What became of a task that went to a person; waits for its end, at most so many seconds."""
        request = inference_pb2.GetReviewRequest(route_id=route_id, wait_s=wait_s)
        return self._connection.call(self._inference.GetReview, request, Repeat.HARMLESS, 60.0 + wait_s)

    def feedback(self, request: inference_pb2.FeedbackRequest) -> None:
        """Says how good an answer was."""
        self._connection.call(self._inference.Feedback, request, Repeat.HARMLESS, 60.0)
