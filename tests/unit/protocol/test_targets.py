from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.targets import MAX_NUMBER, Kind, Target, pattern_of, read_target, role_of

GROUPS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?", fullmatch=True)


@given(kind=st.sampled_from(Kind), group=GROUPS, name=NAMES, number=st.integers(min_value=1, max_value=MAX_NUMBER))
def test_a_path_names_what_it_was_made_of_and_its_role_may_sign_for_it(
    kind: Kind, group: str, name: str, number: int
) -> None:
    target = Target(kind=kind, group=group, name=name, number=number)
    assert read_target(target.path) == target
    assert target.path.startswith(target.line + "/")
    assert fnmatchcase(target.path, pattern_of(kind, group))
    assert not fnmatchcase(target.path, pattern_of(kind, group + "x")) or kind is not Kind.RELEASE


@pytest.mark.parametrize(
    "path",
    [
        "",
        "models/qa/intake-3/0.json",
        "models/qa/intake-3/01.json",
        f"models/qa/intake-3/{MAX_NUMBER + 1}.json",
        "models/qa/intake-3/1.toml",
        "models/qa/intake-3/1.json/",
        "models/qa/../1.json",
        "models/../intake-3/1.json",
        "/models/qa/intake-3/1.json",
        "models/qa/intake-3/1.json\n",
        "models/QA/intake-3/1.json",
        "models/qa/a/b/1.json",
        "other/qa/intake-3/1.json",
        "policies/clinic-east/main/1.json",
        "policies/a" + "b" * 40 + "/main/1.toml",
    ],
)
def test_whatever_else_is_no_path_of_ours(path: str) -> None:
    assert read_target(path) is None


def test_a_family_of_models_has_a_role_of_its_own_and_other_kinds_one_each() -> None:
    assert role_of(Kind.RELEASE, "qa") == "models-qa" != role_of(Kind.RELEASE, "ocr")
    assert [role_of(kind, "x") for kind in (Kind.POLICY, Kind.GAZETTEER, Kind.RUNTIME)] == [
        "policies",
        "gazetteers",
        "runtime",
    ]
