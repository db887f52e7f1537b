"""Lets a call through where its caller has the role that it needs, and where the device has room for one more.

Which role a method needs stands in ROLES; the roles of a caller are core.access's to say. A method that nobody serves
stays UNIMPLEMENTED. A call that fails, here or in its servicer, ends with the error's status.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.failures import failures_as_status
from homebred_daemon.core.access import AccessRules, Peer, Role, roles_of
from homebred_daemon.errors import NotPermittedError, OverloadedError

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Any
"""A grpc.RpcMethodHandler, whose stubs know no coroutines."""
PeerOf = Callable[[Context], Peer]
"""Who makes a call, as attested. Raises UnattestedError."""

RETRY_AFTER_S: Final = 1.0
OTHER_CALLS: Final = 64
"""Calls beyond the streams that callers may have under way: routes, waits for a person's answer, health."""
OPERATORS_CALLS: Final = 16
"""Calls beyond all of these for whoever operates or reviews, so that status answers under load."""

ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {f"/homebred.v1.Inference/{name}": Role.CALLER for name in ("Generate", "Route", "Embed", "GetReview", "Feedback")}
    | {
        "/homebred.v1.Control/GetStatus": Role.CALLER,  # content-free, and what an application asks when in doubt
        "/homebred.v1.Control/ReloadModels": Role.OPERATOR,
        "/homebred.v1.Control/LoadModel": Role.OPERATOR,
        "/homebred.v1.Control/UnloadModel": Role.OPERATOR,
        "/homebred.v1.Control/PinModel": Role.OPERATOR,
        "/homebred.v1.Control/GetPolicy": Role.OPERATOR,
        "/homebred.v1.Control/SetPolicy": Role.OPERATOR,
        "/homebred.v1.Control/Drain": Role.OPERATOR,
        "/homebred.v1.Control/SetLogLevel": Role.OPERATOR,
        "/homebred.v1.Control/ListBundles": Role.OPERATOR,
        "/homebred.v1.Control/ShowBundle": Role.OPERATOR,
        "/homebred.v1.Control/DecideBundle": Role.OPERATOR,
        "/homebred.v1.Control/ImportReleases": Role.OPERATOR,
        "/homebred.v1.Control/ListReviews": Role.REVIEWER,
        "/homebred.v1.Control/WatchReviews": Role.REVIEWER,
        "/homebred.v1.Control/ClaimReview": Role.REVIEWER,
        "/homebred.v1.Control/ShowReview": Role.REVIEWER,
        "/homebred.v1.Control/ResolveReview": Role.REVIEWER,
        "/homebred.v1.Control/ReleaseReview": Role.REVIEWER,
        # Who may not call has no business here at all: a stranger's Watch would cost what a caller's does.
        "/grpc.health.v1.Health/Check": Role.CALLER,
        "/grpc.health.v1.Health/Watch": Role.CALLER,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Role.CALLER,
    }
)
"""The role that each method needs."""

_REMEDIES: Final = {
    Role.CALLER: "have the device's administrator make its user a member of [access] group",
    Role.OPERATOR: "have the device's administrator name its user or group in [access] operators",
    Role.REVIEWER: "have the device's administrator name its user or group in [access] reviewers",
}


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Guards every method of a server."""

    def __init__(
        self,
        peer_of: PeerOf,
        rules: AccessRules,
        *,
        max_streams: int,
        report_defect: Callable[[BaseException], None],
    ) -> None:
        self._peer_of = peer_of
        self._rules = rules
        self._max_calls = max_streams + OTHER_CALLS
        self._report_defect = report_defect
        self._calls = 0
        self._guarded: dict[str, Handler] = {}

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler behind its guard; None where there is no such method."""
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            guarded = self._guarded[method] = self._behind_guard(handler, ROLES.get(method, Role.OPERATOR))
        return guarded

    def _behind_guard(self, handler: Handler, role: Role) -> Handler:
        behaviour, make = _parts(handler)

        async def alone(request: Any, context: Context) -> Any:
            async with self._admitted(context, role):
                return await behaviour(request, context)

        async def streamed(request: Any, context: Context) -> None:
            async with self._admitted(context, role):
                answer = behaviour(request, context)
                if not inspect.isasyncgen(answer):
                    await answer
                    return
                async with aclosing(answer) as messages:
                    async for message in messages:
                        await context.write(message)

        return make(
            streamed if handler.response_streaming else alone,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    @asynccontextmanager
    async def _admitted(self, context: Context, role: Role) -> AsyncIterator[None]:
        """Counts the call for as long as the context lasts; ends it where it may not go on, or fails."""
        async with failures_as_status(context, self._report_defect):
            self._check(context, role)
        self._calls += 1
        try:
            async with failures_as_status(context, self._report_defect):
                yield
        except grpc.aio.AbortError as ended:
            raise ended.with_traceback(None) from None  # grpc keeps it for long, and with it the frames it came from
        finally:
            self._calls -= 1

    def _check(self, context: Context, role: Role) -> None:
        """Whether the call may be made, and now.

        Raises:
            UnattestedError, NotPermittedError: it may not.
            OverloadedError: there are too many.
        """
        peer = self._peer_of(context)
        roles = roles_of(peer, self._rules)
        if role not in roles:
            raise NotPermittedError(f"user {peer.uid} is no {role} of this daemon", hint=_REMEDIES[role])
        reserve = OPERATORS_CALLS if roles > {Role.CALLER} else 0
        if self._calls >= self._max_calls + reserve:
            raise OverloadedError(f"{self._calls} calls are under way", retry_after_s=RETRY_AFTER_S)


def _parts(handler: Handler) -> tuple[Callable[..., Any], Callable[..., Handler]]:
    """What a handler does, and what makes one of its kind."""
    match handler.request_streaming, handler.response_streaming:
        case False, False:
            return handler.unary_unary, grpc.unary_unary_rpc_method_handler
        case False, True:
            return handler.unary_stream, grpc.unary_stream_rpc_method_handler
        case True, False:
            return handler.stream_unary, grpc.stream_unary_rpc_method_handler
        case _:
            return handler.stream_stream, grpc.stream_stream_rpc_method_handler
