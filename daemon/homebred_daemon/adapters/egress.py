"""The gate: the one way to a cloud, and the one module that may open a socket to it.

What it lets through it has looked at last: the texts are read back from the very bytes that are about to be sent.
Anything that forbids a call (the air gap, a spent budget, what may not leave) does so before a connection is made.
It follows no redirect, keeps no cookie, heeds no proxy of the environment and leaves no connection open. It masks
nothing and restores nothing: whoever asks has done that.

httpx2 is loaded with the first call: a device that asks no cloud does without it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from homebred_daemon.adapters.cloud.endpoint import Endpoint
from homebred_daemon.adapters.cloud.http_head import HttpHead
from homebred_daemon.adapters.cloud.registry import WIRE_FORMATS
from homebred_daemon.adapters.cloud.tls import tls_context
from homebred_daemon.adapters.cloud.wire_format import StreamedAnswer, error_of_status
from homebred_daemon.core.budgets import Budget, Charge, Spending
from homebred_daemon.core.measures import CLOUD_BYTES, CLOUD_CALLS, CLOUD_MONEY
from homebred_daemon.core.reachability import Sign
from homebred_daemon.errors import StateError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.cloud import (
    BrokenAnswerError,
    BudgetSpentError,
    CaptivePortalError,
    CloudDeadlineError,
    CloudError,
    CloudEvent,
    CloudFinished,
    CloudRequest,
    CloudUnreachableError,
    LaneClosedError,
    RateLimitedError,
    SpendingStore,
    StoppedAtGateError,
    WrongCertificateError,
)
from homebred_daemon.ports.measures import UNMEASURED, Measures

if TYPE_CHECKING:
    import httpx2

Forbids = Callable[[str], Collection[str]]
"""The entity types in a text that may not leave the device; empty: it may."""
BYTES_PER_TOKEN = 3
"""Fewer than texts have as a rule, so that what a request is charged with is rather too much."""
LEAST = Charge(calls=1, transferred_bytes=1)
"""What any call is charged with."""
MAX_ERROR_BYTES = 65_536
PROBE_S = 10.0
_HEADERS = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "User-Agent": "homebred"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long and how often one call tries, and how much it takes."""

    tries: int = 3
    first_wait_s: float = 0.5
    """Before the second try at most; doubled before each further one."""
    connect_s: float = 10.0
    """Longest time for a name, a connection and a handshake together."""
    silence_s: float = 60.0
    """Longest time without a byte."""
    max_answer_bytes: int = 16_777_216


