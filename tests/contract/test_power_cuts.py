"""What each store holds after the power goes at any operation, and that a missing fsync would be found."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.power_cuts import REPOSITORY, prove, recorded
from tests.support.store_scenarios import INSTALLS, SCENARIOS

pytestmark = pytest.mark.slow

SEED = 20261123


@pytest.mark.parametrize(
    "scenario", sorted(SCENARIOS.keys() - {"ledger again"} - INSTALLS)
)  # that one is for failing disks
def test_a_power_cut_at_any_operation_breaks_no_promise(scenario: str, tmp_path: Path, thorough: bool) -> None:  # noqa: FBT001 - a fixture
    journal = recorded(scenario, tmp_path)
    tally = prove(scenario, journal, seed=SEED, choices=20 if thorough else 2)
    print(f"{scenario}: {tally}")  # noqa: T201 - with `pytest -s`: what was gone through
    assert tally.cuts > tally.different > tally.operations / 2


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault: every occurrence of `sound` in a file becomes `faulty`."""

    scenario: str
    file: str
    sound: str
    faulty: str


ADAPTERS = "homebred_daemon/adapters/"
FILES, MODELS = ADAPTERS + "durable_files.py", ADAPTERS + "model_store.py"
BLOBS, FOLDERS = ADAPTERS + "blob_files.py", ADAPTERS + "blob_folders.py"
REVIEW, IDENTITY = ADAPTERS + "store/review.py", ADAPTERS + "identity_files.py"
DATABASE, LEDGER = ADAPTERS + "store/database.py", ADAPTERS + "store/ledger.py"
STAGE = "homebred_fleet/adapters/release_stage.py"
STAGING = ADAPTERS + "staging_folder.py"
UPLOADED = "homebred_fleet/adapters/blob_folder.py"
OUTBOX, TRUST = ADAPTERS + "store/outbox.py", ADAPTERS + "trust/files.py"

PINS = "    if roots is not None:\n        pins.pin(roots)\n"
TAKES = "    identity = files.take_up(pending, issued)\n"

