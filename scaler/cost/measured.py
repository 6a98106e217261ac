"""What a network really costs on a device: memory, and the time of inference."""

from __future__ import annotations

from scaler.cost.latency import latency
from scaler.cost.memory import memory
from scaler.networks.spec import NetworkSpec

#: Images of a training step, and of a batch whose throughput is timed.
TRAINING_BATCH, THROUGHPUT_BATCH = 32, 8
#: Seconds of timing, for each of the two batches.
_SECONDS = 1.0


def measured_costs(spec: NetworkSpec, device: str) -> dict[str, object]:
    """Cost columns of a curve, for a network at its own size.

    ``memory_training`` and ``memory_inference``: peak bytes with :data:`TRAINING_BATCH` images (on a CPU
    counted, not measured). ``latency_ms``: median for one image, warm, on one thread;
    ``latency_spread_ms``: the middle half of the passes. ``latency_batch_ms``: per image of a batch of
    :data:`THROUGHPUT_BATCH`. ``device``: where.

    Raises:
        UserError: the batch is too small for the network's norms.
        MachineError: it does not fit into the device's memory.
    """
    used = memory(spec, TRAINING_BATCH, device)
    one = latency(spec, 1, device, seconds=_SECONDS)
    many = latency(spec, THROUGHPUT_BATCH, device, seconds=_SECONDS)
    return {
        "memory_training": used.training,
        "memory_inference": used.inference,
        "latency_ms": one.median,
        "latency_spread_ms": one.high - one.low,
        "latency_batch_ms": many.per_image,
        "device": one.device,
    }
