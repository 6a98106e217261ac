"""Every base network against figures of others, and against fvcore at random multipliers."""

import csv
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

from scaler.cost.counting import count, count_by_blocks
from scaler.cost.counts import Cost
from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.build import Residual, build
from scaler.networks.layers import Seq
from scaler.networks.lowering import lower, smallest_resolution
from scaler.networks.registry import FAMILIES, base, bases
from scaler.networks.scale import effective, scale, small
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import OFFICIAL, Rounding

#: fvcore 0.1.5.post20221221 on torchvision 0.29's models (MobileNet v1: timm 1.0's), eval mode, native
#: resolution, without auxiliary heads: params, flops, macs (conv + linear), activations.
IMPLEMENTATIONS = {
    "effnet-b0": (5288548, 401659392, 385814752, 6748036),
    "effnet-b1": (7794184, 712732416, 686802832, 10884328),
    "effnet-b4": (19341616, 4512495200, 4393771024, 49489032),
    "effnet-b7": (66347960, 38449437600, 37745884192, 289939464),
    "resnet-18": (11689512, 1819065856, 1814073344, 2484712),
    "resnet-34": (21797672, 3671262720, 3663761408, 3739112),
    "resnet-50": (25557032, 4111512576, 4089184256, 11114984),
    "resnet-101": (44549160, 7833969664, 7801405440, 16232936),
    "resnet-152": (60192808, 11558835200, 11513626624, 22555112),
    "wide-resnet-50-2": (68883240, 11426922496, 11398021120, 14401512),
    "wide-resnet-101-2": (126886696, 22795599872, 22753050624, 21225448),
    "resnext-50-32x4d": (25028904, 4259381248, 4230479872, 14401512),
    "resnext-101-32x8d": (88791336, 16476534784, 16414015488, 31210472),
    "resnext-101-64x4d": (83455272, 15522789376, 15460270080, 31210472),
    "densenet-121": (7978856, 2865546752, 2834161664, 6900200),
    "densenet-161": (28681000, 7786843488, 7727907072, 11064808),
    "densenet-169": (14149480, 3397970816, 3359843328, 7301608),
    "densenet-201": (20013928, 4340870784, 4291365888, 7853544),
    "densenet-264": (33337704, 5819811200, 5751653376, 8530920),
    "mobilenet-v1": (4231976, 578875904, 568740352, 5043688),
    "mobilenet-v2": (3504872, 314193216, 300774272, 6679112),
    "googlenet": (6624904, 1504878688, 1498376192, 3227160),
    "inception-v3": (23834568, 5731282144, 5713216096, 8968488),
    "vgg-16": (138365992, 15497384448, 15470264320, 13556712),
}

#: timm 1.0's SE networks: params, macs, activations. They pool by ``mean``, which fvcore counts as nothing,
#: so flops differ.
SE_IMPLEMENTATIONS = {
    "se-resnet-50": (28088024, 4091699200, 11131032),
    "se-resnet-101": (49326872, 7806148608, 16267480),
    "se-resnet-152": (66821848, 11520204800, 22605976),
    "se-resnext-50-32x4d": (27559896, 4232994816, 14417560),
    "se-resnext-101-32x4d": (48955416, 7974739968, 21259992),
}

#: Parameters with 10 classes. DenseNet: counted from the paper's recipe (arXiv 1608.06993 Table 2 prints
#: 0.8 M and 1.0 M). ResNet: 0.27 M and 0.85 M in arXiv 1512.03385 Table 6. WRN-16-4: 2.7 M in 1605.07146.
SMALL_PARAMS = {
    "densenet-bc-100-12": 769162,
    "densenet-40-12": 1019722,
    "resnet-20": 269722,
    "resnet-56": 853018,
    "wide-resnet-16-4": 2748890,
}

