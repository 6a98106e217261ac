"""A network is data first: stem, stages of blocks, head and resolution, all frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from scaler.networks.layers import Activation

Position = Literal["standard", "pre", "post", "identity"]


@dataclass(frozen=True)
class SqueezeExcite:
    """Squeeze-and-excitation (Hu et al., arXiv 1709.01507).

    Attributes:
        reduction: channels divided by this, rounded down, give the hidden width (at least 1).
        position: where it stands in a residual block (section 6.4 of the paper).
    """

    reduction: float = 16
    position: Position = "standard"


@dataclass(frozen=True)
class Stage:
    """``depth`` blocks of one kind. Every block reads the same fields and ignores those it has no use for.

    Attributes:
        block: name in :data:`scaler.networks.blocks.registry.BLOCKS`.
        depth: number of blocks; multiplied by the depth multiplier unless ``fixed``.
        width: output channels (growth rate for dense blocks); multiplied by the width multiplier. 0 for
            pooling and for blocks whose width follows from others.
        stride: of the first block.
        kernel: size of the spatial convolution or pooling window.
        expand: inner width over input width (mbconv) or over output width (bottleneck, dense); output
            width over input width (transition).
        group_width: channels per group of the spatial convolution; 0 is an ordinary convolution.
        branches: widths of the branches of an Inception module; multiplied by the width multiplier.
        se: squeeze-and-excitation, or none.
        valid: convolutions without padding.
        fixed: the depth multiplier leaves this stage alone (reductions, stems).
    """

    block: str
    depth: int
    width: int
    stride: int = 1
    kernel: int = 3
    expand: float = 1.0
    group_width: int = 0
    branches: tuple[int, ...] = ()
    se: SqueezeExcite | None = None
    valid: bool = False
    fixed: bool = False

    @property
    def grows(self) -> bool:
        """Every block adds its width to the channels: a deeper stage is a wider one (DenseNet)."""
        return self.block == "dense"

    @property
    def total_width(self) -> int:
        """Its width, or the sum of its branches; 0 for pooling and transitions."""
        return self.width or sum(self.branches)


@dataclass(frozen=True)
class Head:
    """From the last map to class scores.

    Attributes:
        width: channels of a 1x1 convolution before pooling; 0 is none.
        never_narrower: a width multiplier below 1 leaves that convolution as it is (MobileNet v2).
        norm: normalise and activate before pooling (networks with pre-activation).
        pool: output size of the average pooling.
        hidden: widths of fully connected layers before the last one.
        dropout: rate before each fully connected layer.
    """

    width: int = 0
    never_narrower: bool = False
    norm: bool = False
    pool: int = 1
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0


@dataclass(frozen=True)
class Style:
    """What all blocks of a network share.

    Attributes:
        activation: after every normalisation, unless a block ends without.
        norm_eps: added to the variance by batch normalisation.
        norm_momentum: part of a new batch in the running statistics (torch's convention).
        conv_bias: convolutions have a bias although a normalisation follows.
        drop_path: rate of stochastic depth at the last block; grows from 0 over the blocks.
    """

    activation: Activation = "relu"
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1
    conv_bias: bool = False
    drop_path: float = 0.0


@dataclass(frozen=True)
class NetworkSpec:
    """A whole network; :func:`scaler.networks.scale.scale` makes larger and smaller ones of it.

    Attributes:
        name: of the base, e.g. ``effnet-b0``.
        family: file in :mod:`scaler.networks.families`, or ``user``.
        stem: stages whose depth is never multiplied.
        stages: the body.
        head: from the last map to class scores.
        resolution: height and width of the input, in pixels.
        classes: number of outputs.
        style: what all blocks share.
    """

    name: str
    family: str
    stem: tuple[Stage, ...]
    stages: tuple[Stage, ...]
    head: Head
    resolution: int
    classes: int = 1000
    style: Style = field(default_factory=Style)

    @property
    def depth(self) -> int:
        """Number of blocks in the body that the depth multiplier counts."""
        return sum(self.depths)

    @property
    def depths(self) -> tuple[int, ...]:
        """Number of blocks of each stage that is not fixed."""
        return tuple(stage.depth for stage in self.stages if not stage.fixed)

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each stage that is not fixed; for an Inception module the sum of its branches."""
        return tuple(stage.total_width for stage in self.stages if not stage.fixed)

    @property
    def total_stride(self) -> int:
        """Input pixels per pixel of the last map."""
        product = 1
        for stage in (*self.stem, *self.stages):
            product *= stage.stride
        return product

    def with_classes(self, classes: int) -> NetworkSpec:
        """The same network for another number of classes."""
        return replace(self, classes=classes)

    def without_regularisation(self) -> NetworkSpec:
        """No stochastic depth and no dropout: short trainings need neither, and they favour some sizes."""
        return replace(
            self,
            style=replace(self.style, drop_path=0.0),
            head=replace(self.head, dropout=0.0),
        )
