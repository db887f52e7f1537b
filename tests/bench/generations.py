"""Asks for generations together and times them: the very same steps for the raw engine and for the product."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

# Greedy, the embedded model goes on past MAX_TOKENS on each of these.
STORIES = (
    "Write a very long story about a lighthouse keeper and a storm.",
    "Describe in great detail how a bakery works from the evening to the next morning.",
    "Write a long letter from a sailor to his sister about a journey around the world.",
    "Explain step by step, at length, how a bicycle is built.",
)
MAX_TOKENS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One answer's times and counts."""

    first_s: float
    """From asking to the first text."""
    completion_tokens: int
    """As the engine counted them."""
    prompt_tokens: int
    cached_tokens: int
    """Of the prompt, answered by the prefix cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Generations that were asked for at the same moment."""

    wall_s: float
    """From the first asking to the last end."""
    generations: tuple[Generation, ...]

    @property
    def tokens_per_s(self) -> float:
        """Over all of them."""
        return sum(one.completion_tokens for one in self.generations) / self.wall_s


Ask = Callable[[str, int], Generation]
"""Prompt and token limit to a generation; blocks."""


def ask_together(threads: ThreadPoolExecutor, ask: Ask, prompts: Sequence[str], max_tokens: int) -> Round:
    """One thread a prompt."""
    started_s = time.perf_counter()
    generations = tuple(threads.map(lambda prompt: ask(prompt, max_tokens), prompts))
    return Round(wall_s=time.perf_counter() - started_s, generations=generations)
