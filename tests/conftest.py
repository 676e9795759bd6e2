import os

# Small arrays gain nothing from threads, and on a busy machine a barrier between threads costs minutes.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A hundred processes that tests start read the compiled package instead of compiling it each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest

import typecheck

typecheck.install()


@pytest.fixture(autouse=True)
def types_are_checked_anew():
    """The first calls of every function, in each test."""
    typecheck.begin_test()


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Files are not forced onto the disk: no test goes through a power cut, and waiting takes minutes."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def global_seed_untouched():
    """No function of the package may move torch's global generator."""
    import torch

    before = torch.random.get_rng_state().clone()
    yield
    assert torch.equal(before, torch.random.get_rng_state()), "the global torch generator was moved"


@pytest.fixture
def unmeasured(monkeypatch):
    """A dry run shows configurations alone; what they need is measured in tests/cli/test_commands.py."""
    monkeypatch.setattr("memhorizon.cli.dry_running._estimated", lambda answer, *_, **__: answer)
