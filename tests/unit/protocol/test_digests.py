from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.digests import digest_of, digest_of_listing


def test_the_digest_of_nothing_is_the_published_one() -> None:
    # FIPS 180-4, SHA-256 of the empty string
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(body=st.binary(), other=st.binary())
def test_the_same_bytes_have_one_digest_and_others_another(body: bytes, other: bytes) -> None:
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest_of(body))
    assert (digest_of(body) == digest_of(other)) is (body == other)


def test_a_folder_has_the_digest_of_its_sorted_listing() -> None:
    files = [("b", digest_of(b"1"), 1), ("a/x", digest_of(b""), 0)]
    lines = [f"{digest_of(b'')[7:]} 0 a/x\n", f"{digest_of(b'1')[7:]} 1 b\n"]
    assert digest_of_listing(files) == digest_of("".join(lines).encode())
    assert digest_of_listing(reversed(files)) == digest_of_listing(files)
    assert digest_of_listing([("b", digest_of(b"1"), 1)]) != digest_of_listing(files)
