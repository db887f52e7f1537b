"""Measures how long one request is in another's way: a short one behind a long prompt, and a slot that was given up."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

import grpc
from tests.bench.daemons import public_task, temporary_home
from tests.bench.figures import Aim, Bench, Conditions, Found
from tests.bench.generations import STORIES
from tests.bench.side_by_side import Product, generation, loaded_product
from tests.bench.texts import make_texts

from homebred_protocol.v1 import control_pb2, control_pb2_grpc, inference_pb2, inference_pb2_grpc

CONTEXT_TOKENS = 4096
LONG_PIECES, PIECE_CHARACTERS = 35, 280
"""Together about 3,500 tokens of the embedded model."""
INTO_PREFILL_S = 1.0
INTO_DECODE_DELTAS = 10
MOST_S = 60.0
PATIENCE_S = 30.0
SHORT = "Say hello to customer number {}."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crowd:
    """A daemon with a long context, and its services called directly."""

    product: Product
    inference: inference_pb2_grpc.InferenceStub
    control: control_pb2_grpc.ControlStub

    def short_request(self, number: int) -> float:
        """Seconds to the first text of a request that no cache holds."""
        return generation(self.product.client, public_task(SHORT.format(number), max_tokens=2)).first_s

    @contextmanager
    def long_prefill(self, text: str) -> Iterator[None]:
        """A long prompt is being read; it is given up on leaving."""
        with self._asked(text):
            self._wait_until_running(1)
            time.sleep(INTO_PREFILL_S)
            yield

    @contextmanager
    def decode(self, text: str) -> Iterator[None]:
        """An answer is being written; it is given up on leaving."""
        with self._asked(text) as call:
            deltas = 0
            while deltas < INTO_DECODE_DELTAS:
                deltas += bool(next(call).delta)
            yield

    def until_free_ms(self, given_up: Callable[[], None]) -> float:
        """Milliseconds from giving up until nothing runs any more."""
        started_s = time.perf_counter()
        given_up()
        self._wait_until_running(0)
        return (time.perf_counter() - started_s) * 1000

    @contextmanager
    def _asked(self, text: str) -> Iterator[Iterator[inference_pb2.GenerateEvent]]:
        task = inference_pb2.Task(text=text, data_classes=["public"])
        call = self.inference.Generate(inference_pb2.GenerateRequest(task=task, temperature=0))
        try:
            yield call
        finally:
            call.cancel()

    def _wait_until_running(self, number: int) -> None:
        deadline_s = time.perf_counter() + PATIENCE_S
        while self._running() != number:
            if time.perf_counter() > deadline_s:
                raise RuntimeError(f"the worker never had {number} generations running")

    def _running(self) -> int:
        return sum(worker.running for worker in self.control.GetStatus(control_pb2.GetStatusRequest()).workers)


@contextmanager
def _crowd(conditions: Conditions) -> Iterator[_Crowd]:
    with ExitStack() as stack:
        home = stack.enter_context(temporary_home())
        product = stack.enter_context(loaded_product(home, conditions.model, context_tokens=CONTEXT_TOKENS))
        channel = stack.enter_context(grpc.insecure_channel(f"unix:{home.socket}"))
        yield _Crowd(
            product=product,
            inference=inference_pb2_grpc.InferenceStub(channel),
            control=control_pb2_grpc.ControlStub(channel),
        )


def _behind_long_prefill(conditions: Conditions) -> Mapping[str, Found]:
    rounds = conditions.rounds(7, 2)
    texts = _long_texts(rounds, seed=31)
    behind_s, alone_s = [], []
    with _crowd(conditions) as crowd:
        for number in conditions.paced(rounds, at_most_s=MOST_S):
            alone_s.append(crowd.short_request(2 * number))
            with crowd.long_prefill(texts[number]):
                behind_s.append(crowd.short_request(2 * number + 1))
            crowd.until_free_ms(lambda: None)
    note = (
        f"median of {len(behind_s)} short requests, each sent {INTO_PREFILL_S:g} s after a prompt of about 3,500"
        f" tokens, default settings but for the context; worst {max(behind_s):.2f} s; reference: the same alone"
    )
    return {"first_token.behind_long_prefill_s": Found(value=median(behind_s), reference=median(alone_s), note=note)}


def _slot_free(conditions: Conditions) -> Mapping[str, Found]:
    rounds = conditions.rounds(7, 3)
    with _crowd(conditions) as crowd:
        prefill_ms = [_freed_ms(crowd, crowd.long_prefill(text)) for text in _long_texts(rounds, seed=37)]
        stories = itertools.islice(itertools.cycle(STORIES), rounds)
        decode_ms = [_freed_ms(crowd, crowd.decode(story)) for story in stories]
    return {
        "cancel.slot_free_prefill_ms": _freed(prefill_ms, "while a long prompt was being read"),
        "cancel.slot_free_decode_ms": _freed(decode_ms, "while an answer was being written"),
    }


def _long_texts(number: int, *, seed: int) -> list[str]:
    """Texts without a common beginning."""
    pieces = make_texts(number * LONG_PIECES, characters=PIECE_CHARACTERS, seed=seed)
    return ["\n".join(pieces[first : first + LONG_PIECES]) for first in range(0, len(pieces), LONG_PIECES)]


def _freed_ms(crowd: _Crowd, at_work: AbstractContextManager[None]) -> float:
    with ExitStack() as stack:
        stack.enter_context(at_work)
        return crowd.until_free_ms(stack.close)


def _freed(taken_ms: Sequence[float], when: str) -> Found:
    note = (
        f"from the caller's cancellation {when} until GetStatus says that nothing runs; median of {len(taken_ms)},"
        f" worst {max(taken_ms):.0f} ms"
    )
    return Found(value=median(taken_ms), note=note)


BEHIND_LONG_PREFILL = Bench(
    name="first_token.behind",
    aims=(Aim(name="first_token.behind_long_prefill_s", unit="s", target=1.0),),
    run=_behind_long_prefill,
)
SLOT_FREE = Bench(
    name="cancel.slot_free",
    aims=tuple(Aim(name=f"cancel.slot_free_{where}_ms", unit="ms", target=200.0) for where in ("prefill", "decode")),
    run=_slot_free,
)
