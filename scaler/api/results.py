"""What searches and scalings give: frames, pictures, sentences, and the same shown in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.api.in_python import in_python
from scaler.errors import UserError
from scaler.words import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from scaler.growth.comparison import Difference
    from scaler.growth.formats import Exported
    from scaler.networks.build import Network
    from scaler.report.answers.growth_law import Laws
    from scaler.report.page.page import PageTable
    from scaler.runs import Run
    from scaler.search.result import SearchResult


@dataclass(frozen=True)
class Picture:
    """A picture of a run, which a notebook shows."""

    name: str
    figure: Figure

    def save(self, file: str | Path) -> Path:
        """Write it as PNG or SVG, by the file's ending.

        Raises:
            UserError: the ending is another, or the file cannot be written.
        """
        from scaler.files import write_bytes
        from scaler.report.pictures.style import FORMATS, rendered

        path = Path(file)
        for form in FORMATS:
            if path.suffix == f".{form}":
                return write_bytes(path, rendered(self.figure, form), "file")
        raise UserError(f"{path} ends in no format of pictures: write .png or .svg")

    def _repr_png_(self) -> bytes:
        from scaler.report.pictures.style import SCREEN_DPI, rendered

        return rendered(self.figure, "png", SCREEN_DPI)


@dataclass(frozen=True, eq=False, repr=False)
class _OfRun:
    """What a run gives; of a dry run there is none."""

    run: Run | None

    @property
    def path(self) -> Path:
        """The run's directory.

        Raises:
            UserError: it was a dry run.
        """
        return self._run.path

    @property
    def report(self) -> Path:
        """The page of the run; raises as :attr:`path`."""
        from scaler.report.page.page import REPORT

        return self.path / REPORT

    def pictures(self) -> dict[str, Picture]:
        """The pictures of the run by name; raises as :attr:`path`."""
        from scaler.report.pictures.of_run import pictures

        return {name: Picture(name, figure) for name, figure in pictures(self._run)}

    @in_python
    def pareto(
        self,
        *others: Search | Scaling,
        objectives: str = "accuracy,flops",
        strict: bool = False,
        published: bool = False,
        measure: bool = False,
        device: str = "auto",
    ) -> pd.DataFrame:
        """The networks of this run, and of others, with ``on_front``, as ``scaler pareto`` has them.

        Raises:
            UserError: there is no such objective, or it was a dry run.
        """
        from scaler.api.measuring import with_costs
        from scaler.curves.pareto import parse_objectives
        from scaler.report.console import Output
        from scaler.report.pareto.table import pareto_table

        return pareto_table(
            [self._run, *(other._run for other in others)],
            parse_objectives(objectives),
            strict=strict,
            published=published,
            measure=partial(with_costs, Output(), device=device) if measure else None,
        ).frame

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer in plain words, the most important first."""
        raise NotImplementedError

    def _tables(self) -> Sequence[PageTable]:
        raise NotImplementedError

    @property
    def _run(self) -> Run:
        if self.run is None:
            raise UserError("this was a dry run, which leaves no run: call it without dry_run")
        return self.run

    def __repr__(self) -> str:
        where = f"of {self.run.path}" if self.run else "planned"
        return "\n".join([f"<{type(self).__name__} {where}>", *self.lines])

    def _repr_html_(self) -> str:
        from scaler.report.page.fragment import fragment

        return fragment(self.lines, self._tables(), self.report if self.run else None)


