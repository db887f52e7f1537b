"""JSON documents of which one place, whichever, holds something else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(one for name, value in inner for one in places(value, (*path, name)))]


def spoilt(body: bytes, data: st.DataObject) -> bytes:
    """Another document, as Hypothesis draws it."""
    document = {"": json.loads(body)}
    place: tuple[Any, ...] = ("", *data.draw(st.sampled_from(places(document[""]))))
    at: Any = document
    for name in place[:-1]:
        at = at[name]
    at[place[-1]] = data.draw(anything)
    return json.dumps(document[""]).encode()
