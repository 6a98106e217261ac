"""The law as a strategy: its first design against chance, what it spends, and what it proves."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation, Strategy, TrialSpec
from scaler.execution.training_cost import exhaustive_flops
from scaler.replay.evaluation import run
from scaler.search.inference.decision import contrasts, full_cost, octaves_of
from scaler.search.inference.law import Law
from scaler.search.inference.selection import choose
from scaler.search.strategies.acquisition import log_knowledge_gradient, values_asked
from scaler.search.strategies.knowledge_gradient import KnowledgeGradient
from scaler.search.strategies.law import LawOfGrowth
from tests.replay.planted import networks, plant

EXPERIMENT = networks()
CANDIDATES = len(EXPERIMENT.shares)
LAST = len(EXPERIMENT.rungs) - 1


def trained(seen: list[Observation]) -> set[tuple[int, int]]:
    return {(o.candidate, o.seed_index) for o in seen}


def cost(seen: list[Observation]) -> float:
    """Training FLOPs as the observations count them; every training here is a full one."""
    return sum(o.train_flops for o in seen if o.rung == LAST)


def variance_left(design: list[int], experiment: Experiment = EXPERIMENT) -> float:
    """Mean part of the contrasts' variance that is left over all settings, conditioned afresh."""
    law, asked = Law(octaves_of(experiment)), contrasts(experiment)
    v = values_asked([TrialSpec(network, 0, 0) for network in design])
    cross, total = law.crossed(asked, v), law.covariance(v, v)
    prior = law.latent(asked, asked)
    left = prior - cross @ np.linalg.solve(total, np.swapaxes(cross, 1, 2))
    return float(np.mean(np.trace(left, axis1=1, axis2=2) / np.trace(prior, axis1=1, axis2=2)))


def by_chance(flops: float, rng: np.random.Generator, among: int) -> list[int]:
    """Networks in random order, as many as the FLOPs pay for."""
    order = rng.permutation(among)
    return [int(n) for n in order[np.cumsum(full_cost(EXPERIMENT)[order]) <= flops]]


def test_the_first_design_lies_off_the_budget_and_tells_more_than_chance_for_its_cost() -> None:
    method, price = LawOfGrowth(), full_cost(EXPERIMENT)
    design = method.first_design(EXPERIMENT)
    flops = float(price[design].sum())
    assert flops <= 0.05 * exhaustive_flops(EXPERIMENT)
    assert np.mean(np.array(design) >= CANDIDATES) > 0.8
    assert price[design].max() < 1.3 * price[:CANDIDATES].min()
    ours, rng = variance_left(design), np.random.default_rng(0)
    everywhere = [variance_left(by_chance(flops, rng, len(price))) for _ in range(20)]
    on_budget = [variance_left(by_chance(flops, rng, CANDIDATES)) for _ in range(20)]
    assert ours < min(*everywhere, *on_budget)
    # Random networks cost more for the same variance: even twice the FLOPs tell less, on the average.
    assert ours < np.mean([variance_left(by_chance(2 * flops, rng, len(price))) for _ in range(20)])


def test_the_first_design_of_candidates_alone_begins_at_the_corners() -> None:
    design = KnowledgeGradient(budget_fraction=0.2).first_design(EXPERIMENT)
    assert max(design) < CANDIDATES
    corners = np.array([[s.depth, s.width, s.resolution] for s in EXPERIMENT.shares]).argmax(axis=0)
    assert set(corners.tolist()) <= set(design[:4])  # the very first is the cheapest
    assert full_cost(EXPERIMENT)[design].sum() <= 0.1 * exhaustive_flops(EXPERIMENT)


def test_the_knowledge_gradient_of_two_is_its_closed_form() -> None:
    # E[max(m1 + s z, m2)] - m1 = s phi(d / s) - d Phi(-d / s), with d = m1 - m2.
    s = 1.3
    for d in (0.0, 0.7, 4.0, 9.0):
        expected = s * stats.norm.pdf(d / s) - d * stats.norm.cdf(-d / s)
        gain = log_knowledge_gradient(np.array([d, 0.0]), np.array([[s, 0.0], [0.0, s], [0.0, -s], [s, s]]))
        np.testing.assert_allclose(np.exp(gain[:3]), expected, rtol=1e-6)
        assert gain[3] == -np.inf


