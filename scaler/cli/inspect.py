"""``scaler inspect``: looking inside trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaler.cli import options
from scaler.errors import UserError
from scaler.report.console import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler.data.dataset import DataSet, PartName
    from scaler.inspect.cam import Method
    from scaler.inspect.images import Images
    from scaler.inspect.looks import Look
    from scaler.inspect.objects import Masks
    from scaler.inspect.subjects import Asked, Subject
    from scaler.report.inside.view import View
    from scaler.report.pictures.style import Format

inspect = typer.Typer(
    name="inspect",
    help="Look inside trained networks: activation maps, excitations, feature reuse.",
    no_args_is_help=True,
)

_RunName = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="Scaling or search --keep-weights; default: the newest finished."),
]
_Phi = Annotated[
    float | None,
    typer.Option(metavar="PHI", help="Of the run's networks; default: the one that most policies have."),
]
_Policy = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="How the run's network was grown; default: the run's chosen policy."),
]
_Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Instead of a run: weights of --base from torchvision, timm or Scaler."
    ),
]
_Classes = Annotated[
    int | None,
    typer.Option("--classes", metavar="N", min=1, help="Classes of --weights; default: the base's own."),
]
_Resolution = Annotated[
    int | None,
    typer.Option(metavar="PIXELS", min=1, help="Of images for --weights; default: the base's own."),
]
_Part = Annotated[str, typer.Option(metavar="test|validation|train", help="Of the data.")]
_Format = Annotated[str, typer.Option("--format", metavar="png|svg", help="Of the pictures.")]
_To = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        help="Where pictures and tables go; default: `inspect` in the run, or in --results.",
        rich_help_panel="Output",
    ),
]
_Skip = Annotated[bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read.")]


@inspect.command()
def cam(
    context: typer.Context,
    run: _RunName = None,
    phi: _Phi = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|NAME|FILE",
            help="Show this image: its number in the part, its file's name, or any picture. Repeatable.",
        ),
    ] = None,
    show: Annotated[
        int, typer.Option(metavar="N", min=1, help="Without --image: so many on which networks disagree.")
    ] = 5,
    sample: Annotated[
        int, typer.Option(metavar="N", min=1, help="Images that they are chosen from, and measured on.")
    ] = 512,
    objects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Where objects are: CSV of image,left,top,right,bottom, or a folder of masks. "
            "Fractals need none.",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="auto|cam|grad-cam", help="auto: CAM where the network has it.")
    ] = "auto",
    base: options.Base = None,
    weights: _Weights = None,
    classes: _Classes = None,
    resolution: _Resolution = None,
    data: options.Data = None,
    data_root: options.DataRoot = None,
    part: _Part = "test",
    skip_unreadable: _Skip = False,
    form: _Format = "png",
    to: _To = None,
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Class activation maps of a run's networks side by side, and how much of them lies on the object.

    Example: scaler inspect cam RUN --data-root DIR
    """
    from scaler.inspect.images import named, told
    from scaler.inspect.looks import look
    from scaler.report.inside.view import cam_view

    output, how, where, picture = Output(json, quiet), _method(method), _part(part), _form(form)
    asked = _asked(run, results, base, weights, classes, resolution, data, data_root, skip_unreadable)
    _refuse_ignored(context, asked)
    if image:
        options.refuse(context, "--image says which images are shown", "show")
    with output.working("Looking at images"):
        subjects = asked.networks(phi, with_base=True)
        known = asked.images(subjects)
        if known is None and not image:
            raise UserError("say which images to look at: --data NAME, or --image FILE for single pictures")
        if known is None and objects is not None:
            raise UserError(f"--objects {objects} are of images of a data set: say which by --data NAME")
        measured, sampled, masks = _measured(subjects, known, where, sample, how, objects, bool(image))
        if image:
            chosen = told(named(image, known, where), subjects[0].network, known)
            looks: Sequence[Look] = look(subjects, chosen, known, how)
            own = None
        else:
            assert sampled is not None
            looks, chosen, own = _disagreed(output, measured, sampled, show, masks)
            chosen = told(chosen, subjects[0].network, known)
        view = cam_view(looks, chosen, known, _trained(asked), own, measured, masks, asked.grown_from)
    _print(output, view, asked, _folder(to, asked, results), picture)


