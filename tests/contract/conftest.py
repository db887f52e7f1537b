from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.databases import database, database_url, migrated, postgresql
from tests.support.failing_disks import failing_disks
from tests.support.specialists import write_specialist
from tests.support.tiny_gguf import write_tiny_gguf

from homebred_daemon.adapters.model_store import ModelStore

__all__ = ["database", "database_url", "failing_disks", "migrated", "postgresql"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def store(root: Path) -> ModelStore:
    return ModelStore(root)


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "Tiny Model-Q4.gguf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_specialist(tmp_path / "parrot")
