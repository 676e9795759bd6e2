import jaxtyping
import pytest


@pytest.fixture(autouse=True)
def as_users_run_it():
    """The types of a stranger's record are checked by the package, not by the checker of the tests."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
