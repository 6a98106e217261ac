"""What a latency says, but never how long it is."""

import time

import pytest
import torch
from torch import Tensor

from scaler.cost import latency as latency_module
from scaler.cost.latency import latency
from scaler.networks.build import Network
from scaler.networks.registry import base

SPEC = base("resnet-20")


def test_quartiles_and_settings() -> None:
    found = latency(SPEC, batch=2, seconds=0.05)
    assert 0 < found.low <= found.median <= found.high
    assert found.per_image == found.median / 2
    assert (found.batch, found.threads, found.device) == (2, 1, "cpu")
    assert found.repetitions >= 5


def test_median_of_known_times(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([500.0, 500.0, 500.0, 4.0, 1.0, 2.0, 1000.0, 3.0])
    monkeypatch.setattr(latency_module, "_pass", lambda *_: next(times))
    found = latency(SPEC, seconds=0.1)
    assert (found.low, found.median, found.high, found.repetitions) == (2.0, 3.0, 4.0, 5)


def test_the_process_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    seen: list[int] = []

    def noting(*_: object) -> float:
        seen.append(torch.get_num_threads())
        return 1.0

    monkeypatch.setattr(latency_module, "_pass", noting)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    latency(SPEC, seconds=0.01, threads=threads + 1)
    assert set(seen) == {threads + 1}
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected)


def test_a_pass_is_timed_in_milliseconds() -> None:
    class Sleeper(Network):
        def forward(self, x: Tensor) -> Tensor:
            time.sleep(0.02)
            return x

    assert latency_module._pass(Sleeper(SPEC), torch.zeros(1)) == pytest.approx(20, rel=1, abs=20)
