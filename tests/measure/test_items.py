"""Items in every form: arrays, lists, files, folders; and what is none."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from memhorizon.errors import InputError
from memhorizon.files.images import ImageSet, load_images
from memhorizon.measure.duplicates import duplicate_groups
from memhorizon.measure.features import pca_features
from memhorizon.measure.items import as_items
from memhorizon.measure.memorization import gap_ratios, intrinsic_dimension, memorized_fraction
from memhorizon.measure.neighbors import nearest, pairs_within
from memhorizon.measure.quality import frechet_distance, kernel_distance


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


TRAIN = uniform(60, 1, 4, 4, seed=1)
SAMPLES = torch.cat([TRAIN[:20], uniform(20, 1, 4, 4, seed=2)])
PAIRS = {
    "gap_ratios": gap_ratios,
    "nearest": nearest,
    "frechet_distance": frechet_distance,
    "kernel_distance": kernel_distance,
}
SINGLES = {
    "duplicate_groups": duplicate_groups,
    "intrinsic_dimension": intrinsic_dimension,
    "pairs_within": lambda x: pairs_within(x, 0.5),
    "pca_features": lambda x: pca_features(x, 2)(x),
}


def read_only(x):
    array = x.numpy().copy()
    array.setflags(write=False)
    return array


SAME = {  # other forms of the very same numbers
    "array": lambda x: x.numpy(),
    "read-only array": read_only,
    "other byte order": lambda x: x.numpy().astype(">f4"),
    "columns first": lambda x: np.asfortranarray(x.numpy()),
    "backwards": lambda x: x.numpy()[::-1].copy()[::-1],
    "nested lists": lambda x: x.double().tolist(),
    "list of tensors": list,
    "list of arrays": lambda x: [item.numpy() for item in x],
    "masked array without a mask": lambda x: np.ma.masked_array(x.numpy()),
    "with a gradient": lambda x: x.clone().requires_grad_(),
    "image set": lambda x: ImageSet(x, tuple(map(str, range(len(x))))),
}


@pytest.mark.parametrize("form", SAME)
@pytest.mark.parametrize("name", PAIRS)
def test_other_forms_of_the_same_numbers_give_the_same_answer(name, form):
    plain, other = PAIRS[name](SAMPLES, TRAIN), PAIRS[name](SAME[form](SAMPLES), SAME[form](TRAIN))
    for one, two in zip(*(x if isinstance(x, tuple) else [x] for x in (plain, other)), strict=True):
        if isinstance(one, torch.Tensor):
            torch.testing.assert_close(two.to(one.dtype), one, rtol=2.0**-22, atol=0)  # lists are 64 bits
        else:
            assert two.value == pytest.approx(one.value, rel=1e-9, abs=1e-12)


# ---- paths


def as_npy(x, folder):
    np.save(folder / "x.npy", x.numpy())
    return folder / "x.npy"


def as_npz(x, folder):
    np.savez(folder / "x.npz", images=x.numpy(), labels=np.arange(len(x)))
    return str(folder / "x.npz")


def as_npz_with_key(x, folder):
    np.savez_compressed(folder / "y.npz", a=x.numpy(), b=np.zeros((2, 2)))
    return f"{folder / 'y.npz'}::a"


def as_safetensors(x, folder):
    save_file({"samples": x.contiguous()}, folder / "x.safetensors")
    return folder / "x.safetensors"


FILES = {"npy": as_npy, "npz": as_npz, "npz with a key": as_npz_with_key, "safetensors": as_safetensors}


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("name", [*PAIRS, *SINGLES, "near groups"])
def test_a_path_gives_the_answer_of_what_it_holds(name, form, tmp_path):
    (tmp_path / "train").mkdir()
    samples = FILES[form](SAMPLES, tmp_path)
    train = FILES[form](TRAIN, tmp_path / "train")
    if name in PAIRS:
        plain = PAIRS[name](SAMPLES, TRAIN)
        found = PAIRS[name](samples, train)
    else:
        call = SINGLES.get(name, duplicate_groups)
        plain = call(TRAIN)
        found = call(train)
    assert str(found) == str(plain)


def test_a_folder_of_pictures_is_what_load_images_reads(tmp_path):
    pixels = (TRAIN[:, 0] * 255).round().to(torch.uint8).numpy()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{i:02}.png")
    images = load_images(tmp_path)
    paths = sorted(tmp_path.iterdir())
    for train in (tmp_path, str(tmp_path), paths, images, images.images, pixels[:, None]):
        assert memorized_fraction(gap_ratios(images.images[:20], train)).value == 1
        assert torch.equal(nearest(images, train)[1], nearest(images.images, images.images)[1])
    # one that cannot be used: nothing is left out unless the caller does so
    (tmp_path / "broken.png").write_bytes(b"broken")
    with pytest.raises(
        InputError, match=r"train: expected pictures all of which .* 1 would be .* broken.png"
    ):
        nearest(images, tmp_path)
    assert torch.equal(nearest(images, load_images(tmp_path))[1], nearest(images, images)[1])


def test_numbers_of_any_shape_come_from_files_too(tmp_path):
    np.save(tmp_path / "ratios.npy", np.array([0.1, 0.9, 0.2]))
    assert memorized_fraction(tmp_path / "ratios.npy").count == 2
    np.save(tmp_path / "group.npy", np.arange(60) // 2)
    group = torch.arange(60) // 2
    assert torch.equal(
        gap_ratios(SAMPLES, TRAIN, group=tmp_path / "group.npy"), gap_ratios(SAMPLES, TRAIN, group=group)
    )
    for call in (lambda x: memorized_fraction(x), lambda x: gap_ratios(SAMPLES, TRAIN, group=x)):
        with pytest.raises(
            InputError, match="(ratios|group): expected an array, or the path of one; .*no such"
        ):
            call(tmp_path / "missing.npy")


NARROW = (torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int64, torch.bfloat16)
NARROW += (torch.float16, torch.float8_e4m3fn, torch.float8_e5m2)


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_every_real_type_is_compared_by_its_values(dtype):
    train, samples = ((x * 100).to(dtype) for x in (TRAIN, SAMPLES))
    found = gap_ratios(samples, train)
    wide = gap_ratios(samples.float(), train.float())
    torch.testing.assert_close(found.float(), wide, rtol=2.0**-23, atol=0)
    assert frechet_distance(samples, train).value == pytest.approx(
        frechet_distance(samples.double(), train.double()).value
    )
    assert len(duplicate_groups(train)) == 60


BAD = {
    "vector": TRAIN.flatten(),
    "number": torch.tensor(1.0),
    "no item": TRAIN[:0],
    "no entries": TRAIN[:, :, :0],
    "complex": TRAIN.to(torch.complex64),
    "complex array": TRAIN.numpy().astype(complex),
    "objects": TRAIN.numpy().astype(object),
    "words": np.full((60, 4), "a"),
    "dates": np.zeros((60, 4), dtype="datetime64[s]"),
    "records": np.zeros(60, dtype=[("a", float), ("b", int)]),
    "long doubles": TRAIN.numpy().astype(np.longdouble),
    "ragged lists": [[1.0, 2.0], [3.0]],
    "ragged tensors": [torch.ones(2), torch.ones(3)],
    "masked array": np.ma.masked_array(TRAIN.numpy(), mask=TRAIN.numpy() > 0.5),
    "sparse": TRAIN.flatten(1).to_sparse(),
    "meta": TRAIN.to("meta"),
    "path": "train/",
    "nothing": None,
    "dictionary": {"images": TRAIN},
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", [*PAIRS, *SINGLES])
def test_what_is_no_array_of_items_is_refused(name, kind):
    call = SINGLES.get(name) or (lambda x: PAIRS[name](x, TRAIN))
    with pytest.raises(InputError, match="expected"):
        call(BAD[kind])
    if name in PAIRS:
        with pytest.raises(InputError, match="(train|y): expected"):
            PAIRS[name](TRAIN, BAD[kind])


def test_the_fraction_and_the_groups_take_arrays():
    assert memorized_fraction(np.array([0.1, 0.9])).count == memorized_fraction([0.1, 0.9]).count == 1
    twice, group = torch.cat([TRAIN, TRAIN]), np.arange(120) % 60
    assert torch.equal(gap_ratios(SAMPLES, twice, group=group), gap_ratios(SAMPLES, twice))


def test_items_keep_their_values():
    big = torch.tensor([[2**16 - 1], [0]], dtype=torch.uint16)
    assert as_items(big, "x").tolist() == [[65535], [0]]
    assert as_items(np.array([[2**32 - 1]], dtype=np.uint32), "x").tolist() == [[2**32 - 1]]


# ---- units

PIXELS = torch.randint(0, 256, (80, 3, 6, 6), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
UNIT = PIXELS.float() / 255


def test_pictures_with_channels_first_and_last_are_not_compared():
    for measure in (frechet_distance, kernel_distance):
        with pytest.raises(InputError, match="items of one shape"):
            measure(UNIT.permute(0, 2, 3, 1), UNIT)
        assert measure(UNIT.flatten(1), UNIT).value == measure(UNIT, UNIT).value


def test_what_a_set_of_items_raises_is_named():
    class Broken(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            raise LookupError("no such file")

    for x in (Broken(), [Broken()]):
        with pytest.raises(InputError, match="samples: expected an array"):
            gap_ratios(x, UNIT)


def test_features_of_principal_components_keep_the_unit_of_their_data():
    features = pca_features(UNIT, 4)
    with pytest.raises(InputError, match="the data of pca_features"):
        frechet_distance(PIXELS, PIXELS.flip(0), features=features)
    assert frechet_distance(PIXELS, UNIT, features=features).value < 1e-9
    assert math.isfinite(frechet_distance(UNIT * 900, UNIT, features=features, same_units=True).value)
    with pytest.raises(InputError, match="items: expected 108 entries"):
        features(UNIT[:, :2])


def test_devices_have_to_be_one():
    with pytest.raises(InputError, match="dense tensor, got .* on meta"):
        nearest(TRAIN, TRAIN.to("meta"))


def test_a_device_without_64_bits_is_computed_for_on_the_cpu(monkeypatch):
    """As on Apple's GPUs; the CPU plays one, so only the way there is tried, not the kernels."""
    from memhorizon import devices
    from memhorizon.measure import neighbors

    before = gap_ratios(SAMPLES, TRAIN), frechet_distance(SAMPLES, TRAIN)
    for module in (devices, neighbors):
        monkeypatch.setattr(module, "widest_float", lambda device: torch.float32)
    assert torch.equal(gap_ratios(SAMPLES, TRAIN), before[0])
    assert frechet_distance(SAMPLES, TRAIN) == before[1]
