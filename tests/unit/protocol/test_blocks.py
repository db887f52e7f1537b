from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol import requests
from homebred_protocol.blocks import (
    MAX_BLOCK_BYTES,
    MAX_FILE_BYTES,
    MAX_REQUEST_BYTES,
    Block,
    read_request,
    request_of,
)
from homebred_protocol.trusted_files import MAX_PAGE_BYTES

DIGEST = "sha256:" + "a" * 64
BLOCKS = st.builds(
    Block,
    digest=st.binary(min_size=32, max_size=32).map(lambda body: f"sha256:{body.hex()}"),
    begin=st.integers(0, MAX_FILE_BYTES),
    length=st.integers(1, MAX_BLOCK_BYTES),
)


@given(BLOCKS)
def test_a_block_is_read_as_it_was_asked_for(block: Block) -> None:
    assert read_request(request_of(block)) == block


@given(st.binary(max_size=MAX_REQUEST_BYTES + 10))
def test_any_bytes_ask_for_a_block_or_are_a_value_error(body: bytes) -> None:
    with suppress(ValueError):
        assert 0 < read_request(body).length <= MAX_BLOCK_BYTES


@given(st.dictionaries(st.sampled_from(["digest", "begin", "length"]), st.integers() | st.text() | st.floats()))
def test_any_object_asks_for_a_block_or_is_a_value_error(said: dict[str, object]) -> None:
    with suppress(ValueError):
        assert 0 < read_request(json.dumps(said).encode()).length <= MAX_BLOCK_BYTES


@pytest.mark.parametrize(
    ("digest", "begin", "length", "complaint"),
    [
        ("", 0, 1, "digest"),
        ("sha256:" + "A" * 64, 0, 1, "digest"),
        ("sha256:../../" + "a" * 58, 0, 1, "digest"),
        (DIGEST + "\n", 0, 1, "digest"),
        (DIGEST, -1, 1, "bounds"),
        (DIGEST, MAX_FILE_BYTES + 1, 1, "bounds"),
        (DIGEST, True, 1, "bounds"),
        (DIGEST, 0, 0, "bounds"),
        (DIGEST, 0, 1.0, "bounds"),
        (DIGEST, 0, MAX_BLOCK_BYTES + 1, "bounds"),
        (DIGEST, 10**200, 1, "longer than"),
    ],
)
def test_what_names_no_bytes_of_a_file_is_refused(
    digest: object, begin: object, length: object, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_request(json.dumps({"digest": digest, "begin": begin, "length": length}).encode())


def test_the_longest_block_fits_a_page_and_its_request_a_request() -> None:
    assert MAX_BLOCK_BYTES <= MAX_PAGE_BYTES
    assert MAX_REQUEST_BYTES <= requests.MAX_ASKED_BYTES
