"""What the model store takes in, and what it refuses before anything is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.specialists import write_specialist

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.errors import RequestError
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.registry import read_registry


def ids_in(store: ModelStore) -> list[str]:
    return [stored.manifest.id for stored in store.contents().specialists]


def blobs_in(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "blobs/sha256").iterdir()) if (root / "blobs").exists() else []


class TestAddingAFile:
    def test_a_gguf_file_becomes_a_generalist_that_was_never_measured(self, store: ModelStore, gguf: Path) -> None:
        added = store.add(gguf)
        manifest = added.specialist.manifest
        assert added.change == "added"
        assert (manifest.id, manifest.engine, list(manifest.workflows)) == ("tiny-model-q4", "llamacpp", ["*"])
        assert (manifest.title, manifest.licence, manifest.max_context) == ("homebred tiny 0", "Apache-2.0", 2048)
        assert added.specialist.base_digest == digest_of(gguf.read_bytes())
        assert added.specialist.base_bytes == gguf.stat().st_size
        assert Path(added.specialist.base_path).read_bytes() == gguf.read_bytes()
        assert read_registry(store.registry_document(), "").measured_for(None) == ()

    def test_another_id_may_be_named(self, store: ModelStore, gguf: Path) -> None:
        assert store.add(gguf, specialist_id="house").specialist.manifest.id == "house"

    @pytest.mark.parametrize("wrong", ["../house", "House", "", "a b"])
    def test_an_id_that_could_lead_elsewhere_is_refused(self, store: ModelStore, gguf: Path, wrong: str) -> None:
        nameless = gguf.rename(gguf.with_name("___.gguf"))
        with pytest.raises(RequestError, match=r"no specialist's id") as caught:
            store.add(nameless, specialist_id=wrong)
        assert "--id" in caught.value.hint
        assert ids_in(store) == []

    @pytest.mark.parametrize(
        ("spoil", "why"),
        [
            (lambda body: body[:-4000], "truncated"),
            (lambda body: body[:50], "truncated"),
            (lambda body: body + b"x" * 100, "oversized"),
            (lambda body: b"PK\3\4" + body[4:], "not a GGUF file"),
            (lambda _: b"", "not a GGUF file"),
        ],
        ids=["end lost", "head only", "more than it says", "other format", "empty"],
    )
    def test_a_file_that_is_no_whole_model_is_refused_before_anything_is_stored(
        self, store: ModelStore, root: Path, gguf: Path, spoil: object, why: str
    ) -> None:
        assert callable(spoil)
        gguf.write_bytes(spoil(gguf.read_bytes()))
        with pytest.raises(RequestError, match=why) as caught:
            store.add(gguf)
        assert caught.value.hint
        assert not root.exists()

    def test_a_model_that_this_machine_cannot_hold_is_refused(self, root: Path, gguf: Path) -> None:
        with pytest.raises(RequestError, match="may be used"):
            ModelStore(root, memory_budget_bytes=100_000).add(gguf)
        assert not root.exists()

    def test_a_path_that_is_not_there_is_refused(self, store: ModelStore, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match="neither a file nor a folder"):
            store.add(tmp_path / "nowhere.gguf")

    def test_the_file_may_change_or_go_afterwards(self, store: ModelStore, gguf: Path) -> None:
        store.add(gguf)
        with gguf.open("r+b") as file:
            file.write(b"overwritten in place")
        gguf.unlink()
        assert store.contents(verifies=True).specialists[0].base_is_intact

    def test_a_file_that_changes_while_it_is_added_is_refused(self, store: ModelStore, root: Path, gguf: Path) -> None:
        def meddle(step: str, done_bytes: int, _total_bytes: int) -> None:
            if step == "copying" and not done_bytes:
                with gguf.open("r+b") as file:
                    file.seek(-10, 2)
                    file.write(b"other text")

        with pytest.raises(RequestError, match="changed while it was being added"):
            store.add(gguf, progress=meddle)
        assert (ids_in(store), blobs_in(root)) == ([], [])

    def test_progress_counts_the_bytes_up_to_all_of_them(self, store: ModelStore, gguf: Path) -> None:
        heard: list[tuple[str, int, int]] = []
        store.add(gguf, progress=lambda *step: heard.append(step))
        size = gguf.stat().st_size
        assert heard[0] == ("reading", 0, size)
        assert heard[-1] == ("copying", size, size)


class TestAddingAFolder:
    def test_manifest_golden_set_and_base_are_taken_in(self, store: ModelStore, folder: Path) -> None:
        stored = store.add(folder).specialist
        assert stored.manifest.title == "Says it again"
        assert stored.base_digest == digest_of((folder / "model.json").read_bytes())
        assert store.golden_path("parrot", "say.again").read_bytes() == (folder / "golden/say.again.jsonl").read_bytes()

    def test_a_base_in_the_store_is_named_by_digest_and_kept_once(
        self, store: ModelStore, root: Path, gguf: Path, tmp_path: Path
    ) -> None:
        digest = store.add(gguf).specialist.base_digest
        for name in ("one", "two"):
            base = f'digest = "{digest}"'
            folder = write_specialist(tmp_path / name, name, engine="llamacpp", base=base, model=None)
            (folder / "adapter.gguf").write_bytes(b"not the base")
            store.add(folder)
        assert ids_in(store) == ["one", "tiny-model-q4", "two"]
        assert blobs_in(root) == [digest.removeprefix("sha256:")]

    def test_a_base_named_by_digest_may_lie_beside_the_manifest(self, store: ModelStore, gguf: Path) -> None:
        base = f'digest = "{digest_of(gguf.read_bytes())}"'
        write_specialist(gguf.parent, "one", engine="llamacpp", base=base, model=None)
        assert store.add(gguf.parent).specialist.base_is_intact

    def test_a_base_that_is_nowhere_is_refused(self, store: ModelStore, tmp_path: Path) -> None:
        base = f'digest = "{digest_of(b"")}"'
        with pytest.raises(RequestError, match="does not hold the base model") as caught:
            store.add(write_specialist(tmp_path / "one", base=base, model=None))
        assert "add the model's GGUF file first" in caught.value.hint

    def test_another_file_than_the_digest_names_is_refused(self, store: ModelStore, gguf: Path) -> None:
        base = f'digest = "{digest_of(b"")}"'
        write_specialist(gguf.parent, "one", engine="llamacpp", base=base, model=None)
        with pytest.raises(RequestError, match="has the digest"):
            store.add(gguf.parent)
        assert ids_in(store) == []

    def test_a_base_file_that_is_no_whole_gguf_is_refused(self, store: ModelStore, gguf: Path) -> None:
        gguf.write_bytes(gguf.read_bytes()[:-4000])
        write_specialist(gguf.parent, "one", engine="llamacpp", base=f'file = "{gguf.name}"', model=None)
        with pytest.raises(RequestError, match="truncated"):
            store.add(gguf.parent)

    def test_a_named_base_file_that_is_missing_is_refused(self, store: ModelStore, folder: Path) -> None:
        (folder / "model.json").unlink()
        with pytest.raises(RequestError, match=r"model\.json is not there"):
            store.add(folder)

    def test_a_wrong_manifest_is_refused_with_the_lines(self, store: ModelStore, tmp_path: Path) -> None:
        wrong = write_specialist(tmp_path / "one", scorer="fuzzy", further='[prompt]\ntemplate = "no place"')
        with pytest.raises(RequestError) as caught:
            store.add(wrong)
        assert "line 10: prompt.template: holds {input} 0 times" in caught.value.message
        assert 'line 13: workflows."say.again".scorer' in caught.value.message

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"id = ", "is not TOML"),
            (b"\xff", "is not TOML"),
            pytest.param(b"x = " + b"1" * 5000, "is not TOML", id="a number of thousands of digits"),
            (None, "cannot be read"),
        ],
    )
    def test_a_manifest_that_cannot_be_read_is_refused(
        self, store: ModelStore, folder: Path, body: bytes | None, why: str
    ) -> None:
        (folder / "specialist.toml").unlink()
        if body is not None:
            (folder / "specialist.toml").write_bytes(body)
        with pytest.raises(RequestError, match=why):
            store.add(folder)

    def test_a_wrong_golden_set_is_refused_with_the_lines(self, store: ModelStore, tmp_path: Path) -> None:
        rows = ({"input": "a", "expected": "a"}, {"input": "b"})
        with pytest.raises(RequestError, match=r'"line 2"\.expected'):
            store.add(write_specialist(tmp_path / "one", rows=rows))

    def test_a_golden_set_that_holds_an_example_of_the_prompt_is_refused(
        self, store: ModelStore, tmp_path: Path
    ) -> None:
        example = '[[prompt.examples]]\ninput = "A"\noutput = "a"'
        with pytest.raises(RequestError, match="few-shot example"):
            store.add(write_specialist(tmp_path / "one", further=example))

    def test_a_golden_set_that_leads_out_of_the_folder_is_refused(self, store: ModelStore, folder: Path) -> None:
        golden = folder / "golden/say.again.jsonl"
        golden.rename(folder.parent / "elsewhere.jsonl")
        golden.symlink_to(folder.parent / "elsewhere.jsonl")
        with pytest.raises(RequestError, match="leads out of its folder"):
            store.add(folder)

    def test_an_engine_that_does_not_exist_is_refused(self, store: ModelStore, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match="the engine 'lamacpp'"):
            store.add(write_specialist(tmp_path / "one", engine="lamacpp"))

    def test_a_response_schema_that_is_no_json_schema_is_refused(self, store: ModelStore, tmp_path: Path) -> None:
        schema = """[prompt]\nresponse_schema = '{"type": 12}'"""
        with pytest.raises(RequestError, match="is not a JSON Schema"):
            store.add(write_specialist(tmp_path / "one", further=schema))

    def test_an_id_of_ones_own_is_refused_for_a_folder(self, store: ModelStore, folder: Path) -> None:
        with pytest.raises(RequestError, match="its manifest says its id"):
            store.add(folder, specialist_id="other")
