"""What a search and a scaling share: networks to train on one data set by one recipe, planned and timed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scaler.cores import cores
from scaler.data.dataset import DataSet
from scaler.data.request import DataRequest
from scaler.errors import UserError
from scaler.execution.executors.engine import Engine, start
from scaler.execution.executors.executor import Executor
from scaler.execution.plan import Course, Plan, plan_of, seconds, simulated_course, work
from scaler.execution.protocol import Experiment, Strategy
from scaler.execution.proxy_training import ProxyTraining
from scaler.networks.spec import NetworkSpec
from scaler.runs import RUN_FILE, Run, all_runs
from scaler.search.space import Space
from scaler.training.recipe import Recipe

#: Networks of which some steps are timed, spread over all that are trained.
TIMED = 5


@dataclass(frozen=True)
class Settings:
    """What a user sets beside the search space.

    Attributes:
        data_root: where downloaded data lie; None is the cache.
        skip_unreadable: leave out images that cannot be read.
        seed: of the run.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        workers: processes; None is one per core, or as many on each GPU as pay.
        time_budget: seconds to fit the work into; None takes the space as it is.
        engine: where trainings run.
    """

    data_root: Path | None = None
    skip_unreadable: bool = False
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    time_budget: float | None = None
    engine: Engine = field(default_factory=Engine)

    def request(self, space: Space) -> DataRequest:
        """The data of a space, at the resolution of its proxy's base."""
        proxy = space.proxy
        return DataRequest(space.data, self.data_root, proxy.resolution, proxy.upsample, self.skip_unreadable)


def space_of(run: Run) -> Space:
    """What a run searched, or was trained with.

    Raises:
        UserError: another version of Scaler wrote it, or its file is damaged.
    """
    try:
        return Space.model_validate(run.configuration.get("space"))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(
            f"{run.path / RUN_FILE}, key 'configuration.space.{where}': no search space; another version "
            "of Scaler wrote it, or it is damaged: put back a copy, or remove the run"
        ) from None


def earlier_run(results: Path, kind: str, name: str | None, question: Mapping[str, Any]) -> Run | None:
    """The newest unfinished run of the same question, or the run of this name if it asked that."""
    same = json.loads(json.dumps(question))
    for run in reversed(all_runs(results, kind)):
        named = run.name == name if name else not run.finished
        if named and run.current and {key: run.configuration.get(key) for key in same} == same:
            return run
    return None


@dataclass(frozen=True)
class Workload:
    """Trainings ready to be run.

    Attributes:
        space: data, proxy and recipe.
        settings: the user's.
        networks: what is trained, by candidate.
        data: the images.
        request: how any process loads them.
        experiment: what the strategy knows.
        strategy: decides what is trained.
        course: of the strategy, on made-up accuracies.
        judged: images that a network sees at every rung to be evaluated.
        speed: training FLOPs a second of one worker.
        workers: processes.
    """

    space: Space
    settings: Settings
    networks: tuple[NetworkSpec, ...]
    data: DataSet
    request: DataRequest
    experiment: Experiment
    strategy: Strategy
    course: Course
    judged: int
    speed: float
    workers: int

    @property
    def networks_fingerprint(self) -> str:
        """Of all that is trained, in its order: a run that goes on must train the same."""
        return sha256(repr(self.networks).encode()).hexdigest()

    @cached_property
    def plan(self) -> Plan:
        """The work ahead."""
        return plan_of(self.experiment, self.course.seen)

    @property
    def seconds(self) -> float:
        """Estimated wall time."""
        images = training_images(self.space, self.data)
        batches = work(self.experiment, self.course, images, self.judged)
        return seconds(batches, self.speed, self.workers, most_at_once(self.settings))

    def summary(self) -> dict[str, Any]:
        """The plan as plain data, with the wall time that it takes on so many workers."""
        return {**asdict(self.plan), "seconds": self.seconds, "workers": self.workers}

    def training(self, checkpoints: Path, *, on_test: bool = False) -> ProxyTraining:
        """The unit of work, for any process; ``on_test`` where nothing is chosen by it any more."""
        return ProxyTraining(
            networks=self.networks,
            recipe=self.space.recipe,
            rungs=self.experiment.rungs,
            request=self.request,
            seed=self.settings.seed,
            device=self.settings.device,
            checkpoints=checkpoints,
            fingerprint=self.data.fingerprint,
            on_test=on_test,
        )

    def executor(self, training: ProxyTraining) -> Executor:
        """Who runs the trainings. A cluster is not limited to this machine's workers."""
        settings = self.settings
        workers = self.workers if settings.engine.name == "local" else settings.workers
        return start(settings.engine, training, settings.device, workers)


