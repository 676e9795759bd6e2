"""An optional package that is there but cannot be imported tells its cause."""

import pytest

import memhorizon as mh
from memhorizon.extras import need


def test_a_package_that_lacks_something_itself_is_no_missing_extra(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has") as raised:
        need("broken_package", extra="x", what="y")
    assert not isinstance(raised.value, mh.MissingExtraError)
