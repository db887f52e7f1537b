"""Addresses in a store, signed or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from homebred_fleet.adapters.object_store import ObjectStore
from homebred_fleet.errors import StateError
from homebred_fleet.settings import StoreSettings

DIGEST = "sha256:" + "ab" * 32
URL = "https://s3.clinic.lan:9000/fleet/releases"


def store(**settings: object) -> ObjectStore:
    return ObjectStore(StoreSettings.model_validate({"url": URL, **settings}), now_s=lambda: 1_800_000_000)


def test_a_bucket_that_everybody_may_read_has_plain_addresses() -> None:
    assert store().address_of(DIGEST, "GET") == f"{URL}/sha256/{'ab' * 32}"


def test_with_a_key_an_address_holds_for_as_long_as_is_set_and_does_not_tell_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "store.secret"
    file.write_text("its secret\n")
    address = store(key_id="AKID", secret_file=file, link_s=600).address_of(DIGEST, "GET")
    assert address.startswith(f"{URL}/sha256/{'ab' * 32}?X-Amz-Algorithm=AWS4-HMAC-SHA256")
    assert "X-Amz-Date=20270115T080000Z&X-Amz-Expires=600" in address
    assert "secret" not in address


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_a_secret_that_cannot_be_read_is_told_with_its_file(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "store.secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StateError, match=str(file)) as caught:
        store(key_id="AKID", secret_file=file)
    assert "store.key_id" in caught.value.hint


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "s3://fleet"},
        {"url": "https://key:secret@s3/fleet"},
        {"url": "https://s3/fleet?x=1"},
        {"url": "https://s3/a b"},
        {"secret_file": "store.secret"},
        {"link_s": 1},
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StoreSettings.model_validate(settings)
