"""What the way to a cloud promises, on real sockets: every call ends in one answer or one error of the port's."""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import disable_socket, enable_socket
from tests.support.manual_clock import ManualClock
from tests.support.metrics_reader import counted

from homebred_daemon.adapters.cloud.endpoint import Endpoint
from homebred_daemon.adapters.cloud.registry import WIRE_FORMATS
from homebred_daemon.adapters.cloud.spending_file import SpendingFile
from homebred_daemon.adapters.cloud.tls import public_key_digest
from homebred_daemon.adapters.egress import Bounds, Egress
from homebred_daemon.core.budgets import Budget, Spending
from homebred_daemon.core.measures import Given
from homebred_daemon.core.reachability import Sign
from homebred_daemon.demo.stand_in_cloud import Fault, StandInCloud
from homebred_daemon.errors import ConfigurationError, StateError, UnwritableError
from homebred_daemon.ports.cloud import (
    BrokenAnswerError,
    BudgetSpentError,
    CaptivePortalError,
    CloudDeadlineError,
    CloudError,
    CloudEvent,
    CloudFinish,
    CloudFinished,
    CloudRequest,
    CloudText,
    CloudUnreachableError,
    CutOffError,
    LaneClosedError,
    ProviderFailedError,
    RateLimitedError,
    RequestRefusedError,
    SpendingStore,
    StoppedAtGateError,
    WrongCertificateError,
)
from homebred_daemon.services.tallying import Tally
from homebred_engines import api

ALIAS = "cloud/default"
KEY = "sk-c4nary-key"
QUESTION = "Who is ⟦person:k7f2m9qd4⟧ – and “why”?\nSay."
ANSWER = f"You asked: {QUESTION} In short: {QUESTION}"
REQUEST = CloudRequest(
    alias=ALIAS, system="Be brief.", turns=(api.Message(role="user", content=QUESTION),), max_tokens=64
)
LONG_S = 60.0
HASTY = Bounds(first_wait_s=0.01)
every_format = pytest.mark.parametrize("wire_format", WIRE_FORMATS)


@dataclass(slots=True)
class Site:
    """A stand-in for a cloud, the gate to it, and what both have seen."""

    cloud: StandInCloud
    spent: SpendingStore
    spent_out: list[datetime] = field(default_factory=list)
    """When it was said that a budget has no room for any call."""
    wire_format: str = "openai_chat"
    signs: list[Sign] = field(default_factory=list)
    forbidden: dict[str, str] = field(default_factory=dict)
    """Entity types by text."""
    is_air_gapped: bool = False
    closes_at_first_sign: bool = False
    clock: ManualClock = field(default_factory=ManualClock)
    tally: Tally = field(default_factory=Tally)

    def endpoint(self, **changes: Any) -> Endpoint:
        endpoint = Endpoint(
            alias=ALIAS, base_url=self.cloud.base_url, wire_format=self.wire_format, model="gpt", key=KEY
        )
        return replace(endpoint, **changes)

    @asynccontextmanager
    async def gate(
        self, *, budget: Budget | None = None, bounds: Bounds = HASTY, **changes: Any
    ) -> AsyncIterator[Egress]:
        egress = Egress(
            [self.endpoint(**changes)],
            air_gap=lambda: self.is_air_gapped,
            forbids=self._forbids,
            seen=self._saw,
            clock=self.clock,
            chance=lambda: 0.0,
            spent=self.spent,
            budget_spent=lambda: self.spent_out.append(self.clock.now()),
            budget=budget,
            bounds=bounds,
            measures=self.tally,
        )
        try:
            yield egress
        finally:
            await egress.aclose()

    async def answer(
        self, request: CloudRequest = REQUEST, deadline_s: float = LONG_S, **gate: Any
    ) -> list[CloudEvent]:
        async with self.gate(**gate) as egress:
            return await collected(egress, request, deadline_s)

    async def failure(self, deadline_s: float = LONG_S, **gate: Any) -> tuple[CloudError, list[CloudEvent]]:
        """The error that one call ends in, and what came before."""
        events: list[CloudEvent] = []
        with pytest.raises(CloudError) as raised:
            await self._gather(events, deadline_s, gate)
        return raised.value, events

    async def _gather(self, events: list[CloudEvent], deadline_s: float, gate: dict[str, Any]) -> None:
        async with self.gate(**gate) as egress, aclosing(egress.ask(REQUEST, deadline_s=deadline_s)) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401  # what comes before an error counts

    def _saw(self, alias: str, sign: Sign) -> None:
        assert alias == ALIAS
        self.signs.append(sign)
        self.is_air_gapped |= self.closes_at_first_sign

    def _forbids(self, text: str) -> Collection[str]:
        return {entity for part, entity in self.forbidden.items() if part in text}


