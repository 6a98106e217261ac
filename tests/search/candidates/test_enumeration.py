import math

import pytest

from scaler.cost.counting import count_by_blocks
from scaler.cost.exponents import measure
from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.registry import base
from scaler.networks.scale import scale, small, usual_rounding
from scaler.networks.spec import Head, NetworkSpec, Stage
from scaler.scaling.multipliers import PUBLISHED, Multipliers
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import THEORY
from scaler.search.candidates.enumeration import Candidates, enumerate_candidates
from scaler.search.candidates.grid import lattice_points, rectangular_points
from scaler.search.candidates.problem import effective_shares, pose
from scaler.search.candidates.proxy_base import reduced, widest
from scaler.search.candidates.realise import Scalable, Target
from scaler.search.space import Proxy, read_space

NATIVE = Scalable(base("effnet-b0"), Rounding())
PROXY = Scalable(small(base("effnet-b0"), 16).with_classes(50), Rounding(divisor=1), Multipliers(1, 0.15, 1))


@pytest.fixture(scope="module")
def found() -> Candidates:
    return enumerate_candidates(lattice_points(4, 2.0, THEORY), NATIVE, PROXY, Target(2.0), THEORY)


def meets_two(scalable: Scalable, spec: NetworkSpec) -> bool:
    """Whether fvcore counts a network at twice its base."""
    ratio = count_by_blocks(spec).flops / count_by_blocks(scalable.base).flops
    return ratio == pytest.approx(2, rel=0.03)


def test_every_candidate_meets_the_budget_by_fvcore_native_and_as_proxy() -> None:
    resnet = base("resnet-20")
    native = Scalable(resnet, usual_rounding(resnet))
    proxy = Scalable(small(resnet, 16).with_classes(50), Rounding(divisor=1), Multipliers(1, 0.5, 1))
    kept = enumerate_candidates(lattice_points(4, 2.0, THEORY), native, proxy, Target(2.0), THEORY).kept
    assert len(kept) >= 12
    for candidate in kept:
        assert meets_two(native, candidate.native.spec)
        assert meets_two(proxy, candidate.proxy.spec)


# A count of an EfficientNet at its own resolution takes a second.
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_so_do_those_of_an_efficientnet(found: Candidates, every: bool) -> None:
    for candidate in found.kept:
        if every or candidate.point.name == "published":
            assert meets_two(NATIVE, candidate.native.spec)
            assert meets_two(PROXY, candidate.proxy.spec)


def test_a_small_budget_passes_over_images_that_are_too_small() -> None:
    """A twentieth of resnet-20: some networks nearby would have images of 2 px, of which it takes none."""
    resnet = base("resnet-20")
    native = Scalable(resnet, usual_rounding(resnet))
    proxy = Scalable(small(resnet, 16), Rounding(divisor=1), Multipliers(1, 0.4, 1))
    points, exponents = lattice_points(1, 0.05, THEORY), measure(resnet, budget=0.05).exponents
    kept = enumerate_candidates(points, native, proxy, Target(0.05), exponents).kept
    assert "resolution-only" in [candidate.point.name for candidate in kept]
    for candidate in kept:
        ratio = count_by_blocks(candidate.native.spec).flops / count_by_blocks(native.base).flops
        assert ratio == pytest.approx(0.05, rel=0.03)


def test_images_that_are_all_too_small_are_the_reason_that_a_point_is_left_out() -> None:
    deep = NetworkSpec("deep", "user", (), (Stage("plain", 1, 16, stride=32, valid=True),), Head(), 32)
    points = [point for point in lattice_points(1, 0.1, THEORY) if point.name == "resolution-only"]
    alone = Scalable(deep, Rounding())
    with pytest.raises(UserError, match=r"no point .* can be built: deep cannot take .*larger budget"):
        enumerate_candidates(points, alone, alone, Target(0.1), THEORY)


def test_candidates_are_distinct_networks(found: Candidates) -> None:
    assert len({c.native.spec for c in found.kept}) == len(found.kept)
    assert len({c.proxy.spec for c in found.kept}) == len(found.kept)


