"""Squeeze-and-excitation networks (Hu et al., arXiv 1709.01507): other families with excitations, r = 16."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scaler.networks.families import googlenet, inception, resnet, resnext, vgg
from scaler.networks.spec import NetworkSpec
from scaler.networks.squeeze import with_se

ABOUT = "ResNet, ResNeXt, GoogLeNet, Inception and VGG with squeeze-and-excitation in every block"
SCALING = "as the network without excitations; the excitations' hidden channels follow the blocks' output"


def bases() -> Iterator[NetworkSpec]:
    """The networks of the paper, on the bases here (its ResNets have the stride elsewhere, v1)."""
    plain = {spec.name: spec for family in (resnet, googlenet, inception, vgg) for spec in family.bases()}
    for name in ("resnet-50", "resnet-101", "resnet-152"):
        yield _excited(plain[name])
    for layers in (50, 101):
        yield _excited(resnext.resnext(layers, 32, 4))
    for name in ("googlenet", "inception-v3", "vgg-16"):
        yield _excited(plain[name])


def _excited(spec: NetworkSpec) -> NetworkSpec:
    return replace(with_se(spec, 16), family="senet")
