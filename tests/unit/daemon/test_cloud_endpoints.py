"""From settings to endpoints: every setting arrives, keys are read, and 0 means no limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from homebred_daemon.adapters.cloud.endpoint import Endpoint
from homebred_daemon.app.cloud_endpoints import configured_budget, configured_endpoints
from homebred_daemon.core.budgets import Budget
from homebred_daemon.errors import ConfigurationError
from homebred_daemon.settings import CloudEndpointSettings, CloudSettings

PIN = f"sha256:{64 * '0'}"


def settings(key_file: Path) -> CloudSettings:
    endpoint = CloudEndpointSettings(
        base_url="https://a.example/v1",
        wire_format="anthropic_messages",
        model="m",
        key_file=key_file,
        pin=PIN,
        ca_file=Path("/ca.pem"),
        price_per_1k_tokens=0.5,
    )
    return CloudSettings(endpoints={"cloud/a": endpoint})


def test_every_setting_of_an_endpoint_arrives(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.touch(mode=0o600)
    key_file.write_text("sk-1\n")
    assert configured_endpoints(settings(key_file), {}) == (
        Endpoint(
            alias="cloud/a",
            base_url="https://a.example/v1",
            wire_format="anthropic_messages",
            model="m",
            key="sk-1",
            pin=PIN,
            ca_file=Path("/ca.pem"),
            price_per_1k_tokens=0.5,
        ),
    )


def test_a_key_that_is_not_there_is_heard_of_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the key of cloud/a"):
        configured_endpoints(settings(tmp_path / "key"), {})


def test_nothing_is_configured_by_default() -> None:
    assert configured_endpoints(CloudSettings(), {}) == ()


def test_a_limit_of_nothing_is_none() -> None:
    limited = CloudSettings(max_calls_per_day=1, max_mb_per_day=2, max_money_per_day=3.0)
    assert configured_budget(limited) == Budget(calls=1, transferred_bytes=2_000_000, money=3.0)
    assert configured_budget(CloudSettings(max_calls_per_day=0, max_mb_per_day=0)) == Budget()
