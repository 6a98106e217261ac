"""The exact proxy of a run, what it cannot say, and how to have the run again."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import pandas as pd
import yaml

from scaler.errors import UserError
from scaler.growth.policies import OWN, PathPolicy
from scaler.report.pictures.captions import caption
from scaler.report.trained_proxy import TrainedProxy, images_said
from scaler.runs import RUN_FILE, Run, load_run
from scaler.scaling.budget import format_count


def proxy_facts(run: Run, found: TrainedProxy) -> Iterator[tuple[str, str]]:
    """What was trained in place of the base, exactly."""
    space = run.configuration.get("space") or {}
    proxy, recipe = space.get("proxy") or {}, space.get("recipe") or {}
    if not space:
        yield "unknown", f"the run has no {RUN_FILE} that says so"
        return
    yield "data", str(space.get("data")).removeprefix("folder:")
    epochs = f"{recipe.get('epochs')} epoch{'' if recipe.get('epochs') == 1 else 's'}"
    yield "images", f"{images_said(recipe.get('images'), found)} in training, {epochs}"
    yield "base at", f"{proxy.get('resolution')} px{', enlarged' if proxy.get('upsample') else ''}"
    flops = format_count(found.flops) if found.flops else proxy.get("flops")
    thin = f"{flops} FLOPs" if proxy.get("flops") else f"width x {proxy.get('width')}"
    deep = "" if found.depth is None else f", depth x {found.depth:.2g}"
    yield "made thin to", f"{thin}{deep}, channels in steps of {proxy.get('divisor', 1)}"
    yield (
        "trained by",
        f"{_optimiser(recipe)}, batches of "
        f"{recipe.get('batch_size')}, label smoothing {recipe.get('label_smoothing')}, weight decay "
        f"{recipe.get('weight_decay')}, {'mirrored, ' if recipe.get('flip') else ''}shifted up to "
        f"{recipe.get('shift', 0):.0%}",
    )
    yield "seeds", f"{space.get('seeds')} for a network at the most"
    yield "FLOPs", f"counted by fvcore, one multiply-add is 1; equal within {space.get('tolerance', 0):.0%}"


def _optimiser(recipe: dict[str, Any]) -> str:
    """Runs older than the choice are SGD's."""
    muon = recipe.get("optimiser") == "muon"
    name, batch = ("Muon", "") if muon else ("SGD", " (batch of 128)")
    return f"{name}, one cycle to a learning rate of {recipe.get('learning_rate')}{batch}"


def limits(run: Run, seeds: pd.Series, found: TrainedProxy, *, scaling: bool) -> Iterator[str]:
    """What nobody should read out of the page; ``seeds`` are those of each network."""
    part = "test" if scaling else "validation"
    yield caption(run.configuration, part, seeds, errors=True, found=found) + (
        " A network trained in earnest, at its own size, reaches other accuracies; what carries over, as far "
        "as anything does, is which way of growing is better."
    )
    yield (
        "Short trainings favour what learns fast: deeper networks lag at first. A longer training may turn "
        "close comparisons round."
    )
    yield "An interval is of chance alone: other data or another recipe may give another answer."
    if scaling:
        yield "Every interval of a difference stands for itself: of many, one in twenty leaves the truth out."
        yield "The law of growth is not asked for more FLOPs than as many doublings again as were measured."


def command(run: Run, *, scaling: bool) -> str:
    """Commands that make the run again from the space under them."""
    known = run.configuration
    seed = f" --seed {known['seed']}" if known.get("seed") else ""
    if not scaling:
        return f"scaler search --space space.yaml{seed}"
    asked: Mapping[str, Any] = known.get("asked") or {}
    what = f"--flops {shlex.quote(asked['flops'])}" if asked.get("flops") else f"--phi {_phis(asked, known)}"
    others = dict.fromkeys(str(policy) for policy, _ in known.get("networks", []))
    compare = ",".join(list(others)[1:]) or "none"
    trained = f"--seeds {_seeds(known)}" if known.get("train", True) else "--no-train"
    return f"scaler scale {_source(run)} {what} --compare {compare} {trained}{seed}"


def _source(run: Run) -> str:
    """Where the coefficients come from; a search's space is not the one that was fitted to a time."""
    known = run.configuration
    policy, asked = known.get("policy") or {}, known.get("asked") or {}
    fitted = asked.get("space", known.get("space")) != known.get("space")
    if known.get("search") and not fitted:
        along = " --path law" * (policy.get("path") == PathPolicy.__name__)
        return f"--search {known['search']}{along}{_other_data(run)}"
    keys = ("alpha", "beta", "gamma") if policy.get("name") == OWN or fitted else ()
    return " ".join(["--space space.yaml", *(f"--{key} {policy[key]:.6g}" for key in keys if key in policy)])


def _other_data(run: Run) -> str:
    """The data of a scaling, where its search, which lies beside it, had others."""
    data = (run.configuration.get("space") or {}).get("data")
    with contextlib.suppress(UserError, KeyError):
        of_search = load_run(run.path.parent / run.configuration["search"]).configuration["space"]["data"]
        return "" if data == of_search else f" --data {shlex.quote(str(data))}"
    return ""


def _phis(asked: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    phis = sorted({float(phi) for _, phi in known.get("networks", [])} or set(asked.get("phis") or [1]))
    if len(phis) == 1 and phis[0]:
        phis *= 2  # one alone would mean all up to it
    return ",".join(f"{phi:g}" for phi in phis)


def _seeds(known: Mapping[str, Any]) -> int:
    return int((known.get("space") or {}).get("seeds", 1))


def origin(run: Run) -> Iterator[tuple[str, str]]:
    """With what the run was made."""
    record: dict[str, Any] = {}
    with contextlib.suppress(OSError, yaml.YAMLError):
        record = yaml.safe_load((run.path / RUN_FILE).read_text(encoding="utf-8")) or {}
    yield "run", run.name
    if record.get("finished"):
        yield "finished", str(record["finished"])[:16].replace("T", " ") + " UTC"
    if versions := record.get("versions"):
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items())
    if hardware := record.get("hardware"):
        yield (
            "machine",
            f"{hardware.get('processor')}, {hardware.get('cores')} cores, {hardware.get('device')}",
        )
    if source := record.get("source"):
        yield "source", PurePath(str(source)).name
    if fingerprint := run.configuration.get("data_fingerprint"):
        yield "data's fingerprint", str(fingerprint)[:16]