def test_the_knowledge_gradient_of_many_is_an_integral() -> None:
    rng = np.random.default_rng(0)
    z = np.linspace(-12, 12, 200_001)
    for count in (2, 3, 7, 16):
        mean, moves = rng.standard_normal(count), rng.standard_normal((4, count))
        moves[1, : count // 2], moves[2] = 0.0, np.round(moves[2])  # some do not move, some move alike
        mean[1], moves[3, 1] = mean[0], moves[3, 0]  # two are the same
        best = (mean[:, None] + moves[:, :, None] * z).max(axis=1)
        expected = trapezoid((best - mean.max()) * stats.norm.pdf(z), z)
        np.testing.assert_allclose(
            np.exp(log_knowledge_gradient(mean, moves)), expected, rtol=1e-5, atol=1e-9
        )


def test_the_knowledge_gradient_tells_options_apart_that_hardly_matter() -> None:
    # Mills' ratio: s (phi(c) - c Phi(-c)) -> s phi(c) / c^2.
    for c in (30.0, 500.0, 9e3, 1.1e4, 1e7):
        gain = log_knowledge_gradient(np.array([c, 0.0]), np.array([[1.0, 0.0], [0.9, 0.0]]))
        assert gain[0] == pytest.approx(stats.norm.logpdf(c) - 2 * np.log(c), abs=4 / c**2 + 1e-6, rel=1e-12)
        assert np.isfinite(gain).all()
        assert gain[1] < gain[0]


@pytest.mark.parametrize("family", ["additive", "punished"])
def test_a_search_keeps_its_budget_and_proves_its_choice(family: str) -> None:
    proven = []
    for seed in range(6):
        world = plant(family, seed, EXPERIMENT)
        experiment = world.table.experiment
        seen = run(LawOfGrowth(), world.table)
        most = 0.1 * exhaustive_flops(experiment)
        assert cost(seen) <= most
        assert all(TrialSpec(n, s, LAST) for n, s in trained(seen))
        chosen, _ = choose(experiment, seen)
        proven.append(chosen in {o.candidate for o in seen})
        # Whatever is left pays for no further training of the cheapest kind, or the choice was clear.
        assert most - cost(seen) < full_cost(experiment)[:CANDIDATES].max() or proven[-1]
    # The last training is the believed best one's own; it may change the belief.
    assert np.mean(proven) >= 0.5


def test_what_follows_the_first_design_is_trained_on_the_budget() -> None:
    method = LawOfGrowth()
    design = {(network, 0) for network in method.first_design(EXPERIMENT)}
    for family in ("additive", "interacting"):
        further = trained(run(method, plant(family, 3).table)) - design
        assert further
        assert max(network for network, _ in further) < CANDIDATES


def test_whichever_candidate_is_believed_best_in_the_end_can_still_be_trained() -> None:
    price = np.array(EXPERIMENT.epoch_flops)
    price[:CANDIDATES] *= np.linspace(0.8, 1.2, CANDIDATES)
    unequal = replace(EXPERIMENT, epoch_flops=tuple(price.tolist()))
    for family, seed in (("additive", 0), ("saturating", 1), ("punished", 2), ("interacting", 3)):
        world = plant(family, seed, unequal)
        experiment = world.table.experiment
        seen: list[Observation] = []
        while batch := LawOfGrowth().ask(experiment, seen):
            known, best = {o.candidate for o in seen}, choose(experiment, seen)[0] if seen else None
            seen += [o for trial in batch for o in world.table.observe(trial)]
            untrained = sorted(set(range(CANDIDATES)) - {o.candidate for o in seen})
            left = 0.1 * exhaustive_flops(experiment) - cost(seen)
            # The reserve goes to the believed best, or to anything once that was trained.
            spent = best in known or [trial.candidate for trial in batch] == [best]
            assert spent or left >= full_cost(experiment)[untrained].max()


def test_the_last_training_is_that_of_the_believed_best() -> None:
    world = plant("additive", 1, EXPERIMENT)
    experiment = world.table.experiment
    seen: dict[tuple[int, int, int], Observation] = {}
    batches, believed = [], []
    method = LawOfGrowth()
    while batch := method.ask(experiment, list(seen.values())):
        batches.append(batch)
        believed.append(choose(experiment, list(seen.values()))[0] if seen else None)
        for trial in batch:
            seen |= {(o.candidate, o.seed_index, o.rung): o for o in world.table.observe(trial)}
    had = {t.candidate for batch in batches[:-1] for t in batch}
    assert believed[-1] in had or [t.candidate for t in batches[-1]] == [believed[-1]]


@pytest.mark.parametrize("make", [LawOfGrowth, KnowledgeGradient])
def test_a_search_that_is_resumed_asks_for_the_same_trainings(make: type[Strategy]) -> None:
    world = plant("interacting", 3, EXPERIMENT)
    experiment = world.table.experiment
    seen: list[Observation] = []
    while batch := make().ask(experiment, seen):
        # A new process knows what was seen in another order, and perhaps of a batch only a part.
        again = make().ask(experiment, seen[::-1])
        assert again == batch
        seen += [o for trial in batch for o in world.table.observe(trial)]
    first = LawOfGrowth().ask(experiment, [])
    part = [o for trial in first[:2] for o in world.table.observe(trial)]
    assert LawOfGrowth().ask(experiment, part) == first[2:]


def test_a_network_that_diverges_is_paid_for_and_left_alone() -> None:
    world = plant("additive", 2, EXPERIMENT)
    experiment = world.table.experiment
    bad = LawOfGrowth().first_design(experiment)[2]
    loss, accuracy = world.table.loss.copy(), world.table.accuracy.copy()
    loss[bad], accuracy[bad] = np.nan, 0.0
    seen = run(LawOfGrowth(), replace(world.table, loss=loss, accuracy=accuracy))
    assert [key for key in trained(seen) if key[0] == bad] == [(bad, 0)]
    assert cost(seen) <= 0.1 * exhaustive_flops(experiment)
    assert len(trained(seen)) > 6


def test_a_candidate_that_diverges_is_never_chosen() -> None:
    world = plant("corner", 0, EXPERIMENT)
    whole = run(LawOfGrowth(), world.table)
    best = choose(world.table.experiment, whole)[0]
    assert best in {o.candidate for o in whole}
    loss, accuracy = world.table.loss.copy(), world.table.accuracy.copy()
    loss[best], accuracy[best] = np.nan, 0.0
    broken = replace(world.table, loss=loss, accuracy=accuracy)
    seen = run(LawOfGrowth(), broken)
    assert best in {o.candidate for o in seen if o.state == "diverged"}
    chosen, region = choose(world.table.experiment, seen)
    assert best not in (chosen, *region)


def test_a_search_ends_when_every_candidate_diverged() -> None:
    world = plant("additive", 0, EXPERIMENT)
    loss, accuracy = world.table.loss.copy(), world.table.accuracy.copy()
    loss[:CANDIDATES], accuracy[:CANDIDATES] = np.nan, 0.0
    broken = replace(world.table, loss=loss, accuracy=accuracy)
    seen = run(LawOfGrowth(budget_fraction=1.0), broken)
    assert {o.candidate for o in seen if o.state == "complete"}
    with pytest.raises(UserError, match="every training diverged"):
        choose(world.table.experiment, seen)


def test_a_clear_decision_ends_the_search_early() -> None:
    world = plant("corner", 0, EXPERIMENT)
    points = 100 * (world.latent[:, None, None] - world.latent.mean()) / 1e4
    still = replace(world.table, accuracy=np.broadcast_to(0.5 + points, world.table.accuracy.shape))
    seen = run(LawOfGrowth(budget_fraction=1.0), still)
    assert cost(seen) < 0.8 * exhaustive_flops(world.table.experiment)


def test_off_the_budget_betters_the_choice_further_up() -> None:
    """At equal cost, over families: what the design is for."""
    regret: dict[str, list[float]] = {"law": [], "knowledge-gradient": []}
    for family in ("additive", "saturating"):
        for seed in range(8):
            world = plant(family, seed, EXPERIMENT)
            worth = world.worth((16.0,))
            for method in (LawOfGrowth(), KnowledgeGradient()):
                chosen, _ = choose(world.table.experiment, run(method, world.table))
                regret[method.name].append(float(worth.max() - worth[chosen]))
    assert np.mean(regret["law"]) < 0.6 * np.mean(regret["knowledge-gradient"])
