"""The notebook in docs/: it runs as it stands, and what is kept in it is what it gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tour.ipynb"
#: Bytes of the notebook with its pictures.
LARGEST = 600_000


def executed(folder: Path) -> Any:
    """The notebook, run from its first cell to its last in a folder of its own."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    os.environ.setdefault("PYTHONPATH", str(NOTEBOOK.parents[1]))
    where = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=where, coalesce_streams=True
    ).execute()
    return notebook


def kinds(notebook: Any) -> list[list[tuple[str, ...]]]:
    """What stands under every cell of code, by kind: streams, and the formats of what is shown."""
    return [
        [
            ("stream",) if output["output_type"] == "stream" else tuple(sorted(output["data"]))
            for output in cell["outputs"]
        ]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_runs_and_shows_what_it_shows(tmp_path: Path) -> None:
    found = executed(tmp_path)
    assert NOTEBOOK.stat().st_size < LARGEST
    kept = pytest.importorskip("nbformat").read(NOTEBOOK, as_version=4)
    assert kinds(found) == kinds(kept)
    text = str(found["cells"])
    assert "Training" in text  # the bar
    assert "100 %" in text
    assert "Plan " in text
    assert "Warning" not in text
    assert "\x1b[2K" not in text  # nothing turns
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["grown", "tour"]
