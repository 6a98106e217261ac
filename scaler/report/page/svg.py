"""A figure as SVG inside a page: its colours follow the page's, and points say their numbers."""

from __future__ import annotations

import html
import io
import re
from urllib.parse import unquote

from matplotlib.figure import Figure

from scaler.report.pictures.style import FAINT, INK, SHADE, SOFT, TIP, drawing

#: Colours of pictures that are the page's own in light and in dark.
_COLOURS = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    FAINT: "var(--faint)",
    SHADE: "var(--shade)",
    "#ffffff": "var(--paper)",
}


def inline_svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element that scales with its place.

    Args:
        figure: whose points were marked by :func:`scaler.report.pictures.style.tip`.
        name: of the picture, for screen readers and to keep its ids apart from another's.
    """
    buffer = io.StringIO()
    with drawing(figure, name, letters="none"):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, variable)
    # matplotlib writes its own font; the page's has about its widths.
    text = re.sub(r"font: ([^;\"']*?px) [^;\"]*", r"font: \1 system-ui, 'DejaVu Sans', sans-serif", text)
    text = re.sub(rf'id="{TIP}([^"]*)"', _tip, text)
    # Nothing refers to groups, whose names are the same in every picture.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(name)}" ', 1)


def _tip(found: re.Match[str]) -> str:
    words = html.escape(unquote(found[1].rpartition("~")[0] or found[1]), quote=True)
    return f'class="tip" tabindex="0" data-tip="{words}"'
