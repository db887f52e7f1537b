"""What a broken or hostile device may send on every topic to the controller: mutations of real messages, and worse."""

from __future__ import annotations

import random
from collections.abc import Iterator

from google.protobuf.message import DecodeError
from tests.support import telemetry_messages as made

from homebred_fleet.ports.intake import Arrival
from homebred_protocol.compression import compressed
from homebred_protocol.topics import ROOT
from homebred_protocol.v1 import fleet_pb2 as wire

STREAMS = (wire.STREAM_GAP, wire.STREAM_RECEIPT, wire.STREAM_EVIDENCE, wire.STREAM_ROUTE, wire.STREAM_HEALTH)
HUGE = 2**64 - 1


def real_messages(device: str) -> list[Arrival]:
    """One good message of every topic."""
    batches = [made.sent(device, made.batch([made.EVENTS[stream](1)], stream=stream)) for stream in STREAMS]
    others = [
        made.floor(device, 9, 9),
        made.state(device),
        made.reported(device, version=3, parts=[wire.PartReport(name="policy", digest="sha256:x", state="applied")]),
        made.result(device, "0" * 32, attachment=b"zstd"),
    ]
    release = Arrival(topic=f"{ROOT}/d/{device}/ev", payload=b"receipt of a release", is_retained=False)
    return [*batches, *others, release]


def hostile(device: str, seed: int, count: int) -> Iterator[Arrival]:
    """So many messages, the same for the same seed."""
    chance = random.Random(seed)
    real = real_messages(device)
    worst = [*whole(device), *(broken for one in real for broken in torn(one))]
    yield from worst[:count]
    for _ in range(count - len(worst)):
        base = chance.choice(real)
        yield Arrival(
            topic=chance.choice(real).topic if chance.random() < 0.1 else base.topic,
            payload=mutated(base.payload, chance),
            is_retained=chance.random() < 0.2,
        )


def mutated(payload: bytes, chance: random.Random) -> bytes:
    """A payload with some bytes changed, cut out, doubled or put in; batches inside their compression too."""
    if chance.random() < 0.4:
        try:
            batch = wire.TelemetryBatch.FromString(payload)
            events = made_events(batch)
        except (ValueError, DecodeError):
            return bent(payload, chance)
        batch.events = compressed(bent(events, chance))
        batch.boot_id = chance.randbytes(16).hex()  # of a boot that is new: its events are looked into
        batch.after_seq = chance.choice([0] * 9 + [1, batch.last_seq, HUGE])
        return batch.SerializeToString()
    return bent(payload, chance)


def made_events(batch: wire.TelemetryBatch) -> bytes:
    """The events as they were before they were compressed. Raises ValueError: it is no batch of ours."""
    if batch.stream not in STREAMS or not batch.boot_id:
        raise ValueError("no batch")
    return wire.EventList(events=[made.EVENTS[batch.stream](1)]).SerializeToString()


def bent(payload: bytes, chance: random.Random) -> bytes:
    """One to eight changes at random places."""
    body = bytearray(payload)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(body) + 1)
        match chance.randrange(4):
            case 0 if body:
                body[place % len(body)] = chance.randrange(256)
            case 1:
                del body[place : place + chance.randint(1, 9)]
            case 2:
                body[place:place] = body[place : place + chance.randint(1, 9)]
            case _:
                body[place:place] = chance.randbytes(chance.randint(1, 9))
    return bytes(body)


def torn(arrival: Arrival) -> Iterator[Arrival]:
    """A good message cut short, empty, of noise, of another schema, and far too large."""
    noise = random.Random(len(arrival.payload)).randbytes(500)
    for payload in (b"", arrival.payload[:-1], arrival.payload * 2, noise, b"\0" * 3, b"\xff" * 400_000):
        yield Arrival(topic=arrival.topic, payload=payload, is_retained=False)


def whole(device: str) -> Iterator[Arrival]:
    """Messages that can be parsed and mean harm."""
    event = made.route(1)
    event.route.total_ms = event.route.prompt_tokens = HUGE
    yield made.sent(device, made.batch([event]))
    event = made.route(1, workflow="\0" * 100)
    yield made.sent(device, made.batch([event]))
    event = made.route(1, workflow="x" * 1_000_000)
    yield made.sent(device, made.batch([event]))
    event = made.route(1)
    event.route.classes.extend([wire.DATA_CLASS_CODE] * 500_000)
    yield made.sent(device, made.batch([event]))
    bomb = made.batch([made.route(1)])
    bomb.events = compressed(b"\x0a\x00" * 20_000_000)
    yield made.sent(device, bomb)
    many = made.batch([made.health(seq) for seq in range(1, 2002)], stream=wire.STREAM_HEALTH)
    yield made.sent(device, many)
    end = made.batch([made.route(1)])
    end.last_seq = 2**63 - 1
    yield made.sent(device, end)
    report = made.reported(device, version=HUGE)
    yield report
    deep = wire.Reported(schema=1, boot_id=made.boot(), labels={str(key): "x" for key in range(10_000)})
    yield Arrival(topic=f"{ROOT}/d/{device}/reported", payload=deep.SerializeToString(), is_retained=False)
