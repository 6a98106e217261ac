"""Steps of a training on a GPU, recorded once and replayed: one launch each (a CUDA graph).

A step of a small network is hundreds of kernels of a few microseconds each. Launched one by one they wait for
Python; replayed they follow one another on the device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from scaler.data.batches import Crops

#: Steps that are taken kernel by kernel before the recording: libraries choose their ways in these.
WARM_UP = 3

#: A step: what an epoch's batches show, the step's index ``int64 [1]``, and its learning rate and share of
#: the average, ``float32 []``; gives the loss.
Step = Callable[[Crops, Tensor, Tensor, Tensor], Tensor]
#: Gives what does a thing again that is done once while it is recorded, if at all.
Recorder = Callable[[Callable[[], None]], Callable[[], None]]


def cuda_graph(work: Callable[[], None]) -> Callable[[], None]:
    """Record what some work launches on the current stream, without doing it."""
    graph = torch.cuda.CUDAGraph()
    # Autograd's own threads allocate memory meanwhile, which a recording forbids all threads by default.
    graph.capture_begin(capture_error_mode="thread_local")
    try:
        work()
    finally:
        graph.capture_end()
    return graph.replay


def warmed_up(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """What replays a work on a GPU, done some times before."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            work()
        return cuda_graph(work)


@dataclass
class _Tables:
    """What the steps of an epoch read, always at the same addresses."""

    crops: Crops
    rates: Tensor
    shares: Tensor
    step: Tensor
    total: Tensor


@dataclass
class Recorded:
    """The steps of one training.

    Attributes:
        device: a GPU.
        recorder: makes what replays a step.
        recording: whether a step is being recorded: nothing is done, and memory cannot be waited for.
    """

    device: torch.device
    recorder: Recorder = cuda_graph
    recording: bool = False
    _taken: int = 0
    _again: Callable[[], None] | None = None
    _tables: _Tables | None = None
    _stream: torch.cuda.Stream | None = None

    def epoch(self, step: Step, crops: Crops, rates: Tensor, shares: Tensor) -> Tensor:
        """Take all steps of an epoch.

        Args:
            step: takes one.
            crops: what the batches show, on the device; as many and as large in every epoch.
            rates: learning rates, ``[S]``.
            shares: of the average, ``[S]``.

        Returns:
            The sum of the losses.
        """
        tables = self._load(crops, rates, shares)

        def take() -> None:
            rate, share = tables.rates[tables.step][0], tables.shares[tables.step][0]
            loss = step(tables.crops, tables.step, rate, share)
            tables.total += loss
            tables.step += 1

        with self._own_stream():
            for _ in range(len(crops)):
                self._once(take)
        return tables.total.clone()

    def _once(self, take: Callable[[], None]) -> None:
        """One step, recorded once the training is warm."""
        if self._again is None and self._taken == WARM_UP:
            self._again = self._record(take)
        self._taken += 1
        (self._again or take)()

    def _record(self, take: Callable[[], None]) -> Callable[[], None] | None:
        self.recording = True
        try:
            return self.recorder(take)
        except torch.OutOfMemoryError:
            return None  # a recording keeps memory of its own; steps one by one do without
        finally:
            self.recording = False

    def _load(self, crops: Crops, rates: Tensor, shares: Tensor) -> _Tables:
        """Put an epoch where the recorded steps read it."""
        rates, shares = (values.to(self.device, torch.float32) for values in (rates, shares))
        if self._tables is None:
            step = torch.zeros(1, dtype=torch.long, device=self.device)
            self._tables = _Tables(crops, rates, shares, step, torch.zeros((), device=self.device))
            return self._tables
        tables = self._tables
        for old, new in zip(
            (tables.crops.rows, tables.crops.moves, tables.crops.mirrored, tables.rates, tables.shares),
            (crops.rows, crops.moves, crops.mirrored, rates, shares),
            strict=True,
        ):
            old.copy_(new)
        tables.step.zero_()
        tables.total.zero_()
        return tables

    @contextlib.contextmanager
    def _own_stream(self) -> Iterator[None]:
        """A stream of the training's own, as a recording needs it; around it, the caller's order holds."""
        if self.device.type == "cpu":
            yield
            return
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        around = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(around)
        with torch.cuda.stream(self._stream):
            yield
        around.wait_stream(self._stream)
