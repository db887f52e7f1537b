"""Transfers as the settings put them together."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.support.made_files import made
from tests.support.memory_block_line import MemoryBlockLine
from tests.support.range_server import Script, range_server

from homebred_daemon.adapters.system_clock import SystemClock, second_of_local_day
from homebred_daemon.app.transfers import transfers
from homebred_daemon.core.transfer_pace import DAY_S
from homebred_daemon.ports.identity import CertificateFacts, Identity, Membership
from homebred_daemon.settings_of_fleet import TransferSettings
from homebred_protocol.mqtt import Credentials

ONE = made(100_000)
NOWHERE = Path("/nonexistent")
IDENTITY = Identity(
    generation="1",
    membership=Membership(
        device_id="clinic-1",
        site="clinic",
        controller_url="https://127.0.0.1:1",
        broker_host="localhost",
        broker_port=1,
    ),
    certificate=CertificateFacts(serial="1", begins_s=0, ends_s=0, digest="sha256:0"),
    credentials=Credentials(authorities=NOWHERE, certificate=NOWHERE, key=NOWHERE),
)


async def test_a_mirror_is_asked_before_the_controller_and_the_broker_last(tmp_path: Path) -> None:
    with range_server(Script({f"/{ONE.file.digest.replace(':', '/')}": ONE.body})) as url:
        made_ready = transfers(
            TransferSettings(mirror=url, reserve_mb=1),
            store=tmp_path,
            clock=SystemClock(),
            identity=lambda: IDENTITY,
            line=MemoryBlockLine(),
        )
        assert [source.name for source in made_ready.sources] == [
            "the site's mirror",
            "the fleet's controller",
            "the fleet's broker",
        ]
        brought = await made_ready.fetching.fetch([ONE.file], made_ready.sources)
        made_ready.close()
    assert brought == {ONE.file.digest: made_ready.staging.whole(ONE.file)}
    assert brought[ONE.file.digest].parent == tmp_path / "staging"


def test_neither_a_mirror_nor_the_broker_need_be_there(tmp_path: Path) -> None:
    settings, clock = TransferSettings(broker_mb=0), SystemClock()
    made_ready = transfers(settings, store=tmp_path, clock=clock, identity=lambda: IDENTITY, line=MemoryBlockLine())
    assert [source.name for source in made_ready.sources] == ["the fleet's controller"]
    made_ready.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"windows": "22-05"},
        {"mirror": "ftp://mirror"},
        {"mirror": "http://a:b@mirror/"},
        {"reserve_mb": -1},
        {"store": "s3://bucket"},
        {"authorities": "ca.pem"},
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TransferSettings.model_validate(settings)


def test_a_wall_clock_shows_a_time_of_the_day() -> None:
    assert 0 <= second_of_local_day() < DAY_S
