"""Files of releases from a real S3-compatible store: a bucket that is open, and one that the controller leads to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.test_release_transfer import fetching, identity_of
from tests.support.broker import now_s
from tests.support.controller import Controller, Device, running_controller
from tests.support.made_files import made
from tests.support.object_store import CLOSED, KEY, OPEN, WEED, WHY, Store, running_store

from homebred_daemon.adapters.blobs_https import Elsewhere, HttpsBlobs, at_controller, at_static_server, trusting
from homebred_daemon.core.transfer import FRAME_BYTES
from homebred_daemon.errors import TransferError
from homebred_daemon.ports.transfer import ByteSource
from homebred_fleet.core.presigning import StoreKey, presigned

pytestmark = [
    pytest.mark.thorough(WHY),
    pytest.mark.skipif(not WEED.exists(), reason="there is no store here: packaging/tools/fetch_object_store.sh"),
]

MODEL = made(3 * FRAME_BYTES + 777)
SMALL = made(3000, path="specialist.toml")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("s3") / "store") as running:
        for bucket in (OPEN, CLOSED):
            running.put(bucket, MODEL, SMALL)
        yield running


@pytest.fixture(scope="module")
def controller(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """One that has none of the files, and the key of the closed bucket."""
    folder = tmp_path_factory.mktemp("fleet")
    secret = folder / "store.secret"
    secret.write_text(f"{KEY.secret}\n")
    settings = {"URL": f"{store.url}/{CLOSED}/fleet", "KEY_ID": KEY.key_id, "SECRET_FILE": str(secret)}
    with running_controller(folder / "fleet", **{f"STORE__{name}": text for name, text in settings.items()}) as running:
        yield running


@pytest.fixture(scope="module")
def device(controller: Controller) -> Device:
    return controller.enrol()


async def brought(folder: Path, source: ByteSource) -> None:
    service, _ = fetching(folder)
    files = await service.fetch([MODEL.file, SMALL.file], [source])
    assert {digest: path.read_bytes() for digest, path in files.items()} == {
        one.file.digest: one.body for one in (MODEL, SMALL)
    }


def led(controller: Controller, device: Device, base: str, store: Store) -> HttpsBlobs:
    elsewhere = Elsewhere(base=base, context=trusting(store.authorities))
    return HttpsBlobs(at_controller(lambda: identity_of(controller, device), elsewhere))


async def test_a_bucket_that_everybody_may_read_is_a_mirror(store: Store, tmp_path: Path) -> None:
    place = at_static_server(f"{store.url}/{OPEN}/fleet", context=trusting(store.authorities))
    await brought(tmp_path, HttpsBlobs(place))


async def test_a_bucket_that_is_closed_gives_nothing_without_the_controller(store: Store, tmp_path: Path) -> None:
    service, _ = fetching(tmp_path)
    place = at_static_server(f"{store.url}/{CLOSED}/fleet", context=trusting(store.authorities))
    with pytest.raises(TransferError, match=r"does not give the file \(403\)"):
        await service.fetch([MODEL.file], [HttpsBlobs(place)])


async def test_the_controller_sends_a_device_to_its_store_which_gives_every_range(
    controller: Controller, device: Device, store: Store, tmp_path: Path
) -> None:
    await brought(tmp_path, led(controller, device, f"{store.url}/{CLOSED}/", store))
    assert KEY.secret not in controller.log_file.read_text()
    assert "X-Amz-Signature" not in controller.log_file.read_text()


@pytest.mark.parametrize("base", ["https://another.example/closed/", "https://127.0.0.1:1/", "{url}/open/", "{plain}"])
async def test_a_device_follows_the_controller_nowhere_but_where_its_own_administrator_says(
    controller: Controller, device: Device, store: Store, tmp_path: Path, base: str
) -> None:
    service, _ = fetching(tmp_path)
    allowed = base.format(url=store.url, plain=store.url.replace("https", "http"))
    with pytest.raises(TransferError, match=r"transfer\.store does not allow") as caught:
        await service.fetch([MODEL.file], [led(controller, device, allowed, store)])
    assert "X-Amz" not in f"{caught.value.message} {caught.value.hint}", "a pre-signed address is a secret"


async def test_without_a_store_of_its_own_a_device_follows_no_redirect(
    controller: Controller, device: Device, tmp_path: Path
) -> None:
    service, _ = fetching(tmp_path)
    source = HttpsBlobs(at_controller(lambda: identity_of(controller, device)))
    with pytest.raises(TransferError, match="redirect, which is not followed"):
        await service.fetch([MODEL.file], [source])


async def test_what_the_store_does_not_have_either_is_told_as_the_store_s(
    controller: Controller, device: Device, store: Store, tmp_path: Path
) -> None:
    service, _ = fetching(tmp_path)
    with pytest.raises(TransferError, match=r"the object store does not give the file \(404\)"):
        await service.fetch([made(10).file], [led(controller, device, f"{store.url}/{CLOSED}/", store)])


@pytest.mark.parametrize(
    ("key", "age_s"),
    [(KEY, 100), (StoreKey(region=KEY.region, key_id=KEY.key_id, secret="another"), 0)],  # noqa: S106  # a wrong one
)
def test_an_address_that_is_too_old_or_signed_by_another_is_worth_nothing(
    store: Store, key: StoreKey, age_s: int
) -> None:
    address = f"{store.url}/{CLOSED}/fleet/{MODEL.file.digest.replace(':', '/')}"
    now = now_s()
    assert store.ask("GET", presigned(address, KEY, method="GET", now_s=now, life_s=60)) == 200
    assert store.ask("GET", presigned(address, key, method="GET", now_s=now - age_s, life_s=60)) == 403
