"""Signatures that are carried by file: taken where they hold, refused in words where they do not, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.image_repository import SignedFleet, image_signing, key, signing
from tests.support.spoilt_documents import spoilt
from tests.support.tuf_client import Client

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.air_gap import answer_to, read_request
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import ConflictError, FleetError, NotFoundError, RequestError, StateError
from homebred_protocol.targets import Kind

NOW_S = unix_s() - 60


@pytest.fixture
def there(tmp_path: Path) -> Repository:
    """A repository of which nothing is signed yet."""
    begun = Repository(tmp_path / "image")
    begun.init(Purpose.IMAGE, image_signing("anna", "ben", threshold=2), NOW_S)
    begun.delegate(Kind.RELEASE, "qa", signing("models-qa"), NOW_S)
    return begun


def answered(request: bytes, name: str) -> bytes:
    return answer_to(read_request(request), key(name).signer)


def test_a_repository_is_published_with_keys_that_never_met_its_folder(there: Repository, tmp_path: Path) -> None:
    request = there.request()
    for name in ("anna", "ben", "targets", "models-qa", "snapshot", "timestamp"):
        assert there.answer(answered(request, name), NOW_S)
    there.publish(NOW_S)
    assert Client(tmp_path / "client", there.published).version("root") == 1


def test_a_root_is_followed_by_signatures_of_old_and_new_holders_that_came_by_file(
    there: Repository, tmp_path: Path
) -> None:
    request = there.request()
    for name in ("anna", "ben", "targets", "models-qa", "snapshot", "timestamp"):
        there.answer(answered(request, name), NOW_S)
    there.publish(NOW_S)
    device = Client(tmp_path / "client", there.published)
    assert device.version("root") == 1
    there.rotate("root", add=[key("carla").public], drop=["ben"], now_s=NOW_S)
    request = there.request()
    taken = [there.answer(answered(request, name), NOW_S) for name in ("anna", "ben", "carla")]
    assert taken == [[("root", key(name).holder.key_id)] for name in ("anna", "ben", "carla")]
    there.publish(NOW_S)
    assert device.version("root") == 2


def test_who_signs_reads_all_that_a_root_says_and_what_is_new_in_a_role(there: Repository) -> None:
    asked = read_request(there.request())
    ((role, lines),) = asked.said_to(key("anna").holder.key_id)
    assert role == "root"
    assert "of the repository image" in lines[0]
    assert f"  root: 2 of 2 sign: {key('anna').holder.compared}, {key('ben').holder.compared}  [new]" in lines
    assert any(line.startswith("  timestamp: 1 of 1 sign: timestamp") for line in lines)
    ((role, lines),) = asked.said_to(key("targets").holder.key_id)
    assert any(line.startswith("  models-qa: 1 of 1 sign: models-qa") for line in lines)


def test_who_is_asked_nothing_signs_nothing(there: Repository) -> None:
    with pytest.raises(NotFoundError, match="nothing here is for the key"):
        answered(there.request(), "stranger")


def test_an_answer_to_what_no_longer_waits_is_refused(there: Repository) -> None:
    answer = answered(there.request(), "anna")
    there.rotate("root", add=[key("carla").public], now_s=NOW_S)
    with pytest.raises(ConflictError, match="not what waits now"):
        there.answer(answer, NOW_S)
    there.answer(answered(there.request(), "carla"), NOW_S)


def test_a_signature_under_anothers_name_is_refused_and_none_of_its_answer_is_taken(there: Repository) -> None:
    answer = json.loads(answered(there.request(), "anna"))
    forged = json.loads(answered(there.request(), "models-qa"))
    forged["signatures"][0]["keyid"] = key("ben").holder.key_id
    forged["signatures"][0] |= {name: answer["signatures"][0][name] for name in ("role", "digest")}
    answer["signatures"] += forged["signatures"]
    with pytest.raises(RequestError, match="does not hold"):
        there.answer(json.dumps(answer).encode(), NOW_S)
    assert there.contents().prepared["root"].signatures == {}


def test_a_key_that_may_not_sign_a_role_signs_it_for_nothing(there: Repository) -> None:
    answer = json.loads(answered(there.request(), "anna"))
    root = there.contents().prepared["root"]
    answer["signatures"][0] |= key("timestamp").signer.sign(root.signed_bytes).to_dict()
    with pytest.raises(RequestError, match="may not sign root"):
        there.answer(json.dumps(answer).encode(), NOW_S)


def test_another_key_under_a_holders_id_is_not_taken_for_the_holders(there: Repository) -> None:
    """Who signs compares ids: a request that says one id and holds another key would be signed in good faith."""
    request = json.loads(there.request())
    (root,) = (one["prepared"] for one in request["roles"] if one["role"] == "root")
    thief = key("thief").public.keyval["public"]
    root["signed"]["keys"][key("ben").holder.key_id]["keyval"]["public"] = thief
    with pytest.raises(RequestError, match="not called by its own digest"):
        read_request(json.dumps(request).encode())


def test_nothing_is_asked_where_nothing_waits(tmp_path: Path) -> None:
    fleet = SignedFleet(tmp_path, now_s=NOW_S)
    with pytest.raises(ConflictError, match="nothing waits"):
        fleet.image.request()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_stands_in_a_request_is_read_or_refused_in_words(there: Repository, data: st.DataObject) -> None:
    try:
        asked = read_request(spoilt(there.request(), data))
        for name in ("anna", "targets"):
            asked.said_to(key(name).holder.key_id)
            answer_to(asked, key(name).signer)
    except FleetError as refused:
        assert refused.hint  # noqa: PT017  # one of two ends


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_stands_in_an_answer_signs_nothing_that_it_must_not(there: Repository, data: st.DataObject) -> None:
    try:
        there.answer(spoilt(answered(there.request(), "anna"), data), NOW_S)
    except FleetError as refused:
        assert refused.hint  # noqa: PT017  # one of two ends
    signed = {one.role for one in there.standings(NOW_S) if one.signed}
    assert signed <= {"root"}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"kind": 1}'])
def test_what_is_neither_request_nor_answer_is_said_to_be_neither(there: Repository, body: bytes) -> None:
    with pytest.raises(RequestError, match="no homebred signing request"):
        read_request(body)
    with pytest.raises(RequestError, match="no homebred signing answer"):
        there.answer(body, NOW_S)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(StateError, match="cannot be written"):
        Repository(blocked / "image").init(Purpose.IMAGE, image_signing("anna", threshold=1), NOW_S)
