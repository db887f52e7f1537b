"""An admin's profile: where it is looked for, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from homebred_fleet.adapters.admin_profile import VARIABLE, find_profile, read_profile
from homebred_fleet.errors import ConfigurationError

GOOD = 'url = "https://fleet.example:8443"\nauthorities = "a.pem"\ncertificate = "c.pem"\nkey = "/etc/k.pem"\n'


def written(path: Path, text: str = GOOD) -> Path:
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    profile = read_profile(written(tmp_path / "admin.toml"))
    assert (profile.host, profile.port) == ("fleet.example", 8443)
    assert (profile.authorities, profile.key) == (tmp_path / "a.pem", Path("/etc/k.pem"))


def test_the_flag_wins_over_the_variable_and_that_over_the_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named, other = (
        written(tmp_path / f"{name}.toml", GOOD.replace("8443", port)) for name, port in (("a", "1"), ("b", "2"))
    )
    written(tmp_path / "admin.toml", GOOD.replace("8443", "3"))
    environment = {VARIABLE: str(other)}
    assert [find_profile(named, environment).port, find_profile(None, environment).port] == [1, 2]
    assert find_profile(None, {}).port == 3


def test_where_there_is_none_the_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"looked at admin\.toml and /etc") as refused:
        find_profile(None, {})
    assert VARIABLE in refused.value.hint


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("url = ", "not valid TOML"),
        ("\x00", "not valid TOML"),
        (GOOD + "more = 1", "more is not a known key"),
        (GOOD.replace("key", "kee"), "key is missing or no text"),
        (GOOD.replace('"a.pem"', "1"), "authorities is missing or no text"),
        *(
            (GOOD.replace("https://fleet.example:8443", url), "not https://HOST:PORT")
            for url in (
                "http://fleet",
                "fleet:8443",
                "https://",
                "https://a/b",
                "https://u@a",
                "https://a:x",
                "https://a:0",
            )
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_profile(written(tmp_path / "admin.toml", text))
