"""What devices of this version can build by a recipe, of what, and with which arguments. It builds nothing.

    llamacpp  adapter   a GGUF adapter of its GGUF base and a PEFT LoRA folder
    edgellm   base      an engine for the device's own GPU of a checkpoint folder

Whoever writes a recipe is held to it (`homebred-fleet release build`), and so is the device that is to follow one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from homebred_protocol.documents.release_values import Recipe

MOST_SLOTS, MOST_TOKENS, MOST_RANK = 64, 1_048_576, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One thing that an engine's builder makes."""

    form: str
    """What comes out."""
    inputs: tuple[str, ...]
    """What goes in, in order, for people."""
    arguments: Mapping[str, tuple[int, int, int]]
    """Least, most, and what holds where the recipe does not say."""


WAYS: Mapping[tuple[str, str], Way] = MappingProxyType(
    {
        ("llamacpp", "adapter"): Way(form="file", inputs=("the GGUF base", "a PEFT LoRA folder"), arguments={}),
        ("edgellm", "base"): Way(
            form="folder",
            inputs=("a checkpoint folder",),
            arguments={
                "slots": (1, MOST_SLOTS, 1),
                "input_tokens": (1, MOST_TOKENS, 2048),
                "context_tokens": (1, MOST_TOKENS, 4096),
                "max_lora_rank": (0, MOST_RANK, 0),
            },
        ),
    }
)
"""By engine and by what of a specialist is made."""


def way_of(recipe: Recipe) -> Way | None:
    """How a recipe is followed; None: nobody here builds that."""
    return WAYS.get((recipe.engine, recipe.makes))


def problem_of(recipe: Recipe, way: Way) -> str:
    """What of a recipe its builder does not take, for people; empty: nothing."""
    if recipe.form != way.form:
        return f"its form is {recipe.form}, and a {way.form} comes out"
    if len(recipe.inputs) != len(way.inputs):
        return f"it names {len(recipe.inputs)} inputs, and takes {len(way.inputs)}: {', '.join(way.inputs)}"
    for name, value in recipe.arguments.items():
        if name not in way.arguments:
            known = ", ".join(way.arguments) or "none"
            return f"it has no argument {name}; known: {known}"
        least, most, _ = way.arguments[name]
        if not isinstance(value, int) or not least <= value <= most:
            return f"its argument {name} is {value!r}, and {least:,} to {most:,} is possible"
    return ""


def arguments_of(recipe: Recipe, way: Way) -> dict[str, int]:
    """All arguments of a sound recipe, with what holds where it does not say."""
    return {name: int(recipe.arguments.get(name, standard)) for name, (_, _, standard) in way.arguments.items()}
