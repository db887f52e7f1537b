"""The signing of what may run, as admins do it: by commands on a laptop, with two people's keys and one in a safe."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.command_line import Ended, fleet_here
from tests.support.image_repository import manifest
from tests.support.tuf_client import Client

from homebred_fleet.adapters.tuf_repository.keys import open_key, read_public
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import FleetError, NotPermittedError, RequestError

PASSPHRASE = "seven brown kettles hum quietly"  # noqa: S105  # of keys that no device trusts
HOLDERS = {
    "anna": "image",
    "ben": "image",
    "safe": "image",
    "daily": "image",
    "qa": "image",
    "sites": "image",
    "anna-director": "director",
    "ben-director": "director",
    "online": "online",
}


class Desk:
    """A folder with keys and a repository, and a person who types commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "image"
        (folder / "passphrase").write_text(f"{PASSPHRASE}\n")

    def run(self, *arguments: str | Path, status: int = 0) -> Ended:
        ended = fleet_here(*arguments, environ={})
        assert ended.status == status, ended
        return ended

    def document(self, *arguments: str | Path, status: int = 0) -> dict[str, object]:
        ended = self.run(*arguments, "--json", status=status)
        (line,) = ended.lines
        assert isinstance(line, dict)
        return line

    def make(self, name: str, purpose: str) -> None:
        unlock = ("--unlocked",) if purpose == "online" else ("--passphrase-file", self.folder / "passphrase")
        self.run("keys", "make", name, "--for", purpose, "-o", self.key(name), *unlock)

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def public(self, name: str) -> Path:
        return self.folder / f"{name}.key.pub"

    def sign(self, *names: str, where: Path | None = None) -> None:
        for name in names:
            self.run("repository", "sign", where or self.repository, *self.unlocking(name))

    def unlocking(self, name: str) -> tuple[str | Path, ...]:
        return ("--key", self.key(name), "--passphrase-file", self.folder / "passphrase")

    def begin(self) -> None:
        roots = [word for name in ("anna", "ben", "safe") for word in ("--root", self.public(name))]
        others = [word for role in ("snapshot", "timestamp") for word in (f"--{role}", self.public("daily"))]
        self.run(
            "repository", "init", self.repository, *roots, "--threshold", "2", "--targets", self.public("anna"), *others
        )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody's keys, made once."""
    folder = tmp_path_factory.mktemp("keys")
    for name, purpose in HOLDERS.items():
        Desk(folder).make(name, purpose)
    return folder


@pytest.fixture
def desk(keys: Path, tmp_path: Path) -> Desk:
    return Desk(shutil.copytree(keys, tmp_path / "desk"))


