"""What tests of checkpoints share."""

import pytest

from models.registry import MODELS


@pytest.fixture
def own_places(tmp_path, monkeypatch):
    """A cache of its own, no hub, and a table of models that is put back."""
    for name in ("WORKBENCH_CACHE", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("WORKBENCH_WEIGHTS", raising=False)
    kept = dict(MODELS)
    yield
    MODELS.clear()
    MODELS.update(kept)