def workload(
    space: Space,
    settings: Settings,
    networks: tuple[NetworkSpec, ...],
    strategy: Callable[[Space], Strategy],
    pose: Callable[[Space, int], Experiment],
    fit: Callable[[Space, float], Space] | None = None,
    speed: float | None = None,
    *,
    on_test: bool = False,
) -> Workload:
    """Load the images that the networks need, plan the trainings, and time this machine.

    Args:
        space: data, proxy and recipe.
        settings: the user's.
        networks: what is trained, by candidate.
        strategy: of a space: decides what is trained.
        pose: the experiment of a space, for so many training images an epoch.
        fit: the space that fits a time budget, from a space and the seconds that it would take.
        speed: training FLOPs a second of one worker, where that is known better than from some networks.
        on_test: networks are evaluated on the test part too.

    Raises:
        UserError: the data cannot be loaded, or images are too small for a network.
    """
    largest = max(network.resolution for network in networks)
    request = replace(settings.request(space), largest_resolution=largest)
    data = request.load()
    rate = speed or speed_of(networks[:: math.ceil(len(networks) / TIMED)], space.recipe, settings)
    workers = workers_of(settings)

    def planned(space: Space) -> Workload:
        images, chosen = training_images(space, data), strategy(space)
        experiment = pose(space, images)
        course = simulated_course(chosen, experiment, images)
        judged = judged_images(space, data, on_test=on_test)
        return Workload(
            space, settings, networks, data, request, experiment, chosen, course, judged, rate, workers
        )

    found = planned(space)
    settings, pace = shared(settings, networks, space.recipe, settings.time_budget or found.seconds)
    if settings is not found.settings:
        rate, workers = rate * pace, workers_of(settings)
        found = planned(space)
    # A second look, because rounding to batches and rungs is coarse.
    for _ in range(2 if fit else 0):
        assert fit is not None
        found = planned(fit(found.space, found.seconds))
    return found


def training_images(space: Space, data: DataSet) -> int:
    """Images trained on in an epoch: what the recipe asks for or what there is, in whole batches."""
    there = min(space.recipe.images or data.sizes["train"], data.sizes["train"])
    return max(there // space.recipe.batch_size, 1) * min(space.recipe.batch_size, there)


def validation_images(space: Space, data: DataSet) -> int:
    """Images that candidates are compared on: what the recipe asks for, or what there is."""
    return min(space.recipe.validation_images or data.sizes["validation"], data.sizes["validation"])


def judged_images(space: Space, data: DataSet, *, on_test: bool) -> int:
    """Images that a network sees at every rung: to measure its norms on, and to be judged by."""
    from scaler.training.evaluation import STATISTICS_IMAGES

    measured = min(STATISTICS_IMAGES, training_images(space, data))
    return measured + validation_images(space, data) + (data.sizes["test"] if on_test else 0)


def speed_of(specs: Sequence[NetworkSpec], recipe: Recipe, settings: Settings) -> float:
    """Training FLOPs a second of one worker, on all of its devices, on these networks."""
    from scaler.execution.calibration import flops_per_second
    from scaler.training.device import resolve

    return flops_per_second(specs, recipe, resolve(settings.device)) * settings.engine.devices


def most_at_once(settings: Settings) -> int:
    """How many processes can train at the same time without slowing one another down."""
    from scaler.training.device import resolve

    # On a GPU they share what it has, and a cluster is not this machine.
    return (
        cores() if resolve(settings.device).torch.type == "cpu" and settings.engine.name == "local" else 512
    )


def workers_of(settings: Settings) -> int:
    """How many trainings run at the same time; on CPUs never more than there are cores for.

    Raises:
        UserError: this machine has too few devices for one.
    """
    from scaler.execution.calibration import devices, places
    from scaler.training.device import resolve

    device, share = resolve(settings.device), settings.engine.share
    there = places(device, share)
    if settings.engine.name == "ray":
        return settings.workers or max(1, there)
    if there == 0:
        kind = "cores" if device.torch.type == "cpu" else "GPUs"
        raise UserError(
            f"--gpus-per-training {share:g} takes more than the {devices(device)} {kind} of this machine: "
            "choose fewer, or machines together (--engine ray)."
        )
    return min(settings.workers or there, there) if device.torch.type == "cpu" else settings.workers or there


def shared(
    settings: Settings, networks: tuple[NetworkSpec, ...], recipe: Recipe, seconds: float
) -> tuple[Settings, float]:
    """Settings in which as many trainings share a GPU as pay, and the pace of each of them.

    Nothing is tried where there is no GPU, where the user said how many share one, or where the trainings
    take little longer than a trial.
    """
    from scaler.cost.network_cost import cost
    from scaler.execution.sharing import LEAST_SECONDS, Trial, sharing
    from scaler.training.device import resolve

    device, engine = resolve(settings.device), settings.engine
    asked = settings.workers or engine.gpus_per_training
    if device.torch.type == "cpu" or asked or seconds < LEAST_SECONDS:
        return settings, 1.0
    heaviest = max(networks, key=lambda network: cost(network).activations)
    found = sharing(Trial(heaviest, recipe, device), cores() // workers_of(settings))
    return replace(settings, engine=replace(engine, gpus_per_training=1 / found.places)), found.pace
