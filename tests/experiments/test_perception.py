"""The classifier whose features samples are compared in: it sees shapes, and is the same every time."""

import pathlib
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from memhorizon.datasets.config import DataConfig
from memhorizon.datasets.split import load_split
from memhorizon.experiments import perception
from memhorizon.experiments.perception import NAME, perception_of, qualities_of

DIGITS = DataConfig(n_train=400, n_holdout=400, scale=2.0)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache folder, and nothing in memory; a short training."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(perception, "CONFIG", replace(perception.CONFIG, n_updates=40))
    perception._perception.cache_clear()
    yield tmp_path / "memhorizon" / "classifiers"
    perception._perception.cache_clear()


@pytest.fixture
def fits(monkeypatch):
    """How often a classifier was trained."""
    counted = []
    fit = perception.fit
    monkeypatch.setattr(perception, "fit", lambda *given: counted.append(1) or fit(*given))
    return counted


def weights():
    found = perception_of(DataConfig()).network.state_dict()
    perception._perception.cache_clear()
    return found


def test_the_distance_orders_what_people_order():
    split = load_split(DIGITS)
    distance = qualities_of(split, DIGITS)[NAME]
    noise = torch.randn(split.train.shape, generator=torch.Generator().manual_seed(0))
    alike = distance(split.train, split.holdout).corrected
    rough = distance(split.train + 0.8 * noise, split.holdout).corrected
    blurred = distance(F.avg_pool2d(split.train, 3, 1, 1), split.holdout).corrected
    nothing = distance(noise, split.holdout).corrected
    assert alike.low <= 0.5  # two draws of one distribution, in units of the variance of a feature
    assert alike.high < rough.low
    assert rough.high < nothing.low
    assert alike.high < blurred.low


def test_pixels_beyond_black_and_white_count_as_these():
    found = perception_of(DIGITS)
    drawn = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    beyond = 9 * drawn.sign()
    assert torch.equal(found.features(beyond), found.features(beyond.clamp(0, 1)))


def test_the_classifier_tells_digits_apart_that_it_was_not_trained_on():
    found = perception_of(DIGITS)
    assert found.accuracy > 0.95  # 179 digits: three standard errors below 0.97 are 0.93
    assert found.n_train == 1618
    features = found.features(load_split(replace(DIGITS, scale=1.0)).train + 0.305)
    assert features.shape == (400, 32)


def test_it_is_trained_once_and_found_again(fresh, fits):
    first = weights()
    again = weights()
    assert len(fits) == 1
    assert all(torch.equal(first[name], again[name]) for name in first)
    (file,) = fresh.iterdir()
    file.unlink()
    anew = weights()
    assert len(fits) == 2
    assert all(torch.equal(first[name], anew[name]) for name in first)


def test_a_damaged_file_is_written_again(fresh, fits):
    first = weights()
    (file,) = fresh.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    anew = weights()
    assert len(fits) == 2
    assert all(torch.equal(first[name], anew[name]) for name in first)


def test_without_a_folder_to_write_in_it_does_without(fresh, fits):
    fresh.parent.mkdir(parents=True)
    fresh.write_text("a file where the folder should be")
    assert weights()
    assert len(fits) == 1


def test_a_user_without_a_home_does_without(fresh, fits, monkeypatch):
    def nobody(cls):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(pathlib.Path, "home", classmethod(nobody))
    assert weights()
    assert len(fits) == 1
    assert not fresh.exists()


def test_a_source_without_classes_has_no_such_quality():
    config = DataConfig(name="mixture", n_train=20, n_holdout=20)
    assert qualities_of(load_split(config), config) == {}
