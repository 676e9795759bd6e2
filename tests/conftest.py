import jaxtyping
import pytest

jaxtyping.install_import_hook("memhorizon", "typecheck.check")


@pytest.fixture(autouse=True)
def global_seed_untouched():
    """No function of the package may move torch's global generator."""
    import torch

    before = torch.random.get_rng_state().clone()
    yield
    assert torch.equal(before, torch.random.get_rng_state()), "the global torch generator was moved"
