import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from scaler.cost.network_cost import cost
from scaler.networks.build import Network, Residual, build
from scaler.networks.kernels import DepthwiseConv2d, GlobalMean, PointwiseConv2d, folded, suits
from scaler.networks.registry import base
from scaler.networks.scale import scale, small
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from tests.benchmarks.speed.plain_baseline import PLAIN


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def thin(resolution: int = 16, depth: float = 1.0) -> NetworkSpec:
    return scale(small(base("effnet-b0"), resolution), Multipliers(depth, 0.125), Rounding(divisor=2))


def plain_copy(network: Network) -> Network:
    """The same network with torch's own modules only."""
    copy = build(network.spec)
    copy.load_state_dict(network.state_dict())
    parts: list[nn.Module] = list(copy.modules())
    for part in parts:
        part.__class__ = PLAIN.get(type(part), type(part))
    return copy


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.sampled_from([(5, 5), (7, 7), (3, 5), (9, 9)]),
    stride=st.integers(1, 2),
    height=st.integers(1, 11),
    width=st.integers(1, 11),
    channels_last=st.booleans(),
    bias=st.booleans(),
)
def test_depthwise_gradients_are_those_of_torch(
    kernel: tuple[int, int], stride: int, height: int, width: int, channels_last: bool, bias: bool
) -> None:
    padding = (kernel[0] // 2, kernel[1] // 2)
    ours = DepthwiseConv2d(6, 6, kernel, stride, padding, groups=6, bias=bias).double()
    theirs = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=bias).double()
    theirs.load_state_dict(ours.state_dict())
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(3, 6, height, width, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    gradients = []
    for conv in (ours, theirs):
        out = conv(x)
        seed = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)
        gradients.append((out, *torch.autograd.grad(out, (x, *conv.parameters()), seed)))
    for mine, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


def test_only_wide_kernels_with_same_padding_are_replaced() -> None:
    assert suits((5, 5), (2, 2))
    assert suits((3, 5), (0, 2))
    assert not suits((3, 3), (1, 1))
    assert not suits((5, 5), (2, 0))
    assert not suits((1, 5), (0, 2))
    assert not suits((4, 4), (2, 2))
    replaced = [part for part in build(thin()).modules() if isinstance(part, DepthwiseConv2d)]
    assert len(replaced) == 9  # stages 3, 5 and 6 of Table 1 have 2 + 3 + 4 blocks of 5x5
    assert all(part.kernel_size == (5, 5) for part in replaced)


@pytest.mark.parametrize("resolution", [16, 24])
def test_a_whole_network_has_the_gradients_of_plain_modules(resolution: int) -> None:
    spec = thin(resolution, depth=0.5).with_classes(10)  # some stages still have a block with a shortcut
    network = build(spec).train().double()
    assert any(isinstance(part, Residual) for part in network.modules())
    plain = plain_copy(network).train().double()
    images = torch.randn(4, 3, resolution, resolution, dtype=torch.float64)
    images = images.to(memory_format=torch.channels_last)
    for part in (network, plain):
        torch.manual_seed(1)  # the same dropout and stochastic depth
        part(images).square().sum().backward()
    for mine, expected in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, expected.grad, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("size", [1, 4, 8, 9])
@pytest.mark.parametrize("bias", [False, True])
def test_pointwise_convolutions_and_means_are_those_of_torch(size: int, bias: bool) -> None:
    ours = nn.Sequential(PointwiseConv2d(6, 5, 1, bias=bias), GlobalMean(1)).double()
    theirs = nn.Sequential(nn.Conv2d(6, 5, 1, bias=bias), nn.AdaptiveAvgPool2d(1)).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 6, size, size, dtype=torch.float64)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    found = []
    for part in (ours, theirs):
        out = part(x)
        found.append((out, *torch.autograd.grad(out.square().sum(), (x, *part.parameters()))))
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["effnet-b0", "resnet-20", "densenet-bc-100-12", "googlenet"])
def test_a_folded_network_gives_the_same_scores(name: str) -> None:
    spec = scale(small(base(name), 32), Multipliers(0.5, 0.25), Rounding(divisor=4)).with_classes(10)
    network = build(spec).double()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 2)
            part.running_var = torch.rand(part.num_features, dtype=torch.float64) + 0.5
            nn.init.normal_(part.bias)
            part.running_mean = torch.randn(part.num_features, dtype=torch.float64)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = network.eval()(images)
    fast = folded(network)
    norms = sum(isinstance(part, nn.BatchNorm2d) for part in fast.modules())
    assert norms < sum(isinstance(part, nn.BatchNorm2d) for part in network.modules()) or norms == 0
    torch.testing.assert_close(fast(images), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(network(images), expected, rtol=0, atol=0)


def test_eval_counts_stay_those_of_plain_modules() -> None:
    spec = thin(depth=0.5)
    network = build(spec).eval()
    images = torch.randn(1, 3, 16, 16)
    counts = [
        FlopCountAnalysis(part, images).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        for part in (network, plain_copy(network).eval())
    ]
    assert counts[0].total() == counts[1].total() == cost(spec).flops


def test_weights_of_a_trained_network_load_into_plain_modules() -> None:
    network = build(thin())
    assert plain_copy(network).state_dict().keys() == network.state_dict().keys()


def test_for_a_short_training_residual_blocks_start_as_their_shortcut() -> None:
    network = build(thin(), short_training=True).eval()
    blocks = [part for part in network.modules() if isinstance(part, Residual)]
    assert len(blocks) == 9
    for block in blocks:
        channels = next(part for part in block.modules() if isinstance(part, nn.Conv2d)).in_channels
        x = torch.randn(2, channels, 4, 4)
        torch.testing.assert_close(block(x), x)


def test_otherwise_residual_blocks_do_something() -> None:
    network = build(thin()).eval()
    block = next(part for part in network.modules() if isinstance(part, Residual))
    channels = next(part for part in block.modules() if isinstance(part, nn.Conv2d)).in_channels
    x = torch.randn(2, channels, 4, 4)
    assert not torch.allclose(block(x), x)


def test_for_a_short_training_channels_start_orthogonal() -> None:
    network = build(thin(), short_training=True)
    mixing = [part for part in network.modules() if isinstance(part, nn.Conv2d) and part.groups == 1]
    assert len(mixing) > 40
    for layer in mixing:
        rows = layer.weight.flatten(1)
        products = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
        torch.testing.assert_close(products, 2 * torch.eye(len(products)), rtol=1e-4, atol=1e-4)


def test_the_same_generator_gives_the_same_weights() -> None:
    networks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        networks.append(build(thin()))
    first, again, other = ([*network.parameters()] for network in networks)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