ROOT = Path(__file__).parents[2]
ALL = tuple(bases())
#: Asked by more than one test, and a search that lowers each network a dozen times.
least_resolution = cache(smallest_resolution)
RESIDUAL = ("effnet-b0", "resnet-18", "se-resnet-50", "mobilenet-v2", "resnet-20", "wide-resnet-16-4")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def shapes(spec: NetworkSpec) -> tuple[tuple[int, int, int], ...]:
    """Input shape of the first stage, and output shapes of all."""
    tree = dict(lower(spec).children)
    shape = tree["stem"].out((3, spec.resolution, spec.resolution))
    found = [shape]
    stages = tree["stages"]
    assert isinstance(stages, Seq)
    for _, stage in stages.children:
        shape = stage.out(shape)
        found.append(shape)
    return tuple(found)


def thin(spec: NetworkSpec, resolution: int) -> NetworkSpec:
    """One block per stage and an eighth of the channels."""
    scaled = scale(spec, Multipliers(0.01, 0.125), Rounding(divisor=4))
    return replace(scaled, resolution=resolution).with_classes(3)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_costs_equal_the_public_implementation(name: str) -> None:
    assert cost(base(name)) == Cost(*IMPLEMENTATIONS[name])


@pytest.mark.parametrize("name", SE_IMPLEMENTATIONS)
def test_se_costs_equal_the_public_implementation(name: str) -> None:
    counted = cost(base(name))
    assert (counted.params, counted.macs, counted.activations) == SE_IMPLEMENTATIONS[name]


@pytest.mark.parametrize("name", SMALL_PARAMS)
def test_small_networks_have_the_papers_weights(name: str) -> None:
    spec = base(name)
    assert (spec.resolution, spec.classes) == (32, 10)
    assert cost(spec).params == SMALL_PARAMS[name]


def test_committed_table_is_up_to_date() -> None:
    """``python -m tests.benchmarks.bases_table`` writes it."""
    rows = csv.DictReader((ROOT / "results/reference/bases.csv").read_text().splitlines())
    committed = {row["name"]: row for row in rows}
    assert set(committed) == set(ALL)
    for name, row in committed.items():
        counted = cost(base(name))
        assert {key: int(row[key]) for key in asdict(counted)} == asdict(counted)


def test_all_names_are_there() -> None:
    wanted = {
        *(f"effnet-b{i}" for i in range(8)), *IMPLEMENTATIONS, *SE_IMPLEMENTATIONS, *SMALL_PARAMS,
        "se-googlenet", "se-inception-v3", "se-vgg-16",
    }  # fmt: skip
    assert set(ALL) == wanted
    assert all(family.ABOUT and family.SCALING for family in FAMILIES.values())


def test_every_base_says_which_family_file_it_is_from() -> None:
    for family in FAMILIES.values():
        for spec in family.bases():
            assert import_module(f"scaler.networks.families.{spec.family}") is family


def test_listing_imports_no_torch() -> None:
    program = (
        "import sys; from scaler.networks.registry import bases; bases(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("rounding", [Rounding(), OFFICIAL, Rounding(divisor=1)])
def test_multipliers_of_one_change_nothing(rounding: Rounding) -> None:
    for spec in bases().values():
        assert scale(spec, Multipliers(), rounding) == spec
        assert effective(spec, spec) == Multipliers()


@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.slow) for turn in (1, 2))])
@pytest.mark.parametrize("name", ALL)
def test_closed_form_equals_fvcore_at_random_multipliers(name: str, turn: int) -> None:
    spec = base(name)
    draw = random.Random(f"{name} {turn}")
    least = least_resolution(spec)
    multipliers = Multipliers(
        draw.uniform(0.2, 1.2) * min(1.0, 8 / spec.depth),
        draw.uniform(0.1, 0.4),
        draw.uniform(least + 1, least + 12) / spec.resolution,
    )
    rounding = Rounding(draw.choice(("ceil", "spread")), draw.choice((1, 4, 8)))
    scaled = scale(spec, multipliers, rounding)
    assert cost(scaled) == count_by_blocks(scaled)