async def collected(egress: Egress, request: CloudRequest = REQUEST, deadline_s: float = LONG_S) -> list[CloudEvent]:
    async with aclosing(egress.ask(request, deadline_s=deadline_s)) as stream:
        return [event async for event in stream]


async def forever(egress: Egress) -> None:
    while True:
        await collected(egress)


def text_of(events: list[CloudEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, CloudText))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with StandInCloud() as cloud:
        yield Site(cloud, SpendingFile(tmp_path))


@pytest.fixture
def tls_site(tmp_path: Path) -> Iterator[Site]:
    with StandInCloud(has_tls=True) as cloud:
        yield Site(cloud, SpendingFile(tmp_path))


@every_format
@pytest.mark.parametrize("fault", [None, Fault.SLOW_START, Fault.SLOW])
async def test_an_answer_is_its_texts_and_one_end(site: Site, wire_format: str, fault: Fault | None) -> None:
    site.wire_format = wire_format
    site.cloud.will(*([fault] if fault else []))
    events = await site.answer()
    assert text_of(events) == ANSWER
    assert [type(event) for event in events] == [CloudText] * (len(events) - 1) + [CloudFinished]
    end = events[-1]
    assert isinstance(end, CloudFinished)
    assert end.reason is CloudFinish.STOP
    assert (end.usage.input_tokens or 0) > 0
    assert (end.usage.output_tokens or 0) > 0
    assert site.signs == [Sign.SUCCESS]


@every_format
@pytest.mark.parametrize(
    ("fault", "kind", "sign"),
    [
        (Fault.RATE_LIMITED, RateLimitedError, Sign.SUCCESS),
        (Fault.FAILING, ProviderFailedError, Sign.SUCCESS),
        (Fault.REFUSING, RequestRefusedError, Sign.SUCCESS),
        (Fault.HANGS_UP, CloudUnreachableError, Sign.FAILURE),
        (Fault.NO_HTTP, CloudUnreachableError, Sign.FAILURE),
        (Fault.CUT, CutOffError, Sign.FAILURE),
        (Fault.REDIRECT, CaptivePortalError, Sign.STRANGER),
        (Fault.PAGE, CaptivePortalError, Sign.STRANGER),
        (Fault.BROKEN_EVENT, BrokenAnswerError, None),
        (Fault.COMPRESSED, BrokenAnswerError, None),
        (Fault.ENDLESS, BrokenAnswerError, None),
    ],
)
async def test_every_fault_ends_in_one_error_that_says_what_it_means_for_the_link(
    site: Site, wire_format: str, fault: Fault, kind: type[CloudError], sign: Sign | None
) -> None:
    site.wire_format = wire_format
    site.cloud.will(fault)
    error, events = await site.failure(bounds=Bounds(tries=1, max_answer_bytes=20_000))
    assert type(error) is kind
    assert site.signs == ([sign] if sign else [])
    assert error.has_streamed == bool(events) == (fault in (Fault.CUT, Fault.ENDLESS))
    assert all(isinstance(event, CloudText) for event in events)
    assert len(site.cloud.received) == 1


async def test_an_answer_that_was_cut_off_never_shows_half_a_token(site: Site) -> None:
    site.cloud.will(Fault.CUT)
    _, events = await site.failure()
    assert ANSWER.startswith(text_of(events))


@pytest.mark.parametrize("fault", [Fault.FAILING, Fault.HANGS_UP, Fault.NO_HTTP])
async def test_what_may_pass_is_tried_again_before_the_first_text(site: Site, fault: Fault) -> None:
    site.cloud.will(fault, fault)
    assert text_of(await site.answer()) == ANSWER
    assert len(site.cloud.received) == 3
    assert len({received.body for received in site.cloud.received}) == 1


async def test_it_is_not_tried_for_ever(site: Site) -> None:
    site.cloud.will(*[Fault.FAILING] * 5)
    error, _ = await site.failure(bounds=Bounds(tries=3, first_wait_s=0.01))
    assert (type(error), len(site.cloud.received)) == (ProviderFailedError, 3)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.REDIRECT, Fault.PAGE, Fault.REFUSING, Fault.BROKEN_EVENT])
