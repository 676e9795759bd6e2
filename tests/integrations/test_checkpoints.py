"""Folders of checkpoints of diffusers: which are found, and which are refused before anything is done."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

import memhorizon as mh
from checkpoint_folders import folder_of, tiny
from memhorizon.integrations import find_checkpoints

diffusers = pytest.importorskip("diffusers")


def output(network):
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return network.eval()(x, torch.tensor([5, 900])).sample


def change(path, **entries):
    """Change entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def reasons(found):
    return {one.name: one.reason for one in found.skipped}


def test_every_layout_is_found_in_the_order_of_its_steps_and_gives_the_network_that_was_saved(tmp_path):
    """A pipeline, a network with its average, a network alone; 1,000 comes after 200."""
    plain, averaged, piped, alone = (tiny(seed) for seed in range(4))
    diffusers.DDPMScheduler().save_pretrained(tmp_path)
    folder = tmp_path / "checkpoint-1000"
    plain.save_pretrained(folder / "unet")
    ema = diffusers.training_utils.EMAModel(
        averaged.parameters(), model_cls=diffusers.UNet2DModel, model_config=averaged.config
    )
    ema.save_pretrained(folder / "unet_ema")
    pipeline = diffusers.DDPMPipeline(piped, diffusers.DDIMScheduler(beta_end=0.01))
    pipeline.save_pretrained(tmp_path / "step_0200")
    alone.save_pretrained(tmp_path / "3000")
    found = find_checkpoints(tmp_path)
    assert [(one.step, one.averaged) for one in found.found] == [(200, False), (1000, True), (3000, False)]
    assert found.skipped == ()
    for one, wanted in zip(found.found, (piped, averaged, alone), strict=True):
        network = one.network()
        assert torch.allclose(output(network), output(wanted), atol=1e-5)
        assert not network.training
    assert "DDIM" in repr(found.found[0].denoiser(piped))
    sigmas = [one.denoiser(piped).schedule.sigma(999) for one in found.found]
    assert sigmas[0] < sigmas[1] == sigmas[2]
    (same,) = find_checkpoints(tmp_path, weights="ema").found
    assert same == found.found[1]
    taken = find_checkpoints(tmp_path, weights="plain").found[1].network()
    assert torch.allclose(output(taken), output(plain), atol=1e-5)
    assert not torch.allclose(output(taken), output(averaged), atol=1e-2)


def test_a_flow_and_a_scheduler_that_is_named(tmp_path):
    (network,) = folder_of(tmp_path, [10], scheduler=False).values()
    with pytest.raises(mh.InputError, match="expected scheduler_config.json beside it"):
        find_checkpoints(tmp_path)
    diffusers.FlowMatchEulerDiscreteScheduler().save_pretrained(tmp_path / "elsewhere")
    for place in (tmp_path / "elsewhere", tmp_path / "elsewhere" / "scheduler_config.json"):
        (one,) = find_checkpoints(tmp_path, scheduler=place).found
        assert "velocity" in repr(one.denoiser(network))
    with pytest.raises(mh.InputError, match="scheduler: expected scheduler_config.json or its folder"):
        find_checkpoints(tmp_path, scheduler=tmp_path / "nowhere")


