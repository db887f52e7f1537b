"""The configured cloud endpoints with their keys, and what they may cost a day."""

from __future__ import annotations

from collections.abc import Mapping

from homebred_daemon.adapters.cloud.endpoint import Endpoint, endpoint_key
from homebred_daemon.core.budgets import Budget
from homebred_daemon.settings import CloudEndpointSettings, CloudSettings

MEGABYTE = 1_000_000


def configured_endpoints(settings: CloudSettings, environ: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """Every endpoint, its key read.

    Raises:
        ConfigurationError: a key is not there, or others can read it.
    """
    return tuple(_endpoint(alias, endpoint, environ) for alias, endpoint in settings.endpoints.items())


def configured_budget(settings: CloudSettings) -> Budget:
    """The daily limits; what is 0 has none."""
    return Budget(
        calls=settings.max_calls_per_day or None,
        transferred_bytes=settings.max_mb_per_day * MEGABYTE or None,
        money=settings.max_money_per_day or None,
    )


def _endpoint(alias: str, settings: CloudEndpointSettings, environ: Mapping[str, str]) -> Endpoint:
    key = endpoint_key(alias, credential=settings.key_credential, file=settings.key_file, environ=environ)
    return Endpoint(
        alias=alias,
        base_url=settings.base_url,
        wire_format=settings.wire_format,
        model=settings.model,
        key=key,
        pin=settings.pin,
        ca_file=settings.ca_file,
        price_per_1k_tokens=settings.price_per_1k_tokens,
    )