def test_every_point_is_a_candidate_an_alias_or_left_out(found: Candidates) -> None:
    assert len(found.kept) + found.aliases + len(found.left_out) == 16


def test_corners_and_the_published_direction_are_always_there(found: Candidates) -> None:
    names = {c.point.name: c for c in found.kept}
    assert {"depth-only", "width-only", "resolution-only", "published"} <= set(names)
    depth = names["depth-only"].native.spec
    assert depth.widths == NATIVE.base.widths
    assert depth.resolution == 224
    resolution = names["resolution-only"].native.spec
    assert resolution.depths == NATIVE.base.depths
    published = names["published"].coefficients
    for got, printed in zip(
        (published.alpha, published.beta, published.gamma), (1.2, 1.1, 1.15), strict=True
    ):
        # Printed with two digits, and for a product of 1.92 where 2 is asked for.
        assert abs(math.log(got / printed)) < 0.03
    assert PUBLISHED.alpha == 1.2


@pytest.mark.parametrize("budget", ["1.5x", "2x", "4x"])
@pytest.mark.parametrize(
    "name",
    ["effnet-b0", "resnet-20", "densenet-bc-100-12", "densenet-40-12", "mobilenet-v2", "resnet-50",
     "resnext-50-32x4d", "googlenet", "tests/networks/example_network.yaml"],
)  # fmt: skip
def test_they_are_there_for_every_family(name: str, budget: str) -> None:
    space = read_space("quick").override(base=name, budget=budget, grid={"lattice": 1})
    kept = pose(space, classes=64).candidates.kept
    assert [c.point.name for c in kept] == ["depth-only", "width-only", "resolution-only", "published"]


def test_native_and_proxy_multipliers_stay_close(found: Candidates) -> None:
    assert max(c.native.effective.largest_difference(c.proxy.effective) for c in found.kept) < 0.12


def test_asked_multipliers_rebuild_the_candidate(found: Candidates) -> None:
    for candidate in found.kept:
        assert NATIVE.at(candidate.coefficients.at(1.0)) == candidate.native.spec


def test_the_papers_rectangular_grid() -> None:
    points = rectangular_points(((1.0, 1.4), (1.0, 1.2), (1.0, 1.2)), 0.1, 2.0, THEORY)
    assert len(points) == 4 + 5 * 3 * 3 - 1
    found = enumerate_candidates(points, NATIVE, PROXY, Target(2.0), THEORY)
    assert len(found.kept) + found.aliases + len(found.left_out) == len(points)
    reason = next(out.reason for out in found.left_out if out.point.name == "1.4/1.2/1.2")
    assert "above the budget" in reason


def test_points_of_one_network_become_aliases() -> None:
    coarse = Scalable(base("effnet-b0"), Rounding(divisor=64, resolution_step=32))
    points = rectangular_points(((1.9, 2.1), (1.0, 1.01), (1.0, 1.01)), 0.01, 2.0, THEORY)
    found = enumerate_candidates(points, coarse, PROXY, Target(2.0, 0.1), THEORY)
    assert found.aliases > 0
    assert len({c.native.spec for c in found.kept}) == len(found.kept)


def test_a_grid_that_misses_says_by_how_much() -> None:
    points = rectangular_points(((1.0, 1.1), (1.0, 1.0), (1.0, 1.0)), 0.1, 8.0, THEORY)[4:]
    with pytest.raises(UserError, match=r"no point of the grid meets 8x .* measures 1\.\d+x \(-8\d"):
        enumerate_candidates(points, NATIVE, PROXY, Target(8.0), THEORY)


def test_shrinking_works_the_same_way() -> None:
    proxy = Scalable(
        small(base("effnet-b0"), 32).with_classes(50), Rounding(divisor=1), Multipliers(1, 0.25, 1)
    )
    found = enumerate_candidates(lattice_points(2, 0.5, THEORY), NATIVE, proxy, Target(0.5), THEORY)
    assert all(c.native.ratio == pytest.approx(0.5, rel=0.03) for c in found.kept)
    assert len(found.kept) >= 5


