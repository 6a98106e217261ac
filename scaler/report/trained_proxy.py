"""What a run's proxies really were: what its space asks for may not be there, or not be met."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pandas as pd

from scaler.errors import UserError
from scaler.growth.specs import FOLDER
from scaler.networks.scale import effective
from scaler.networks.spec_files import read
from scaler.report.run_tables import (
    CANDIDATES,
    CURVE,
    TRIALS,
    read_answer,
    read_candidates,
    read_curve,
    read_trials,
    scaling_trials,
)
from scaler.runs import Run
from scaler.search.candidates.proxy_base import bases
from scaler.search.workload import space_of


@dataclass(frozen=True)
class TrainedProxy:
    """The proxies of a run, as far as its files tell; None where they do not.

    Attributes:
        images: trained on in an epoch.
        flops: of the base's proxy.
        depth: multiplier that made the base's proxy.
    """

    images: int | None = None
    flops: float | None = None
    depth: float | None = None


def trained_proxy(run: Run, *, scaling: bool | None = None) -> TrainedProxy:
    """What was trained, by the tables and networks of a run; raises as :func:`read_trials`.

    ``scaling`` says for which of a search and a scaling, where the files of both lie together.
    """
    scaling = (run.path / CURVE).is_file() if scaling is None else scaling
    name = scaling_trials(run) if scaling else TRIALS
    trials = read_trials(run, name) if (run.path / name).is_file() else pd.DataFrame()
    if scaling:
        return TrainedProxy(_images(trials), _flops(read_curve(run), "proxy_ratio"), _depth(run))
    if not (run.path / CANDIDATES).is_file():
        return TrainedProxy(_images(trials))
    return TrainedProxy(_images(trials), _flops(read_candidates(run), "proxy_flops_ratio"), _depth(run))


def images_said(asked: int | None, found: TrainedProxy) -> str:
    """How many images an epoch has, as people read it; ``asked`` is what the recipe says."""
    number = found.images or asked
    return f"{number:,}" if number else "all"


def _images(trials: pd.DataFrame) -> int | None:
    if "images" not in trials:
        return None
    whole = trials[trials["state"] == "complete"]
    found = (whole["images"].astype(float) / whole["epochs"].astype(float)).max()
    return None if pd.isna(found) else int(found) or None


def _flops(networks: pd.DataFrame, ratio: str) -> float | None:
    if not {"proxy_flops", ratio} <= set(networks):
        return None
    found = (networks["proxy_flops"].astype(float) / networks[ratio].astype(float)).median()
    return None if pd.isna(found) else float(found)


def _depth(run: Run) -> float | None:
    """By the answer of a search or the networks of a scaling; by its space where the base is none of them."""
    if answer := read_answer(run):
        return answer.proxy.get("depth")
    native, proxy = (run.path / FOLDER / f"{name}.yaml" for name in ("base", "base-proxy"))
    # Where they cannot be read, nobody knows; a page of the run is not lost for it.
    with contextlib.suppress(UserError):
        if native.is_file() and proxy.is_file():
            return effective(read(proxy), read(native)).depth
        whole, thin = bases(space_of(run), classes=1)  # their number changes no depth
        return effective(thin.base, whole.base).depth
    return None
