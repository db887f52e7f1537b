"""Pre-signed addresses, held to the example that the protocol's own documentation gives."""

from __future__ import annotations

from datetime import UTC, datetime

from homebred_fleet.core.presigning import StoreKey, presigned

KEY = StoreKey(
    region="us-east-1",
    key_id="AKIAIOSFODNN7EXAMPLE",
    secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",  # noqa: S106  # of the documentation
)
NOW_S = int(datetime(2013, 5, 24, tzinfo=UTC).timestamp())


def test_the_documented_example_is_signed_as_documented() -> None:
    made = presigned("https://examplebucket.s3.amazonaws.com/test.txt", KEY, method="GET", now_s=NOW_S, life_s=86_400)
    assert made == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_a_default_port_is_left_out_as_clients_leave_it_out_of_what_is_signed() -> None:
    plain, with_port = (
        presigned(f"https://s3.example{port}/fleet/a", KEY, method="GET", now_s=NOW_S, life_s=900)
        for port in ("", ":443")
    )
    assert plain == with_port
    assert ":443/" in presigned("http://s3.example:443/a", KEY, method="GET", now_s=NOW_S, life_s=900)


def test_another_method_file_or_time_has_another_signature() -> None:
    def signature(address: str = "https://s3:9000/fleet/a", method: str = "GET", now_s: int = NOW_S) -> str:
        return presigned(address, KEY, method=method, now_s=now_s, life_s=900).rpartition("=")[2]

    made = {
        signature(),
        signature("https://s3:9000/fleet/b"),
        signature("https://s3/fleet/a"),
        signature(method="HEAD"),
        signature(now_s=NOW_S + 1),
    }
    assert len(made) == 5


def test_the_secret_stands_neither_in_an_address_nor_in_what_is_shown_of_the_key() -> None:
    made = presigned("https://s3/fleet/a", KEY, method="GET", now_s=NOW_S, life_s=900)
    assert KEY.secret not in made
    assert KEY.secret not in repr(KEY)
