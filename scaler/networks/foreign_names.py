"""How torchvision and timm name the modules of networks that are bases here.

A translation is a table from their module names to ours. Both sides share placeholders in braces (see
:data:`_PLACES`); the last part of a key (``weight``, ``running_mean``) is the same in all libraries.
Our names are plain ones (:func:`plain`): without the parts that say how modules are nested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from scaler.networks.spec import NetworkSpec


def plain(key: str) -> str:
    """Our key without ``body`` and ``branches``, which are wrappers."""
    return ".".join(part for part in key.split(".") if part not in ("body", "branches"))


def _flat(text: str, spec: NetworkSpec) -> str:
    """Blocks counted through all stages from 1, as ``stage.block``."""
    index = int(text) - 1
    for stage, depth in enumerate(stage.depth for stage in spec.stages):
        if index < depth:
            return f"{stage}.{index}"
        index -= depth
    return f"none.{text}"


#: What a number in their names is in ours; ``1`` at the end of a name: they count from one.
_PLACES: dict[str, Callable[[str, NetworkSpec], str]] = {
    "stage": lambda text, _: text,
    "stage1": lambda text, _: str(int(text) - 1),
    "block": lambda text, _: text,
    "block1": lambda text, _: str(int(text) - 1),
    "flat1": _flat,
    # Dense stages and transitions take turns.
    "dense1": lambda text, _: str(2 * int(text) - 2),
    "transition1": lambda text, _: str(2 * int(text) - 1),
    "part": lambda text, _: {"0": "conv", "1": "norm"}.get(text, text),
}


@dataclass(frozen=True)
class Translation:
    """From the module names of a library to ours.

    Attributes:
        library: where the names come from.
        names: their module names to ours; the first that fits counts.
    """

    library: str
    names: Mapping[str, str]

    def __call__(self, key: str, spec: NetworkSpec) -> str | None:
        """Our key for theirs, or None."""
        module, _, parameter = key.rpartition(".")
        for theirs, ours in self.names.items():
            found = _pattern(theirs).fullmatch(module)
            if found:
                places = {name: _PLACES[name](text, spec) for name, text in found.groupdict().items()}
                return f"{ours.format(**places)}.{parameter}"
        return None


@lru_cache(maxsize=1024)
def _pattern(names: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\d+)", re.escape(names)))


#: The table that fits most keys counts.
TRANSLATIONS = (
    Translation(
        "torchvision",  # efficientnet
        {
            "features.0.{part}": "stem.0.0.{part}",
            "features.1.{block}.block.0.{part}": "stages.0.{block}.depthwise.{part}",
            "features.1.{block}.block.1.fc1": "stages.0.{block}.se.reduce",
            "features.1.{block}.block.1.fc2": "stages.0.{block}.se.expand",
            "features.1.{block}.block.2.{part}": "stages.0.{block}.project.{part}",
            "features.8.{part}": "head.conv.{part}",
            "features.{stage1}.{block}.block.0.{part}": "stages.{stage1}.{block}.expand.{part}",
            "features.{stage1}.{block}.block.1.{part}": "stages.{stage1}.{block}.depthwise.{part}",
            "features.{stage1}.{block}.block.2.fc1": "stages.{stage1}.{block}.se.reduce",
            "features.{stage1}.{block}.block.2.fc2": "stages.{stage1}.{block}.se.expand",
            "features.{stage1}.{block}.block.3.{part}": "stages.{stage1}.{block}.project.{part}",
            "classifier.1": "head.classifier",
        },
    ),
    Translation(
        "torchvision",  # mobilenet
        {
            "features.0.{part}": "stem.0.0.{part}",
            "features.1.conv.0.{part}": "stages.0.0.depthwise.{part}",
            "features.1.conv.1": "stages.0.0.project.conv",
            "features.1.conv.2": "stages.0.0.project.norm",
            "features.18.{part}": "head.conv.{part}",
            "features.{flat1}.conv.0.{part}": "stages.{flat1}.expand.{part}",
            "features.{flat1}.conv.1.{part}": "stages.{flat1}.depthwise.{part}",
            "features.{flat1}.conv.2": "stages.{flat1}.project.conv",
            "features.{flat1}.conv.3": "stages.{flat1}.project.norm",
            "classifier.1": "head.classifier",
        },
    ),
    Translation(
        "timm",  # efficientnet, mobilenet
        {
            "conv_stem": "stem.0.0.conv",
            "bn1": "stem.0.0.norm",
            "blocks.0.{block}.conv_dw": "stages.0.{block}.depthwise.conv",
            "blocks.0.{block}.bn1": "stages.0.{block}.depthwise.norm",
            "blocks.0.{block}.conv_pw": "stages.0.{block}.project.conv",
            "blocks.0.{block}.bn2": "stages.0.{block}.project.norm",
            "blocks.{stage}.{block}.conv_pw": "stages.{stage}.{block}.expand.conv",
            "blocks.{stage}.{block}.bn1": "stages.{stage}.{block}.expand.norm",
            "blocks.{stage}.{block}.conv_dw": "stages.{stage}.{block}.depthwise.conv",
            "blocks.{stage}.{block}.bn2": "stages.{stage}.{block}.depthwise.norm",
            "blocks.{stage}.{block}.se.conv_reduce": "stages.{stage}.{block}.se.reduce",
            "blocks.{stage}.{block}.se.conv_expand": "stages.{stage}.{block}.se.expand",
            "blocks.{stage}.{block}.conv_pwl": "stages.{stage}.{block}.project.conv",
            "blocks.{stage}.{block}.bn3": "stages.{stage}.{block}.project.norm",
            "conv_head": "head.conv.conv",
            "bn2": "head.conv.norm",
            "classifier": "head.classifier",
        },
    ),
    Translation(
        "timm",  # mobilenet; version 1
        {
            "conv_stem": "stem.0.0.conv",
            "bn1": "stem.0.0.norm",
            "blocks.{stage}.{block}.conv_dw": "stages.{stage}.{block}.depthwise.conv",
            "blocks.{stage}.{block}.bn1": "stages.{stage}.{block}.depthwise.norm",
            "blocks.{stage}.{block}.conv_pw": "stages.{stage}.{block}.pointwise.conv",
            "blocks.{stage}.{block}.bn2": "stages.{stage}.{block}.pointwise.norm",
            "classifier": "head.classifier",
        },
    ),
    Translation(
        "torchvision or timm",  # resnet, resnext, senet; with bottlenecks
        {
            "conv1": "stem.0.0.conv",
            "bn1": "stem.0.0.norm",
            "layer{stage1}.{block}.conv1": "stages.{stage1}.{block}.reduce.conv",
            "layer{stage1}.{block}.bn1": "stages.{stage1}.{block}.reduce.norm",
            "layer{stage1}.{block}.conv2": "stages.{stage1}.{block}.spatial.conv",
            "layer{stage1}.{block}.bn2": "stages.{stage1}.{block}.spatial.norm",
            "layer{stage1}.{block}.conv3": "stages.{stage1}.{block}.expand.conv",
            "layer{stage1}.{block}.bn3": "stages.{stage1}.{block}.expand.norm",
            "layer{stage1}.{block}.se.fc1": "stages.{stage1}.{block}.se.reduce",
            "layer{stage1}.{block}.se.fc2": "stages.{stage1}.{block}.se.expand",
            "layer{stage1}.{block}.downsample.{part}": "stages.{stage1}.{block}.shortcut.{part}",
            "fc": "head.classifier",
        },
    ),
    Translation(
        "torchvision or timm",  # resnet; with basic blocks
        {
            "conv1": "stem.0.0.conv",
            "bn1": "stem.0.0.norm",
            "layer{stage1}.{block}.conv1": "stages.{stage1}.{block}.first.conv",
            "layer{stage1}.{block}.bn1": "stages.{stage1}.{block}.first.norm",
            "layer{stage1}.{block}.conv2": "stages.{stage1}.{block}.second.conv",
            "layer{stage1}.{block}.bn2": "stages.{stage1}.{block}.second.norm",
            "layer{stage1}.{block}.downsample.{part}": "stages.{stage1}.{block}.shortcut.{part}",
            "fc": "head.classifier",
        },
    ),
    Translation(
        "torchvision or timm",  # densenet
        {
            "features.conv0": "stem.0.0.conv",
            "features.norm0": "stem.0.0.norm",
            **{
                f"features.denseblock{{dense1}}.denselayer{{block1}}.{theirs}": (
                    f"stages.{{dense1}}.{{block1}}.features.{ours}"
                )
                for theirs, ours in {
                    "norm1": "norm",
                    "conv1": "bottleneck.conv",
                    "norm2": "bottleneck.norm",
                    "conv2": "conv",
                    # So in the files that torchvision publishes.
                    "norm.1": "norm",
                    "conv.1": "bottleneck.conv",
                    "norm.2": "bottleneck.norm",
                    "conv.2": "conv",
                }.items()
            },
            "features.transition{transition1}.norm": "stages.{transition1}.0.norm",
            "features.transition{transition1}.conv": "stages.{transition1}.0.conv",
            "features.norm5": "head.norm",
            "classifier": "head.classifier",
        },
    ),
)