class Touch:
    """A pickle that makes a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_pickle_is_opened(tmp_path):
    folder_of(tmp_path, [10, 20])
    weights = tmp_path / "checkpoint-20" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    torch.save(Touch(str(tmp_path / "touched")), weights.with_suffix(".bin"))
    found = find_checkpoints(tmp_path)
    assert [one.step for one in found.found] == [10]
    assert "pickle, which may run code" in reasons(found)["checkpoint-20"]
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "expected a network that needs an image and a noise level"),
        ({"_class_name": "os.system"}, "got 'os.system'"),
        ({"_class_name": ["UNet2DModel"]}, "expected a network that needs an image"),
        ({"num_class_embeds": 10}, "expected a network without classes"),
        ({"layers_per_block": 10**9}, "expected at most 64 blocks and layers"),
        ({"block_out_channels": [8] * 1000}, "expected at most 64 blocks and layers"),
        ({"block_out_channels": [2**20, 2**20]}, "expected the weights of its config.json"),
        ({"block_out_channels": [2**40, 2**40]}, "cannot be built from its config.json"),
        ({"block_out_channels": [16, 16]}, "expected the weights of its config.json, got"),
        ({"down_block_types": ["NoBlock2D", "DownBlock2D"]}, "cannot be built from its config.json"),
        ({"act_fn": 5}, "cannot be built from its config.json"),
    ],
)
def test_a_network_that_cannot_be_is_refused_before_it_takes_memory(tmp_path, entries, message):
    folder_of(tmp_path, [10])
    change(tmp_path / "checkpoint-10" / "unet" / "config.json", **entries)
    (one,) = find_checkpoints(tmp_path).found
    with pytest.raises(mh.InputError, match=message):
        one.network()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"_class_name": "subprocess"}, "expected a scheduler of diffusers, got 'subprocess'"),
        ({"_class_name": "DDPMPipeline"}, "expected a scheduler of diffusers"),
        ({"_class_name": "NoScheduler"}, "expected a scheduler of diffusers"),
        ({"beta_schedule": "nothing"}, "cannot be built"),
        ({"prediction_type": "magic"}, "scheduler: expected one with alphas_cumprod and a known"),
    ],
)
def test_a_scheduler_that_cannot_be_is_refused(tmp_path, entries, message):
    (network,) = folder_of(tmp_path, [10]).values()
    change(tmp_path / "scheduler" / "scheduler_config.json", **entries)
    (one,) = find_checkpoints(tmp_path).found
    with pytest.raises(mh.InputError, match=message):
        one.denoiser(network)


def test_damaged_weights_are_refused(tmp_path):
    folder_of(tmp_path, [10])
    (one,) = find_checkpoints(tmp_path).found
    weights = one.path / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:5000])
    with pytest.raises(mh.InputError, match="cannot be read"):
        one.network()
    weights.write_bytes(whole)
    tensors = load_file(weights)
    save_file(dict(list(tensors.items())[1:]), weights)
    with pytest.raises(mh.InputError, match="got 1 others, the first is"):
        one.network()


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_checkpoint_is_told(tmp_path):
    folder_of(tmp_path, [10])
    (tmp_path / "checkpoint-20").mkdir()
    (tmp_path / "logs").mkdir()
    huge = 99999999999999999999999
    for digits in (huge, "9" * 200):
        tiny().save_pretrained(tmp_path / f"checkpoint-{digits}" / "unet")
    tiny().save_pretrained(tmp_path / "other-10")
    sharded = tmp_path / "checkpoint-30" / "unet"
    sharded.mkdir(parents=True)
    (sharded / "config.json").write_text("{}")
    (sharded / "diffusion_pytorch_model.safetensors.index.json").write_text("{}")
    found = find_checkpoints(tmp_path)
    told = reasons(found)
    assert [one.step for one in found.found] == [10]
    assert "expected a network of diffusers" in told["checkpoint-20"]
    assert "several files" in told["checkpoint-30"]
    assert "step 10 is also that of checkpoint-10" in told["other-10"]
    for name in (f"checkpoint-{huge}", f"checkpoint-{'9' * 200}"):
        assert "expected a step of at most 12 digits" in told[name]
    with pytest.raises(mh.InputError, match="got none; their folders have names that end in the step"):
        find_checkpoints(tmp_path / "logs")
    with pytest.raises(mh.InputError, match="folder: expected a folder of checkpoints, got"):
        find_checkpoints(tmp_path / "nowhere")
    with pytest.raises(mh.InputError, match='weights: expected one of "auto", "ema", "plain"'):
        find_checkpoints(tmp_path, weights="best")
