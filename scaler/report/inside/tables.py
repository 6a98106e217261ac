"""The numbers of the views of networks as tables, for CSV files, JSON and the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaler.inspect.excitation import BlockView, Excitations
from scaler.inspect.focus import Focus
from scaler.inspect.images import UNKNOWN, Images
from scaler.inspect.looks import Look
from scaler.inspect.reuse import DenseBlock
from scaler.report.columns import Column, Row

CAM_FORMATS = {"probability": ".4f", "probability_true": ".4f", "on_object": ".4f"}
FOCUS_FORMATS = dict.fromkeys(("mean", "low", "high", "lead", "lead_low", "lead_high"), ".4f")
BLOCK_FORMATS = dict.fromkeys(("mean", "variation", "class_deviation", "class_share"), ".4f")
CHANNEL_FORMATS = {"mean": ".4f", "deviation": ".4f"}
REUSE_FORMATS = {"mean_absolute_weight": ".6f", "relative": ".4f"}


def cam_frame(
    looks: Sequence[Look], images: Images, classes: Sequence[str], shares: Mapping[str, NDArray[np.float64]]
) -> pd.DataFrame:
    """A row per image and network; ``on_object`` only where objects are known."""

    def named(label: int) -> str:
        return "" if label == UNKNOWN else classes[label] if classes else str(label)

    def rows() -> Iterator[dict[str, object]]:
        for index, image in enumerate(images.names):
            label = int(images.labels[index])
            for one in looks:
                said, found = one.probabilities[index], int(one.predicted[index])
                height, width = one.maps.shape[1:]
                share = shares.get(one.subject.name)
                yield {
                    "image": image,
                    "true": named(label),
                    "network": one.subject.name,
                    "resolution": one.subject.resolution,
                    "map": f"{height}x{width}",
                    "method": one.method,
                    "map_of": named(int(one.asked[index])),
                    "predicted": named(found),
                    "probability": float(said[found]),
                    "probability_true": None if label == UNKNOWN else float(said[label]),
                    "on_object": None if share is None else float(share[index]),
                }

    return pd.DataFrame(rows())


def focus_frame(found: Focus) -> pd.DataFrame:
    """A row per network: its share, and the lead of the chosen policy over it."""
    rows = []
    for name, share in found.shares.items():
        lead = found.lead.get(name)
        rows.append(
            {
                "network": name,
                "mean": share.mean,
                "low": share.low,
                "high": share.high,
                "lead": lead.mean if lead else None,
                "lead_low": lead.low if lead else None,
                "lead_high": lead.high if lead else None,
                "images": found.images,
            }
        )
    return pd.DataFrame(rows)


def blocks_frame(views: Sequence[BlockView], total: int, threshold: float) -> pd.DataFrame:
    """A row per squeeze-and-excitation block; ``total`` is the parameters of the network at its own size."""
    return pd.DataFrame(
        {
            "block": f"{view.place[0]}.{view.place[1]}",
            "channels": view.channels,
            "mean": view.mean,
            "variation": view.variation,
            "class_deviation": view.class_deviation,
            "class_share": view.class_share,
            "params": view.params,
            "params_part": view.params / total,
            "near_identity": view.near_identity(threshold),
        }
        for view in views
    )


def channels_frame(
    blocks: Sequence[Excitations], labels: NDArray[np.int64], shown: Mapping[str, int]
) -> pd.DataFrame:
    """A row per block, class (and ``all``) and channel: mean and deviation over images."""
    parts = []
    groups = {**{name: labels == label for name, label in shown.items()}, "all": labels >= 0}
    for block in blocks:
        for name, rows in groups.items():
            values = block.values[rows]
            parts.append(
                pd.DataFrame(
                    {
                        "block": f"{block.place[0]}.{block.place[1]}",
                        "class": name,
                        "channel": np.arange(values.shape[1]),
                        "mean": values.mean(axis=0).astype(float),
                        "deviation": values.std(axis=0).astype(float),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def reuse_frame(blocks: Sequence[DenseBlock]) -> pd.DataFrame:
    """A row per reader and source; readers are layers from 1, or ``transition`` or ``classifier``."""

    def rows() -> Iterator[dict[str, object]]:
        for block in blocks:
            relative = block.relative
            last = len(block.weights) - 1
            for reader, source in zip(*np.nonzero(~np.isnan(block.weights)), strict=True):
                yield {
                    "block": block.number,
                    "reader": block.reader if reader == last else str(reader + 1),
                    "source": int(source),
                    "mean_absolute_weight": float(block.weights[reader, source]),
                    "relative": float(relative[reader, source]),
                }

    return pd.DataFrame(rows())


def _percent(name: str, digits: int = 0) -> Column:
    titles = {
        "variation": "varies %", "class_share": "class %", "params_part": "of all %", "mean": "mean %",
    }  # fmt: skip
    return Column(name, titles[name], show=lambda row: f"{100 * row[name]:.{digits}f}")


#: Of the terminal's table of blocks.
BLOCK_COLUMNS = (
    Column("block", "block", str, lambda row: str(row["block"])),
    Column("channels", "channels", int, lambda row: str(row["channels"])),
    Column("mean", "mean", show=lambda row: f"{row['mean']:.2f}"),
    _percent("variation", 1),
    _percent("class_share"),
    Column("params", "params", int, lambda row: f"{row['params']:,}"),
    _percent("params_part", 1),
    Column("near_identity", "", str, lambda row: "near identity" if row["near_identity"] else ""),
)


def _lead(row: Row) -> str:
    between = _range(row["lead_low"], row["lead_high"], "+.1f")
    return "" if pd.isna(row["lead"]) else f"{100 * row['lead']:+.1f}" + (f" ({between})" if between else "")


def _range(low: float, high: float, digits: str) -> str:
    """An interval in per cent; nothing of one image, which has none."""
    return "" if math.isnan(low) else f"{100 * low:{digits}} to {100 * high:{digits}}"


#: Of the terminal's table of what lies on objects.
FOCUS_COLUMNS = (
    Column("network", "network", str, lambda row: str(row["network"])),
    Column("mean", "map on object %", show=lambda row: f"{100 * row['mean']:.1f}"),
    Column("low", "95 % interval", show=lambda row: _range(row["low"], row["high"], ".1f")),
    Column("lead", "chosen leads by", show=_lead),
)