async def test_what_will_not_pass_or_came_after_the_first_text_is_not_tried_again(site: Site, fault: Fault) -> None:
    site.cloud.will(fault)
    await site.failure()
    assert len(site.cloud.received) == 1  # nor was a redirect followed


async def test_a_provider_that_asks_for_patience_gets_it_where_the_deadline_allows(site: Site) -> None:
    site.cloud.will(Fault.RATE_LIMITED)
    assert text_of(await site.answer()) == ANSWER
    site.cloud.will(Fault.RATE_LIMITED)
    error, _ = await site.failure(deadline_s=0.9)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == 1.0
    assert len(site.cloud.received) == 3


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.ENDLESS])
async def test_the_deadline_is_for_the_whole_call(site: Site, fault: Fault) -> None:
    site.cloud.will(Fault.HANGS_UP, fault)
    error, events = await site.failure(deadline_s=0.3, bounds=Bounds(first_wait_s=0.01, max_answer_bytes=1 << 40))
    assert type(error) is CloudDeadlineError
    assert error.has_streamed == bool(events) == (fault is Fault.ENDLESS)


async def test_a_stream_that_is_closed_ends_the_call(site: Site) -> None:
    site.cloud.will(Fault.ENDLESS)
    async with site.gate() as egress, aclosing(egress.ask(REQUEST, deadline_s=LONG_S)) as stream:
        assert isinstance(await anext(stream), CloudText)
    assert text_of(await site.answer()) == ANSWER


async def test_an_endpoint_that_nobody_serves_is_unreachable(site: Site) -> None:
    with StandInCloud() as gone:
        nobody = gone.base_url
    error, _ = await site.failure(base_url=nobody)
    assert type(error) is CloudUnreachableError
    assert site.signs == [Sign.FAILURE] * HASTY.tries


async def test_a_silent_endpoint_is_unreachable_after_a_while(site: Site) -> None:
    site.cloud.will(Fault.SILENT)
    error, _ = await site.failure(bounds=Bounds(tries=1, silence_s=0.05))
    assert type(error) is CloudUnreachableError


# What leaves


@every_format
async def test_exactly_the_request_leaves(site: Site, wire_format: str) -> None:
    site.wire_format = wire_format
    await site.answer()
    (received,) = site.cloud.received
    assert json.loads(received.body) == WIRE_FORMATS[wire_format].body(REQUEST, "gpt")
    assert received.path == f"/v1{WIRE_FORMATS[wire_format].path}"
    expected = {"host", "accept", "accept-encoding", "user-agent", "content-type", "content-length"}
    keys = {name.lower() for name in WIRE_FORMATS[wire_format].headers(KEY)}
    assert set(received.headers) == expected | keys


@every_format
@pytest.mark.parametrize("place", ["system", "turns", "json_schema"])
async def test_what_may_not_leave_is_stopped_with_nothing_sent(site: Site, wire_format: str, place: str) -> None:
    site.wire_format, canary = wire_format, 'Zor"blätt\n7'
    site.forbidden = {canary: "MEDICAL_RECORD"}
    held: dict[str, Any] = {
        "system": canary,
        "turns": (api.Message(role="user", content=f"about {canary}"),),
        "json_schema": json.dumps({"properties": {canary: {}}}),
    }
    with pytest.raises(StoppedAtGateError) as raised:
        await site.answer(replace(REQUEST, **{place: held[place]}))
    assert raised.value.entity_types == ("MEDICAL_RECORD",)
    assert "Zor" not in str(raised.value.record()) + repr(raised.value)
    assert (site.cloud.received, site.signs) == ([], [])


async def test_what_became_forbidden_between_two_tries_is_stopped(site: Site) -> None:
    site.cloud.will(Fault.FAILING)
    site.closes_at_first_sign = True
    error, _ = await site.failure()
    assert type(error) is LaneClosedError
    assert len(site.cloud.received) == 1


async def test_behind_the_air_gap_no_socket_is_made(site: Site) -> None:
    site.is_air_gapped = True
    async with site.gate() as egress:
        disable_socket()
        try:
            with pytest.raises(UserWarning, match="tried to use"):
                socket.socket()
            with pytest.raises(LaneClosedError, match="air gap"):
                await collected(egress)
            with pytest.raises(LaneClosedError, match="air gap"):
                await egress.probe(ALIAS)
        finally:
            enable_socket()
    assert (site.cloud.received, site.signs) == ([], [])