@pytest.mark.parametrize("name", ["resnext-50-32x4d", "se-vgg-16", "densenet-bc-100-12", "googlenet"])
def test_whole_network_equals_fvcore(name: str) -> None:
    spec = small(base(name), 24)
    scaled = scale(spec, Multipliers(0.4, 0.37, 1.4), Rounding())
    assert cost(scaled) == count(scaled)


@pytest.mark.parametrize("name", ALL)
def test_trains_at_the_smallest_resolution_and_not_below(name: str) -> None:
    spec = base(name)
    least = least_resolution(spec)
    network = build(thin(spec, least), short_training=True)
    scores = network(torch.randn(2, 3, least, least))
    assert scores.shape == (2, 3)
    torch.autograd.backward(nn.functional.cross_entropy(scores, torch.tensor([0, 1])))
    assert all(weight.grad is not None for weight in network.parameters())
    with pytest.raises(UserError, match=rf"{name} cannot take images of {least - 1} px.*is {least} px"):
        build(thin(spec, least - 1))


@pytest.mark.parametrize("name", RESIDUAL)
def test_branches_that_start_at_zero_learn(name: str) -> None:
    spec = replace(thin(small(base(name), 16), 16).without_regularisation())
    spec = replace(spec, stages=tuple(replace(stage, depth=2) for stage in spec.stages))
    network = build(spec, short_training=True)
    branches = [part.body for part in network.modules() if isinstance(part, Residual)]
    outputs = []
    hooks = [branch.register_forward_hook(lambda *call: outputs.append(call[-1])) for branch in branches]
    scores = network(torch.randn(4, 3, 16, 16))
    torch.autograd.backward(nn.functional.cross_entropy(scores, torch.tensor([0, 1, 2, 0])))
    assert outputs
    assert all(output.abs().max() == 0 for output in outputs)
    for hook in hooks:
        hook.remove()
    for branch in branches:
        zeroed = [weight for weight in branch.parameters() if weight.dim() and weight.abs().max() == 0]
        assert any(weight.grad is not None and weight.grad.abs().max() > 0 for weight in zeroed)


@pytest.mark.parametrize("resolution", [16, 24, 32, 48, 64, 96, 160])
def test_small_variants_keep_a_map_of_four_pixels(resolution: int) -> None:
    for spec in bases().values():
        variant = small(spec, resolution)
        assert variant.resolution == resolution
        pixels = shapes(variant)[-1][1]
        assert pixels >= 4, spec.name
        assert variant.depths == spec.depths
        assert variant.widths == spec.widths
        assert variant.head.pool <= pixels


@pytest.mark.parametrize("name", ALL)
def test_small_variants_take_their_images(name: str) -> None:
    variant = small(base(name), 24)
    assert smallest_resolution(variant) <= 8
    network = build(thin(variant, 24)).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 24, 24)).shape == (1, 3)


def test_networks_for_small_images_stay_as_they_are() -> None:
    for name in SMALL_PARAMS:
        assert small(base(name), 32) == base(name)


def test_small_inception_has_padding_and_no_early_pooling() -> None:
    variant = small(base("inception-v3"), 32)
    assert not any(layer.valid for layer in (*variant.stem, *variant.stages))
    assert [layer.block for layer in variant.stem].count("maxpool") == 1
    assert [layer.stride for layer in variant.stem] == [1, 1, 1, 1, 1, 2]
    assert small(base("resnet-50"), 32).stem == (replace(base("resnet-50").stem[0], stride=1, kernel=3),)


@pytest.mark.parametrize("width", [0.3, 0.77, 1.1, 1.37, 1.9])
@pytest.mark.parametrize("name", ["resnext-50-32x4d", "resnext-101-64x4d", "se-resnext-101-32x4d"])
def test_resnext_keeps_its_group_width(name: str, width: float) -> None:
    spec = base(name)
    for divisor in (1, 8):
        scaled = scale(spec, Multipliers(width=width), Rounding(divisor=divisor))
        for old, new in zip(spec.stages, scaled.stages, strict=True):
            inner = new.width * new.expand
            assert new.group_width == old.group_width
            assert inner % new.group_width == 0
            assert abs(inner / (old.width * old.expand * width) - 1) < 0.25


