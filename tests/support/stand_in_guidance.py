"""What xgrammar makes of an answer, as far as the stand-ins of NVIDIA's packages need it; copied into them.

It is no xgrammar: it allows one text, or makes the smallest. `tests/contract/test_xgrammar.py` asks the real one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from homebred_engines.json_instance import fits, smallest_instance


def guided_text(text: str, *, json_schema: str | None, structural_tag: str | None) -> str:
    """The text where guidance allows it, else the smallest that it allows. Raises ValueError for what is none."""
    if structural_tag is None:
        return instance_text(text, json.loads(json_schema or ""))
    tag = json.loads(structural_tag)
    if tag.keys() != {"type", "format"} or tag["type"] != "structural_tag":
        raise ValueError(f"{tag!r} is no structural tag")
    return formatted_text(text, tag["format"])


def formatted_text(text: str, form: Mapping[str, Any]) -> str:
    """The same of one format of a structural tag, of those that are stood in for."""
    match dict(form):
        case {"type": "json_schema", "json_schema": schema, **others} if not others:
            return instance_text(text, schema)
        case {"type": "tag", "begin": begin, "content": content, "end": end, **others} if not others:
            return str(begin + formatted_text(text.removeprefix(begin).removesuffix(end), content) + end)
        case {"type": "or", "elements": elements, **others} if not others:
            allowed = [formatted_text(text, each) for each in elements]
            return text if text in allowed else allowed[0]
        case {"type": "triggered_tags", "triggers": [trigger], "tags": tags, **others}:
            assert others == {"at_least_one": False, "stop_after_first": True}, others
            before, found, after = text.partition(trigger)
            return before + formatted_text(found + after, {"type": "or", "elements": tags}) if found else text
        case _:
            raise ValueError(f"{form!r} is no format that is stood in for")


def instance_text(text: str, schema: Mapping[str, Any]) -> str:
    """The text where it fits the schema, else the smallest instance."""
    try:
        if fits(json.loads(text), schema):
            return text
    except ValueError:
        pass  # not JSON: an instance is made instead
    return json.dumps(smallest_instance(schema))