async def test_without_an_endpoint_there_is_no_way_out(site: Site) -> None:
    with pytest.raises(LaneClosedError, match="cloud/other"):
        await site.answer(replace(REQUEST, alias="cloud/other"))


async def test_a_proxy_of_the_environment_is_not_heeded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with StandInCloud() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        assert text_of(await site.answer()) == ANSWER
        assert proxy.received == []


async def test_the_key_is_in_no_log_error_or_repr(
    site: Site, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    site.cloud.will(Fault.REFUSING)
    error, _ = await site.failure()
    await site.answer()
    assert any(KEY in value for value in site.cloud.received[0].headers.values())
    told = caplog.text + "".join(capfd.readouterr()) + str(error.record()) + repr(error) + repr(site.endpoint())
    assert KEY not in told
    assert "person:" not in told
    assert error.__cause__ is None


# Who answers


async def test_a_certificate_that_nobody_vouches_for_is_refused(tls_site: Site) -> None:
    error, _ = await tls_site.failure()
    assert type(error) is WrongCertificateError
    assert (tls_site.cloud.received, tls_site.signs) == ([], [Sign.STRANGER])


async def test_a_certificate_that_the_site_vouches_for_is_taken(tls_site: Site) -> None:
    assert text_of(await tls_site.answer(ca_file=tls_site.cloud.certificate_file)) == ANSWER


async def test_with_a_pin_only_that_public_key_is_taken(tls_site: Site) -> None:
    certificate = tls_site.cloud.certificate_file
    assert certificate is not None
    pin = public_key_digest(ssl.PEM_cert_to_DER_cert(certificate.read_text()))
    assert text_of(await tls_site.answer(ca_file=certificate, pin=pin)) == ANSWER
    other = f"sha256:{hashlib.sha256(b'another').hexdigest()}"
    error, _ = await tls_site.failure(ca_file=certificate, pin=other)
    assert type(error) is WrongCertificateError
    assert len(tls_site.cloud.received) == 1


async def test_certificates_that_cannot_be_read_are_the_sites_to_correct(tls_site: Site) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await tls_site.answer(
            ca_file=tls_site.cloud.certificate_file.parent if tls_site.cloud.certificate_file else None
        )


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        (None, Sign.SUCCESS),
        (Fault.FAILING, Sign.SUCCESS),
        (Fault.REDIRECT, Sign.STRANGER),
        (Fault.PAGE, Sign.STRANGER),
        (Fault.HANGS_UP, Sign.FAILURE),
    ],
)
async def test_a_probe_asks_whether_the_endpoint_is_there_and_tells_it_nothing(
    site: Site, fault: Fault | None, sign: Sign
) -> None:
    site.cloud.will(*([fault] if fault else []))
    async with site.gate() as egress:
        assert await egress.probe(ALIAS) is sign
    (received,) = site.cloud.received
    assert (received.method, received.path, received.body) == ("GET", "/v1", b"")
    assert KEY not in str(received.headers)
    assert site.signs == [sign]


async def test_a_probe_knows_a_strangers_certificate(tls_site: Site) -> None:
    async with tls_site.gate() as egress:
        assert await egress.probe(ALIAS) is Sign.STRANGER


# What it costs


async def test_calls_bytes_and_money_are_counted(site: Site) -> None:
    async with site.gate(price_per_1k_tokens=2.0) as egress:
        end = (await collected(egress))[-1]
        spent = egress.spending.so_far
    assert isinstance(end, CloudFinished)
    assert spent.calls == 1
    assert spent.transferred_bytes > len(site.cloud.received[0].body)
    used = (end.usage.input_tokens or 0) + (end.usage.output_tokens or 0)
    assert spent.money == pytest.approx(used * 0.002)


@pytest.mark.parametrize("budget", [Budget(calls=1), Budget(transferred_bytes=500), Budget(money=0.5)])
async def test_a_budget_stops_calls_until_the_next_day(site: Site, budget: Budget) -> None:
    async with site.gate(budget=budget, price_per_1k_tokens=3.0) as egress:
        with pytest.raises(BudgetSpentError):
            await forever(egress)
        assert egress.has_room is bool(budget.money)
        assert len(site.spent_out) == (0 if budget.money else 1)  # a shorter text might still be paid for
        assert site.cloud.received
        before = len(site.cloud.received)
        site.clock.pass_s(86_400)
        assert egress.has_room
        assert text_of(await collected(egress)) == ANSWER
        assert len(site.cloud.received) == before + 1