def test_densenet_grows_in_growth_rate_and_layers() -> None:
    spec = scale(base("densenet-121"), Multipliers(1.5, 2.0), OFFICIAL)
    assert [stage.width for stage in spec.stages] == [64, 0, 64, 0, 64, 0, 64]
    assert spec.depths == (9, 18, 36, 24)
    assert spec.stem[0].width == 128
    channels = [shape[0] for shape in shapes(spec)]
    assert channels == [128, 704, 352, 1504, 752, 3056, 1528, 3064]
    assert effective(spec, base("densenet-121")) == Multipliers(1.5, 2.0, 1.0)


@pytest.mark.parametrize(("name", "factor"), [("densenet-40-12", 3.8), ("densenet-121", 2.86)])
def test_densenet_flops_grow_faster_than_its_depth(name: str, factor: float) -> None:
    """Every layer reads all before it; bottlenecks soften that."""
    deeper = scale(base(name), Multipliers(depth=2), Rounding())
    assert cost(deeper).flops / cost(base(name)).flops == pytest.approx(factor, rel=0.01)


def test_depths_and_widths_are_of_the_same_stages() -> None:
    for spec in bases().values():
        assert len(spec.depths) == len(spec.widths)
        assert all(spec.widths)


def test_a_network_of_fixed_stages_still_has_multipliers() -> None:
    spec = base("resnet-20")
    spec = replace(spec, stages=tuple(replace(stage, fixed=True) for stage in spec.stages))
    assert effective(scale(spec, Multipliers(2, 2, 2), OFFICIAL), spec) == Multipliers(1.0, 2.0, 2.0)


def test_inception_repeats_modules_but_not_reductions() -> None:
    spec = base("inception-v3")
    deeper = scale(spec, Multipliers(depth=3), OFFICIAL)
    assert [stage.depth for stage in deeper.stages] == [3, 3, 3, 1, 3, 3, 3, 3, 1, 3, 3]
    assert shapes(deeper) == shapes(spec)
    assert effective(deeper, spec) == Multipliers(3.0, 1.0, 1.0)


def test_vgg_poolings_stay_and_hidden_layers_widen() -> None:
    scaled = scale(base("vgg-16"), Multipliers(2, 0.5), OFFICIAL)
    assert [stage.depth for stage in scaled.stages] == [4, 1, 4, 1, 6, 1, 6, 1, 6, 1]
    assert scaled.head.hidden == (2048, 2048)


#: torchvision 0.29's ``mobilenet_v2(width_mult=...)``: parameters.
@pytest.mark.parametrize(
    ("width", "params"), [(0.35, 1677128), (0.5, 1968680), (0.75, 2636424), (1.4, 6108776), (2.0, 11258088)]
)
def test_mobilenet_v2_widens_as_its_official_code(width: float, params: int) -> None:
    assert cost(scale(base("mobilenet-v2"), Multipliers(width=width), OFFICIAL)).params == params


def grown(name: str, **multipliers: float) -> Cost:
    return cost(scale(base(name), Multipliers(**multipliers), Rounding(divisor=1)))


@pytest.mark.parametrize("name", ALL)
def test_every_multiplier_makes_it_dearer(name: str) -> None:
    """And cheaper below 1, except that every Inception module is there once at least."""
    native = cost(base(name)).flops
    for axis in ("depth", "width", "resolution"):
        assert grown(name, **{axis: 1.5}).flops > 1.2 * native
        if not (axis == "depth" and "inception_" in base(name).stages[0].block):
            assert grown(name, **{axis: 0.6}).flops < 0.8 * native
