"""For those who look after a device or answer its reviews: the wire's own messages, typed by their stubs, as they are.

Who may call what is the device's configuration; a call without the role is a NotPermittedError.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from homebred_protocol.client.blocking import Connection
from homebred_protocol.client.connecting import PATIENCE_S, TIMEOUT_S
from homebred_protocol.client.retrying import Repeat
from homebred_protocol.client.translating import STATE_NUMBERS
from homebred_protocol.client.values import ReviewState
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1 import control_pb2_grpc

if TYPE_CHECKING:
    from typing_extensions import Self


HARMLESS, UNTAKEN = Repeat.HARMLESS, Repeat.UNTAKEN


def resolution(route_id: str, claim_id: str, output: str | None, declined: str | None) -> wire.ResolveReviewRequest:
    """An answer, or why there is none: exactly one of the two."""
    if output is not None and declined is None:
        return wire.ResolveReviewRequest(route_id=route_id, claim_id=claim_id, output=output)
    if declined is not None and output is None:
        return wire.ResolveReviewRequest(route_id=route_id, claim_id=claim_id, declined=declined)
    raise TypeError("give either output or declined")


class Control:
    """Operators' and reviewers' calls; every one raises a CallError where it fails."""

    def __init__(
        self, socket: Path | str | None = None, *, patience_s: float = PATIENCE_S, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Connects at the first call.

        Args:
            socket: The daemon's; None: $HOMEBRED_SOCKET, else the installed daemon's.
            patience_s: How long a call that may be made again is, from its first failure; 0: never.
            timeout_s: Bound of a call that is short by its nature, all its tries together.
        """
        self._connection = Connection(socket, patience_s=patience_s)
        self._control = control_pb2_grpc.ControlStub(self._connection.channel)
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def close(self) -> None:
        """Closes the connection; calls in flight are cancelled."""
        self._connection.close()

    def status(self) -> wire.GetStatusResponse:
        """The state of every part."""
        return self._connection.call(self._control.GetStatus, wire.GetStatusRequest(), HARMLESS, self._timeout_s)

    def reload_models(self) -> wire.ReloadModelsResponse:
        """Takes up what has changed in the model store."""
        return self._connection.call(self._control.ReloadModels, wire.ReloadModelsRequest(), HARMLESS, None)

    def load_model(self, specialist_id: str) -> wire.LoadModelResponse:
        """Loads a specialist's model now; one that was parked gets another chance."""
        request = wire.LoadModelRequest(specialist_id=specialist_id)
        return self._connection.call(self._control.LoadModel, request, UNTAKEN, None)

    def unload_model(self, specialist_id: str) -> wire.UnloadModelResponse:
        """Frees a model once its running answers have ended."""
        request = wire.UnloadModelRequest(specialist_id=specialist_id)
        return self._connection.call(self._control.UnloadModel, request, UNTAKEN, None)

    def pin_model(self, specialist_id: str, *, pinned: bool = True) -> wire.PinModelResponse:
        """A pinned model is never unloaded to make room; holds until the daemon ends."""
        request = wire.PinModelRequest(specialist_id=specialist_id, pinned=pinned)
        return self._connection.call(self._control.PinModel, request, HARMLESS, self._timeout_s)

    def get_policy(self) -> wire.GetPolicyResponse:
        """The policy in force, as it was written."""
        return self._connection.call(self._control.GetPolicy, wire.GetPolicyRequest(), HARMLESS, self._timeout_s)

    def set_policy(self, document: bytes, *, check_only: bool = False) -> wire.SetPolicyResponse:
        """Takes another policy, TOML; an empty one goes back to the configured one."""
        request = wire.SetPolicyRequest(document=document, check_only=check_only)
        return self._connection.call(self._control.SetPolicy, request, UNTAKEN, self._timeout_s)

    def drain(self) -> wire.DrainResponse:
        """Takes no more tasks; running ones go on."""
        return self._connection.call(self._control.Drain, wire.DrainRequest(), HARMLESS, self._timeout_s)

    def resume(self) -> wire.DrainResponse:
        """Takes tasks again."""
        return self._connection.call(self._control.Drain, wire.DrainRequest(resume=True), HARMLESS, self._timeout_s)

    def set_log_level(self, level: str) -> wire.SetLogLevelResponse:
        """`debug`, `info`, `warning` or `error`; holds until the daemon ends."""
        request = wire.SetLogLevelRequest(level=level)
        return self._connection.call(self._control.SetLogLevel, request, UNTAKEN, self._timeout_s)

    def list_bundles(self) -> wire.ListBundlesResponse:
        """Bundles of diagnostics that wait for somebody on the site to let them go."""
        return self._connection.call(self._control.ListBundles, wire.ListBundlesRequest(), HARMLESS, self._timeout_s)

    def show_bundle(self, command_id: str) -> wire.ShowBundleResponse:
        """What is in one, exactly as it would leave."""
        request = wire.ShowBundleRequest(command_id=command_id)
        return self._connection.call(self._control.ShowBundle, request, HARMLESS, self._timeout_s)

    def decide_bundle(self, command_id: str, *, lets_go: bool) -> wire.DecideBundleResponse:
        """Lets one leave for the fleet's controller, or not: for good."""
        request = wire.DecideBundleRequest(command_id=command_id, lets_go=lets_go)
        return self._connection.call(self._control.DecideBundle, request, UNTAKEN, self._timeout_s)

    def import_releases(
        self, folder: str, *, wait_s: float = 0.0
    ) -> Generator[wire.ImportReleasesResponse, None, None]:
        """Takes up what somebody carried here: how it stands, then its every change. Closing it ends the call alone."""
        call = self._control.ImportReleases(wire.ImportReleasesRequest(folder=folder, wait_s=wait_s))
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._connection.failure(error) from None
        finally:
            call.cancel()

    def list_reviews(self, states: Sequence[ReviewState] = (), *, limit: int = 0) -> wire.ListReviewsResponse:
        """What waits for a person, oldest first, without content; no states: those that are open."""
        request = wire.ListReviewsRequest(states=[STATE_NUMBERS[state] for state in states], limit=limit)
        return self._connection.call(self._control.ListReviews, request, HARMLESS, self._timeout_s)

    def watch_reviews(self) -> Generator[wire.Review, None, None]:
        """What is in the queue, then its every change; begin anew where it breaks. Closing it ends the call."""
        call = self._control.WatchReviews(wire.WatchReviewsRequest())
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._connection.failure(error) from None
        finally:
            call.cancel()

    def claim_review(self, route_id: str = "", *, lease_s: float = 0.0) -> wire.ClaimReviewResponse:
        """Takes one, or the oldest that waits, for oneself until the lease ends.

        Not made again where the connection broke: the claim may stand, and would then be somebody else's to this one.
        """
        request = wire.ClaimReviewRequest(route_id=route_id, lease_s=lease_s)
        return self._connection.call(self._control.ClaimReview, request, UNTAKEN, self._timeout_s)

    def show_review(self, route_id: str) -> wire.ShowReviewResponse:
        """Its content."""
        request = wire.ShowReviewRequest(route_id=route_id)
        return self._connection.call(self._control.ShowReview, request, HARMLESS, self._timeout_s)

    def resolve_review(
        self, route_id: str, claim_id: str, *, output: str | None = None, declined: str | None = None
    ) -> wire.ResolveReviewResponse:
        """Ends it, with an answer or with why there is none."""
        request = resolution(route_id, claim_id, output, declined)
        return self._connection.call(self._control.ResolveReview, request, HARMLESS, self._timeout_s)

    def release_review(self, route_id: str, claim_id: str) -> wire.ReleaseReviewResponse:
        """Gives it back."""
        request = wire.ReleaseReviewRequest(route_id=route_id, claim_id=claim_id)
        return self._connection.call(self._control.ReleaseReview, request, UNTAKEN, self._timeout_s)