# fmt: off
MUTANTS = [
    Mutant("document", FILES, "os.fsync(file.fileno())", "pass"),
    Mutant("document", FILES, "    os.fsync(descriptor)", "    pass"),
    Mutant("document", FILES, "    flush_folder(path.parent)", "    pass"),
    Mutant("document", FILES, "        flush_folder(folder.parent)", "        pass"),
    Mutant("document", FILES, "new.rename(path)", "path.write_bytes(new.read_bytes())"),
    Mutant("add", FILES, "os.fsync(file.fileno())", "pass"),
    Mutant("add", FILES, "    os.fsync(descriptor)", "    pass"),
    Mutant("add", BLOBS, "flush_file(copy)", "pass"),
    Mutant("add", BLOBS, "flush_folder(self._folder)", "pass"),
    Mutant("add", MODELS, "            flush_folder(folder)", "            pass"),
    Mutant("replace", MODELS, "flush_folder(self._specialists)\n        shutil.rmtree(old", "shutil.rmtree(old"),
    Mutant("replace", MODELS, "target.rename(old)", "shutil.rmtree(target)"),
    Mutant("add folders", BLOBS, "flush_file(copy)", "pass"),
    Mutant("add folders", FOLDERS, "flush_folder(self._folder)", "pass"),
    Mutant("add folders", FOLDERS, "        flush_folder(folder)", "        pass"),
    Mutant("replace folders", FOLDERS, "flush_folder(self._folder)", "pass"),
    Mutant("remove", MODELS, "flush_folder(self._specialists)\n            shutil.rmtree(gone", "shutil.rmtree(gone"),
    Mutant("recover", MODELS, "flush_folder(self._specialists)  # else", "pass  # else"),
    Mutant("record", FILES, "os.fsync(file.fileno())", "pass"),
    Mutant("record", FILES, "    flush_folder(path.parent)", "    pass"),
    Mutant("commands", ADAPTERS + "store/commands.py", 'synchronous="FULL"', 'synchronous="NORMAL"'),
    Mutant("identity", FILES, "os.fsync(file.fileno())", "pass"),
    Mutant("identity", FILES, "    flush_folder(path.parent)", "    pass"),
    Mutant("identity", IDENTITY, "flush_folder(aside)", "pass"),
    Mutant("identity", IDENTITY, "aside.rename(self._generations / name)\n        flush_folder(self._generations)",
           "aside.rename(self._generations / name)"),
    Mutant("enrolment", "homebred_daemon/cli/enroll.py", PINS + TAKES, TAKES + PINS),
    Mutant("release", STAGE, "            os.fsync(descriptor)", "            pass"),
    Mutant("release", STAGE, "            os.fsync(file.fileno())", "            pass"),
    Mutant("release", STAGE, "            flush_folder(folder)", "            pass"),
    Mutant("release", STAGE, "            flush_folder(target.parent)", "            pass"),
    Mutant("trust", FILES, "os.fsync(file.fileno())", "pass"),
    Mutant("trust", FILES, "    flush_folder(path.parent)", "    pass"),
    Mutant("trust", TRUST, "                flush_folder(folder)", "                pass"),
    Mutant("trust", TRUST, "        flush_folder(aside)", "        pass"),
    Mutant("trust", TRUST, "aside.rename(self._generations / name)\n        flush_folder(self._generations)",
           "aside.rename(self._generations / name)"),
    Mutant("ledger", DATABASE, "PRAGMA synchronous = {synchronous}", "PRAGMA synchronous = OFF"),
    Mutant("ledger", LEDGER, "with transaction(self._connection):", "if True:"),
    Mutant("ledger", DATABASE, "PRAGMA journal_mode = WAL", "PRAGMA journal_mode = MEMORY"),
    Mutant("telemetry", OUTBOX, "'FULL' if survives_power_cuts else 'NORMAL'", "'NORMAL'"),
    Mutant("upload", UPLOADED, "os.fsync(file.fileno())\n        _make", "pass\n        _make"),
    Mutant("staging", STAGING, "  os.fsync(self._descriptor)\n        except", "  pass\n        except"),
    Mutant("staging", STAGING, "flush_folder(whole.parent)  # both names", "pass"),
    Mutant("staging", STAGING, "os.fsync(self._descriptor)\n            self._journal", "self._journal"),
    Mutant("staging", STAGING, "            flush_folder(self._whole.parent)", "            pass"),
    Mutant("staging", ADAPTERS + "staging_journal.py", "        os.fdatasync(self._descriptor)", "        pass"),
    Mutant("review", FILES, "os.fsync(file.fileno())", "pass"),
    Mutant("review", REVIEW, "flush_file(emptied)", "pass"),
    Mutant("review", REVIEW, 'synchronous="FULL"', 'synchronous="NORMAL"'),
    Mutant("review", REVIEW, "with transaction(self._connection):", "if True:"),
]
FURTHER_MUTANTS = [
    Mutant("upload", UPLOADED, "_flush(path.parent)\n        _flush(self.folder)\n", "pass\n"),
    Mutant("enrolment", TRUST, "        flush_folder(aside)\n        aside.rename(self._folder)",
           "        aside.rename(self._folder)"),
    Mutant("enrolment", TRUST, "aside.rename(self._folder)\n        flush_folder(self._all)",
           "aside.rename(self._folder)"),
    Mutant("telemetry", OUTBOX, "with transaction(self._connection):", "if True:"),
    Mutant("telemetry", OUTBOX, "survives_power_cuts=not events", "survives_power_cuts=False"),
    Mutant("telemetry", LEDGER, "survives_power_cuts=not self._is_noted", "survives_power_cuts=False"),
]
# fmt: on


def _id(mutant: Mutant) -> str:
    return f"{mutant.scenario}:{mutant.sound.strip()[:40]}"


def planted(mutant: Mutant, folder: Path) -> Path:
    """A copy of the packages with the fault in it."""
    for package in (
        "daemon/homebred_daemon",
        "proto/homebred_protocol",
        "engines/homebred_engines",
        "fleet/homebred_fleet",
    ):
        shutil.copytree(REPOSITORY / package, folder / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / mutant.file
    text = path.read_text()
    assert mutant.sound in text, f"{mutant.file} no longer holds {mutant.sound!r}: plant the fault anew"
    path.write_text(text.replace(mutant.sound, mutant.faulty))
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=_id)
def test_a_planted_fault_is_found(mutant: Mutant, tmp_path: Path) -> None:
    packages = planted(mutant, tmp_path / "packages")
    journal = recorded(mutant.scenario, tmp_path / "recorded", packages)
    with pytest.raises(AssertionError, match="the power went after operation"):
        prove(mutant.scenario, journal, seed=SEED, choices=2)


@pytest.mark.thorough("each takes several seconds of the processor; the first of telemetry's is planted every time")
@pytest.mark.parametrize("mutant", FURTHER_MUTANTS, ids=_id)
def test_a_further_planted_fault_is_found(mutant: Mutant, tmp_path: Path) -> None:
    test_a_planted_fault_is_found(mutant, tmp_path)
