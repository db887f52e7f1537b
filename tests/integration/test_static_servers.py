"""Files of releases from servers that others wrote: nginx as it is installed, over TLS with a private authority."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.support.made_files import Made, described, made
from tests.support.nginx import NGINX, WHY_NOT, Nginx, running_nginx

from homebred_daemon.adapters.blobs_https import HttpsBlobs, at_static_server, trusting
from homebred_daemon.core.transfer import FRAME_BYTES
from homebred_daemon.errors import SourceAwayError, SourceRefusesError, SourceWrongError

pytestmark = pytest.mark.skipif(NGINX is None, reason=WHY_NOT)

MODEL = made(2 * FRAME_BYTES + 4321)
TEXT = b"a manifest that gzip makes smaller\n" * 4000
DOCUMENT = Made(body=TEXT, file=described(TEXT, "specialist.toml"))


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with running_nginx(tmp_path_factory.mktemp("nginx") / "site", MODEL, DOCUMENT) as running:
        yield running


@pytest.fixture
def source(nginx: Nginx, request: pytest.FixtureRequest) -> Iterator[HttpsBlobs]:
    """nginx, asked below the path that the test names."""
    made_ready = HttpsBlobs(
        at_static_server(f"{nginx.url}/{request.param}", context=trusting(nginx.authorities), name="the site's mirror")
    )
    yield made_ready
    made_ready.close()


async def read(source: HttpsBlobs, one: Made, begin: int, end: int) -> bytes:
    body, room = b"", memoryview(bytearray(65_536))
    async with source.open(one.file, begin, end) as stream:
        while len(body) < end - begin and (came := await stream.read_into(room[: end - begin - len(body)])):
            body += room[:came]
    return body


@pytest.mark.parametrize("source", ["plain", "rangeless"], indirect=True)
async def test_any_part_of_a_file_comes_from_where_it_was_left(source: HttpsBlobs) -> None:
    random, whole = Random(5), MODEL.file.length
    for begin, end in [(0, whole), *(sorted(random.sample(range(whole), 2)) for _ in range(10))]:
        assert await read(source, MODEL, begin, end) == MODEL.body[begin:end]


@pytest.mark.parametrize("source", ["gzipped"], indirect=True)
async def test_a_server_that_compresses_is_asked_for_bytes_as_they_are_and_gives_them(source: HttpsBlobs) -> None:
    assert await read(source, DOCUMENT, 100, 5000) == TEXT[100:5000]


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("moved", SourceRefusesError, "redirect, which is not followed"),
        ("forbidden", SourceRefusesError, r"does not give the file \(403\)"),
        ("nowhere", SourceRefusesError, r"does not give the file \(404\)"),
    ],
    indirect=["source"],
)
async def test_what_it_will_not_give_is_told(source: HttpsBlobs, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        await read(source, MODEL, 0, 10)


@pytest.mark.parametrize("source", ["plain"], indirect=True)
async def test_a_file_that_is_shorter_there_than_its_manifest_says_is_wrong(source: HttpsBlobs) -> None:
    claimed = Made(body=b"", file=replace(DOCUMENT.file, length=len(TEXT) + 1))
    with pytest.raises(SourceWrongError, match="where the release says"):
        await read(source, claimed, 0, 10)
    with pytest.raises(SourceWrongError, match="has less of the file"):
        await read(source, claimed, len(TEXT), len(TEXT) + 1)


async def test_without_the_authority_that_the_administrator_names_nothing_is_asked(nginx: Nginx) -> None:
    source = HttpsBlobs(at_static_server(f"{nginx.url}/plain", context=trusting(None)))
    with pytest.raises(SourceAwayError, match="unable to get local issuer certificate"):
        await read(source, MODEL, 0, 10)
    source.close()


async def test_authorities_that_cannot_be_read_are_told_and_leave_the_next_source_to_be_asked(tmp_path: Path) -> None:
    nothing, no_pem = tmp_path / "nothing.pem", tmp_path / "no.pem"
    no_pem.write_text("no certificate")
    for file in (nothing, no_pem):
        source = HttpsBlobs(at_static_server("https://127.0.0.1:1", context=trusting(file)))
        with pytest.raises(SourceRefusesError, match=r"transfer\.authorities: no certificates can be read") as caught:
            await read(source, MODEL, 0, 10)
        assert "PEM" in caught.value.hint
        source.close()
