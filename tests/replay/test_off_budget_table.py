"""Tables with networks off the budget and directions further up: files, draws and regret."""

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.replay.evaluation import reference_regrets, replays, score
from scaler.replay.simulator import simulator_of
from scaler.replay.table import (
    Larger,
    Recorded,
    Table,
    frame_of,
    observations,
    read_table,
    recorded_frame,
    write_table,
)
from scaler.report.answers.replay import reference_text
from scaler.scaling.shares import Shares
from tests.replay.planted import plant
from tests.replay.synthetic import assert_same

SHARES = (Shares(1.0, 0.0, 0.0), Shares(0.0, 1.0, 0.0), Shares(0.25, 0.25, 0.5))
NETWORKS = [
    Recorded("candidate", "depth-only", SHARES[0], (1.0, 0.0, 0.0)),
    Recorded("candidate", "width-only", SHARES[1], (0.02, 0.97, 0.0)),
    Recorded("candidate", "1-1-2", SHARES[2], (0.25, 0.25, 0.5)),
    Recorded("off", "d-1 w+1 r+0", None, (-1.0, 1.05, 0.0)),
    Recorded("off", "d+0 w+0 r+0", None, (0.0, 0.0, 0.0)),
    # Directions further up, in another order, and one was too large for the images.
    Recorded("larger", "1-1-2", SHARES[2], (0.5, 0.5, 1.0)),
    Recorded("larger", "depth-only", SHARES[0], (2.0, 0.0, 0.0)),
]
FLOPS = (200, 210, 190, 105, 100, 400, 410)
SEEDS = {"candidate": 3, "off": 2, "larger": 2}
EPOCHS = (2, 4)


def accuracy_of(network: int, seed: int, epochs: int) -> float:
    return round(0.3 + 0.04 * network + 0.007 * seed + 0.02 * epochs + 0.003 * ((network * seed) % 3), 6)


def write(path: Path, diverged: tuple[int, int] | None = None) -> Path:
    trainings = [
        {
            "network": n,
            "seed_index": s,
            "evaluations": [
                {
                    "epochs": epochs,
                    "images": 100 * epochs,
                    "train_flops": FLOPS[n] * epochs,
                    "accuracy": accuracy_of(n, s, epochs),
                    "loss": 2.0 - accuracy_of(n, s, epochs),
                    "diverged": (n, s) == diverged and epochs == EPOCHS[-1],
                }
                for epochs in EPOCHS
            ],
        }
        for n, network in enumerate(NETWORKS)
        for s in range(SEEDS[network.kind])
    ]
    write_table(recorded_frame(NETWORKS, trainings[::-1]), path, "made up")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "wide.csv")


def test_a_recorded_table_reads_back(path: Path) -> None:
    table = read_table(path)
    experiment = table.experiment
    assert path.read_text().startswith("# made up\n")
    assert experiment.shares == SHARES
    assert experiment.octaves == tuple(network.octaves for network in NETWORKS[:5])
    assert list(experiment.epoch_flops) == list(FLOPS[:5])
    assert experiment.rungs == EPOCHS
    assert experiment.max_seeds == SEEDS["candidate"]
    assert table.images.tolist() == [200, 400]
    for n in range(5):
        for s in range(3):
            recorded = s < SEEDS[NETWORKS[n].kind]
            for e, epochs in enumerate(EPOCHS):
                expected = accuracy_of(n, s, epochs) if recorded else np.nan
                assert table.accuracy[n, s, e] == pytest.approx(expected, nan_ok=True)
                assert table.loss[n, s, e] == pytest.approx(2 - expected, nan_ok=True)


def test_directions_further_up_stand_in_the_order_of_the_candidates(path: Path) -> None:
    larger = read_table(path).larger
    assert larger is not None
    assert larger.size == pytest.approx(4.0)
    assert larger.accuracy[0, :, 1] == pytest.approx([accuracy_of(6, s, 4) for s in range(2)])
    assert np.isnan(larger.accuracy[1]).all()
    assert larger.accuracy[2, :, 0] == pytest.approx([accuracy_of(5, s, 2) for s in range(2)])


def test_only_what_was_recorded_can_be_observed(path: Path) -> None:
    seen = observations(read_table(path))
    assert {(o.candidate, o.seed_index) for o in seen} == {
        (n, s) for n in range(5) for s in range(SEEDS[NETWORKS[n].kind])
    }
    assert all(o.train_flops == FLOPS[o.candidate] * o.epochs for o in seen)


