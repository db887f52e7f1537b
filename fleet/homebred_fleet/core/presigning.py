"""Pre-signed addresses of an S3-compatible store: AWS Signature Version 4, in the query, for one request of one file.

Pure: it takes the time, asks nobody, and knows no file. Whoever has such an address may read the file until it ends.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKey:
    """Who signs: a key that may read the bucket, and need not be able to do more."""

    region: str
    """Such as `us-east-1`; a store that has none takes any."""
    key_id: str
    secret: str = field(repr=False)


def presigned(address: str, key: StoreKey, *, method: str, now_s: int, life_s: int) -> str:
    """An address under which anybody may make one kind of request until `now_s + life_s`.

    Source: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
    """
    place, moment = urlsplit(address), datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{key.region}/s3/aws4_request"
    path, query = quote(place.path, safe="/~"), _query(key, scope, moment, life_s)
    host = place.netloc.removesuffix(_DEFAULT_PORTS.get(place.scheme, ""))  # as clients write their Host header
    request = "\n".join((method, path, query, f"host:{host}", "", "host", UNSIGNED))
    text = "\n".join((ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.digest(_signing_key(key, moment[:8]), text.encode(), "sha256").hex()
    return f"{place.scheme}://{host}{path}?{query}&X-Amz-Signature={signature}"


def _query(key: StoreKey, scope: str, moment: str, life_s: int) -> str:
    """By name, as it is signed."""
    named = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{key.key_id}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(life_s),
        "X-Amz-SignedHeaders": "host",
    }
    return "&".join(f"{name}={quote(value, safe='~')}" for name, value in named.items())


def _signing_key(key: StoreKey, day: str) -> bytes:
    made = f"AWS4{key.secret}".encode()
    for part in (day, key.region, "s3", "aws4_request"):
        made = hmac.digest(made, part.encode(), "sha256")
    return made
