"""The real xgrammar, which guides TensorRT-LLM's output: what it lets an output be, byte by byte, without any model.

Its compiled part is opened by itself: the package around it wants torch. `make test-all` puts it where this looks.
"""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.committed_files import ROOT

FOLDER = ROOT / ".cache" / "xgrammar"
WHY_NOT = f"xgrammar is not in {FOLDER.relative_to(ROOT)}: `make test-all` puts it there"
_END = 256
_RAW = 0  # each token is its bytes
_FREE_SPACING = _STRICT = True
_NO = False
_WRITTEN = b'"{}[]:, -0123456789abcdfelnrstux.\\'
"""What a walk tries: JSON is made of it."""


def binding() -> Path | None:
    """Its compiled part; None: it is not there."""
    return next((FOLDER / "xgrammar").glob("xgrammar_bindings.*.so"), None) if FOLDER.is_dir() else None


class XGrammar:
    """Its compiler, over a vocabulary of single bytes."""

    def __init__(self, path: Path) -> None:
        specification = importlib.util.spec_from_file_location("xgrammar_bindings", path)
        assert specification is not None
        assert specification.loader is not None
        self._core: Any = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(self._core)
        vocabulary = [*(bytes([byte]) for byte in range(_END)), b"<end>"]
        tokens = self._core.TokenizerInfo(vocabulary, _RAW, None, [_END], _NO)
        self._compiler = self._core.GrammarCompiler(tokens, 1, _NO, -1)

    def schema(self, schema: Mapping[str, Any]) -> Any:
        """A grammar of a JSON Schema, with the options that TensorRT-LLM leaves as they are."""
        return self._compiler.compile_json_schema(json.dumps(schema), _FREE_SPACING, None, None, _STRICT, None)

    def structural_tag(self, tag: str) -> Any:
        return self._compiler.compile_structural_tag(tag)

    def accepts(self, grammar: Any, text: str) -> bool:
        """Whether the whole text can be an output."""
        matcher = self._matcher(grammar)
        return all(matcher.accept_token(byte, _NO) for byte in text.encode()) and matcher.accept_token(_END, _NO)

    def walk(self, grammar: Any, chance: random.Random, *, max_bytes: int) -> str | None:
        """Some output that it allows; None: it did not come to its end."""
        matcher, written = self._matcher(grammar), bytearray()
        while len(written) < max_bytes:
            if matcher.accept_token(_END, _NO):
                return written.decode()
            tried = chance.sample(_WRITTEN, len(_WRITTEN))
            byte = next((each for each in tried if matcher.accept_token(each, _NO)), None)
            if byte is None:
                return None
            written.append(byte)
        return None

    def _matcher(self, grammar: Any) -> Any:
        return self._core.GrammarMatcher(grammar, None, _NO, 0)
