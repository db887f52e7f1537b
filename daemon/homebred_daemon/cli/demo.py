"""`homebred demo`: the main job on one machine, told as one story; everything is stopped and removed at its end."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from homebred_daemon.cli.exits import write_json
from homebred_daemon.errors import RequestError

app = typer.Typer()
MODEL_VARIABLE = "HOMEBRED_DEMO_MODEL"


class Chapter(StrEnum):
    """A part of the story that can be told alone."""

    ROUTE = "route"
    BOUNDARY = "boundary"
    DAEMON = "daemon"
    FLEET = "fleet"
    RELEASE = "release"


@app.command()
def demo(
    chapter: Annotated[Chapter | None, typer.Argument(help="One chapter alone; by default the whole story.")] = None,
    model: Annotated[Path | None, typer.Option("--model", help="The embedded model's GGUF file.")] = None,
    apps: Annotated[Path | None, typer.Option("--apps", help="Folder of the example applications.")] = None,
    *,
    full: Annotated[bool, typer.Option("--full", help="Ask every golden row; by default 30 of each set.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with all figures at the end.")] = False,
) -> None:
    """Measure specialists, decide and answer tasks through all six rows of the contract, on real parts."""
    from homebred_daemon.demo.screen import Screen  # noqa: PLC0415  # rich only where the story is told
    from homebred_daemon.demo.stage import Stage  # noqa: PLC0415
    from homebred_daemon.demo.story import Story  # noqa: PLC0415

    model_file = _model_file(model)
    with Stage() as stage:
        story = Story(stage, Screen(to_stderr=as_json), model_file, is_full=full)
        story.stocked()
        if chapter is not Chapter.RELEASE:  # whose gate measures what it needs
            story.measured()
        if chapter is Chapter.ROUTE:
            story.decided()
        elif chapter is Chapter.BOUNDARY:
            story.escalated()
        elif chapter is Chapter.RELEASE:
            with story.in_a_fleet():
                story.released()
        else:
            with story.in_a_fleet():
                story.answered()
                if chapter is not Chapter.FLEET:
                    story.escalated()
                    story.endured(apps)
                story.told_the_fleet()
                if chapter is None:
                    story.released()
            story.replayed()
        story.ended()
    if as_json:
        figures = story.figures
        record = {"fitness": figures.fitness, "tasks": figures.tasks, "escalations": figures.escalations}
        write_json(record | {"figures": figures.record()})


def _model_file(given: Path | None) -> Path:
    named = given or (Path(os.environ[MODEL_VARIABLE]) if MODEL_VARIABLE in os.environ else None)
    if named is None or not named.is_file():
        what = "no model was named" if named is None else f"{named} is not there"
        raise RequestError(
            f"the demo needs the embedded model, and {what}",
            hint="run `make demo`, which fetches it, or name a SmolLM2-135M-Instruct GGUF with --model",
        )
    return named
