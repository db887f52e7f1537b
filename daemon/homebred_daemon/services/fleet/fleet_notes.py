"""What of the link is told: the session's notes, as log entries and receipts to the fleet. It decides nothing."""

from __future__ import annotations

from homebred_daemon import fleet_messages
from homebred_daemon.core.fleet_messages import PartReport, PartState
from homebred_daemon.core.fleet_steps import Note
from homebred_daemon.ports.fleet_commands import OutcomeReceipts
from homebred_daemon.ports.journal import Journal


def note(journal: Journal, receipts: OutcomeReceipts, said: Note) -> None:
    """Notes one; a word that is not known here is not told."""
    about = dict(said.about)
    match said.what:
        case "connected":
            journal.note(fleet_messages.FLEET_CONNECTED, count=about["connection"])
        case "ended":
            journal.note(fleet_messages.FLEET_LOST, cause=about["reason"], seconds=about["seconds"])
        case "ignored":
            journal.note(fleet_messages.FLEET_IGNORED, part=about["kind"] or "unknown", cause=about["cause"])
        case "held_back":
            journal.note(fleet_messages.FLEET_HOLDS_BACK, cause=about["code"], seconds=about["seconds"])
        case "impossible":
            journal.note(fleet_messages.FLEET_IGNORED, part="tm-ack", cause="never_cut")
        case "taken":
            journal.note(fleet_messages.DESIRED_TAKEN, count=about["version"])
        case "stop_order":
            event = fleet_messages.FLEET_STOPPED if about["stopped"] else fleet_messages.FLEET_RESUMED
            journal.note(event, count=about["epoch"])
        case "stop_unproven":
            part, cause = "stop" if about["stopped"] else "go", str(about["cause"])
            journal.note(fleet_messages.STOP_UNPROVEN, part=part, count=about["epoch"], error_code=cause)
            receipts.receipt("stop", "", "refused", cause, version=int(about["epoch"]))


def note_part(journal: Journal, receipts: OutcomeReceipts, report: PartReport, *, version: int) -> None:
    """Notes what became of a part of what is desired, in that version of it."""
    if report.state in (PartState.APPLIED, PartState.REFUSED):
        receipts.receipt("desired", report.digest, report.state.value, report.problem_code, version=version)
    match report.state:
        case PartState.APPLIED:
            journal.note(fleet_messages.DESIRED_APPLIED, part=report.name, document=report.digest)
        case PartState.REFUSED:
            journal.note(
                fleet_messages.DESIRED_REFUSED, part=report.name, document=report.digest, error_code=report.problem_code
            )
        case _:
            journal.note(fleet_messages.DESIRED_LATER, part=report.name, error_code=report.problem_code)
