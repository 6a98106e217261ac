import math
from dataclasses import asdict

import pytest

from scaler.errors import UserError
from scaler.growth.ladder import Rungs, ladder, parse_phis, phi_for, up_to
from scaler.growth.policies import COMPARABLE, in_direction, parse_compare
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.scaling.multipliers import PUBLISHED, Coefficients, Multipliers
from scaler.scaling.rounding import OFFICIAL, Rounding
from scaler.scaling.shares import DEPTH_ONLY, PUBLISHED_SHARES, THEORY
from scaler.search.candidates.realise import Scalable, Target
from scaler.search.result import Policy

NATIVE = Scalable(base("effnet-b0"), Rounding())
PROXY = Scalable(small(base("effnet-b0"), 16).with_classes(10), Rounding(divisor=1), Multipliers(1, 0.15, 1))
COMPOUND = Policy(PUBLISHED_SHARES, PUBLISHED, PUBLISHED, 1.92)
DEPTH = Policy(DEPTH_ONLY, Coefficients(2, 1, 1), Coefficients(2, 1, 1), 2.0)


@pytest.mark.parametrize(
    ("text", "phis"),
    [
        ("4", (0, 1, 2, 3, 4)),
        ("0", (0,)),
        ("2.5", (0, 1, 2, 2.5)),
        ("-2", (0, -1, -2)),
        ("0.5,1,2.5", (0.5, 1, 2.5)),
        ("2, 1,2", (1, 2)),
        ("0.3333333,0.33333333", (0.333333,)),
    ],
)
def test_phis_as_they_are_written(text: str, phis: tuple[float, ...]) -> None:
    assert parse_phis(text) == phis


def test_no_phi_is_less_than_nothing() -> None:
    assert [math.copysign(1, phi) for phi in (*parse_phis("-0"), *parse_phis("-0.0,1"))] == [1, 1, 1]


@pytest.mark.parametrize("text", ["", "four", "1;2", "1,,2", "nan", "1e3"])
def test_unreadable_phis_show_how_to_write_them(text: str) -> None:
    with pytest.raises(UserError, match="such as 4"):
        parse_phis(text)


RUNGS = Rungs(NATIVE, PROXY, 2.0, 0.03)


def test_a_ladder_starts_at_the_base_and_meets_every_power_of_the_budget() -> None:
    networks, missing = ladder({"compound": COMPOUND}, up_to(3), RUNGS)
    assert networks[0].native.spec == NATIVE.base
    assert networks[0].name == "base"
    assert not missing
    for network in networks:
        assert network.native.ratio == pytest.approx(2**network.phi, rel=0.03)
        assert network.proxy.ratio == pytest.approx(2**network.phi, rel=0.03)


@pytest.mark.parametrize("name", COMPARABLE)
def test_every_policy_meets_the_same_flops_and_keeps_its_direction(name: str) -> None:
    policy = in_direction(COMPARABLE[name], THEORY, NATIVE, PROXY, Target(2.0))
    networks, missing = ladder({name: policy}, (1, 2, 3), RUNGS)
    assert not missing
    for network in networks:
        assert network.native.cost.flops == pytest.approx(401659392 * 2**network.phi, rel=0.03)
        assert network.proxy.ratio == pytest.approx(2**network.phi, rel=0.03)
        # At phi = 1 a step of rounding is a large part of what a dimension grows.
        for axis, power in asdict(THEORY).items():
            share = power * math.log(getattr(network.native.effective, axis)) / (network.phi * math.log(2))
            assert share == pytest.approx(
                getattr(COMPARABLE[name], axis), abs=0.12 if network.phi > 1 else 0.15
            )


def test_policies_share_one_base() -> None:
    networks, _ = ladder({"compound": COMPOUND, "depth": DEPTH}, (0, 1), RUNGS)
    assert [network.name for network in networks] == ["base", "compound-phi-1", "depth-phi-1"]


def test_networks_that_two_policies_share_are_trained_once() -> None:
    networks, _ = ladder({"compound": DEPTH, "depth": DEPTH}, (0, 1, 2), RUNGS)
    assert [network.training for network in networks] == [0, 1, 2, 1, 2]


def test_a_comparison_that_the_images_are_too_small_for_is_left_out_and_said() -> None:
    policy = in_direction(COMPARABLE["resolution"], THEORY, NATIVE, PROXY, Target(2.0))
    small = Rungs(NATIVE, PROXY, 2.0, 0.03, pixels=32)
    networks, missing = ladder({"compound": COMPOUND, "resolution": policy}, (0, 1, 2, 3), small)
    assert [(one.policy, one.phi) for one in missing] == [("resolution", 3)]
    assert "the data's have 32" in missing[0].reason
    assert "resolution-phi-3" not in {network.name for network in networks}


def test_a_comparison_that_cannot_meet_the_flops_is_no_comparison() -> None:
    coarse = Scalable(base("resnet-20"), Rounding(divisor=16))
    width = Policy(COMPARABLE["width"], Coefficients(1, 2**0.5, 1), Coefficients(1, 2**0.5, 1), 2.0)
    rungs = Rungs(coarse, coarse, 1.1, 0.001)
    networks, missing = ladder({"compound": width, "width": width}, (0, 1), rungs)
    assert [network.name for network in networks] == ["base", "compound-phi-1"]
    assert "% off 1.1x" in missing[0].reason


def test_negative_phi_shrinks() -> None:
    networks, _ = ladder({"compound": COMPOUND}, (0, -1), RUNGS)
    assert networks[1].native.ratio == pytest.approx(0.5, rel=0.03)
    assert networks[1].native.effective.depth < 1


@pytest.mark.parametrize("flops", ["200M", "800M", "1.6G", "4.2G", "2x"])
@pytest.mark.parametrize("policy", [COMPOUND, DEPTH])
def test_phi_is_found_for_flops(policy: Policy, flops: str) -> None:
    wanted = {"200M": 200e6, "800M": 800e6, "1.6G": 1.6e9, "4.2G": 4.2e9, "2x": 2 * 401659392}[flops]
    networks, _ = ladder({"compound": policy}, (phi_for(flops, NATIVE, 2.0),), RUNGS)
    assert networks[0].native.cost.flops == pytest.approx(wanted, rel=0.035)


def test_official_rounding_overshoots_the_nominal_product() -> None:
    # (1.2, 1.1, 1.15) realises 2.57x on B0 by the official code, against a product of 1.92.
    official = Scalable(base("effnet-b0"), OFFICIAL)
    assert official.realise(PUBLISHED.multipliers).cost.macs / 385814752 == pytest.approx(2.57, abs=0.02)


def test_flops_that_no_phi_reaches_are_refused() -> None:
    with pytest.raises(UserError, match="beyond 16"):
        phi_for("1K", NATIVE, 2.0)


def test_policies_are_named() -> None:
    assert parse_compare("depth, width,depth") == ("depth", "width")
    assert parse_compare("all") == ("depth", "width", "resolution", "published", "d1_w8_r1")
    assert parse_compare("none") == ()
    for text in ("deep", "", "all,depth"):
        with pytest.raises(UserError, match="choose from depth"):
            parse_compare(text)


def test_what_cannot_shrink_so_far_is_the_nearest_miss() -> None:
    deep = Scalable(small(base("resnet-20"), 32).with_classes(10), Rounding())
    networks, missing = ladder({"compound": DEPTH}, (-2.0,), Rungs(deep, deep, 2.0, 0.03))
    assert not missing
    assert set(networks[0].native.spec.depths) == {1}
    assert 0.25 < networks[0].native.ratio < 0.35
