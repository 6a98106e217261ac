import pytest

from scaler.errors import UserError
from scaler.growth.ladder import ladder, parse_phis, phi_for, up_to
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.scaling.multipliers import PUBLISHED, Coefficients, Multipliers
from scaler.scaling.rounding import OFFICIAL, Rounding
from scaler.scaling.shares import DEPTH_ONLY, PUBLISHED_SHARES
from scaler.search.candidates.realise import Scalable
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
    ],
)
def test_phis_as_they_are_written(text: str, phis: tuple[float, ...]) -> None:
    assert parse_phis(text) == phis


@pytest.mark.parametrize("text", ["", "four", "1;2", "1,,2", "nan", "1e3"])
def test_unreadable_phis_show_how_to_write_them(text: str) -> None:
    with pytest.raises(UserError, match="such as 4"):
        parse_phis(text)


def test_a_ladder_starts_at_the_base_and_grows() -> None:
    networks = ladder([("compound", COMPOUND, up_to(3))], NATIVE, PROXY)
    assert networks[0].native.spec == NATIVE.base
    assert networks[0].name == "base"
    ratios = [network.native.ratio for network in networks]
    assert ratios == sorted(ratios)
    # The published constants spend 1.92 per phi (by 1.2 * 1.1^2 * 1.15^2); stem and head grow less in depth.
    assert ratios[3] == pytest.approx(1.92**3, rel=0.1)


def test_policies_share_one_base() -> None:
    networks = ladder([("compound", COMPOUND, (0, 1)), ("depth", DEPTH, (0, 1))], NATIVE, PROXY)
    assert [network.name for network in networks] == ["base", "compound-phi-1", "depth-phi-1"]


def test_negative_phi_shrinks() -> None:
    networks = ladder([("compound", COMPOUND, (0, -1))], NATIVE, PROXY)
    # 1 / 1.92 in theory; widths are never rounded more than a tenth down, so less is saved.
    assert 0.5 < networks[1].native.ratio < 0.7
    assert networks[1].native.effective.depth < 1


@pytest.mark.parametrize("flops", [200e6, 800e6, 1.6e9, 4.2e9])
@pytest.mark.parametrize("policy", [COMPOUND, DEPTH])
def test_phi_is_found_by_measured_count(policy: Policy, flops: float) -> None:
    phi = phi_for(policy, NATIVE, flops)
    assert NATIVE.realise(policy.native.at(phi)).cost.flops == pytest.approx(flops, rel=0.08)


def test_official_rounding_overshoots_the_nominal_product() -> None:
    # (1.2, 1.1, 1.15) realises 2.57x on B0 by the official code, against a product of 1.92.
    official = Scalable(base("effnet-b0"), OFFICIAL)
    assert official.realise(PUBLISHED.multipliers).cost.macs / 385814752 == pytest.approx(2.57, abs=0.02)


def test_flops_that_no_phi_reaches_are_refused() -> None:
    with pytest.raises(UserError, match="nearest network"):
        phi_for(COMPOUND, NATIVE, 10.0)