@dataclass(frozen=True, eq=False, repr=False)
class Search(_OfRun):
    """A search.

    Attributes:
        run: its directory and configuration; None for a dry run.
        candidates: the table of ``candidates.csv``: candidates, networks off the budget, points left out.
        trials: the table of ``trials.csv``, a row for every training and rung.
        plan: trainings, images, FLOPs and seconds planned; empty for a run that was read.
    """

    candidates: pd.DataFrame
    trials: pd.DataFrame
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answer(self) -> SearchResult:
        """The choice, its intervals, the best set and the law.

        Raises:
            UserError: it was a dry run, or the search is not finished.
        """
        from scaler.search.result import read_result

        return read_result(self._run)

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer in plain words; of a dry run, how many candidates there are."""
        from scaler.report.page.answers import search_answer

        if self.run is not None:
            return tuple(search_answer(self.run))
        count = int(self.candidates["feasible"].sum())
        return (f"{count} candidates meet the budget; {self.plan['trainings']} trainings are planned.",)

    def _tables(self) -> Sequence[PageTable]:
        from scaler.report.columns import PLAN_COLUMNS
        from scaler.report.page.page import page_table, search_tables
        from scaler.report.run_tables import network_table

        if self.run is not None:
            return tuple(search_tables(network_table(self.run)))
        return (page_table("The candidates", self.candidates, PLAN_COLUMNS),)


@dataclass(frozen=True, eq=False, repr=False)
class Scaling(_OfRun):
    """A scaling.

    Attributes:
        run: its directory and configuration; None for a dry run.
        curve: the table of ``curve.csv``, a row for every network; the first policy is the chosen one.
        trials: the table of ``trials.csv``; empty where nothing was trained.
        plan: trainings, images, FLOPs and seconds planned; None where nothing is trained or a run was read.
    """

    curve: pd.DataFrame
    trials: pd.DataFrame
    plan: Mapping[str, Any] | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer in plain words; of a dry run, how many networks there are."""
        from scaler.report.page.answers import scale_answer

        if self.run is not None:
            return tuple(scale_answer(self.run))
        told = counted(len(self.curve), "network")
        return (f"{told} {'was' if len(self.curve) == 1 else 'were'} counted, and none was trained.",)

    def differences(self) -> list[Difference]:
        """The chosen policy's accuracy less every other's at equal FLOPs, with intervals."""
        from scaler.growth.comparison import differences

        return differences(self.curve, self._values())

    def laws(self) -> Laws:
        """The law of growth of every policy, or why there is none."""
        from scaler.growth.law import growth_laws

        return growth_laws(self.curve, self._values()) if len(self.trials) else {}

    @property
    def base_flops(self) -> float:
        """FLOPs of the base, which need not be among the networks, nor the smallest of them."""
        at_base = self.curve[self.curve["phi"] == 0]
        if len(at_base):
            return float(at_base["flops"].iloc[0])
        first = self.curve.iloc[0]
        return float(first["flops"] / first["flops_ratio"]) if first["flops_ratio"] > 0 else first["flops"]

    @in_python
    def predict(self, flops: str | float) -> pd.DataFrame:
        """The accuracy that every policy's law expects at ``10x`` of the base or ``4G``, with its bounds.

        Raises:
            UserError: no law reaches so far.
        """
        import pandas as pd

        from scaler.report.answers.growth_law import predict

        return pd.DataFrame(predict(self.laws(), str(flops), self.base_flops))

    @in_python
    def for_accuracy(self, accuracy: str | float) -> pd.DataFrame:
        """The FLOPs at which every policy's law reaches ``85%`` or ``0.85``, with their bounds.

        Raises:
            UserError: no law reaches it within what its networks support.
        """
        import pandas as pd

        from scaler.report.answers.growth_law import for_accuracy

        return pd.DataFrame(for_accuracy(self.laws(), str(accuracy)))

    @in_python
    def network(self, phi: float, *, policy: str | None = None, proxy: bool = False) -> Network:
        """A network of the scaling, as :func:`scaler.load` gives it."""
        from scaler.growth.export import load

        return load(self.path, phi, policy=policy, proxy=proxy)

    @in_python
    def export(
        self,
        phi: float = 1.0,
        *,
        to: str = "onnx",
        policy: str | None = None,
        proxy: bool = False,
        output: str | Path | None = None,
    ) -> Exported:
        """Write a network as ``onnx``, ``pt2``, ``safetensors``, ``spec`` or ``script``, checked.

        Raises:
            UserError: there is no such network or format, or a package is not installed.
            MachineError: what was written gives other scores.
        """
        from scaler.growth.export import export

        file = None if output is None else Path(output)
        return export(self._run, phi, to, policy=policy, proxy=proxy, file=file)

    def _values(self) -> dict[tuple[int, int], float]:
        from scaler.growth.comparison import accuracies

        return accuracies(self.trials) if len(self.trials) else {}

    def _tables(self) -> Sequence[PageTable]:
        from scaler.report.page.page import curve_tables

        return tuple(curve_tables(self.curve))


def load(
    run: str | Path, phi: float | None = None, *, policy: str | None = None, proxy: bool = False
) -> Network:
    """A network of a scaling, or of a file of weights, ready to use.

    Args:
        run: directory of the run, e.g. ``results/effnet-b0-phi-4``; or a ``.safetensors`` file.
        phi: of the network; not for a file.
        policy: how it was grown; None is the run's chosen policy.
        proxy: the small network that was trained, with its weights, in eval mode; otherwise the network
            at its own size with fresh weights, in train mode.

    Raises:
        UserError: the run holds no such network, or the file no weights that Scaler wrote.
    """
    from scaler.growth.export import load

    return load(run, phi, policy=policy, proxy=proxy)


def read(run: str | Path | None = None, *, results: str | Path = "results") -> Search | Scaling:
    """A run of earlier, by its directory or its name in the results.

    Args:
        run: None is the newest finished scaling, else search.
        results: the folder of all runs.

    Raises:
        UserError: there is none, or its tables cannot be read.
    """
    from scaler.report.run_tables import find_run

    return result_of(find_run(Path(results), None if run is None else str(run)))


def result_of(run: Run) -> Search | Scaling:
    """The tables of a run."""
    from scaler.execution.trials_table import trials_table
    from scaler.report import run_tables as tables

    scaling = (run.path / tables.CURVE).is_file()
    networks = tables.read_curve(run) if scaling else tables.read_candidates(run)
    name = tables.scaling_trials(run) if scaling else tables.TRIALS
    # A curve that does not say which training a network had has none to learn from.
    told = (run.path / name).is_file() and (not scaling or "training" in networks)
    trials = tables.read_trials(run, name) if told else trials_table([])
    return Scaling(run, networks, trials) if scaling else Search(run, networks, trials)
