"""The public names: each resolves to the object of its module, whatever was imported before."""

import subprocess
import sys

import pytest

import memhorizon as mh


@pytest.mark.parametrize(
    "name", [name for name in mh.__all__ if name not in ("integrations", "metrics", "theory")]
)
def test_a_public_name_is_an_object_of_its_module(name):
    assert callable(getattr(mh, name))
    assert name in dir(mh)


def test_no_submodule_takes_a_public_name():
    """`import memhorizon.x` would set `memhorizon.x`, and hide a function of that name."""
    code = (
        "import pkgutil, importlib, memhorizon as mh\n"
        "for module in pkgutil.walk_packages(mh.__path__, 'memhorizon.'):\n"
        "    importlib.import_module(module.name)\n"
        "names = set(mh.__all__) - {'integrations', 'metrics', 'theory'}\n"
        "assert all(callable(getattr(mh, name)) for name in names)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(mh, "nothing")  # noqa: B009
