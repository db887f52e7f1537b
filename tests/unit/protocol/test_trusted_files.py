from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.trusted_files import (
    MAX_ANSWER_BYTES,
    MAX_FILE_BYTES,
    MAX_PAGE_BYTES,
    Page,
    answer_of,
    director_metadata,
    https_path,
    image_metadata,
    image_target,
    is_trusted_file,
    read_answer,
    read_request,
    request_of,
)

DIGEST = "sha256:" + "a" * 64
GOOD = [
    image_metadata() + "timestamp.json",
    image_metadata() + "7.root.json",
    image_metadata() + "12.models-qa.json",
    director_metadata("kiosk-1") + "3.targets.json",
    image_target("models/qa/intake-3/7.json", DIGEST),
    image_target("policies/clinic-east/default/7.toml", DIGEST),
]
BAD = [
    "",
    "image/metadata/",
    "image/metadata/../../etc/passwd",
    "image/metadata/..json",
    "image/metadata/0.root.json",
    "image/metadata/7.root.json/x",
    "image/metadata/root.json\n",
    "/image/metadata/root.json",
    "director/metadata/root.json",
    "director/../metadata/root.json",
    "director/+/metadata/root.json",
    "director/homebred-fleet/metadata/root.json",
    "image/targets/models/qa/intake-3/7.json",
    "image/targets/models/qa/../intake-3/" + "a" * 64 + ".7.json",
    "image/targets/" + "a" * 64 + ".7.json",
]


@pytest.mark.parametrize("name", GOOD)
def test_what_a_device_asks_for_is_a_file_of_the_repositories(name: str) -> None:
    assert is_trusted_file(name)
    assert read_request(request_of(name, 5)) == (name, 5)


def test_over_https_the_certificate_says_whose_director_is_meant() -> None:
    assert https_path(director_metadata("kiosk-1") + "3.targets.json") == "director/metadata/3.targets.json"
    assert https_path(GOOD[0]) == GOOD[0]


@pytest.mark.parametrize("name", BAD)
def test_nothing_else_is_opened(name: str) -> None:
    assert not is_trusted_file(name)
    with pytest.raises(ValueError, match="names no file"):
        read_request(request_of(name, 0))


@given(st.text(alphabet="image/metadrctogs.json0123456789-x", max_size=60))
def test_no_name_leaves_its_folder(name: str) -> None:
    if is_trusted_file(name):
        assert not name.startswith("/")
        assert ".." not in name.split("/")


@given(st.integers(0, MAX_FILE_BYTES), st.binary(max_size=400))
def test_a_page_is_read_as_it_was_written(length: int, body: bytes) -> None:
    assert read_answer(answer_of(Page(length=length, body=body))) == Page(length=length, body=body)


def test_a_file_that_is_not_there_is_said_to_be_none() -> None:
    assert read_answer(answer_of(Page(length=-1, body=b""))).length == -1


def test_the_longest_page_fits_an_answer() -> None:
    assert len(answer_of(Page(length=MAX_FILE_BYTES, body=b"x" * MAX_PAGE_BYTES))) <= MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"length": true}\n',
        b'{"length": -1}\nx',
        b'{"length": -2}\n',
        b'{"length": 1.5}\n',
        b'{"length": 1}',
        b"[" * 200 + b"\n",
        b"x" * (MAX_ANSWER_BYTES + 1),
    ],
)
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        read_answer(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_and_a_page_or_a_value_error(body: bytes) -> None:
    with suppress(ValueError):
        assert is_trusted_file(read_request(body)[0])
    with suppress(ValueError):
        assert read_answer(body).length >= -1


@pytest.mark.parametrize("offset", [-1, True, 1.0, "0", None, MAX_FILE_BYTES + 1])
def test_an_offset_outside_of_every_file_is_refused(offset: object) -> None:
    with pytest.raises(ValueError, match="offset"):
        read_request(request_of(GOOD[0], offset))  # type: ignore[arg-type]  # what a stranger may send