@pytest.mark.parametrize("name", ["effnet-b0", "resnet-20", "densenet-bc-100-12"])
def test_a_budget_below_the_base_shrinks_it(name: str) -> None:
    problem = pose(read_space("quick").override(base=name, budget="0.5x"), classes=64)
    kept = problem.candidates.kept
    assert {"depth-only", "width-only", "resolution-only", "published"} <= {c.point.name for c in kept}
    assert len(kept) >= 12
    for candidate in kept:
        assert candidate.native.ratio == pytest.approx(0.5, rel=0.03)
        assert candidate.proxy.ratio == pytest.approx(0.5, rel=0.03)
    shares = {c.point.name: effective_shares(c, problem.exponents) for c in kept}
    # Blocks are few: a step on another axis may have to help.
    assert shares["depth-only"].depth > 2 / 3
    assert shares["width-only"].width > 2 / 3
    assert shares["resolution-only"].resolution > 2 / 3


@pytest.mark.parametrize(
    ("name", "divisor"), [("effnet-b0", 8), ("densenet-121", 4), ("resnet-20", 4), ("densenet-40-12", 1)]
)
def test_narrow_bases_are_rounded_finely(name: str, divisor: int) -> None:
    assert usual_rounding(base(name)) == Rounding(divisor=divisor)


def test_the_proxy_is_the_widest_within_its_flops() -> None:
    whole = small(base("effnet-b0"), 16)
    proxy = Proxy(resolution=16, flops="4M")
    width = widest(whole, proxy)
    assert cost(reduced(whole, proxy, width).base).flops <= 4e6
    assert cost(reduced(whole, proxy, width + 0.01).base).flops > 4e6
    assert widest(whole, Proxy(resolution=16, flops="1000G")) == 1


@pytest.mark.parametrize(("divisor", "narrowest"), [(1, 6), (2, 12)])
def test_no_stage_of_a_proxy_is_too_thin_to_scale(divisor: int, narrowest: int) -> None:
    thin = reduced(small(base("effnet-b0"), 16), Proxy(resolution=16, width=0.12, divisor=divisor), 0.12)
    widths = [stage.width for stage in (*thin.base.stem, *thin.base.stages)]
    assert widths[:4] == [narrowest] * 4
    assert widths[-1] == 38  # 0.12 of 320
    # What was raised grows with the others.
    wider = [stage.width for stage in thin.at(Multipliers(1, 2, 1)).stages]
    assert wider == pytest.approx([2 * width for width in widths[1:]], abs=2)


def test_a_narrow_base_keeps_the_channels_it_has() -> None:
    slim = scale(base("resnet-20"), Multipliers(1, 0.25), Rounding(divisor=1))
    assert [stage.width for stage in slim.stages] == [4, 8, 16]
    thin = reduced(slim, Proxy(resolution=16, width=0.1), 0.1)
    assert [stage.width for stage in thin.base.stages] == [4, 6, 6]


def test_growth_rates_are_no_bottlenecks_but_scale_evenly() -> None:
    whole = small(base("densenet-121"), 16)
    tiny = Proxy(resolution=16, flops="1k")
    assert reduced(whole, tiny, widest(whole, tiny)).base.stages[0].width == 4


@pytest.mark.parametrize(("name", "blocks"), [("effnet-b0", 8), ("resnet-20", 8), ("densenet-bc-100-12", 48)])
def test_a_proxy_may_be_half_as_deep_but_keeps_some_blocks(name: str, blocks: int) -> None:
    assert reduced(small(base(name), 16), Proxy(resolution=16, width=1, depth=0.5), 1).base.depth == blocks


def test_a_proxy_has_a_width_or_flops() -> None:
    with pytest.raises(UserError, match="give either"):
        read_space("quick").override(proxy={"resolution": 16, "width": 0.2, "flops": "4M"})