class Egress:
    """Fulfils `ports.cloud.CloudLane`. One event loop."""

    def __init__(
        self,
        endpoints: Collection[Endpoint],
        *,
        air_gap: Callable[[], bool],
        forbids: Forbids,
        seen: Callable[[str, Sign], None],
        clock: Clock,
        chance: Callable[[], float],
        spent: SpendingStore,
        budget: Budget | None = None,
        budget_spent: Callable[[], None] = lambda: None,
        bounds: Bounds | None = None,
        measures: Measures = UNMEASURED,
    ) -> None:
        """Opens no connection.

        `air_gap` and `forbids` are asked before every try, as policies change. `seen` hears by alias what a call or
        a probe says of the link. `chance` gives numbers from 0 to 1, to spread tries. `spent` keeps what calls cost
        before each is made, and at the end: a kill forgets no more than what the last answers cost beyond that.
        `budget_spent` hears that today's budget has no room for any call. Where it cannot be read what was spent,
        the day's whole budget counts as spent, and `is_uncounted`.
        """
        self._endpoints = {endpoint.alias: endpoint for endpoint in endpoints}
        self._air_gap = air_gap
        self._forbids = forbids
        self._seen = seen
        self._clock = clock
        self._chance = chance
        self._budget = budget or Budget()
        self._bounds = bounds or Bounds()
        self._measures = measures
        self._spent = spent
        self._budget_spent = budget_spent
        self.is_uncounted = False
        try:
            self._spending = spent.read()
        except StateError:
            self._spending, self.is_uncounted = self._budget.spent_on(clock.now().date()), True
        self._keeping = asyncio.Lock()
        self._transports: dict[str, httpx2.AsyncHTTPTransport] = {}

    @property
    def aliases(self) -> Collection[str]:
        """The endpoints that there are."""
        return self._endpoints.keys()

    @property
    def spending(self) -> Spending:
        """What the last day with a call has cost so far."""
        return self._spending

    @property
    def has_room(self) -> bool:
        """Whether today's budget has room for any call."""
        return not self._budget.exceeded_by(self._spending.plus(LEAST, self._clock.now()).so_far)

    async def ask(self, request: CloudRequest, *, deadline_s: float) -> AsyncGenerator[CloudEvent, None]:
        """As `CloudLane.ask`. Tried again only while nothing was streamed, and only where that may help."""
        deadline_at = asyncio.get_running_loop().time() + deadline_s
        tries = 0
        while True:
            tries += 1
            try:
                async with aclosing(self._try(request, deadline_at)) as events:
                    async for event in events:
                        yield event
            except CloudError as error:
                self._measures.count(CLOUD_CALLS, request.alias, error.code)
                wait_s = self._wait_s(error, tries)
                if wait_s is None or asyncio.get_running_loop().time() + wait_s >= deadline_at:
                    raise
            else:
                self._measures.count(CLOUD_CALLS, request.alias, "answered")
                return
            await asyncio.sleep(wait_s)

    async def probe(self, alias: str) -> Sign:
        """Whether the endpoint itself answers: a GET of its base URL, without key or content. `seen` hears it too.

        Raises:
            LaneClosedError: nothing was tried.
        """
        endpoint = self._open_endpoint(alias)
        try:
            deadline_at = asyncio.get_running_loop().time() + PROBE_S
            async with self._exchange(endpoint, "GET", endpoint.base_url, deadline_at) as response:
                # Over TLS the endpoint has proven who it is, whatever it answers.
                is_stranger = not endpoint.base_url.startswith("https:") and _head(response).is_portal
            sign = Sign.STRANGER if is_stranger else Sign.SUCCESS
        except CloudError as error:
            sign = error.sign or Sign.FAILURE
        self._seen(alias, sign)
        return sign

    async def aclose(self) -> None:
        """Lets go of what calls have left behind."""
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()
        with suppress(StateError):  # what was kept before each call still counts
            await self._keep_spending()

    async def _try(self, request: CloudRequest, deadline_at: float) -> AsyncGenerator[CloudEvent, None]:
        """One try: looked at, charged, sent, read."""
        endpoint = self._open_endpoint(request.alias)
        body = _outgoing(endpoint, request)
        await asyncio.to_thread(self._refuse_forbidden, body)  # the longer, the more milliseconds
        expected, day = self._charged(endpoint, body, request)
        try:
            await self._keep_spending()
        except StateError as error:
            self._spending = self._spending.corrected(Charge() - expected, day)
            raise LaneClosedError(error.message, hint=error.hint) from error
        answer = StreamedAnswer(WIRE_FORMATS[endpoint.wire_format].reader())
        received, finished = 0, None
        try:
            async with aclosing(self._chunks(endpoint, body, deadline_at)) as chunks:
                async for chunk in chunks:
                    received += len(chunk)
                    for text in answer.feed(chunk):
                        yield text
                    if answer.is_over:
                        break
            finished = answer.finish()
        except CloudError as error:
            failure = answer.failure(error)
            if failure.sign is not None:
                self._seen(request.alias, failure.sign)
            raise failure from None
        else:
            self._seen(request.alias, Sign.SUCCESS)
        finally:
            actual = _actual(endpoint, expected, received, finished, has_streamed=answer.has_streamed)
            self._spending = self._spending.corrected(actual - expected, day)
            self._measures.count(CLOUD_BYTES, request.alias, by=actual.transferred_bytes)
            self._measures.count(CLOUD_MONEY, request.alias, by=actual.money)
        yield finished

    def _open_endpoint(self, alias: str) -> Endpoint:
        if self._air_gap():
            raise LaneClosedError("the air gap holds: nothing leaves this device")
        if alias not in self._endpoints:
            raise LaneClosedError(f"no endpoint is configured as {alias}")
        return self._endpoints[alias]

    def _refuse_forbidden(self, body: bytes) -> None:
        found = {entity for text in set(_texts(json.loads(body))) for entity in self._forbids(text)}
        if found:
            raise StoppedAtGateError(found)

    def _charged(self, endpoint: Endpoint, body: bytes, request: CloudRequest) -> tuple[Charge, date]:
        tokens = len(body) / BYTES_PER_TOKEN + request.max_tokens
        charge = Charge(calls=1, transferred_bytes=len(body), money=tokens / 1000 * endpoint.price_per_1k_tokens)
        spending = self._spending.plus(charge, self._clock.now())
        exceeded = self._budget.exceeded_by(spending.so_far)
        if exceeded:
            if not self.has_room:
                self._budget_spent()
            raise BudgetSpentError(f"today's cloud budget is spent: {', '.join(exceeded)}")
        self._spending = spending
        return charge, spending.day

    async def _keep_spending(self) -> None:
        async with self._keeping:  # in the order of the calls
            await asyncio.to_thread(self._spent.keep, self._spending)

    async def _chunks(self, endpoint: Endpoint, body: bytes, deadline_at: float) -> AsyncGenerator[bytes, None]:
        """The bytes of a stream of events. Each wait has the deadline of its own: none may hold over a yield."""
        async with self._exchange(endpoint, "POST", endpoint.url, deadline_at, body) as response:
            with _in_our_words():
                async with asyncio.timeout_at(deadline_at):
                    await self._require_events(response)
            received, chunks = 0, response.aiter_raw()
            while True:
                with _in_our_words():
                    async with asyncio.timeout_at(deadline_at):
                        chunk = await anext(chunks, None)
                if chunk is None:
                    return
                received += len(chunk)
                if received > self._bounds.max_answer_bytes:
                    raise BrokenAnswerError(f"the answer is longer than {self._bounds.max_answer_bytes} bytes")
                yield chunk

    @asynccontextmanager
    async def _exchange(
        self, endpoint: Endpoint, method: str, url: str, deadline_at: float, body: bytes = b""
    ) -> AsyncIterator[httpx2.Response]:
        """Sends one request; the answer's body is still to be read."""
        import httpx2  # noqa: PLC0415

        headers = dict(_HEADERS)
        if body:
            headers |= {"Content-Type": "application/json"} | WIRE_FORMATS[endpoint.wire_format].headers(endpoint.key)
        timeout = httpx2.Timeout(self._bounds.silence_s, connect=self._bounds.connect_s)
        extensions = {"timeout": timeout.as_dict()}
        request = httpx2.Request(method, url, headers=headers, content=body or None, extensions=extensions)
        with _in_our_words():
            async with asyncio.timeout_at(deadline_at):
                response = await self._transport(endpoint).handle_async_request(request)
        try:
            yield response
        finally:
            await response.aclose()

    def _transport(self, endpoint: Endpoint) -> httpx2.AsyncHTTPTransport:
        """One for each endpoint, which keeps its certificates and no connection: an idle one may be dead unseen."""
        import httpx2  # noqa: PLC0415

        if endpoint.alias not in self._transports:
            context = tls_context(endpoint.ca_file, endpoint.pin)
            limits = httpx2.Limits(max_keepalive_connections=0)
            self._transports[endpoint.alias] = httpx2.AsyncHTTPTransport(context, trust_env=False, limits=limits)
        return self._transports[endpoint.alias]

    async def _require_events(self, response: httpx2.Response) -> None:
        head = _head(response)
        if head.is_portal:
            raise CaptivePortalError
        if head.is_error:
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ERROR_BYTES:
                    break
            raise error_of_status(head.status, body, head.retry_after_s(self._clock.now()))
        if not head.has_events:
            raise BrokenAnswerError("the answer is no plain stream of events")

    def _wait_s(self, error: CloudError, tries: int) -> float | None:
        """How long to wait before another try; None: there is none."""
        if error.has_streamed or not error.is_passing or tries >= self._bounds.tries:
            return None
        wait_s = self._bounds.first_wait_s * 2.0 ** (tries - 1) * (1 + self._chance()) / 2
        asked_s = error.retry_after_s if isinstance(error, RateLimitedError) else None
        return max(wait_s, asked_s or 0.0)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """What goes wrong on the way, mapped once. No cause is kept: a library's words may quote what was sent."""
    import httpx2  # noqa: PLC0415

    try:
        yield
    except TimeoutError:
        raise CloudDeadlineError from None
    except httpx2.RequestError as error:
        has_wrong_certificate = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))
        raise (WrongCertificateError() if has_wrong_certificate else CloudUnreachableError()) from None


def _head(response: httpx2.Response) -> HttpHead:
    return HttpHead(status=response.status_code, fields=response.headers)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _outgoing(endpoint: Endpoint, request: CloudRequest) -> bytes:
    body = WIRE_FORMATS[endpoint.wire_format].body(request, endpoint.model)
    return json.dumps(body, ensure_ascii=False).encode()


def _texts(value: object) -> Iterator[str]:
    """Every text in a JSON document, names of fields included: a schema's may be somebody's words."""
    match value:
        case str():
            yield value
        case dict():
            for name, held in value.items():
                yield name
                yield from _texts(held)
        case list():
            for held in value:
                yield from _texts(held)


def _actual(
    endpoint: Endpoint, expected: Charge, received: int, finished: CloudFinished | None, *, has_streamed: bool
) -> Charge:
    """What a try did cost. Where text came and the provider's count did not, what was expected stands."""
    money = expected.money if has_streamed else 0.0
    if finished is not None:
        counts = (finished.usage.input_tokens, finished.usage.output_tokens)
        money = (
            sum(filter(None, counts)) / 1000 * endpoint.price_per_1k_tokens if None not in counts else expected.money
        )
    return Charge(calls=1, transferred_bytes=expected.transferred_bytes + received, money=money)
