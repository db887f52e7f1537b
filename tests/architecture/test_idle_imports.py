"""What a process holds before it is asked for anything: an idle daemon is small, a command line starts at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

WORKER = "worker process only"
CONTROLLER = "controller only"
FORBIDDEN = {
    "homebred_daemon.app": {
        "torch": WORKER,
        "xllamacpp": WORKER,
        "llama_cpp": WORKER,
        "tensorrt_llm": WORKER,
        "homebred_engines.llamacpp": WORKER,
        "homebred_engines.worker": WORKER,
        "numpy": "child processes only",
        "spacy": "the recognizer's child only",
        "gguf": "child processes only",
        "fastapi": CONTROLLER,
        "starlette": CONTROLLER,
        "uvicorn": CONTROLLER,
        "sqlalchemy": CONTROLLER,
        "homebred_fleet": CONTROLLER,
        "tuf": "lazily, when a release arrives",
        "h11": "only where the gateway is enabled",
        "homebred_daemon.adapters.openai_gateway": "only where it is enabled",
        "homebred_daemon.app.open_gateway": "only where the gateway is enabled",
        "httpx2": "with the first call to a cloud: 16 MB that a device without one does without",
        "anyio": "httpx2 brings it along",
        "jeepney": "only where an endpoint is beyond this device, to hear NetworkManager",
        "cryptography": "with the first task for a person: some megabytes that most devices do without for long",
        "jsonschema_rs": "at first use: 15 MB that most tasks do without",
        "rich": "only where a terminal is drawn to",
        "typer": "only on the command line",
        "homebred_daemon.services.tallying": "only where the site wants figures",
        "homebred_daemon.core.exposition": "only where the site wants figures",
        "homebred_daemon.adapters.metrics_server": "only where the site wants figures",
        "homebred_daemon.services.tracing": "only where the site wants traces",
        "homebred_daemon.adapters.otlp": "only where the site wants traces",
        "opentelemetry": "only where the site wants traces",
        "prometheus_client": "the tests' reader: it brings an HTTP client along",
        "structlog": "only where the log is read in a terminal",
        "systemd": "only where systemd watches the daemon",
        "homebred_daemon.adapters.identity_files": "only on a device that is enrolled, as the next five",
        "homebred_daemon.adapters.fleet_https": "only on a device that is enrolled",
        "homebred_daemon.adapters.store.commands": "only on a device that is enrolled",
        "homebred_daemon.services.fleet.identity": "only on a device that is enrolled",
        "homebred_daemon.services.fleet.fleet_commands": "only on a device that is enrolled",
        "homebred_daemon.services.fleet.diagnosing": "only on a device that is enrolled",
        "homebred_daemon.adapters.trust": "only while something signed is looked at",
        "homebred_daemon.services.releases.trusting": "only on a device that is enrolled",
        "homebred_daemon.cli": "only on the command line",
        "homebred_daemon.demo": "only where it is played",
    },
    "homebred_daemon.cli": {
        "grpc": "by the commands that ask the daemon",
        "pydantic": "by the commands that read settings",
        "sqlite3": "by the commands that open a ledger",
        "rich": "only where a terminal is drawn to",
        "numpy": "child processes only",
        "asyncio": "by the commands that wait",
        "homebred_daemon.app": "in the daemon only",
    },
    "homebred_protocol.client": {
        "grpc": "by the first client that is made",
        "google.protobuf": "by the first client that is made",
        "asyncio": "grpc brings it along; values and errors need neither",
        "pydantic": "not in an application's process",
        "homebred_daemon": "an application knows nothing of the daemon",
        "homebred_engines": "an application knows nothing of engines",
    },
    "homebred_protocol.client.blocking": {
        "google.rpc": "an extra of the daemon's: an application needs grpcio and protobuf alone",
        "homebred_protocol.client.asynchronous": "by those who use asyncio",
        "homebred_daemon": "an application knows nothing of the daemon",
    },
    "homebred_engines.worker": {
        "xllamacpp": "once the engine is known",
        "torch": "once the engine is known",
        "numpy": "once the engine is known",
        "pydantic": "not where a site's own interpreter must do",
        "homebred_daemon": "the worker knows nothing of the daemon",
        "homebred_fleet": "the worker knows nothing of the controller",
    },
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_fresh_process_holds_nothing_that_it_may_never_need(module: str) -> None:
    program = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    command = [sys.executable, "-P", "-c", program]
    held = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert module in held
    assert {name: reason for name, reason in FORBIDDEN[module].items() if name in held} == {}
