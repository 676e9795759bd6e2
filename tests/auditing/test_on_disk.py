"""Audits of files that are larger than the memory: the record of the same arrays in memory."""

from dataclasses import replace

import numpy as np
import pytest

from memhorizon.audits import audit
from memhorizon.files import arrays, mapped
from memhorizon.files.mapped import is_mapped
from memhorizon.measure import leaves, neighbors
from memhorizon.records.files import to_text


@pytest.mark.parametrize("views", [("pixels", "coarse"), ("features",)])
def test_an_audit_of_files_on_the_disk_is_that_of_arrays_in_memory(tmp_path, monkeypatch, views):
    """A fold of the search over 256 items at a time, and groups of many duplicates, which are left out."""
    generator = np.random.default_rng(5)
    train = generator.normal(size=(1500, 30)).astype(np.float32) / np.arange(1, 31, dtype=np.float32)
    train[100:150] = train[100]  # more than the search lists one by one
    train[1200:1203] = train[7]
    samples = generator.normal(size=(60, 30)).astype(np.float32) / np.arange(1, 31, dtype=np.float32)
    samples[:20] = train[300:320]
    np.save(tmp_path / "s.npy", samples)
    np.save(tmp_path / "t.npy", train)
    files = {"samples": tmp_path / "s.npy", "train": tmp_path / "t.npy"}
    told = []

    def tell(*step):
        told.append(step)

    given = None if "features" not in views else files

    def answer(*, on_disk):
        told.clear()
        found = audit(**files, views=views, features=given, n_reference=400, progress=tell)
        assert is_mapped(found.sets.train.images) == on_disk
        return replace(found.answer, environment={})

    wanted = answer(on_disk=False)
    monkeypatch.setattr(arrays, "MAPPED_FROM", 0)
    monkeypatch.setattr(neighbors, "_SPAN", 1)
    monkeypatch.setattr(mapped, "BLOCK", 3000)
    monkeypatch.setattr(leaves, "LEAF", 100)
    assert to_text(answer(on_disk=True)) == to_text(wanted)
    assert wanted.copies.count >= 20
    steps = [done for what, done, _ in told if what.endswith("reference items")]
    assert len(set(steps)) > 4  # told of each part of the training items
