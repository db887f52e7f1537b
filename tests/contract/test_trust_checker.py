"""Who checks signed metadata: the child process finds what its code finds on a thread, and no child can do harm."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from tests.support.signed_repositories import SignedFleet
from tests.support.trust_stage import HERE, NOW_S, FixedSource, RequestsCarrier, ThreadChecker, nothing_held
from tuf.api.metadata import MetaFile
from typing_extensions import override

from homebred_daemon.adapters.trust.checker import ChildChecker
from homebred_daemon.core.trust import judge
from homebred_daemon.core.trust_floors import Floors
from homebred_daemon.errors import UntrustedError
from homebred_daemon.ports.trust import CheckedTrust, TrustChecker
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import DEVICE_FIELD, director_metadata, image_metadata

PATH = "models/qa/intake/7.json"
CHECKERS = pytest.mark.parametrize("checker", [ThreadChecker(), ChildChecker()], ids=["thread", "child"])


@cache
def founded() -> SignedFleet:
    fleet = SignedFleet(now_s=NOW_S)
    fleet.offer(PATH, b"{}")
    fleet.assign(HERE.device, PATH)
    return fleet


async def checked(checker: TrustChecker, fleet: SignedFleet, *, now_s: int = NOW_S) -> CheckedTrust:
    source = RequestsCarrier().source(fleet.files)
    return await checker.check(nothing_held(fleet), source, device=HERE.device, now_s=now_s)


@CHECKERS
async def test_what_both_repositories_say_is_found(checker: TrustChecker) -> None:
    found = await checked(checker, founded())
    assert found.image.refusal is found.director.refusal is None
    assert found.image.seen is not None
    assert found.director.seen is not None
    assert found.director.seen.device == HERE.device
    assert found.director.seen.targets.keys() == found.image.seen.targets.keys() == {PATH}
    assert found.image.seen.targets[PATH].role == "models-qa"
    assert found.image.versions.versions["models-qa"] == 2
    assert found.image.files.keys() == {
        "root_history/1.root.json", "timestamp.json", "snapshot.json", "targets.json", "models-qa.json"
    }  # fmt: skip


@CHECKERS
async def test_time_is_what_it_is_told(checker: TrustChecker) -> None:
    found = await checked(checker, founded(), now_s=NOW_S + 2 * 86_400)
    assert found.director.refusal is not None
    assert found.director.refusal.reason == "expired"
    assert found.director.seen is None
    assert found.director.files.keys() == {"root_history/1.root.json"}
    assert found.image.refusal is None


@CHECKERS
async def test_a_root_that_cannot_be_read_is_refused(checker: TrustChecker) -> None:
    held = nothing_held(founded())
    spoilt = type(held)(
        image=type(held.image)(pinned=b"{}"), director=type(held.image)(pinned=b"["), floors=held.floors
    )
    found = await checker.check(spoilt, FixedSource({}), device=HERE.device, now_s=NOW_S)
    assert found.image.refusal is not None
    assert found.director.refusal is not None
    assert {found.image.refusal.reason, found.director.refusal.reason} == {"malformed"}


async def test_both_find_the_same_word_for_word() -> None:
    fleet = deepcopy(founded())
    fleet.image.rotate("timestamp")
    fleet.image.publish("targets")
    fleet.files[image_metadata() + "timestamp.json"] += b" "
    fleet.files[director_metadata(HERE.device) + "2.targets.json"] = b"{}"
    assert await checked(ThreadChecker(), fleet) == await checked(ChildChecker(), fleet)


def program(code: str) -> ChildChecker:
    """A child that has read its order before it does anything: else it may be gone before it has one."""
    return ChildChecker(command=(sys.executable, "-I", "-c", f"import sys; sys.stdin.readline()\n{code}"), look_s=60.0)


ASKS_ON = """
import json, sys
while True:
    print(json.dumps({"ask": "image/metadata/1.root.json", "at_most": 10}), flush=True)
    sys.stdin.readline()