async def test_a_restart_brings_no_new_budget(site: Site) -> None:
    budget = Budget(calls=2)
    async with site.gate(budget=budget) as egress:
        await collected(egress)
    async with site.gate(budget=budget) as egress:
        await collected(egress)
        with pytest.raises(BudgetSpentError):
            await collected(egress)
        kept = egress.spending
    async with site.gate(budget=budget) as egress:
        assert not egress.has_room
    assert site.spent.read() == kept
    assert kept.so_far.calls == 2


async def test_each_call_is_kept_before_it_is_made(site: Site) -> None:
    site.cloud.will(Fault.SLOW_START)
    async with site.gate() as egress, aclosing(egress.ask(REQUEST, deadline_s=LONG_S)) as events:
        await anext(events)
        assert site.spent.read().so_far.calls == 1  # as a kill would leave it


async def test_what_cannot_be_counted_is_not_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.gate() as egress:
        with monkeypatch.context() as full:
            full.setattr(site.spent, "keep", full_disk)
            with pytest.raises(LaneClosedError, match="no room"):
                await collected(egress)
        assert (site.cloud.received, egress.spending.so_far.calls) == ([], 0)
        assert text_of(await collected(egress)) == ANSWER


def full_disk(_: Spending) -> None:
    raise UnwritableError("no room")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"day": "someday", "calls": 1, "transferred_bytes": 1, "money": 0}'])
def test_spending_that_cannot_be_read_is_complained_of(tmp_path: Path, body: str) -> None:
    SpendingFile(tmp_path).keep(Spending())
    (tmp_path / "cloud" / "spending.json").write_text(body)
    with pytest.raises(StateError, match="what today's cloud calls cost is not known"):
        SpendingFile(tmp_path).read()


def torn_file(folder: Path) -> SpendingFile:
    file = SpendingFile(folder)
    file.keep(Spending())
    (folder / "cloud" / "spending.json").write_text("torn")
    return file


async def test_where_spending_cannot_be_read_the_day_is_spent_and_the_next_is_not(site: Site, tmp_path: Path) -> None:
    site.spent = torn_file(tmp_path)
    async with site.gate(budget=Budget(calls=2)) as egress:
        assert (egress.is_uncounted, egress.has_room) == (True, False)
        with pytest.raises(BudgetSpentError):
            await collected(egress)
        site.clock.pass_s(86_400)
        assert text_of(await collected(egress)) == ANSWER
    assert site.spent.read().so_far.calls == 1


async def test_without_limits_what_cannot_be_read_stops_nothing(site: Site, tmp_path: Path) -> None:
    site.spent = torn_file(tmp_path)
    async with site.gate() as egress:
        assert text_of(await collected(egress)) == ANSWER


async def test_a_try_that_brought_no_text_costs_no_money(site: Site) -> None:
    site.cloud.will(Fault.FAILING)
    async with site.gate(bounds=Bounds(tries=1), price_per_1k_tokens=3.0) as egress:
        with pytest.raises(ProviderFailedError):
            await collected(egress)
        assert (egress.spending.so_far.calls, egress.spending.so_far.money) == (1, 0.0)


async def test_an_answer_that_was_cut_off_costs_what_was_expected(site: Site) -> None:
    site.cloud.will(Fault.CUT)
    async with site.gate(price_per_1k_tokens=3.0) as egress:
        with pytest.raises(CutOffError):
            await collected(egress)
        assert egress.spending.so_far.money > 0.0


@pytest.fixture(autouse=True)
def no_socket_is_left_behind() -> Iterator[None]:
    yield
    gc.collect()  # one that is would be warned of, and warnings are errors


async def test_every_try_is_counted_by_how_it_ended_with_its_bytes_and_its_price(site: Site) -> None:
    site.tally.know(Given.ALIAS, lambda: [ALIAS])
    site.cloud.will(Fault.FAILING)
    await site.answer(price_per_1k_tokens=2.0)
    assert counted(site.tally, "homebred_cloud_calls_total", alias=ALIAS, outcome="provider_failed") == 1
    assert counted(site.tally, "homebred_cloud_calls_total", alias=ALIAS, outcome="answered") == 1
    assert counted(site.tally, "homebred_cloud_bytes_total", alias=ALIAS) > 100
    assert counted(site.tally, "homebred_cloud_money_total", alias=ALIAS) > 0
