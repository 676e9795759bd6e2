import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from memhorizon.datasets.sources import FASHION_MNIST
from memhorizon.errors import InputError
from memhorizon.files.idx import read_idx
from memhorizon.files.layouts import list_celeba, read_cifar10, read_digits, read_mnist
from reference_files import deadline


def noise(*shape, seed=0, high=256):
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint8)


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_the_digits_are_those_of_the_uci_test_set():
    """Class counts as published on the data set's UCI page."""
    images, labels = read_digits()
    assert images.shape == (1797, 1, 8, 8)
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert torch.equal(images * 16, (images * 16).round())
    assert (float(images.min()), float(images.max())) == (0, 1)
    assert len(images.flatten(1).unique(dim=0)) == 1797


@pytest.mark.skipif(not Path(FASHION_MNIST).exists(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_the_published_one():
    """60,000 pictures, 6,000 a class, mean 0.2860, standard deviation 0.3530, as its users quote it."""
    images, labels = read_mnist(Path(FASHION_MNIST))
    assert images.shape == (60000, 1, 28, 28)
    assert labels.bincount().tolist() == [6000] * 10
    pixels = images.numpy()
    assert round(pixels.mean() / 255, 4) == 0.2860
    assert round(float(pixels.std(dtype=np.float32)) / 255, 3) == 0.353


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_files_plain_and_packed_under_both_names(tmp_path, dot, packed):
    images, labels = noise(5, 4, 6), noise(5, high=10)
    for what, array in (("images-idx3", images), ("labels-idx1", labels)):
        name = f"train-{what.replace('-', '.') if dot else what}-ubyte"
        data = gzip.compress(idx(array)) if packed else idx(array)
        (tmp_path / (name + ".gz" * packed)).write_bytes(data)
    got, got_labels = read_mnist(tmp_path)
    assert np.array_equal(got[:, 0], images)
    assert np.array_equal(got_labels, labels)


def test_mnist_without_labels(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(noise(5, 4, 6)))
    assert read_mnist(tmp_path)[1] is None


GOOD = idx(noise(5, 4, 6))


def test_bad_mnist_folders_are_named(tmp_path):
    with pytest.raises(InputError, match="expected train-images-idx3-ubyte or .gz in"):
        read_mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(GOOD)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(noise(4, high=10)))
    with pytest.raises(InputError, match="expected 5 labels, got 4"):
        read_mnist(tmp_path)


def write_cifar(folder, rows=3, label=None):
    folder.mkdir(parents=True, exist_ok=True)
    table = noise(5 * rows, 3073)
    table[:, 0] = noise(5 * rows, seed=1, high=10) if label is None else label
    for i in range(5):
        (folder / f"data_batch_{i + 1}.bin").write_bytes(table[rows * i : rows * (i + 1)].tobytes())
    return table


@pytest.mark.parametrize("inside", [False, True])
def test_cifar10_rows_are_label_red_green_blue(tmp_path, inside):
    table = write_cifar(tmp_path / "cifar-10-batches-bin" if inside else tmp_path)
    images, labels = read_cifar10(tmp_path)
    assert np.array_equal(labels, table[:, 0])
    red, green, blue = table[7, 1:1025], table[7, 1025:2049], table[7, 2049:]
    assert np.array_equal(images[7].numpy(), np.stack([c.reshape(32, 32) for c in (red, green, blue)]))


def _python_version(folder):
    (folder / "cifar-10-batches-py").mkdir()
    (folder / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"\x80")


def _truncated(folder):
    write_cifar(folder)
    path = folder / "data_batch_4.bin"
    path.write_bytes(path.read_bytes()[:-1])


BAD_CIFAR = {
    "empty folder": (lambda p: None, "expected data_batch_1.bin in .*not there$"),
    "the python version": (_python_version, "pickled and never opened, take the binary version"),
    "a file is missing": (
        lambda p: write_cifar(p) is None or (p / "data_batch_3.bin").unlink(),
        "data_batch_3.bin",
    ),
    "truncated": (_truncated, "data_batch_4.bin: expected rows of 3,073 bytes, got 9,218"),
    "empty file": (lambda p: write_cifar(p, rows=0), "data_batch_1.bin: .*got 0 bytes"),
    "labels beyond 9": (lambda p: write_cifar(p, label=77), "expected labels 0 to 9, got 77"),
}


@pytest.mark.parametrize("case", BAD_CIFAR)
def test_bad_cifar10_folders_are_named(tmp_path, case):
    make, message = BAD_CIFAR[case]
    make(tmp_path)
    with pytest.raises(InputError, match=message):
        read_cifar10(tmp_path)


@pytest.mark.parametrize(
    "place", ["img_align_celeba", "Img/img_align_celeba", "img_align_celeba/img_align_celeba"]
)
def test_celeba_layouts(tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    for i in range(1, 7):
        Image.fromarray(noise(218, 178, 3, seed=i)).save(tmp_path / place / f"{i:06}.jpg")
    assert list(list_celeba(tmp_path).names) == [f"{i:06}.jpg" for i in range(1, 7)]
    part = "".join(f"{i:06}.jpg {p}\n" for i, p in zip(range(1, 7), (0, 0, 1, 2, 0, 0), strict=True))
    (tmp_path / "list_eval_partition.txt").write_text(part)
    files = list_celeba(tmp_path)
    assert list(files.names) == ["000001.jpg", "000002.jpg", "000005.jpg", "000006.jpg"]
    assert files.read(2).shape == (3, 218, 178)


def test_the_folder_of_pictures_itself_is_fine(tmp_path):
    Image.fromarray(noise(218, 178, 3)).save(tmp_path / "000001.jpg")
    assert list(list_celeba(tmp_path).names) == ["000001.jpg"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image_id;partition\n", "line 1, got 'image_id;partition'"),
        ("a\x1b[2J.jpg\n", "line 1"),
        ("000001.jpg 0\n000002.jpg\n", "line 2, got '000002.jpg'"),
        ("000001.jpg 3\n", "line 1"),
        ("image_id,partition\n", "found no picture of the training part"),
        ("000001.jpg 0\nimage_id,partition\n", "line 2, got 'image_id,partition'"),
        ("000001.jpg 1\n", "found no picture of the training part"),
        ("../../secret.jpg 0\n", "line 1"),
        ("000001.jpg 0\n\n000001.jpg 2\n", "line 3 has '000001.jpg' again"),
    ],
)
def test_bad_celeba_tables_are_named(tmp_path, table, message):
    (tmp_path / "img_align_celeba").mkdir()
    (tmp_path / "list_eval_partition.txt").write_text(table)
    with pytest.raises(InputError, match=f"list_eval_partition.txt: .*{message}"):
        list_celeba(tmp_path)


def test_celeba_without_pictures_is_named(tmp_path):
    with pytest.raises(InputError, match="expected pictures in this folder, found none"):
        list_celeba(tmp_path)


@pytest.mark.parametrize("inside", ["MNIST/raw", "raw", "MNIST", ""])
@pytest.mark.parametrize("folders", [False, True])
def test_mnist_where_torchvision_and_archives_put_it(tmp_path, inside, folders):
    images, labels = noise(5, 4, 6), noise(5, high=10)
    for what, array in (("images-idx3", images), ("labels-idx1", labels)):
        place = tmp_path / inside / (f"train-{what}-ubyte" if folders else "")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"train-{what}-ubyte").write_bytes(idx(array))
    (tmp_path / "FashionMNIST/raw").mkdir(parents=True)
    (tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte").write_bytes(idx(noise(3, 4, 6, seed=1)))
    got, got_labels = read_mnist(tmp_path)
    assert np.array_equal(got[:, 0], images)
    assert np.array_equal(got_labels, labels)
    if inside == "MNIST/raw":
        assert np.array_equal(read_mnist(tmp_path, "fashion-mnist")[0][:, 0], noise(3, 4, 6, seed=1))


def test_fashion_mnist_is_never_taken_for_mnist(tmp_path):
    (tmp_path / "FashionMNIST/raw").mkdir(parents=True)
    (tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte").write_bytes(GOOD)
    with pytest.raises(InputError, match="expected train-images-idx3-ubyte or .gz in .* or its MNIST/raw"):
        read_mnist(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_emnist_is_turned_upright(tmp_path, packed):
    upright, labels = noise(5, 4, 4), noise(5, high=26)
    for what, array in (("images-idx3", upright.transpose(0, 2, 1)), ("labels-idx1", labels)):
        data = idx(np.ascontiguousarray(array))
        path = tmp_path / f"emnist-letters-train-{what}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data) if packed else data)
    got, got_labels = read_mnist(tmp_path)
    assert np.array_equal(got[:, 0], upright)
    assert np.array_equal(got_labels, labels)
    (tmp_path / "emnist-digits-train-images-idx3-ubyte").write_bytes(GOOD)
    with pytest.raises(
        InputError, match="one set of IDX files in .*, got those of emnist-digits-, emnist-letters-"
    ):
        read_mnist(tmp_path)


def put(place, prefix, images, packed=False):
    place.mkdir(parents=True, exist_ok=True)
    for what, array in (("images-idx3", images), ("labels-idx1", np.arange(len(images), dtype=np.uint8))):
        data = idx(array)
        name = f"{prefix}train-{what}-ubyte{'.gz' if packed else ''}"
        (place / name).write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("place", "prefix"),
    [
        ("KMNIST/raw", ""),
        ("KMNIST", ""),
        ("EMNIST/raw", "emnist-letters-"),
        ("EMNIST/raw/gzip", "emnist-letters-"),
        ("gzip", "emnist-digits-"),
        ("raw/gzip", "emnist-digits-"),
    ],
)
def test_the_relatives_of_mnist_are_found_in_torchvisions_root(tmp_path, place, prefix, packed):
    images = noise(5, 4, 4)
    put(tmp_path / place, prefix, images, packed)
    got, labels = read_mnist(tmp_path)
    assert np.array_equal(got[:, 0], images.transpose(0, 2, 1) if prefix else images)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="it is not there"):
        read_mnist(tmp_path, "fashion-mnist")
    put(tmp_path / "QMNIST/raw", "qmnist-", noise(5, 4, 4, seed=1))
    with pytest.raises(
        InputError, match="expected one set of IDX files in .*, got those of .*QMNIST qmnist-"
    ):
        read_mnist(tmp_path)
    put(tmp_path / "MNIST/raw", "", noise(5, 4, 4, seed=2))
    assert np.array_equal(read_mnist(tmp_path)[0][:, 0], noise(5, 4, 4, seed=2))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("inside", ["QMNIST/raw", "raw", ""])
def test_qmnist_has_its_classes_in_a_table_of_integers(tmp_path, inside, packed):
    images, table = noise(5, 4, 6), np.arange(40).reshape(5, 8) + 70_000
    table[:, 0] = [3, 1, 4, 1, 5]
    put(tmp_path / inside, "qmnist-", images)
    data = bytes([0, 0, 12, 2, 0, 0, 0, 5, 0, 0, 0, 8]) + table.astype(">i4").tobytes()
    name = tmp_path / inside / f"qmnist-train-labels-idx2-int{'.gz' if packed else ''}"
    name.write_bytes(gzip.compress(data) if packed else data)
    got, labels = read_mnist(tmp_path)
    assert np.array_equal(got[:, 0], images)
    assert labels.tolist() == [3, 1, 4, 1, 5]
    name.write_bytes(data[:-3])
    with pytest.raises(InputError, match=r"expected 160 bytes for shape \[5, 8\], got 157"):
        read_mnist(tmp_path)


@pytest.mark.parametrize("head", ["image_id, partition", '"image_id","partition"', "Image_ID,Partition", ""])
@pytest.mark.parametrize("row", ["{},{}", "{}, {}", '"{}","{}"', "'{}',{}", '"{}", {}'])
def test_celeba_tables_as_spreadsheets_save_them(tmp_path, head, row):
    (tmp_path / "img_align_celeba").mkdir()
    for i in range(1, 5):
        (tmp_path / "img_align_celeba" / f"{i:06}.jpg").write_bytes(b"x")
    rows = [row.format(f"{i:06}.jpg", part) for i, part in zip(range(1, 5), (0, 2, 1, 0), strict=True)]
    (tmp_path / "list_eval_partition.csv").write_text("\n".join([head, *rows]))
    assert list(list_celeba(tmp_path).names) == ["000001.jpg", "000004.jpg"]


def test_published_files_that_are_named_pipes_are_refused(tmp_path):
    for name in ("idx", "data_batch_1.bin", "list_eval_partition.txt", "train-images-idx3-ubyte"):
        os.mkfifo(tmp_path / name)
    message = "expected a regular file, got a named pipe"
    with deadline():
        with pytest.raises(InputError, match=message):
            read_idx(tmp_path / "idx", ndim=3)
        with pytest.raises(InputError, match=message):
            read_cifar10(tmp_path)
        with pytest.raises(InputError, match=message):
            list_celeba(tmp_path)
        with pytest.raises(InputError, match="it is not there"):
            read_mnist(tmp_path)


@pytest.mark.parametrize(
    "place", ["cifar-10-binary/cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10"]
)
def test_cifar10_where_archives_put_it(tmp_path, place):
    table = write_cifar(tmp_path / place)
    assert np.array_equal(read_cifar10(tmp_path)[1], table[:, 0])


def test_cifar10_still_packed(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"")
    with pytest.raises(InputError, match="not there; unpack cifar-10-binary.tar.gz there"):
        read_cifar10(tmp_path)


def _kaggle(lines):
    return "image_id,partition\n" + "".join(line.replace(" ", ",") for line in lines)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("suffix", ["txt", "csv"])
def test_celeba_tables_as_people_have_them(tmp_path, encoding, end, suffix):
    root = tmp_path / "img_align_celeba" / "img_align_celeba"
    root.mkdir(parents=True)
    for i in range(1, 7):
        (root / f"{i:06}.jpg").write_bytes(b"x")
    (root / "notes.txt").write_text("x")
    lines = [f"{i:06}.jpg {part}\n" for i, part in zip(range(1, 7), (0, 0, 1, 2, 0, 0), strict=True)]
    text = _kaggle(lines) if suffix == "csv" else "".join(lines)
    (tmp_path / f"list_eval_partition.{suffix}").write_bytes(
        (text + "\n").replace("\n", end).encode(encoding)
    )
    files = list_celeba(tmp_path)
    assert list(files.names) == ["000001.jpg", "000002.jpg", "000005.jpg", "000006.jpg"]
    assert files.ignored == 3
    assert files.suffixes == {".jpg": 2, ".txt": 1}


def test_idx_files_of_zeros_and_ones_are_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(noise(5, 4, 6, high=2)))
    with pytest.raises(
        InputError, match="train-images-idx3-ubyte: expected integers that use .* of all is 1;"
    ):
        read_mnist(tmp_path)
