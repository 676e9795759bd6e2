import numpy as np
import pytest
import torch

from memhorizon.errors import InputError
from memhorizon.files.tensors import as_tensor


def noise(*shape, seed=0, high=256, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def test_array_types():
    wide = noise(4, 5, high=65536, dtype=np.uint16)
    assert np.array_equal(as_tensor(wide, "x").numpy(), wide / np.float32(65535))
    assert as_tensor(wide > 30000, "x").unique().tolist() == [0, 1]
    assert as_tensor(noise(4, 5) / 3, "x").shape == (4, 5)


LAYOUTS = {  # channels, height, width or the like, to what is certain of it
    "first": [(3, 5, 6), (1, 8, 100), (4, 4, 4), (3, 3, 3), (3, 5, 3), (3, 4, 4), (1, 28, 28), (4, 64, 3)]
    + [(32, 4, 4), (16, 1, 1), (8, 4, 4), (128, 3, 3), (2, 32, 32), (16, 16, 16), (64, 8, 8), (3, 218, 178)],
    "last": [(5, 6, 3), (6, 8, 3), (28, 28, 1), (32, 32, 3), (8, 8, 4), (218, 178, 3), (64, 512, 3)],
    None: [(16, 8, 4), (6, 4, 3), (5, 3, 3), (4, 4, 32), (8, 8, 16), (32, 32, 2), (24, 32, 2), (4, 4, 1)],
}


@pytest.mark.parametrize(("channels", "shape"), [(c, s) for c, shapes in LAYOUTS.items() for s in shapes])
def test_channels_last_is_recognised_where_it_is_certain(channels, shape):
    pixels = torch.from_numpy(noise(2, *shape))
    first, last = pixels / 255, pixels.permute(0, 3, 1, 2) / 255
    assert torch.equal(as_tensor(pixels, "x", channels="first"), first)
    assert torch.equal(as_tensor(pixels, "x", channels="last"), last)
    if channels is None:
        with pytest.raises(
            InputError, match='x: expected pictures .* choose with channels="first" or "last"'
        ):
            as_tensor(pixels, "x")
    else:
        found = as_tensor(pixels, "x")
        assert torch.equal(found, first if channels == "first" else last)
        assert torch.equal(as_tensor(found, "x"), found)  # what was recognised stays as it is


def test_grey_pictures_without_an_axis_of_channels():
    for shape in ((5, 6, 7), (1, 4, 4), (2, 28, 28), (60, 3, 3)):
        assert as_tensor(noise(*shape), "x").shape == (shape[0], 1, *shape[1:])


@pytest.mark.parametrize("shape", [(3, 28, 28), (4, 64, 64), (28, 28, 3), (32, 24, 4), (28, 28, 1)])
def test_one_picture_in_colour_is_no_set(shape):
    for pixels in (noise(*shape), torch.from_numpy(noise(*shape)).float()):
        with pytest.raises(InputError, match=r"x: expected a set of pictures, got shape .* one in colour"):
            as_tensor(pixels, "x")


def test_one_grey_picture_is_no_set_of_vectors():
    for shape in ((28, 28), (480, 640), (64, 48)):
        with pytest.raises(InputError, match="x: expected a set, got one array of shape"):
            as_tensor(noise(*shape), "x")
        assert as_tensor(noise(*shape) / 255, "x").shape == shape
    for shape in ((50, 784), (1797, 64), (7, 7)):
        assert as_tensor(noise(*shape), "x").shape == shape


@pytest.mark.parametrize("bits", [2, 4, 8, 10, 12, 13, 14, 15])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_integers_that_leave_their_range_unused_are_refused(bits, wrap):
    pixels = noise(5, 6, 6, high=2**bits, dtype=np.uint16)
    pixels[0, 0, 0] = 2**bits - 1
    for dtype in (np.uint8, np.uint16):
        if bits < (8 if dtype == np.uint8 else 16):
            message = (
                rf"x: .* the largest of all is {2**bits - 1:,}; if they are of {bits} bits, divide them by"
            )
            with pytest.raises(InputError, match=message):
                as_tensor(wrap(pixels.astype(dtype)), "x")
            bright = pixels.astype(dtype)
            bright[1] = noise(6, 6).astype(dtype) * dtype(
                np.iinfo(dtype).max // 255
            )  # one picture that uses the range is enough
            assert np.array_equal(
                as_tensor(wrap(bright), "x")[:, 0].numpy(), bright / np.float32(np.iinfo(dtype).max)
            )


def test_dark_pictures_masks_and_nothing_but_zeros_are_no_narrow_integers():
    dark = noise(9, 6, 6, high=40)
    assert np.array_equal(as_tensor(dark, "x")[:, 0].numpy(), dark / np.float32(255))
    mask = noise(9, 6, 6, high=2)
    for dtype in (bool, np.uint8, np.uint16):
        assert np.array_equal(as_tensor(mask.astype(dtype), "x")[:, 0].numpy(), mask)
    assert as_tensor(np.zeros((9, 7), np.uint8), "x").max() == 0


@pytest.mark.parametrize("dtype", [">f4", "<f8", "f2", ">u2"])
def test_byte_orders_strides_and_read_only_arrays(dtype):
    values = (noise(4, 6).astype(np.uint16) * 100).astype(dtype)[:, ::-2]
    values.setflags(write=False)
    expected = values.astype(np.float32) / (65535 if "u" in dtype else 1)
    np.testing.assert_array_equal(as_tensor(values, "x").numpy(), expected.astype(np.float32))


def test_float32_tensors_are_not_copied_and_others_keep_their_source():
    x = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    assert as_tensor(x, "x").data_ptr() == x.data_ptr()
    pixels = torch.arange(0, 240, 20, dtype=torch.uint8).reshape(3, 4)
    as_tensor(pixels, "x")
    assert pixels.flatten().tolist() == list(range(0, 240, 20))


WRONG_ARRAYS = {
    "int64": (np.zeros((2, 3), int), "uint8.*got int64"),
    "torch int32": (torch.zeros(2, 3, dtype=torch.int32), "uint8.*got int32"),
    "complex": (np.zeros((2, 3), complex), "got complex128"),
    "torch complex": (torch.zeros(2, 3, dtype=torch.complex64), "got complex64"),
    "objects": (np.array([[None]]), "got object"),
    "strings": (np.array([["a"]]), "got <U1"),
    "signed bytes": (np.zeros((2, 3), np.int8), "got int8"),
    "torch uint32": (torch.zeros(2, 3, dtype=torch.uint32), "got uint32"),
    "NumPy uint32": (np.zeros((2, 3), np.uint32), "got uint32"),
    "masked": (np.ma.masked_array(np.ones((2, 3)), mask=np.eye(2, 3)), "got a masked array"),
    "masked nowhere": (np.ma.masked_array(np.ones((2, 3))), "got a masked array"),
    "sparse": (torch.eye(3).to_sparse(), "dense tensor, got torch.sparse_coo"),
    "named columns": (np.zeros((2, 3), [("a", "f4")]), r"got \[\('a'"),
    "dates": (np.zeros((2, 3), "M8[s]"), "got datetime64"),
    "one axis": (np.zeros(3), r"\[n, \*item\], got shape \(3,\)"),
    "a number": (np.array(1.0), r"got shape \(\)"),
    "no items": (np.zeros((0, 3)), r"at least one item.*\(0, 3\)"),
    "empty items": (np.zeros((3, 0)), r"\(3, 0\)"),
}


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_wrong_arrays_are_named(case):
    array, message = WRONG_ARRAYS[case]
    with pytest.raises(InputError, match=f"^mine: .*{message}"):
        as_tensor(array, "mine")
