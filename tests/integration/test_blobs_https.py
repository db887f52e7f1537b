"""Files of releases over HTTP and TLS on loopback, from servers that may do anything."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.byte_source_stages import http_source, plain_tls, script_of
from tests.support.fleet_authority import Authority
from tests.support.made_files import made
from tests.support.range_server import Script, range_server

from homebred_daemon.adapters import blobs_https, fleet_tls
from homebred_daemon.adapters.blobs_https import Elsewhere, HttpsBlobs, Place, below
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError, TransferError

ONE = made(300_000)
END = ONE.file.length


async def read(source: HttpsBlobs, begin: int = 1000, end: int = END) -> bytes:
    body, room = b"", memoryview(bytearray(65_536))
    async with source.open(ONE.file, begin, end) as stream:
        while len(body) < end - begin and (came := await stream.read_into(room[: end - begin - len(body)])):
            body += room[:came]
    return body


async def failure(script: Script, begin: int = 1000, end: int = END) -> TransferError:
    with http_source(script) as source, pytest.raises(TransferError) as caught:
        await read(source, begin, end)
    assert caught.value.hint
    assert "127.0.0.1" not in caught.value.message, "an address may hold a secret"
    return caught.value


async def test_it_asks_for_the_range_and_for_bytes_as_they_are() -> None:
    script = script_of(ONE)
    with http_source(script) as source:
        assert await read(source) == ONE.body[1000:]
    (seen,) = script.seen
    assert seen["range"] == f"bytes=1000-{END - 1}"
    assert seen["accept-encoding"] == "identity"
    assert "if-range" not in seen, "a store's tag is its own, and would have it send the whole file"
    assert "authorization" not in seen


async def test_where_tags_are_digests_the_range_is_of_that_content_alone() -> None:
    script = script_of(ONE)
    with http_source(script, tags_are_digests=True) as source:
        await read(source)
    assert script.seen[0]["if-range"] == f'"{ONE.file.digest}"'


async def test_a_server_without_ranges_is_read_past_what_is_here() -> None:
    script = script_of(ONE)
    script.ignores_ranges = True
    with http_source(script) as source:
        assert await read(source) == ONE.body[1000:]
        assert await read(source, 0, 10) == ONE.body[:10]


async def test_a_server_without_ranges_is_not_read_past_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs_https, "MAX_SKIPPED_BYTES", 1000)
    script = script_of(ONE)
    script.ignores_ranges = True
    with http_source(script) as source:
        assert await read(source, 1000, 1010) == ONE.body[1000:1010]
    error = await failure(script, 1001)
    assert isinstance(error, SourceRefusesError)
    assert "knows no ranges" in error.message


async def test_a_server_may_give_less_than_was_asked_for() -> None:
    script = script_of(ONE)
    script.content_range = f"bytes 1000-1999/{END}"
    script.tells_length = False
    with http_source(script) as source:
        assert (await read(source))[:1000] == ONE.body[1000:2000]


async def test_a_server_need_not_tell_a_length() -> None:
    script = script_of(ONE)
    script.tells_length, script.total = False, "*"
    with http_source(script) as source:
        assert await read(source) == ONE.body[1000:]


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"shifts_by": 1}, "sends the bytes 1001 to 299999 for 1000 to 299999"),
        ({"shifts_by": -1}, "sends the bytes 999 to 299998 for 1000 to 299999"),
        ({"total": "300001"}, "has 300001 bytes where the release says 300000"),
        ({"content_range": "bytes 1000-400000/300000"}, "sends the bytes 1000 to 400000 for"),
        ({"content_range": "bytes 2000-1000/300000"}, "sends the bytes 2000 to 1000 for"),
        ({"content_range": "octets, all of them"}, "says of no range which one it is"),
        ({"content_range": "bytes 1000-299999/" + "9" * 5000}, "says of no range which one it is"),
        ({"lengthens_by": 5}, "announces 299005 bytes where 299000 are"),
        ({"ignores_ranges": True, "lengthens_by": -5}, "announces 299995 bytes where 300000 are"),
        ({"coding": "gzip"}, "sends gzip where bytes as they are were asked for"),
        ({"status": 416}, "has less of the file than the release says"),
    ],
)
async def test_what_is_not_what_was_asked_for_ends_the_stream(faults: dict[str, object], said: str) -> None:
    script = script_of(ONE)
    for name, value in faults.items():
        setattr(script, name, value)
    error = await failure(script)
    assert isinstance(error, SourceWrongError)
    assert said in error.message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_and_its_target_is_not_told(status: int) -> None:
    script = script_of(ONE)
    script.status, script.headers = status, {"Location": "http://169.254.169.254/secret"}
    error = await failure(script)
    assert isinstance(error, SourceRefusesError)
    assert "redirect" in error.message
    assert "secret" not in error.message
    assert len(script.seen) == 1


async def led(base: str, location: str, *, status: int = 307) -> tuple[bytes, Script]:
    """What comes where a server leads to a location, and what it was asked; `base` is what may be led to."""
    script = Script(status=status, headers={"Location": location})
    with range_server(script) as url:
        place = Place(
            name="the controller",
            url_of=below(f"{url}/blobs"),
            context=plain_tls,
            leads_to=Elsewhere(base=base, context=plain_tls),
            tags_are_digests=True,
        )
        with closing(HttpsBlobs(place)) as source:
            return await read(source), script


async def test_one_redirect_is_followed_to_the_store_that_is_allowed_which_is_asked_for_the_same_range() -> None:
    store = script_of(ONE)
    ((path, body),) = store.bodies.items()
    store.bodies = {f"{path}?X-Amz-Signature=abc": body}
    with range_server(store) as url:
        came, controller = await led(f"{url}/store", f"{url}{path}?X-Amz-Signature=abc")
    assert came == ONE.body[1000:]
    assert len(controller.seen) == len(store.seen) == 1
    assert store.seen[0]["range"] == controller.seen[0]["range"] == f"bytes=1000-{END - 1}"
    assert "if-range" in controller.seen[0]
    assert "if-range" not in store.seen[0], "a store's tag is its own"


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/store/sha256/x",
        "{url}/other/x",
        "{url}/store",
        "{url}/storehouse/x",
        "{url}/store/../other/x",
        "{url}/store/%2e%2e/other/x",
        "http://user@{host}/store/x",
        "http://{host}.example/store/x",
        "https://{host}/store/x",
        "http://169.254.169.254/store/x",
        "file:///store/x",
    ],
)
async def test_a_redirect_to_anywhere_else_is_not_followed(location: str) -> None:
    store = Script()
    with range_server(store) as url, pytest.raises(SourceRefusesError, match=r"transfer\.store does not allow"):
        await led(f"{url}/store/", location.format(url=url, host=url.removeprefix("http://")))
    assert not store.seen


async def test_a_second_redirect_is_not_followed_nor_another_kind() -> None:
    with range_server(Script(status=307, headers={"Location": "http://127.0.0.1:1/store/x"})) as url:
        with pytest.raises(SourceRefusesError, match="the object store answers with a redirect"):
            await led(f"{url}/store", f"{url}/store/x")
        with pytest.raises(SourceRefusesError, match="the controller answers with a redirect"):
            await led(f"{url}/store", f"{url}/store/x", status=302)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
async def test_a_refusal_is_one(status: int) -> None:
    error = await failure(Script(status=status))
    assert isinstance(error, SourceRefusesError)
    assert f"({status})" in error.message


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_trouble_is_no_refusal(status: int) -> None:
    error = await failure(Script(status=status, headers={"Retry-After": "120"}))
    assert isinstance(error, SourceAwayError)
    assert error.retry_after_s == 120


async def test_a_time_that_is_none_is_no_time() -> None:
    error = await failure(Script(status=503, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}))
    assert isinstance(error, SourceAwayError)
    assert error.retry_after_s == 0


async def test_a_server_that_is_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs_https, "SILENCE_S", 0.2)
    script = script_of(ONE)
    script.stalls_after = 100
    with http_source(script) as source, pytest.raises(SourceAwayError, match=r"broke off: nothing came for 0\.2 s"):
        assert len(await read(source)) == 100


async def test_a_server_that_never_answers_is_left_though_it_says_something_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blobs_https, "HEAD_WITHIN_S", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                        time.sleep(0.05)
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        source = HttpsBlobs(place(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(SourceAwayError, match="did not answer within"):
            await read(source)
        source.close()
        thread.join(5)
        assert not thread.is_alive(), "the connection was left open"


@pytest.mark.parametrize(
    "answer", [b"", b"\x15\x03\x03\x00", b"HTTP/1.1 two\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000]
)
async def test_an_answer_that_is_none_is_trouble(answer: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        threading.Thread(target=speak, daemon=True).start()
        source = HttpsBlobs(place(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(SourceAwayError):
            await read(source)
        source.close()


WHOLE_HEAD = (
    f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1000-{END - 1}/{END}\r\nContent-Length: {END - 1000}\r\n"
)


@pytest.mark.parametrize("length", range(0, len(WHOLE_HEAD) + 1, 3))
async def test_an_answer_that_ends_within_its_head_is_trouble_and_no_lie(length: int) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(WHOLE_HEAD[:length].encode())

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        source = HttpsBlobs(place(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(SourceAwayError):
            await read(source)
        source.close()
        thread.join(5)


async def kind_of_failure(url: str) -> type[TransferError]:
    source = HttpsBlobs(place(url))
    with pytest.raises(TransferError) as caught:
        await read(source)
    source.close()
    return type(caught.value)


async def test_nobody_at_an_address_is_trouble_and_an_address_that_is_none_a_refusal() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        somebody = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for url in ("ftp://127.0.0.1", f"{somebody}/a b", f"{somebody}/\u00e4", "http://127.0.0.1:port"):
            assert await kind_of_failure(url) is SourceRefusesError, url
    assert await kind_of_failure(somebody) is SourceAwayError


async def test_who_cannot_show_a_certificate_that_is_trusted_is_asked_for_nothing(tmp_path: Path) -> None:
    script, authority = script_of(ONE), Authority()
    with range_server(script, authority.server(tmp_path)) as url:
        source = HttpsBlobs(Place(name="the store", url_of=below(f"{url}/store"), context=plain_tls))
        with pytest.raises(SourceAwayError, match=r"cannot be asked: .*certificate"):
            await read(source)
        source.close()
    assert script.seen == []


async def test_a_read_that_is_cancelled_over_tls_ends_its_thread(tmp_path: Path) -> None:
    script, authority = script_of(ONE), Authority()
    script.stalls_after = 100
    with range_server(script, authority.server(tmp_path)) as url:
        trusting = Place(
            name="the store", url_of=below(f"{url}/store"), context=lambda: fleet_tls.trusting(authority.pem())
        )
        source = HttpsBlobs(trusting)
        room = memoryview(bytearray(65_536))
        async with source.open(ONE.file, 0, END) as stream:
            begun_s = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await stream.read_into(room)
            assert time.monotonic() - begun_s < 5
        script.stalls_after = None
        assert await read(source) == ONE.body[1000:]
        source.close()


def place(url: str) -> Place:
    return Place(name="the store", url_of=below(url), context=ssl.create_default_context)