@pytest.fixture(scope="module")
def whole(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a family and policies, published; made once."""
    desk = Desk(shutil.copytree(keys, tmp_path_factory.mktemp("whole") / "desk"))
    desk.begin()
    desk.run("repository", "delegate", desk.repository, "--family", "qa", "--key", desk.public("qa"))
    desk.run("repository", "delegate", desk.repository, "--policies", "--key", desk.public("sites"))
    desk.sign("anna", "ben", "daily", "qa", "sites")
    desk.run("repository", "publish", desk.repository)
    return desk.folder


@pytest.fixture
def begun(whole: Path, tmp_path: Path) -> Desk:
    """The same, for a test alone."""
    return Desk(shutil.copytree(whole, tmp_path / "desk", symlinks=True))


def added(desk: Desk, number: int, *more: str) -> Ended:
    file = desk.folder / "manifest.json"
    file.write_bytes(manifest("qa", "intake-3", number))
    path = f"models/qa/intake-3/{number}.json"
    return fleet_here("repository", "add", str(desk.repository), str(file), "--path", path, *more, environ={})


def test_a_private_key_is_its_owners_alone_and_opens_with_its_passphrase_alone(desk: Desk) -> None:
    private = desk.key("anna")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in private.read_bytes()
    signer = open_key(private, PASSPHRASE)
    assert signer.public_key.keyid == read_public(desk.public("anna"), Purpose.IMAGE).keyid
    with pytest.raises(NotPermittedError, match="does not open"):
        open_key(private, "another one that is long enough")
    with pytest.raises(NotPermittedError, match="no passphrase was given"):
        open_key(private, "")
    private.chmod(0o640)
    with pytest.raises(NotPermittedError, match="others than its owner"):
        open_key(private, PASSPHRASE)


def test_only_the_controllers_online_key_needs_no_passphrase(desk: Desk) -> None:
    assert open_key(desk.key("online"), "").public_key.keyid
    made = desk.document("keys", "make", "x", "--unlocked", "-o", desk.folder / "x.key", status=2)
    assert made["error"]["message"] == "only the controller's online key may be unlocked"  # type: ignore[index]
    (desk.folder / "short").write_text("too short\n")
    desk.run("keys", "make", "x", "-o", desk.folder / "x.key", "--passphrase-file", desk.folder / "short", status=2)
    assert not (desk.folder / "x.key").exists()


def test_a_key_is_never_written_over(desk: Desk) -> None:
    before = desk.key("anna").read_bytes()
    arguments = ("--passphrase-file", desk.folder / "passphrase")
    refused = desk.run("keys", "make", "anna", "-o", desk.key("anna"), *arguments, status=4)
    assert "is there already" in refused.err
    assert desk.key("anna").read_bytes() == before


def test_a_public_key_is_shown_to_be_compared(desk: Desk) -> None:
    shown = desk.document("keys", "show", desk.public("anna"))
    assert shown == {
        "name": "anna",
        "for": "image",
        "key_id": read_public(desk.public("anna"), Purpose.IMAGE).keyid,
    }


def no_json(document: dict[str, object]) -> bytes:
    return b"anna"


def other_kind(document: dict[str, object]) -> bytes:
    return json.dumps(document | {"keytype": "rsa"}).encode()


def no_holder(document: dict[str, object]) -> bytes:
    return json.dumps(document | {"x-homebred-holder": "An na"}).encode()


def short_key(document: dict[str, object]) -> bytes:
    return json.dumps(document | {"keyval": {"public": "ab"}}).encode()


def long_file(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode() + b" " * 20_000


@pytest.mark.parametrize("spoil", [no_json, other_kind, no_holder, short_key, long_file])
def test_what_is_no_public_key_is_refused_in_words(desk: Desk, spoil: Callable[[dict[str, object]], bytes]) -> None:
    public = desk.public("anna")
    public.write_bytes(spoil(json.loads(public.read_bytes())))
    with pytest.raises(RequestError) as refused:
        read_public(public, Purpose.IMAGE)
    assert refused.value.hint
    with pytest.raises(FleetError):
        open_key(public, "")


def test_two_admins_and_a_safe_bring_a_repository_to_devices(begun: Desk, tmp_path: Path) -> None:
    desk = begun
    assert added(desk, 7, "--site", "clinic-east").status == 0
    reviewed = desk.run("repository", "review", desk.repository).out
    assert "+ models/qa/intake-3/7.json for clinic-east alone" in reviewed
    desk.sign("qa", "daily")
    assert "published" in desk.run("repository", "publish", desk.repository).out
    taken = Client(tmp_path / "client", desk.repository / "published").target("models/qa/intake-3/7.json")
    assert taken is not None
    assert taken[0].custom["site"] == "clinic-east"
    checked = desk.document("repository", "check", desk.repository)
    assert checked == {"roots": 1, "targets": 1, "problems": []}
    listed = desk.document("repository", "list", desk.repository)["targets"]
    assert isinstance(listed, list)
    assert [(one["target"], one["state"]) for one in listed] == [("models/qa/intake-3/7.json", "published")]


def test_the_status_names_whose_signatures_are_missing(desk: Desk) -> None:
    desk.begin()
    desk.sign("anna")
    shown = desk.run("repository", "status", desk.repository).out
    root = next(line for line in shown.splitlines() if line.startswith("root"))
    assert "anna" in root.split("1 of")[0]
    assert "1 of ben (" in root
    assert "safe (" in root
    assert "then: homebred-fleet repository sign" in shown
    refused = desk.run("repository", "publish", desk.repository, status=4)
    assert "root needs 1 of ben" in refused.err
    assert "timestamp needs 1 of daily" in refused.err


def test_a_key_in_a_safe_signs_by_file_and_what_it_signs_is_read_first(begun: Desk, tmp_path: Path) -> None:
    desk = begun
    desk.run("repository", "revoke", desk.repository, "ben", "--replace-with", desk.public("qa"))
    request, answer = tmp_path / "request.json", tmp_path / "answer.json"
    desk.run("repository", "request", desk.repository, "-o", request)
    reviewed = desk.run("keys", "review", request).out
    assert "root: 2 of 3 sign: anna" in reviewed
    assert "- ben" in reviewed
    signed = desk.run("keys", "sign", request, "-o", answer, "--yes", *desk.unlocking("safe"))
    assert "[+ qa" in signed.out
    assert desk.document("repository", "answer", desk.repository, answer) == {"signed": ["root"]}
    desk.sign("anna", "ben", "qa", "daily")
    desk.run("repository", "publish", desk.repository)
    assert Client(tmp_path / "client", desk.repository / "published").version("root") == 2
    refused = desk.run("repository", "request", desk.repository, "-o", request, status=4)
    assert "is there already" in refused.err or "nothing waits" in refused.err


def test_a_director_is_begun_with_keys_of_its_own_alone(desk: Desk) -> None:
    folder = desk.folder / "director"
    wrong = ("--root", desk.public("anna"), "--threshold", "1", "--online", desk.public("online"))
    refused = desk.run("director", "init", folder, *wrong, status=2)
    assert "was made for 'image', and this needs a key for 'director'" in refused.err
    roots = [word for name in ("anna-director", "ben-director") for word in ("--root", desk.public(name))]
    desk.run("director", "init", folder, *roots, "--threshold", "2", "--online", desk.public("online"))
    desk.sign("anna-director", "ben-director", where=folder)
    desk.run("repository", "publish", folder)
    assert desk.document("repository", "check", folder) == {"roots": 1, "targets": 0, "problems": []}
    desk.make("newer", "online")
    arguments = ("--add", desk.public("newer"), "--drop", "online")
    assert desk.document("repository", "rotate", folder, "online", *arguments)["waits"] == ["root"]
    desk.run("repository", "discard", folder)
    revoked = desk.document("repository", "revoke", folder, "online", "--replace-with", desk.public("newer"))
    assert revoked == {"changed": ["targets", "snapshot", "timestamp"], "waits": ["root"]}
    desk.run("repository", "rotate", folder, "timestamp", "--add", desk.public("newer"), status=2)


def test_numbers_rise_and_what_is_taken_back_is_gone(begun: Desk) -> None:
    desk = begun
    assert added(desk, 7).status == 0
    again = added(desk, 7)
    assert (again.status, "number it 8" in again.err) == (4, True)
    removed = desk.document("repository", "remove", desk.repository, "models/qa/intake-3/7.json")
    assert removed["waits"] == ["models-qa", "snapshot", "timestamp"]
    assert added(desk, 6).status == 4
    desk.run("repository", "remove", desk.repository, "models/qa/intake-3/7.json", status=2)


def test_renewing_and_rotating_say_what_must_be_signed(begun: Desk) -> None:
    desk = begun
    assert desk.document("repository", "renew", desk.repository)["waits"] == []
    renewed = desk.document("repository", "renew", desk.repository, "timestamp")
    assert renewed == {"changed": ["timestamp"], "waits": ["timestamp"]}
    rotated = desk.document("repository", "rotate", desk.repository, "models-qa", "--add", desk.public("sites"))
    assert rotated["waits"] == ["targets", "snapshot", "timestamp"]
    dropped = desk.document("repository", "rotate", desk.repository, "models-qa", "--drop", "qa")
    assert dropped["waits"] == ["targets", "models-qa", "snapshot", "timestamp"]
    standings = desk.document("repository", "status", desk.repository)["roles"]
    assert isinstance(standings, list)
    assert {one["role"]: one["prepared"] for one in standings}["models-qa"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("status",), "there is no repository"),
        (("publish",), "there is no repository"),
        (("delegate", "--key", "x.pub"), "needs one of --family"),
        (("delegate", "--family", "qa", "--key", "nowhere.pub"), "nowhere.pub cannot be read"),
        (("rotate", "root"), "there is no repository"),
        (("revoke", "anna"), "there is no repository"),
        (("sign", "--key", "nowhere.key"), "there is no repository"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do_next(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    command, *rest = arguments
    refused = desk.run("repository", command, desk.folder / "nowhere", *rest, status=2)
    assert said in refused.err
    assert "next:" in refused.err
