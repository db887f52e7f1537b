"""Random devices and random filters of the fleet, for the tests that hold the filter language to its word."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from homebred_fleet.core.device_filters import DesiredFacts, DeviceFacts
from homebred_fleet.core.filter_values import STANDINGS, STATES
from homebred_fleet.core.filters import MAX_CHARACTERS

NOW_S: Final = 1_800_000_000
SITES: Final = ("clinic-east", "clinic-west", "factory")
LABELS: Final = ("role", "floor.2", "x-ray")
LABEL_VALUES: Final = ("kiosk", "press", "kiosk-2", "a.b_c")
VERSIONS: Final = ("", "0.1.0", "0.2.0rc1", "1.0%x_", "0.1.0+Local")
DIGESTS: Final = ("", "sha256:" + "ab" * 32, "sha256:" + "abcd" + "0" * 60)
AGES_S: Final = (-60, 0, 1, 59, 60, 61, 3600, 86400, 86401, 10**9)

_times = st.one_of(st.none(), st.sampled_from(AGES_S).map(lambda age: NOW_S - age))
_ends = st.one_of(st.none(), st.sampled_from(AGES_S).map(lambda left: NOW_S + left))
_versions = st.one_of(st.none(), st.integers(1, 3))


@st.composite
def devices(draw: st.DrawFn) -> DeviceFacts:
    """A device; two may bear the same name."""
    reported = draw(_versions)
    told = reported is not None
    return DeviceFacts(
        id=f"{draw(st.sampled_from(SITES))}-{draw(st.sampled_from(('00ab12cd', 'ffab0001', '9e')))}",
        site=draw(st.sampled_from(SITES)),
        state=draw(st.sampled_from(STATES)),
        labels=draw(st.dictionaries(st.sampled_from(LABELS), st.sampled_from(LABEL_VALUES))),
        online=draw(st.booleans()),
        heard_at_s=draw(_times),
        software_version=draw(st.sampled_from(VERSIONS)) if told else "",
        policy_digest=draw(st.sampled_from(DIGESTS)) if told else "",
        desired=DesiredFacts(
            version=draw(_versions),
            reported_version=reported,
            standing=draw(st.sampled_from(("applied", "pending", "refused"))) if told else "applied",
        ),
        certificate_ends_at_s=draw(_ends),
    )


_names = st.sampled_from(
    (
        *SITES,
        *LABEL_VALUES,
        *(version for version in VERSIONS if version and "%" not in version),
        "*",
        "clinic*",
        "*east",
        "*-*",
        "KIOSK",
        "k*",
        "*k*",
        "*9e",
        "'1.0%x_'",
        '"_"',
        "*LOCAL",
        "*Local",
    )
)
_durations = st.builds(
    lambda count, unit: f"{count}{unit}", st.sampled_from((0, 1, 24, 60, 61)), st.sampled_from("smhdw")
)
_text_keys = st.sampled_from(("id", "site", "version", *(f"label.{label}" for label in LABELS)))
_equal = st.sampled_from(("==", "!=", " == ", " != "))
_order = st.sampled_from(("<", "<=", ">", ">="))
_comparisons = st.one_of(
    st.builds("{}{}{}".format, _text_keys, _equal, _names),
    st.builds(
        lambda key, word, names: f"{key} {word} ({', '.join(names)})",
        _text_keys,
        st.sampled_from(("in", "not in")),
        st.lists(_names, min_size=1, max_size=3),
    ),
    st.builds("state{}{}".format, _equal, st.sampled_from(STATES)),
    st.builds("desired{}{}".format, _equal, st.sampled_from(STANDINGS)),
    st.builds("online{}{}".format, _equal, st.sampled_from(("true", "false"))),
    st.builds("policy{}{}".format, _equal, st.sampled_from(("none", "abab", "sha256:abcd", "abcd0000*", "ffff"))),
    st.builds("{}{}{}".format, st.sampled_from(("seen", "certificate")), _order, _durations),
)


def filters() -> st.SearchStrategy[str]:
    """A filter that can be read."""
    nested = st.recursive(
        _comparisons,
        lambda inner: st.one_of(
            inner.map("not {}".format),
            inner.map("({})".format),
            st.builds("({} {} {})".format, inner, st.sampled_from(("and", "or")), inner),
            st.builds("{} {} {}".format, inner, st.sampled_from(("and", "or")), inner),
        ),
        max_leaves=6,
    )
    return nested.filter(lambda text: len(text) <= MAX_CHARACTERS)
