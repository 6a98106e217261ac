"""What accuracies in a picture are: data, proxy, seeds; in one line, from a run's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import pandas as pd

from scaler.report.trained_proxy import TrainedProxy, images_said
from scaler.scaling.budget import format_count


def caption(
    configuration: Mapping[str, Any],
    part: str,
    seeds: pd.Series,
    errors: bool = False,
    found: TrainedProxy | None = None,
) -> str:
    """One sentence under a picture's title.

    Args:
        configuration: of the run; what it lacks is left out of the sentence.
        part: of the data that the accuracy is measured on.
        seeds: number of seeds of each network.
        errors: the picture shows standard errors.
        found: what the proxies really were; without it, what the configuration asks for.
    """
    space = configuration.get("space") or {}
    proxy, recipe = space.get("proxy") or {}, space.get("recipe") or {}
    words = [f"{part.capitalize()} accuracy of short proxy trainings"]
    if "data" in space:
        words.append(f" on {_data(str(space['data']))}")
    facts = []
    if "epochs" in recipe:
        images = images_said(recipe.get("images"), found or TrainedProxy())
        facts.append(f"{images} images, {recipe['epochs']} epoch{'s' if recipe['epochs'] != 1 else ''}")
    if "resolution" in proxy:
        facts.append(f"base at {proxy['resolution']} px")
    if proxy.get("flops"):
        thin = format_count(found.flops) if found and found.flops else proxy["flops"]
        facts.append(f"thinned to {thin} FLOPs")
    elif proxy.get("width", 1) != 1:
        facts.append(f"width x {proxy['width']:g}")
    depth = found.depth if found else proxy.get("depth")
    if (depth or 1) != 1:
        facts.append(f"depth x {depth:.2g}")
    if facts:
        words.append(f" ({', '.join(facts)})")
    return "".join(words) + f"; {_seeds(seeds, errors)}."


def _seeds(seeds: pd.Series, errors: bool) -> str:
    known = [int(number) for number in seeds.dropna() if number > 0]
    if not known or max(known) == 1:
        return "one seed"
    low, high = min(known), max(known)
    shown = "mean and standard error" if errors else "mean"
    return f"{shown} of {high if low == high else f'{low} to {high}'} seeds"


def _data(name: str) -> str:
    """A data set's name; of a folder its last part, for the path to it says nothing to others."""
    return PurePath(name.removeprefix("folder:")).name