def _measured(
    subjects: Sequence[Subject],
    data: DataSet | None,
    part: PartName,
    count: int,
    method: Method | None,
    objects: Path | None,
    images_are_named: bool,
) -> tuple[Sequence[Look], Images | None, Masks | None]:
    """Looks at a sample of the data, where it is needed: to choose images, or to measure."""
    from scaler.inspect.images import sample, told
    from scaler.inspect.looks import look
    from scaler.inspect.objects import by_construction, given

    if data is None or (images_are_named and objects is None and data.name != "fractals"):
        return (), None, None
    sampled = sample(data, part, count)
    looks = look(subjects, told(sampled, subjects[0].network, data), data, method)
    if objects is not None:
        return looks, sampled, given(objects, sampled, data, part)
    return looks, sampled, by_construction(sampled, part) if data.name == "fractals" else None


def _disagreed(
    output: Output, measured: Sequence[Look], sampled: Images, show: int, masks: Masks | None
) -> tuple[Sequence[Look], Images, Masks | None]:
    from scaler.report.inside.view import disagreed

    looks, places, rule = disagreed(measured, sampled, show)
    output.note(rule)
    return looks, sampled.some(places), None if masks is None else masks[places]


@inspect.command()
def excitation(
    context: typer.Context,
    run: _RunName = None,
    phi: _Phi = None,
    policy: _Policy = None,
    images: Annotated[
        int, typer.Option(metavar="N", min=2, help="Images that the network is shown, evenly of all classes.")
    ] = 500,
    show: Annotated[
        str | None,
        typer.Option(metavar="CLASS,...", help="Classes that get a line; default: four, evenly spaced."),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="X", min=0, help="Blocks that vary by less, as a part of their size, are near identity."
        ),
    ] = 0.05,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the proxy with and without blocks, and compare.")
    ] = False,
    drop: Annotated[
        str,
        typer.Option(
            metavar="near-identity|last-stage|S.B,...", help="Blocks that --retrain leaves out, e.g. 3.1,3.2."
        ),
    ] = "near-identity",
    seeds: options.Seeds = None,
    seed: options.Seed = 0,
    base: options.Base = None,
    weights: _Weights = None,
    classes: _Classes = None,
    resolution: _Resolution = None,
    data: options.Data = None,
    data_root: options.DataRoot = None,
    part: _Part = "validation",
    device: options.Device = "auto",
    skip_unreadable: _Skip = False,
    form: _Format = "png",
    to: _To = None,
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """What squeeze-and-excitation does, by block and class, and which blocks could be dropped.

    Example: scaler inspect excitation RUN --data-root DIR
    """
    from scaler.inspect.excitation import choose, see, view
    from scaler.inspect.images import sample
    from scaler.report.inside.view import classes_shown, excitation_view

    output, where, picture = Output(json, quiet), _part(part), _form(form)
    asked = _asked(run, results, base, weights, classes, resolution, data, data_root, skip_unreadable)
    _refuse_ignored(context, asked)
    if not retrain:
        options.refuse(context, "nothing is trained without --retrain", "drop", "seeds", "seed", "device")
    with output.working("Looking at images"):
        subject = _one(asked, phi, policy)
        known = asked.images([subject])
        if known is None:
            raise UserError("say which images the network is to be shown: --data NAME")
        sampled = sample(known, where, images)
        blocks = see(subject, sampled, known)
        views = view(blocks, sampled.labels, subject.network.spec, subject.native)
        lines = classes_shown(show, known.classes)
        caption = f"{_title(subject, asked)}, {len(sampled)} {where} images. {_trained(asked)}"
        seen = excitation_view(subject, blocks, views, sampled.labels, lines, caption, threshold)
    if retrain:
        places = choose(drop, views, threshold)
        seen = seen.with_more(_retrained(output, asked, subject, known, places, seeds or 2, seed, device))
    _print(output, seen, asked, _folder(to, asked, results), picture, left_out=("excitation-channels",))


def _retrained(
    output: Output, asked: Asked, subject: Subject, data: DataSet, places: list[tuple[int, int]],
    seeds: int, seed: int, device: str,
) -> View:  # fmt: skip
    """Train with and without some blocks."""
    from scaler.inspect.dropping import retrain
    from scaler.report.inside.view import dropped_view
    from scaler.training.device import resolve

    recipe, spec = asked.recipe, subject.network.spec
    with output.progress("Training with and without", 2 * seeds * recipe.epochs) as advance:
        loss = retrain(
            spec, places, recipe, data, seeds=seeds, seed=seed, device=resolve(device), on_epoch=advance
        )
    return dropped_view(subject, places, loss)


