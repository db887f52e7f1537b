"""A small package in each form that facts can be read from: Python files, a wheel, and rendered pages."""

from __future__ import annotations

import html
import re
import zipfile
from pathlib import Path

MODULES = {
    "sample/__init__.py": "from .api import *\nfrom sample.options import Options as Settings\n",
    "sample/api.py": '''
from .options import Base, Options


class Engine(Base):
    """Text with <angles> & more."""

    def __init__(self, model, *, slots=1, **kwargs):
        self.model: str = model
        self._hidden = 1

    @property
    def tokenizer(self):
        return None

    @staticmethod
    def probe(path="/dev"):
        return path

    async def ask(self, text, *words, limit=32):
        self.asked = text
''',
    "sample/options.py": '''
import typing
from dataclasses import dataclass, field

try:
    from pydantic import BaseModel, Field
except ImportError:
    BaseModel = object


class Strict(BaseModel):
    name: str


class Cache(Strict):
    fraction: float = Field(default=0.9, description="of what is free")
    pages: list = Field(default_factory=list)
    size: int = Field(description="must be given")
    kind: typing.ClassVar[str] = "cache"


class Base:
    def close(self, timeout=2):
        """Ends it."""


@dataclass(slots=True, kw_only=True)
class Options:
    """Options of one question."""

    limit: int = 32
    stop: "list[str] | None" = None
    words: list = field(default_factory=list)
    _seen: int = field(default=0, init=False)

    @property
    def length(self):
        return len(self.words)
''',
}


def write_files(folder: Path) -> Path:
    """The package as a site-packages folder holds it."""
    for name, text in MODULES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def write_wheel(folder: Path) -> Path:
    """The package as a wheel."""
    path = folder / "sample-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in MODULES.items():
            archive.writestr(name, text)
    return path


def write_pages(folder: Path) -> Path:
    """The package's modules as Sphinx's viewcode renders them; a package's own module is not among them."""
    for name, text in MODULES.items():
        if not name.endswith("__init__.py"):
            path = folder / name.replace(".py", ".html")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_page(text), encoding="utf-8")
    return folder


def _page(text: str) -> str:
    """Words in spans, classes in blocks with a link back, a sidebar with tags around it all."""
    words = re.sub(r"\w+", lambda word: f'<span class="n">{word[0]}</span>', html.escape(text).replace("&#x27;", "'"))
    back = '<div class="viewcode-block" id="x">\n<a class="viewcode-back" href="../x.html#x">[docs]</a>\n'
    blocks = re.sub(r'(?m)^(@?<span class="n">(?:class)</span>)', rf"{back}\1", words)
    entities = re.sub(r'&<span class="n">(\w+)</span>;', r"&\1;", blocks)
    return (
        f'<ul><li><a href="x">Not source</a></li></ul><div class="highlight"><pre>\n<span></span>{entities}</pre></div>'
    )