def test_seeds_of_all_kinds_are_paired_by_their_index(path: Path) -> None:
    """What other networks lack of the candidates' seeds moves none of those that they have."""
    frame = frame_of(path).astype({"seed_index": int})
    others = frame["kind"] != "candidate"
    frame.loc[others, "seed_index"] += 1
    write_table(frame, path, "made up")
    table = read_table(path)
    recorded = [[False, True, True]] * 2
    assert np.isfinite(table.accuracy[3:, :, -1]).tolist() == recorded
    assert table.accuracy[3, 1, -1] == accuracy_of(3, 0, EPOCHS[-1])
    assert table.larger is not None
    assert np.isfinite(table.larger.accuracy[[0, 2], :, -1]).tolist() == recorded
    off = [(o.candidate, o.seed_index) for o in observations(table) if o.candidate > 2 and o.rung == 0]
    assert off == [(3, 1), (3, 2), (4, 1), (4, 2)]
    assert np.isfinite(simulator_of(table).draw(0).table.accuracy).all()


@pytest.mark.parametrize(("base", "budget"), [(100, 2.0), (98, 2.0), (50, 4.0), (400, 0.5)])
def test_the_budget_is_what_candidates_cost_against_the_base(path: Path, base: int, budget: float) -> None:
    frame = frame_of(path)
    at_base = frame["network"] == "d+0 w+0 r+0"
    frame.loc[at_base, "train_flops"] = [str(base * int(epochs)) for epochs in frame.loc[at_base, "epochs"]]
    write_table(frame, path, "made up")
    table = read_table(path)
    assert table.experiment.budget == budget
    assert table.larger is not None
    assert table.larger.size == pytest.approx(2 * budget, rel=0.05)  # twice the FLOPs of the candidates


def test_a_table_of_candidates_alone_is_read_as_before(path: Path, tmp_path: Path) -> None:
    lines = [line.split(",")[:10] for line in path.read_text().splitlines()[1:]]
    kept = [line for line in lines if line[0] in ("candidate", "0", "1", "2")]
    older = tmp_path / "older.csv"
    older.write_text("".join(",".join(line) + "\n" for line in kept).replace("seed_index", "seed"))
    table = read_table(older)
    assert table.experiment.octaves == ()
    assert table.larger is None
    assert len(table.experiment.epoch_flops) == 3
    assert table.accuracy == pytest.approx(read_table(path).accuracy[:3])