"""
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("", "it ended with 0"),
        ("raise SystemExit(3)", "it ended with 3"),
        (KILLED, "it ended with -9"),
        ("print('good morning')", "makes no sense (JSONDecodeError)"),
        ("print('[]')", "makes no sense"),
        ("print('{}')", "makes no sense (KeyError)"),
        ('print(\'{"image": 3, "director": 4}\')', "makes no sense (TypeError)"),
        ('print(\'{"failed": "No space left on device"}\')', "No space left on device"),
        ("print('x' * 100_000_000)", "makes no sense (LimitOverrunError)"),
        (ASKS_ON, "makes no sense (ValueError)"),
    ],
)
async def test_a_child_that_makes_no_sense_is_no_answer(code: str, why: str) -> None:
    with pytest.raises(UntrustedError) as refused:
        await checked(program(code), founded())
    assert refused.value.reason == "check_failed"
    assert why in refused.value.detail


async def test_a_child_that_hangs_is_killed_at_its_deadline(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    checker = ChildChecker(command=(sys.executable, "-I", "-c", code), look_s=3.0)
    with pytest.raises(UntrustedError, match="no answer within 3 s"):
        await checked(checker, founded())
    assert not told.exists() or not is_alive(int(told.read_text()))


async def test_a_child_ends_with_whoever_waits_for_it() -> None:
    class Waiting(FixedSource):
        asked = asyncio.Event()

        @override
        async def fetch(self, name: str, at_most: int) -> bytes:
            self.asked.set()
            return await asyncio.Future()

    source = Waiting({})
    before = children()
    async with asyncio.TaskGroup() as tasks:
        look = ChildChecker().check(nothing_held(founded()), source, device=HERE.device, now_s=NOW_S)
        looking = tasks.create_task(look)
        await source.asked.wait()
        assert children() - before
        looking.cancel()
    assert children() <= before


async def test_a_command_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(UntrustedError) as refused:
        await checked(ChildChecker(command=("/no/such/program",)), founded())
    assert refused.value.reason == "check_failed"


async def test_nothing_of_the_framework_is_left_in_the_process_that_asked() -> None:
    program = """
import asyncio, sys
from homebred_daemon.adapters.trust import checker, files, folder_source, sources
from homebred_daemon.services.releases import trusting
heavy = {"tuf", "securesystemslib", "urllib3", "httpx2", "cryptography"}
sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TARGET = st.fixed_dictionaries(
    {"length": st.integers(-1, 2**70) | JSON, "hashes": st.just({"sha256": "a" * 64}) | JSON, "custom": JSON}
)
SIGNED = st.fixed_dictionaries(
    {"targets": st.dictionaries(st.just(PATH) | st.text(max_size=8), TARGET | JSON, max_size=3)},
    optional={"delegations": JSON, DEVICE_FIELD: JSON, "version": JSON, "expires": JSON, "_type": JSON, "more": JSON},
)


@settings(max_examples=40)
@given(SIGNED)
async def test_whatever_a_thief_of_the_directors_key_signs_it_is_read_or_refused(signed: dict[str, object]) -> None:
    fleet = deepcopy(founded())
    director = fleet.director(HERE.device)
    plain = json.loads(fleet.files[director.base + "2.targets.json"])["signed"] | signed
    signer = fleet.online
    body = json.dumps(
        {"signatures": [signer.sign(str(encode_canonical(plain)).encode()).to_dict()], "signed": plain}
    ).encode()
    fleet.files[director.base + "2.targets.json"] = body
    director.snapshot.meta["targets.json"] = MetaFile(2)
    director.snapshot.version = 1
    director.timestamp.version = 1
    director.publish_snapshot()
    found = await checked(ThreadChecker(), fleet)
    assert (found.director.seen is None) == (found.director.refusal is not None)
    if found.director.seen is not None:
        judged = judge(found.image.seen or found.director.seen, found.director.seen, Floors(), HERE)
        assert {one.digest for one in judged.agreed} <= {digest_of(b"{}")}


def children() -> set[int]:
    """Of this process, those that run."""
    return {int(pid) for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
