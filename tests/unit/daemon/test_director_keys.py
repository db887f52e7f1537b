from __future__ import annotations

import json

import pytest
from tests.support.signed_repositories import SignedFleet, new_signer

from homebred_daemon.core.director_keys import director_keys, newest_root

NOW_S = 1_796_000_000


def changed(root: bytes, **fields: object) -> bytes:
    said = json.loads(root)
    said["signed"]["roles"]["targets"] |= fields
    return json.dumps(said).encode()


def test_the_keys_are_those_that_the_root_names_for_targets() -> None:
    fleet = SignedFleet(now_s=NOW_S)
    keys = director_keys(fleet.director_root())
    assert set(keys) == {fleet.online.public_key.keyid}
    assert keys[fleet.online.public_key.keyid].hex() == fleet.online.public_key.keyval["public"]
    assert set(director_keys(fleet.image_root())) != set(keys)


def test_after_a_rotation_the_newest_root_counts() -> None:
    fleet = SignedFleet(now_s=NOW_S)
    director = fleet.director("kiosk-1")
    director.signers = {**director.signers, "targets": [new_signer()]}
    director.root.revoke_key(fleet.online.public_key.keyid, "targets")
    director.root.add_key(director.signers["targets"][0].public_key, "targets")
    director.root.version += 1
    later = director.put("2.root.json", director.root, director.signers["root"])
    found = newest_root(fleet.director_root(), {"root_history/2.root.json": later})
    assert found == later
    assert set(director_keys(found)) == {director.signers["targets"][0].public_key.keyid}
    assert newest_root(later, {"root_history/1.root.json": fleet.director_root()}) == later


def test_where_a_root_asks_for_several_signatures_no_key_suffices() -> None:
    assert director_keys(changed(SignedFleet(now_s=NOW_S).director_root(), threshold=2)) == {}


@pytest.mark.parametrize("root", [b"", b"[]", b"{}", b'{"signed": {"_type": "root", "version": 1}}', b"[" * 100_000])
def test_what_is_no_root_has_no_keys(root: bytes) -> None:
    with pytest.raises(ValueError, match="no "):
        director_keys(root)
    with pytest.raises(ValueError, match="no "):
        director_keys(changed(SignedFleet(now_s=NOW_S).director_root(), keyids=["unknown"]))
