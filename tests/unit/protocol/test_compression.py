from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.compression import CompressionError, compressed, decompressed


@given(body=st.binary(max_size=2000))
def test_what_is_compressed_comes_back(body: bytes) -> None:
    assert decompressed(compressed(body), max_bytes=len(body)) == body


def test_a_few_bytes_that_claim_to_be_many_are_refused_before_they_are_held() -> None:
    bomb = compressed(bytes(50_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(CompressionError, match="larger than 1000 bytes"):
        decompressed(bomb, max_bytes=1000)


@pytest.mark.parametrize(
    "frame", [b"", b"no frame", compressed(b"a")[:-1], compressed(b"a") + b"b", compressed(b"a") + compressed(b"b")]
)
def test_what_is_not_exactly_one_whole_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(CompressionError):
        decompressed(frame, max_bytes=1000)


@given(frame=st.binary(max_size=200))
def test_no_bytes_break_the_reader(frame: bytes) -> None:
    with suppress(CompressionError):
        decompressed(frame, max_bytes=1000)
