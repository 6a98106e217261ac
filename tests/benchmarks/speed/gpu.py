"""Training on a GPU: against a plain loop, against the card's own limits, and several trainings at once.

In wall time, which a GPU's work is; rows of a machine without one are left as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from scaler.cost.network_cost import cost
from scaler.execution.sharing import Trial
from scaler.networks.spec import NetworkSpec
from scaler.training.device import Device, resolve
from scaler.training.recipe import PASSES, Recipe, TrainingSeeds
from scaler.training.trainer import Training
from tests.benchmarks.speed.plain_baseline import plain_training
from tests.benchmarks.speed.ratio import Row, Timed, ratio, timed
from tests.benchmarks.speed.training import CASES, bytes_moved, made_up, pictures

GROUP = "gpu"
IMAGES = 512
#: Trainings that share the card.
SHARING = (2, 4)


def rows() -> Iterator[Row]:
    """Two rows per network and batch, and one for every number of trainings at once."""
    if not torch.cuda.is_available():
        return
    torch.set_num_threads(1)
    device = resolve("cuda")
    rate, copied = matrix_rate(), copy_rate()
    for case in CASES[:3]:
        batches = (32, 512) if case.name.startswith("resnet") else (32,)
        for batch in batches:
            yield from _against(case.name, case.spec, batch, device, rate, copied)
    yield from _together(CASES[0].name, CASES[0].spec, device)


def _against(
    name: str, spec: NetworkSpec, batch: int, device: Device, rate: float, copied: float
) -> Iterator[Row]:
    """Against the plain loop, and against the nearer of the card's limits."""
    recipe = Recipe(epochs=1000, batch_size=batch, learning_rate=0.1)
    steps = IMAGES // batch
    training = Training(spec, recipe, made_up(spec, IMAGES), TrainingSeeds(0, 0), device)
    plain = plain_training(spec, recipe, *pictures(spec, IMAGES), steps, gpu=True)
    found = ratio(timed(training.epoch, _clock), timed(plain, _clock))
    images = IMAGES / found.seconds
    what = f"{name}, batch {batch}"
    yield found.row(GROUP, what, "plain loop, 8 loading processes", images, "images/s", _card())
    flops, moved = 2 * PASSES * cost(spec).macs, bytes_moved(spec) / (2 if device.bf16 else 1)
    limits = {"matrix product, bf16": rate / flops, "copy": copied / moved}
    nearer = min(limits, key=lambda limit: limits[limit])
    part = float(f"{images / limits[nearer]:.3g}")
    note = (
        f"{images * flops / rate:.2%} of {rate / 1e12:.0f} TFLOP/s, "
        f"{images * moved / copied:.2%} of {copied / 1e12:.1f} TB/s read and written"
    )
    yield Row(GROUP, f"{what}: part of the limit", nearer, part, part, part, images, "images/s", note)


def _together(name: str, spec: NetworkSpec, device: Device) -> Iterator[Row]:
    """Processes that share the card, as a search's workers do."""
    trial = Trial(spec, Recipe(batch_size=32), device)
    alone = trial(1)
    for count in SHARING:
        load = trial(count)
        times = round(load.speed / alone.speed, 3)
        what = f"{name}: {count} trainings share the card"
        yield Row(GROUP, what, "one training", times, times, times, load.speed, "steps/s", _card())


def matrix_rate() -> float:
    """FLOP/s of a bf16 matrix product."""
    matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    return 10 * 2 * 8192**3 / _least(timed(lambda: [matrix @ matrix for _ in range(10)], _clock))


def copy_rate() -> float:
    """Bytes a second, read and written, of a copy that no cache holds."""
    source = torch.randn(1 << 30, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / _least(timed(lambda: target.copy_(source), _clock))


def _clock() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def _least(work: Timed) -> float:
    return min(work() for _ in range(7))


def _card() -> str:
    return torch.cuda.get_device_name()
