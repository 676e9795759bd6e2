"""Devices as machines have them; what this machine lacks is imitated by the answer that torch would give."""

import pytest
import torch

from memhorizon.devices import default_device, device_of, widest_float
from memhorizon.errors import InputError


def test_a_cuda_build_without_a_gpu_computes_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch._C, "_accelerator_getAccelerator", lambda: torch.device("cuda"))
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert torch.accelerator.current_accelerator() == torch.device("cuda")
    assert default_device() == torch.device("cpu")


def test_a_device_is_found_by_name():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of(None) == default_device()


@pytest.mark.parametrize("name", ["cuda:99", "toaster", "", "cpu:cpu"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match="device: expected one of this machine"):
        device_of(name)


def test_float64_wherever_it_exists():
    assert widest_float(torch.device("cpu")) == torch.float64
    assert widest_float(torch.device("mps")) == torch.float32


@pytest.mark.parametrize("name", ["meta", torch.device("meta")])
def test_a_device_that_holds_no_numbers_is_refused(name):
    with pytest.raises(InputError, match="device: expected"):
        device_of(name)
