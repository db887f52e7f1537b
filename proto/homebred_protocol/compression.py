"""zstd for what goes over the fleet's wire, bounded on the way back: a few bytes may claim to be gigabytes."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 3


class CompressionError(ValueError):
    """The bytes are no zstd frame, are cut short, or would be larger than they may."""


def compressed(body: bytes) -> bytes:
    """One zstd frame."""
    return zstd.compress(body, level=LEVEL)


def decompressed(frame: bytes, *, max_bytes: int) -> bytes:
    """What a frame holds.

    Raises:
        CompressionError: it is none, is not whole, is followed by more, or holds more than `max_bytes`.
    """
    reader = zstd.ZstdDecompressor()
    try:
        body = reader.decompress(frame, max_length=max_bytes + 1)
    except zstd.ZstdError as error:
        raise CompressionError(f"no zstd frame: {error}") from None
    if len(body) > max_bytes:
        raise CompressionError(f"larger than {max_bytes} bytes")
    if not reader.eof or reader.unused_data:
        raise CompressionError("not exactly one whole zstd frame")
    return body
