"""The cloud lane through the gateway: OpenAI's client, a real daemon, a server in the cloud's place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.support.daemon_process import Site
from tests.support.gateway import gateway_of

from homebred_daemon.demo.stand_in_cloud import Fault, StandInCloud

TEXT = "Please weigh the plan of jo@example.org for us."
MAY_ESCALATE = 'version = 1\n[callers."token:desk"]\nmay_escalate = true\n'
LABELS = {"homebred": {"data_classes": ["public"], "allows_escalation": True}}


@pytest.fixture
def cloud() -> Iterator[StandInCloud]:
    with StandInCloud() as stand_in:
        yield stand_in


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("generalist", samples=0)
    return site


def configured(cloud: StandInCloud) -> str:
    return (
        f'[cloud.endpoints."cloud/default"]\nbase_url = "{cloud.base_url}"\nwire_format = "openai_chat"\n'
        'model = "stand-in"\n'
    )


def asked(client: Any, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """All of the text that the caller saw, and what was told of it."""
    messages = [{"role": "user", "content": TEXT}]
    answer = client.chat.completions.create(model="homebred", messages=messages, stream=stream, extra_body=LABELS)
    if not stream:
        return answer.choices[0].message.content, answer.homebred
    chunks = list(answer)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks), chunks[-1].homebred


@pytest.mark.parametrize("stream", [True, False])
def test_a_clouds_answer_comes_home_restored(site: Site, cloud: StandInCloud, stream: bool) -> None:  # noqa: FBT001
    with gateway_of(site, configured(cloud), policy=MAY_ESCALATE) as gateway, gateway.client() as client:
        said, told = asked(client, stream=stream)
    assert "jo@example.org" in said
    assert told["outcome"]["answered_by"] == "cloud/default"
    (request,) = cloud.received
    assert b"example.org" not in request.body


@pytest.mark.parametrize("stream", [True, False])
def test_of_an_answer_that_was_cut_off_a_caller_sees_nothing(site: Site, cloud: StandInCloud, stream: bool) -> None:  # noqa: FBT001
    with gateway_of(site, configured(cloud), policy=MAY_ESCALATE) as gateway, gateway.client() as client:
        cloud.will(Fault.CUT)
        said, told = asked(client, stream=stream)
    assert said == TEXT
    assert (told["outcome"]["status"], told["outcome"]["answered_by"]) == ("degraded", "generalist")
    assert "cloud_failed" in told["outcome"]["findings"]


def test_a_token_without_that_right_sends_nothing_out_whatever_its_labels_say(site: Site, cloud: StandInCloud) -> None:
    closed = "version = 1\n"
    with gateway_of(site, configured(cloud), policy=closed) as gateway, gateway.client() as client:
        with pytest.raises(openai.UnprocessableEntityError, match="this caller may not escalate") as refused:
            asked(client, stream=True)
        assert json.loads(refused.value.response.headers["x-homebred-decision"])["selected_runtime"] == "no_op"
    assert cloud.received == []
