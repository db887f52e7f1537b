"""Measures what the OpenAI-compatible gateway adds to gRPC, beside xllamacpp's own HTTP server, in one run."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.bench.daemons import CONTEXT_TOKENS, Home, temporary_home
from tests.bench.figures import Aim, Bench, Conditions, Found
from tests.bench.generations import MAX_TOKENS, STORIES, Generation, Round
from tests.bench.http_side import HttpSide, llama_server
from tests.bench.raw_engine import RawEngine, raw_engine
from tests.bench.side_by_side import Product, loaded_product

TOKEN = "bench-0123456789abcdef0123456789abcdef"  # noqa: S105  # of a daemon that lives as long as the bench
GATEWAY, GRPC, OWN_SERVER, RAW = "gateway", "gRPC", "xllamacpp's server", "in process"
STREAMS = (1, 4)
ANSWER_TOKENS = 2
MOST_S = {1: 60.0, 4: 80.0}
FIRST_TOKEN_MOST_S = 40.0
TARGET_ADDED_MS = 1.0
TARGET_RATIO = 0.95
_SETTLE_S = 0.05  # threads that wait by spinning have gone to sleep

Side = HttpSide | Product | RawEngine


def _gateway(conditions: Conditions) -> Mapping[str, Found]:
    with _sides(conditions.model) as sides:
        for side in sides.values():
            for prompt in STORIES:
                side.ask_together([prompt], 1)  # every prompt is in its prefix cache
        found = _first_token(sides, conditions)
        for streams in STREAMS:
            found |= _throughput(sides, streams, conditions)
    return found


@contextmanager
def _sides(model: Path) -> Iterator[dict[str, Side]]:
    with ExitStack() as stack:
        home = stack.enter_context(temporary_home())
        port = _configured(home)
        product = stack.enter_context(
            loaded_product(home, model, variables={"HOMEBRED_CONFIG": str(home.folder / "homebred.toml")})
        )
        size = {"threads": product.threads, "slots": product.slots, "context_tokens": CONTEXT_TOKENS}
        own_port = stack.enter_context(llama_server(model, **size))
        pool = stack.enter_context(ThreadPoolExecutor(product.slots))
        yield {
            GATEWAY: HttpSide(port, pool, token=TOKEN, homebred={"data_classes": ["public"]}),
            GRPC: product,
            OWN_SERVER: HttpSide(own_port, pool),
            RAW: stack.enter_context(raw_engine(model, **size)),
        }


def _configured(home: Home) -> int:
    """Writes settings with a gateway; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    token = home.folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    (home.folder / "homebred.toml").write_text(
        f'[gateway]\nenabled = true\nport = {port}\n[gateway.tokens.bench]\nfile = "{token}"\n'
    )
    return port


def _first_token(sides: Mapping[str, Side], conditions: Conditions) -> dict[str, Found]:
    taken: dict[str, list[Generation]] = {name: [] for name in sides}
    for number in conditions.paced(conditions.rounds(60, 10), at_most_s=FIRST_TOKEN_MOST_S):
        for name, side in _in_turn(sides, number):
            taken[name].append(side.ask_together(STORIES[:1], ANSWER_TOKENS).generations[0])
    medians_ms = {name: median(one.first_s for one in each) * 1000 for name, each in taken.items()}
    told = ", ".join(f"{name} {value:.2f}" for name, value in medians_ms.items())
    note = f"median of the differences of {len(taken[GATEWAY])} rounds in turn, one stream, warm; medians in ms: {told}"
    return {
        f"gateway.first_token_{word}_ms": Found(
            value=median(
                (ours.first_s - theirs.first_s) * 1000
                for ours, theirs in zip(taken[GATEWAY], taken[other], strict=True)
            ),
            reference=medians_ms[other],
            note=note,
        )
        for word, other in (("to_grpc", GRPC), ("to_server", OWN_SERVER))
    }


def _throughput(sides: Mapping[str, Side], streams: int, conditions: Conditions) -> dict[str, Found]:
    rounds: dict[str, list[Round]] = {name: [] for name in sides}
    for number in conditions.paced(conditions.rounds(12, 3), at_most_s=MOST_S[streams]):
        for name, side in _in_turn(sides, number):
            time.sleep(_SETTLE_S)
            rounds[name].append(side.ask_together(STORIES[:streams], conditions.rounds(MAX_TOKENS, 48)))
    speeds = {name: median(one.tokens_per_s for one in each) for name, each in rounds.items()}
    told = ", ".join(f"{name} {speed:.1f}" for name, speed in speeds.items())
    note = f"medians of the ratios of {len(rounds[GATEWAY])} rounds in turn, same number of threads; tokens/s: {told}"
    return {
        f"gateway.tokens_per_s_{streams}_{word}": Found(
            value=median(
                ours.tokens_per_s / theirs.tokens_per_s
                for ours, theirs in zip(rounds[GATEWAY], rounds[other], strict=True)
            ),
            reference=speeds[other],
            note=note,
        )
        for word, other in (("to_raw", RAW), ("to_grpc", GRPC), ("to_server", OWN_SERVER))
    }


def _in_turn(sides: Mapping[str, Side], number: int) -> list[tuple[str, Side]]:
    """Every side; who is first alternates."""
    return sorted(sides.items(), reverse=bool(number % 2))


OVER_HTTP = Bench(
    name="gateway",
    aims=(
        Aim(name="gateway.first_token_to_grpc_ms", unit="ms", target=TARGET_ADDED_MS),
        Aim(name="gateway.first_token_to_server_ms", unit="ms"),
        *(
            Aim(
                name=f"gateway.tokens_per_s_{streams}_{word}",
                unit="ratio",
                better="higher",
                target=TARGET_RATIO if word == "to_raw" else None,
            )
            for streams in STREAMS
            for word in ("to_raw", "to_grpc", "to_server")
        ),
    ),
    run=_gateway,
)
