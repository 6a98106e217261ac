import pytest
import torch

from scaler.errors import UserError
from scaler.training.device import Device, resolve


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs, of which torch only has to say so."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: ((7, 5), (9, 0))[index])


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_auto_without_a_gpu_is_the_cpu(no_gpu: None) -> None:
    assert resolve("auto") == resolve("cpu") == Device("cpu", bf16=False)
    assert resolve("cpu").indices == []


@pytest.mark.usefixtures("gpus")
def test_auto_takes_the_first_gpu_and_its_own_precision() -> None:
    assert resolve("auto") == resolve("cuda") == resolve("cuda:0") == Device("cuda:0", bf16=False)
    assert resolve("cuda:1") == Device("cuda:1", bf16=True)
    assert resolve("cuda:1").indices == [1]
    assert resolve("cpu") == Device()


@pytest.mark.usefixtures("gpus")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"2 CUDA GPUs.*cuda:2"):
        resolve("cuda:2")


def test_cuda_without_a_gpu(no_gpu: None) -> None:
    with pytest.raises(UserError, match=r"no cuda.*--device cpu"):
        resolve("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "cpu:0"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UserError, match="auto, cpu, cuda or cuda:N"):
        resolve(name)


def test_place_keeps_values_and_changes_the_layout() -> None:
    conv = torch.nn.Conv2d(3, 4, 3)
    before = conv.weight.detach().clone()
    assert Device().place(conv) is conv
    assert torch.equal(conv.weight, before)
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
