"""What every store of the fleet's gazetteer promises: files, and the one in memory that the unit tests trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.fake_gazetteers import FakeGazetteers

from homebred_daemon.adapters.gazetteer_files import KEPT, GazetteerFiles
from homebred_daemon.errors import ConfigurationError, StateError
from homebred_daemon.ports.gazetteers import GazetteerStore

Reopen = Callable[[], GazetteerStore]


def names(path: Path, *texts: str) -> Path:
    path.write_text("".join(json.dumps({"text": text, "class": "patient"}) + "\n" for text in texts))
    return path


def files(folder: Path, configured: Path | None = None) -> GazetteerFiles:
    return GazetteerFiles(folder / "state", configured=configured, for_cloud=lambda local: local)


def finds(store: GazetteerStore, text: str) -> bool:
    return any(span.type.startswith("KNOWN_") for span in store.in_force().local.detect(text))


@pytest.fixture(params=["files", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    (tmp_path / "state").mkdir()
    kept = FakeGazetteers()
    return (lambda: kept) if request.param == "memory" else (lambda: files(tmp_path))


def test_a_list_that_was_kept_is_in_force_after_a_restart_until_it_is_taken_away(
    reopen: Reopen, tmp_path: Path
) -> None:
    path = names(tmp_path / "list", "Marigold Quince")
    before = reopen().in_force().local.digest
    reopen().keep(path)
    assert reopen().in_force().local.digest == reopen().offered(path).local.digest
    reopen().keep(None)
    reopen().keep(None)
    assert reopen().in_force().local.digest == before


def test_a_list_that_is_wrong_is_not_offered(reopen: Reopen, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_text("no entry\n")
    with pytest.raises(ConfigurationError, match="line 1"):
        reopen().offered(path)


def test_the_sites_own_list_is_looked_for_beside_the_fleets(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    store = files(tmp_path, names(tmp_path / "own", "Rowan Alder"))
    store.keep(names(tmp_path / "list", "Marigold Quince"))
    assert finds(store, "About Rowan Alder.")
    assert finds(store, "About Marigold Quince.")
    store.keep(names(tmp_path / "list", "Somebody Else"))
    assert finds(store, "About Rowan Alder.")


def test_a_kept_list_that_cannot_be_read_is_said_and_nothing_stands_in_for_it(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    store = files(tmp_path)
    store.keep(names(tmp_path / "list", "Marigold Quince"))
    (tmp_path / "state" / KEPT).write_text("no entry\n")
    with pytest.raises(ConfigurationError):
        store.in_force()


def test_what_cannot_be_kept_leaves_what_was(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    store = files(tmp_path)
    store.keep(names(tmp_path / "list", "Marigold Quince"))
    with pytest.raises(StateError):
        store.keep(tmp_path / "nowhere")
    assert finds(store, "About Marigold Quince.")