def test_a_network_off_the_budget_that_diverged(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "wide.csv", diverged=(3, 1)))
    assert [o.state for o in table.observe(TrialSpec(3, 1, 1))] == ["complete", "diverged"]
    draw = simulator_of(table).draw(0)
    assert np.isnan(draw.table.loss[3, :, 1]).all()
    assert np.isfinite(draw.table.loss[[0, 1, 2, 4], :, 1]).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",off,", ",of,", "'of'; it is one of candidate, off, larger"),
        (",-1.0000,", ",left,", "octave_depth is 'left', which is not a finite number"),
        ("1.000000,0.000000,0.000000,", ",,,", "share_depth has no value in a row"),
        (",off,d+0 w+0 r+0,", ",off,,", "network has no value in a row"),
        (",network,", ",called,", "has a column 'kind' and lacks 'network'; a table of kinds has kind, "),
        ("octave_depth", "depth_octave", "has a column 'kind' and lacks 'octave_depth'"),
    ],
)
def test_broken_columns(path: Path, old: str, new: str, message: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        read_table(path)


@pytest.mark.parametrize("kind", ["off", "larger"])
def test_a_training_without_its_last_epoch_is_named(kind: str, path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if f",{kind}," in line)
    candidate, seed, epochs = (lines[last].split(",")[column] for column in (0, 4, 5))
    path.write_text("".join(lines[:last] + lines[last + 1 :]))
    with pytest.raises(UserError) as caught:
        read_table(path)
    lacks = f"lacks candidate {candidate}, seed index {seed}, epoch {epochs} (kind {kind}): record"
    assert str(caught.value).startswith(f"{path} {lacks}")


@pytest.mark.filterwarnings("error")
def test_all_networks_off_the_budget_may_have_diverged(path: Path) -> None:
    table = read_table(path)
    accuracy, loss = table.accuracy.copy(), table.loss.copy()
    accuracy[len(SHARES) :, :2], loss[len(SHARES) :, :2] = 0.0, np.nan
    drawn = simulator_of(replace(table, accuracy=accuracy, loss=loss)).draw(0)
    assert np.isnan(drawn.table.loss[len(SHARES) :]).all()
    assert np.isfinite(drawn.table.loss[: len(SHARES)]).all()
    assert np.isfinite(drawn.truth).all()


def test_directions_of_other_candidates_say_nothing_of_these(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(re.sub(r"(,larger,)", r"\1another ", line) for line in lines))
    table = read_table(path)
    assert table.larger is None
    assert np.isnan(simulator_of(table).draw(0).larger).all()


def test_a_training_that_diverged_needs_no_further_epochs(tmp_path: Path) -> None:
    whole, short = write(tmp_path / "wide.csv", diverged=(3, 1)), tmp_path / "short.csv"
    lines = whole.read_text().splitlines(keepends=True)
    # It diverges at its first epoch in place of its last.
    first = next(n for n, line in enumerate(lines) if line.startswith("3,,,,1,2,"))
    cells = lines[first].split(",")
    cells[9] = ""
    short.write_text("".join([*lines[:first], ",".join(cells), *lines[first + 2 :]]))
    table = read_table(short)
    assert [o.state for o in table.observe(TrialSpec(3, 1, 1))] == ["diverged", "diverged"]
    assert np.isfinite(simulator_of(table).draw(0).table.loss[[0, 1, 2, 4], :, 1]).all()
    write_table(frame_of(short), tmp_path / "kept.csv", "made up")
    assert_same(read_table(tmp_path / "kept.csv"), table)


@dataclass(frozen=True)
class Only:
    """Trains one candidate, and one off the budget."""

    candidate: int
    name: str = "only"

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        return [] if seen else [TrialSpec(c, 0, 1) for c in (self.candidate, 3)]


def test_regret_further_up_by_hand(path: Path) -> None:
    """Without noise, every draw is the table: the means of what was recorded, choice by choice."""
    table = read_table(path)
    assert table.larger is not None
    at = np.array([0.50, 0.53, 0.56])
    still = np.broadcast_to(at[:, None, None], (3, 3, 2))
    off = table.accuracy[3:].copy()
    up = np.full((3, 2, 2), np.nan)
    up[0], up[2] = 0.70, 0.66
    known = np.concatenate([still, off])
    quiet = replace(table, accuracy=known, loss=np.ones_like(known), larger=Larger(4.0, up))
    simulator = simulator_of(quiet)
    for outcome in replays(simulator, Only(0), 2):
        draw = simulator.draw(0)
        assert draw.truth == pytest.approx(at, abs=1e-4)
        assert draw.larger == pytest.approx([0.70, np.nan, 0.66], nan_ok=True, abs=1e-4)
        # The cost: full trainings of the candidate and of the one off the budget, of all three by three.
        assert outcome.cost_fraction == pytest.approx((200 + 105) / (3 * (200 + 210 + 190)))
        lacks = {6.0: 0.0, 3.0: np.nan, 0.0: 4.0}
        nearest = min(lacks, key=lambda regret: abs(regret - outcome.regret))
        assert outcome.regret == pytest.approx(nearest, abs=0.02)
        assert outcome.regret_larger == pytest.approx(lacks[nearest], abs=0.02, nan_ok=True)


def test_regrets_are_held_against_chance_and_what_the_table_leaves_open(path: Path) -> None:
    table = read_table(path)
    assert table.larger is not None
    at = np.broadcast_to(np.array([0.50, 0.53, 0.56])[:, None, None], (3, 3, 2))
    known = np.concatenate([at, table.accuracy[3:]])
    up = np.broadcast_to(np.array([0.70, 0.68, 0.66])[:, None, None], (3, 2, 2))
    quiet = replace(table, accuracy=known, loss=np.ones_like(known), larger=Larger(4.0, up))
    found = reference_regrets(simulator_of(quiet), 3)
    assert astuple(found) == pytest.approx((3.0, 2.0, 0.0), abs=0.02)
    assert "at 4x 2.00" in reference_text(found, quiet)
    # Where its seeds scatter, the best at 4x is not known, and nobody can choose it every time.
    scattered = replace(quiet, accuracy=known + 0.1 * np.sin(np.arange(known.size)).reshape(known.shape))
    assert 0.05 < reference_regrets(simulator_of(scattered), 100).least_larger < 2.0


def test_scores_leave_out_what_is_not_known_further_up(path: Path) -> None:
    simulator = simulator_of(read_table(path))
    outcomes = list(replays(simulator, Only(1), 4))
    row = score(simulator, "only", outcomes)
    known = [o.regret_larger for o in outcomes if np.isfinite(o.regret_larger)]
    expected = np.mean(known) if known else np.nan
    assert row.mean_regret_larger == pytest.approx(expected, nan_ok=True)
    assert row.region == np.mean([o.region for o in outcomes])
    narrow = replace(simulator.table, larger=None)
    without = simulator_of(narrow)
    assert np.isnan(score(without, "only", list(replays(without, Only(1), 2))).mean_regret_larger)


def test_draws_of_networks_off_the_budget_keep_their_order_of_size() -> None:
    world = plant("additive", 0)
    table: Table = world.table
    simulator = simulator_of(table)
    draws = np.mean([simulator.draw(s).table.accuracy[:, :, -1].mean(axis=1) for s in range(20)], axis=0)
    count = len(table.experiment.shares)
    assert np.corrcoef(draws[count:], world.latent[count:])[0, 1] > 0.9
    assert draws[count:].std() == pytest.approx(world.latent[count:].std() / 100, rel=0.3)
