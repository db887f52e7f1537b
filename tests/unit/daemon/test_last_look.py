from __future__ import annotations

from dataclasses import replace

from tests.support.keyword_detector import KeywordDetector
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon.services.deciding import Decider
from homebred_daemon.services.last_look import LastLook
from homebred_protocol.documents.policy import read_policy
from homebred_protocol.documents.registry import Registry


def test_what_may_not_leave_is_found_and_logged_by_type_alone() -> None:
    journal = RecordedJournal()
    detector = KeywordDetector({"sk-live": "SECRET", "Erika": "PERSON"})
    holds = [
        Decider(
            policy=read_policy({}, "sha256:p"), registry=Registry(digest="sha256:r", specialists=()), detector=detector
        )
    ]
    look = LastLook(lambda: holds[0], journal)
    assert look.at("Erika wrote") == frozenset()
    assert journal.names == []
    assert look.at("Erika wrote sk-live") == {"SECRET"}
    assert journal.names == ["gate_stopped"]
    holds[0] = replace(holds[0], policy=read_policy({"local_only_classes": ["patient"]}, "sha256:q"))
    assert look.at("Erika wrote sk-live") == frozenset()
