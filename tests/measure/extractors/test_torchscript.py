"""Networks of TorchScript files: what they give, and files that are not opened."""

import pickle
import struct
import zipfile

import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.measure.extractors.loading import load_features
from memhorizon.measure.features import features_of
from scripted import Pair, Sums, Wrong, save_scripted


def pictures(n=11, seed=0):
    return torch.rand(n, 1, 4, 5, generator=torch.Generator().manual_seed(seed))


def expected(x):
    return 2 * x.double().sum(3).flatten(1)


@pytest.mark.parametrize("form", ["scripted", "traced", "frozen"])
def test_a_network_gives_what_it_computes_in_eval_mode(tmp_path, form):
    net = Sums() if form == "scripted" else Sums().eval()
    example = pictures(2) if form == "traced" else None
    path = save_scripted(net, tmp_path / "net.pt", example, freeze=form == "frozen")
    function = load_features(path)
    x = pictures()
    # sums of 5 numbers up to 1, times 2: five roundings of 2^-24 each of at most 10
    torch.testing.assert_close(features_of(x, "x", function, 4), expected(x), rtol=0, atol=5 * 10 * 2**-24)
    assert "net.pt" in repr(function)


def test_floats_get_the_type_of_the_weights(tmp_path):
    narrow = load_features(save_scripted(Sums(), tmp_path / "narrow.ts"))
    wide = load_features(save_scripted(Sums(torch.float64), tmp_path / "wide.pth"))
    x = pictures().double() / 3
    assert narrow(x).dtype == torch.float32
    torch.testing.assert_close(wide(x), expected(x), rtol=1e-15, atol=0)


def test_the_file_is_the_identity(tmp_path):
    one = load_features(save_scripted(Sums(), tmp_path / "one.pt"))
    again = load_features(tmp_path / "one.pt")
    other = load_features(save_scripted(Sums(torch.float64), tmp_path / "other.pt"))
    assert one.identity == again.identity != other.identity


class Trap:
    """A pickle of this makes a folder as soon as it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (self.path,)


@pytest.mark.parametrize("how", ["plain", "torch", "torch before 1.6"])
def test_a_pickle_is_never_opened(tmp_path, how):
    trap = tmp_path / "made"
    path = tmp_path / "net.pt"
    if how == "plain":
        path.write_bytes(pickle.dumps(Trap(str(trap))))
    else:
        torch.save(Trap(str(trap)), path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(InputError, match=r"net\.pt: expected a TorchScript file.*pickle"):
        load_features(path)
    assert not trap.exists()


def test_damaged_files_are_named(tmp_path):
    whole = save_scripted(Sums(), tmp_path / "whole.pt").read_bytes()
    files = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"no network",
        "other weight": whole.replace(struct.pack("<f", 2), struct.pack("<f", 3)),
    }
    assert files["other weight"] != whole
    for name, content in files.items():
        path = tmp_path / f"{name}.pt"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"^features: .*{name}\.pt.* damaged"):
            load_features(path)


def test_other_archives_folders_and_nothing_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match="another archive"):
        load_features(tmp_path / "zip.pt")
    with zipfile.ZipFile(tmp_path / "empty.pt", "w") as archive:
        archive.writestr("a/constants.pkl", "")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_features(tmp_path / "empty.pt")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(InputError, match="expected a regular file, got a folder"):
        load_features(tmp_path / "folder.pt")
    with pytest.raises(InputError, match=r"features: no such file or folder as .*none\.pt"):
        load_features(tmp_path / "none.pt")


@pytest.mark.parametrize("kind", ["map", "one", "fewer", "nan", "fails"])
def test_what_is_no_vector_for_each_item_is_refused(tmp_path, kind):
    function = load_features(save_scripted(Wrong(kind), tmp_path / "net.pt"))
    with pytest.raises(InputError, match="expected"):
        features_of(pictures(), "x", function, 4)


def test_two_outputs_are_refused(tmp_path):
    function = load_features(save_scripted(Pair(), tmp_path / "net.pt"))
    with pytest.raises(InputError, match=r"expected one tensor \[n, d\] of .*net\.pt, got tuple"):
        features_of(pictures(), "x", function, 4)
