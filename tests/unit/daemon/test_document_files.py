"""Policy, ceiling and registry files: what they say, and where something in them is wrong."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from homebred_daemon.document_files import (
    built_in_policy,
    ceiling_document,
    policy_document,
    registry_document,
    site_policy,
)
from homebred_daemon.errors import ConfigurationError
from homebred_protocol.documents.policy import Policy, advice, read_policy


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def complaints_of(path: Path) -> list[str]:
    return [str(complaint).removeprefix(str(path)) for complaint in policy_document(path).complaints]


def test_the_built_in_policy_is_the_contract_s_defaults() -> None:
    assert policy_document(None).required() == Policy(digest=policy_document(None).digest)


def test_the_built_in_policy_writes_every_default_out() -> None:
    not_one_key = {"digest", "ceiling_digest", "ceiling_floor", "ceiling_floors", "risk_weights", "detection_classes"}
    to_be_added = {"workflows", "models", "callers"}
    settable = set(Policy.__dataclass_fields__) - not_one_key - to_be_added
    assert set(tomllib.loads(built_in_policy().decode())) == settable | {"version", "residual_risk"}


def test_the_examples_in_the_built_in_policy_are_valid_as_well() -> None:
    lines = built_in_policy().decode().splitlines()
    added = next(number for number, line in enumerate(lines) if line.startswith("# --- Yours to add"))
    examples = [line.removeprefix("# ") for line in lines[added:] if line.startswith("# [") or " = " in line]
    policy = read_policy(tomllib.loads("\n".join(examples)), "")
    assert policy.callers["uid:1001"].may_escalate is False
    assert policy.workflows["intake.normalise"].minimum_confidence == 0.5
    assert policy.detection_classes == {"EMAIL": "client"}
    assert not any("no [models] profile" in warning for warning in advice(policy, ()))


def test_a_digest_is_of_the_file_s_bytes(tmp_path: Path) -> None:
    file = written(tmp_path / "p.toml", "version = 1 # \u00e9\r\n")
    read = policy_document(file)
    assert read.digest == "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()
    assert read.body == file.read_bytes()
    assert read.required().digest == read.digest


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("version = 2", ":1: version is 2; this product reads version 1"),
        ("\nair_gapp = true", ":2: air_gapp is not a known key; "),
        ('[workflows."a.b"]\nfloor = 2', ':2: workflows."a.b".floor is 2; write a finite number from 0 to 1'),
        ('default_class = "patiant"', ":1: default_class names the unknown class 'patiant'; "),
        ('\n[callers."uid1"]', ":2: callers.uid1 is not a principal; "),
        ('[callers."uid:1"]\nadds_classes = ["x"]', ":2: callers.\"uid:1\".adds_classes names the unknown class 'x'; "),
        ("version = 1\nversion = 1", ": is not valid TOML: Cannot overwrite a value (at end of document); "),
        ("[drafting", ": is not valid TOML: Expected ']' at the end of a table declaration (at end of document); "),
        (b"a = 1\n# \xff\n", ":2: is not UTF-8: invalid start byte; save it as UTF-8"),
    ],
)
def test_a_complaint_names_file_line_key_and_remedy(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    (found,) = complaints_of(written(tmp_path / "p.toml", content))
    assert found.startswith(complaint)


def test_complaints_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = written(tmp_path / "p.toml", 'default_class = "x"\nunknown = 1\n[drafting]\nspeed = "fast"\nversion = 1\n')
    assert [found.split(" ")[0] for found in complaints_of(file)] == [":1:", ":2:", ":4:", ":5:"]


def test_a_wrong_policy_is_refused_with_everything_that_is_wrong(tmp_path: Path) -> None:
    file = written(tmp_path / "p.toml", "version = 2\nescalation = 1\n")
    with pytest.raises(ConfigurationError) as caught:
        policy_document(file).required()
    assert caught.value.message.splitlines()[0] == "2 things are wrong"
    assert f"{file}:2: escalation is an integer; write true or false" in caught.value.message


def test_one_complaint_becomes_message_and_hint(tmp_path: Path) -> None:
    file = written(tmp_path / "p.toml", "escalation = 1\n")
    with pytest.raises(ConfigurationError) as caught:
        policy_document(file).required()
    assert (caught.value.message, caught.value.hint) == (f"{file}:1: escalation is an integer", "write true or false")


def test_a_ceiling_bounds_the_policy_of_its_site(tmp_path: Path) -> None:
    ceiling = written(tmp_path / "c.toml", "escalation = false\nmaximum_residual_risk = 0.1\n")
    site = site_policy(None, ceiling)
    assert site.policy.escalation is False
    assert site.policy.maximum_residual_risk == 0.1
    assert [document.kind for document in site.documents] == ["policy", "ceiling"]
    assert site.policy.ceiling_digest == ceiling_document(ceiling).digest


def test_a_wrong_ceiling_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="air_gap is an integer"):
        site_policy(None, written(tmp_path / "c.toml", "air_gap = 1\n"))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml cannot be read: No such file"):
        site_policy(tmp_path / "absent.toml", None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "specialists is missing"),
        ('{"specialists": NaN}', "holds NaN"),
        ('{"specialists": [{"id": "a"}]}', r"specialists\[0\]\.engine is missing"),
        ("[]", r"is a list"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_wrong_registry_is_refused_with_its_reason(tmp_path: Path, content: str | bytes, message: str) -> None:
    file = written(tmp_path / "r.json", content)
    with pytest.raises(ConfigurationError, match=message):
        registry_document(file).required()


def test_an_empty_registry_is_a_registry(tmp_path: Path) -> None:
    read = registry_document(written(tmp_path / "r.json", '{"specialists": []}'))
    assert read.required().specialists == ()
    assert read.required().digest == read.digest
