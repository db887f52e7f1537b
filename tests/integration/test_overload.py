"""More than the device takes: every refusal says when to come again, and the daemon stays small."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.support.daemon_process import Site

from homebred_protocol.v1 import inference_pb2 as wire
from homebred_protocol.v1 import inference_pb2_grpc


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("slow", script={"token_delay_s": 0.02})
    (tmp_path / "homebred.toml").write_text("[requests]\nmax_streams = 8\n[engine]\nslots = 8\n")
    return site


def verdict(error: grpc.aio.AioRpcError) -> str:
    """What the caller hears, and whether it is told when to come again."""
    status = rpc_status.from_call(error)
    if status is None:
        return f"bare {error.code().name}: {error.details()}"
    retry, problem = error_details_pb2.RetryInfo(), wire.Problem()
    advice = any(detail.Unpack(retry) for detail in status.details)
    assert any(detail.Unpack(problem) for detail in status.details)
    return f"{problem.code} {'with' if advice and problem.retry_after_s > 0 else 'without'} advice"


async def flood(site: Site, calls: int, connections: int) -> Counter[str]:
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
    channels = [grpc.aio.insecure_channel(f"unix:{site.socket}", options=options) for _ in range(connections)]
    stubs = [inference_pb2_grpc.InferenceStub(channel) for channel in channels]
    request = wire.GenerateRequest(task=wire.Task(text="a b c d e f", data_classes=["patient"]))

    async def ask(number: int) -> str:
        try:
            last = [event async for event in stubs[number % connections].Generate(request)][-1]
        except grpc.aio.AioRpcError as error:
            return verdict(error)
        return wire.OutcomeStatus.Name(last.outcome.status)

    try:
        return Counter(await asyncio.gather(*(ask(number) for number in range(calls))))
    finally:
        for channel in channels:
            await channel.close()


@pytest.mark.parametrize(
    "connections",
    [pytest.param(1, marks=pytest.mark.thorough("the same over twenty connections goes with every `make test`")), 20],
)
async def test_a_flood_is_answered_or_refused_with_advice_and_never_barely(site: Site, connections: int) -> None:
    with site.daemon("--config", str(site.folder / "homebred.toml")) as client:
        heard = await flood(site, 2000, connections)
        assert heard.keys() == {"OUTCOME_STATUS_ANSWER", "overloaded with advice"}
        assert sum(heard.values()) == 2000
        assert heard["OUTCOME_STATUS_ANSWER"] >= 8
        after = [client.status().resident_bytes]
        for _ in range(3):
            await flood(site, 2000, connections)
            after.append(client.status().resident_bytes)
        assert after[-1] - after[0] < 16 << 20, after
        assert client.status().streams == 0
    assert "defect" not in site.log
