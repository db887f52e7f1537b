"""Calls the daemon's socket for the command line; every failure is a HomebredError in the daemon's own words."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import grpc
from google.rpc import status_pb2

from homebred_daemon.errors import DaemonUnreachableError, HomebredError, RequestError
from homebred_protocol.v1 import control_pb2, control_pb2_grpc, inference_pb2, inference_pb2_grpc

MAX_MESSAGE_BYTES = 64 << 20
DETAILS_KEY = "grpc-status-details-bin"


class RemoteError(HomebredError):
    """The daemon refused or failed."""

    def __init__(self, problem: inference_pb2.Problem) -> None:
        super().__init__(problem.message, hint=problem.hint)
        self.code = problem.code


class DaemonClient:
    """One connection; `with DaemonClient(socket) as daemon:`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._channel = grpc.insecure_channel(
            f"unix:{socket}",
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.enable_retries", 0),
            ],
        )
        self._inference = inference_pb2_grpc.InferenceStub(self._channel)
        self._control = control_pb2_grpc.ControlStub(self._channel)

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connection; calls in flight are cancelled."""
        self._channel.close()

    def generate(self, request: inference_pb2.GenerateRequest) -> Generator[inference_pb2.GenerateEvent, None, None]:
        """Streams a task's events; an error outcome is followed by the error itself. Closing it cancels the task."""
        with self._failures():
            call = self._inference.Generate(request)
            try:
                yield from call
            finally:
                call.cancel()

    def route(self, task: inference_pb2.Task) -> inference_pb2.RouteDecision:
        """A dry run."""
        with self._failures():
            return self._inference.Route(inference_pb2.RouteRequest(task=task)).decision

    def status(self) -> control_pb2.GetStatusResponse:
        """The state of every part."""
        with self._failures():
            return self._control.GetStatus(control_pb2.GetStatusRequest())

    def reload_models(self) -> control_pb2.ReloadModelsResponse:
        """Has the daemon take up what has changed in the model store."""
        with self._failures():
            return self._control.ReloadModels(control_pb2.ReloadModelsRequest())

    def load_model(self, specialist_id: str) -> control_pb2.WorkerStatus:
        """Loads a specialist's model now, parked or not, and waits until it can answer; its worker."""
        with self._failures():
            return self._control.LoadModel(control_pb2.LoadModelRequest(specialist_id=specialist_id)).worker

    def unload_model(self, specialist_id: str) -> bool:
        """Frees a specialist's model once its running answers have ended; whether it was loaded."""
        with self._failures():
            return self._control.UnloadModel(control_pb2.UnloadModelRequest(specialist_id=specialist_id)).was_loaded

    def pin_model(self, specialist_id: str, *, pinned: bool) -> None:
        """Has a specialist's model stay loaded when others need room, or no longer."""
        with self._failures():
            self._control.PinModel(control_pb2.PinModelRequest(specialist_id=specialist_id, pinned=pinned))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise self._meaning(error) from None

    def _meaning(self, error: Any) -> HomebredError:
        for key, value in error.trailing_metadata() or ():
            if key == DETAILS_KEY:
                for detail in status_pb2.Status.FromString(value).details:
                    problem = inference_pb2.Problem()
                    if detail.Unpack(problem):
                        return RemoteError(problem)
        code, details = error.code(), error.details()
        if code is grpc.StatusCode.UNAVAILABLE:
            return DaemonUnreachableError(f"the daemon does not answer at {self._socket}")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in (details or ""):
            return RequestError(
                f"the message is too long: {details}", hint="send less text, or raise max_message_bytes"
            )
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            problem = inference_pb2.Problem(code="overloaded", message=f"the daemon takes no more: {details}")
            return RemoteError(problem)
        return HomebredError(f"the call to the daemon ended with {code.name}: {details}")