@inspect.command()
def reuse(
    context: typer.Context,
    run: _RunName = None,
    phi: _Phi = None,
    policy: _Policy = None,
    last: Annotated[
        int, typer.Option(metavar="N", min=1, help="So many layers of a block count as its last ones.")
    ] = 3,
    base: options.Base = None,
    weights: _Weights = None,
    classes: _Classes = None,
    form: _Format = "png",
    to: _To = None,
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Which earlier layers the layers of a DenseNet read: the heat map of the paper's figure 5.

    Example: scaler inspect reuse RUN
    """
    from scaler.inspect.reuse import dense_blocks
    from scaler.report.inside.view import reuse_view

    picture, asked = _form(form), _asked(run, results, base, weights, classes)
    _refuse_ignored(context, asked)
    subject = _one(asked, phi, policy)
    view = reuse_view(dense_blocks(subject.network), _title(subject, asked), _trained(asked), last)
    _print(Output(json, quiet), view, asked, _folder(to, asked, results), picture)


# --- what the three share --------------------------------------------------------------------------------


def _asked(
    run: str | None, results: Path, base: str | None, weights: Path | None, classes: int | None,
    resolution: int | None = None, data: str | None = None, root: Path | None = None, skip: bool = False,
) -> Asked:  # fmt: skip
    from scaler.inspect.subjects import Asked
    from scaler.report.run_tables import find_run

    if weights is None:
        given = {"--base": base, "--data": data, "--resolution": resolution, "--classes": classes}
        for option, value in given.items():
            if value is not None:
                raise UserError(f"{option} goes with --weights: a run has its own")
        return Asked(find_run(results, run), root=root, skip_unreadable=skip)
    if run is not None:
        raise UserError("name a run, or give --base and --weights, not both")
    if base is None:
        raise UserError("--weights needs --base: whose weights are they?")
    return Asked(None, base, weights, classes, resolution, data, root, skip)


def _refuse_ignored(context: typer.Context, asked: Asked) -> None:
    if asked.run is None:
        options.refuse(context, "--weights are of one network", "phi", "policy")


def _one(asked: Asked, phi: float | None, policy: str | None) -> Subject:
    """The network asked for; of a run's several the chosen policy's, which stands last of figure 7's."""
    from scaler.inspect.looks import CHOSEN

    found = asked.networks(phi, None if policy is None else [policy])
    by_name = {subject.name: subject for subject in found}
    return next((by_name[name] for name in CHOSEN if name in by_name), found[0])


def _title(subject: Subject, asked: Asked) -> str:
    name = subject.network.spec.name
    return f"{name} ({subject.name})" if asked.run else name


def _trained(asked: Asked) -> str:
    """How the networks came to their weights, in a sentence."""
    from scaler.report.inside.sentences import trained_line
    from scaler.report.trained_proxy import trained_proxy
    from scaler.search.workload import space_of

    if asked.run is not None:
        return trained_line(space_of(asked.run), trained_proxy(asked.run))
    return f"Weights of {asked.weights.name}." if asked.weights else ""


def _folder(to: Path | None, asked: Asked, results: Path) -> Path:
    from scaler.report.inside.section import FOLDER

    return to or (asked.run.path if asked.run else results) / FOLDER


def _print(
    output: Output, view: View, asked: Asked, folder: Path, form: Format, left_out: tuple[str, ...] = ()
) -> None:
    """Write and print a view; the page of its run then shows it, too."""
    from scaler.report.inside.section import FOLDER
    from scaler.report.page.page import REPORT, write_page
    from scaler.report.tables import rich_table

    files = view.write(folder, form)
    if asked.run and folder == asked.run.path / FOLDER and (asked.run.path / REPORT).is_file():
        files.append(str(write_page([asked.run])))
    printed = [rich_table(shown.frame, shown.columns) for shown in view.tables.values() if shown.columns]
    output.result({**view.answer(left_out), "files": files}, *printed, *view.lines, *files)


def _form(text: str) -> Format:
    from scaler.report.pictures.style import FORMATS

    known = {name: name for name in FORMATS}
    if text not in known:
        raise UserError(f"--format {text!r} is no picture format: write one of {', '.join(FORMATS)}")
    return known[text]


def _method(text: str) -> Method | None:
    known: dict[str, Method | None] = {"auto": None, "cam": "cam", "grad-cam": "grad-cam"}
    if text not in known:
        raise UserError(f"--method {text!r} is none: write {', '.join(known)}")
    return known[text]


def _part(text: str) -> PartName:
    known: dict[str, PartName] = {"test": "test", "validation": "validation", "train": "train"}
    if text not in known:
        raise UserError(f"--part {text!r} is no part of the data: write {', '.join(known)}")
    return known[text]
