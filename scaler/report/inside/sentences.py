"""What the views of networks say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from scaler.inspect.dropping import Loss
from scaler.inspect.excitation import BlockView
from scaler.inspect.focus import CONFIDENCE, Focus, Share
from scaler.inspect.looks import Look
from scaler.inspect.reuse import DenseBlock
from scaler.report.trained_proxy import TrainedProxy, images_said
from scaler.scaling.budget import format_count
from scaler.search.space import Space
from scaler.words import counted

#: Excitations of fresh blocks, and how near to it a mean looks untrained.
_START, _NEAR_START = 0.5, 0.03

_CLAIM = (
    '"compound scaling focuses on more relevant regions with more object details" (Tan & Le 2019, fig. 7)'
)


def chosen_line(count: int, dividing: int, networks: int, sampled: int) -> str:
    """By which rule the images were chosen."""
    if networks == 1:
        return f"Images      {count} of {sampled}, classes in turn"
    told = "all divide" if dividing == count else f"{dividing} of them divide{'s' if dividing == 1 else ''}"
    return (
        f"Images      the {count} of {sampled} that divide the networks most evenly into right and wrong, "
        f"classes in turn; {told} them"
    )


def cam_caption(looks: Sequence[Look], data: str, trained: str) -> str:
    """One sentence under the picture of maps."""
    methods = sorted({one.method for one in looks})
    names = {"cam": "CAM", "grad-cam": "Grad-CAM"}
    words = f"{' and '.join(names[method] for method in methods)} of the true class"
    where = f", images of {data}" if data else ""
    return (
        f"{words} (of the predicted one where the true is unknown){where}; under each map the predicted "
        f"class and its probability. {trained}"
    )


def trained_line(space: Space, found: TrainedProxy) -> str:
    """How a run's networks were trained."""
    recipe = space.recipe
    images = images_said(recipe.images, found)
    return (
        f"Proxies trained on {images} images for {counted(recipe.epochs, 'epoch')}, "
        f"base at {space.proxy.resolution} px."
    )


def focus_lines(found: Focus, single: str) -> Iterator[str]:
    """What lies on the objects, and whether the article's claim holds.

    Args:
        found: the comparison.
        single: the only dimension in which the chosen network is larger than the base, if it is one.
    """
    if not found.images:
        yield "No image with an object has positive mass in the maps of all networks: nothing is compared."
        return
    left = (
        f" ({found.left_out} more have no object, or a map without positive mass)" if found.left_out else ""
    )
    yield (
        f"On {counted(found.images, 'image')}{left} the object covers {100 * found.area:.1f} % of the image "
        "on average: a map that is the same everywhere would have so much of its mass there."
    )
    if not found.lead:
        return
    if single:
        yield f"Whether {_CLAIM} cannot be seen here: {found.chosen} grew in {single} alone."
        return
    leads = ", ".join(f"{_points(lead)} against {name}" for name, lead in found.lead.items())
    verdict = {
        "holds": f"here {_CLAIM} holds",
        "contradicted": f"here {_CLAIM} does not hold",
        "open": f"whether {_CLAIM} holds cannot be told here",
    }[found.verdict]
    yield (
        f"The part of {found.chosen}'s maps on the object differs by {leads} (points, with intervals that "
        f"hold together at {CONFIDENCE:.0%}, over images): {verdict}. The intervals are about these trained "
        "networks, one seed each; another seed may say otherwise."
    )


def _points(lead: Share) -> str:
    if math.isnan(lead.low):
        return f"{100 * lead.mean:+.1f}"
    return f"{100 * lead.mean:+.1f} [{100 * lead.low:+.1f}, {100 * lead.high:+.1f}]"


def excitation_lines(views: Sequence[BlockView], total: int, threshold: float) -> Iterator[str]:
    """How much blocks depend on the class, and which could be dropped."""
    shares = np.array([view.class_share for view in views])
    third = max(1, len(views) // 3)
    yield (
        f"The class explains {100 * shares[:third].mean():.0f} % of the variance of excitations in the first "
        f"third of the blocks, {100 * shares[-third:].mean():.0f} % in the last; most in "
        f"{_name(views[int(shares.argmax())])} ({100 * shares.max():.0f} %)."
    )
    whole = sum(view.params for view in views)
    plain = total - whole
    yield (
        f"All excitations hold {whole:,} of {format_count(total)} parameters of the network at its own size: "
        f"{100 * whole / plain:.1f} % more than without them."
    )
    last = views[-1].place[0]
    kept = sum(view.params for view in views if view.place[0] != last)
    yield f"Without those of the last stage ({last}) it is {100 * kept / plain:.1f} % more."
    near = [view for view in views if view.near_identity(threshold)]
    if not near:
        yield f"No block varies by less than {100 * threshold:g} %: none is a candidate to drop."
        return
    gone = sum(view.params for view in near)
    yield (
        f"Near identity, up to a constant per channel: {', '.join(map(_name, near))} (they vary by less than "
        f"{100 * threshold:g} % from image to image). Dropping them saves {gone:,} parameters, "
        f"{100 * gone / total:.1f} % of the network."
    )
    started = [view for view in near if abs(view.mean - _START) < _NEAR_START]
    if started:
        yield (
            f"{'All' if len(started) == len(near) else len(started)} of these have a mean of about {_START}, "
            "where excitations start: that may tell more of a short training than of the blocks."
        )


def dropped_line(loss: Loss, places: Sequence[tuple[int, int]], saved: int) -> str:
    """What dropping excitations cost in accuracy."""
    names = ", ".join(f"{stage}.{block}" for stage, block in places)
    error = f" ± {100 * loss.stderr:.1f}" if loss.stderr is not None else ""
    whole, dropped = (100 * float(np.mean(values)) for values in (loss.whole, loss.dropped))
    return (
        f"Trained again without the excitations of {names} ({saved:,} parameters less at its own size): "
        f"{dropped:.1f} % of validation images right against {whole:.1f} % with all, "
        f"{-100 * loss.mean:+.1f}{error} points ({counted(len(loss.whole), 'seed')})."
    )


def reuse_lines(blocks: Sequence[DenseBlock], last: int) -> Iterator[str]:
    """How evenly layers read, and where the classifier reads."""
    for block in blocks:
        sources = block.weights.shape[1]
        count = min(last, sources)
        share, even = block.share_of_last(count), count / sources
        yield (
            f"Block {block.number}: the {block.reader} gives {100 * share:.0f} % of its mean absolute weight "
            f"to the last {count} of {sources} sources; evenly it would be {100 * even:.0f} %."
        )


def _name(view: BlockView) -> str:
    return f"{view.place[0]}.{view.place[1]}"
