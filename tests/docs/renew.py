"""Run the commands of docs/cli.md again, and put what they print in the place of what they printed.

``python -m tests.docs.renew FOLDER [HEADING...]`` runs every line that begins with ``$ scaler`` in a folder,
from the top, keeps what each printed there (so that it can be interrupted), and then rewrites the page; with
headings, it runs their sections only and leaves the page. Minutes on 2 free cores.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scaler.cli.main import main as program
from scaler.networks.build import build
from scaler.networks.registry import base

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cli.md"
_PROMPT = "$ scaler "


def prepare(folder: Path, page: str) -> None:
    """What the commands find: the page's ``nets.py``, a folder of digits with a broken one, weights."""
    folder.mkdir(parents=True, exist_ok=True)
    program = re.search(r"```python\n(.*?)```", page, flags=re.S)
    assert program is not None
    (folder / "nets.py").write_text(program[1])
    torch.save(build(base("resnet-18")).state_dict(), folder / "weights.pth")
    noise = np.random.default_rng(0)
    for label in range(10):
        place = folder / "photos" / "train" / f"digit{label}"
        place.mkdir(parents=True, exist_ok=True)
        for index in range(100):
            pixels = noise.integers(20 * label, 20 * label + 60, (11, 11, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{index}.png")
    (folder / "photos" / "train" / "digit1" / "broken.png").write_bytes(b"\x89PNG broken")


def sections(page: str) -> Iterator[tuple[str, list[str]]]:
    """Every heading with the commands under it."""
    for part in re.split(r"(?m)^#+ ", page)[1:]:
        yield part.splitlines()[0], [line[2:] for line in part.splitlines() if line.startswith(_PROMPT)]


def kept(folder: Path, command: str) -> Path:
    """Where the output of a command is kept."""
    return folder / f".{sha256(command.encode()).hexdigest()[:16]}.txt"


def run(folder: Path, command: str) -> None:
    """Run a command, and keep both of its streams as they came."""
    if kept(folder, command).is_file():
        return
    raw = kept(folder, command).with_suffix(".part")
    child = os.fork()  # so that everything is imported once
    if child == 0:
        os.chdir(folder)
        stream = os.open(raw, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for known in (1, 2):
            os.dup2(stream, known)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        try:
            program(shlex.split(command)[1:])
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.waitpid(child, 0)
    lines = raw.read_text(encoding="utf-8").splitlines()
    kept(folder, command).write_text("".join(f"{line.rstrip()}\n" for line in lines))


def renewed(page: str, folder: Path) -> str:
    """The page with every output that is kept."""
    lines, out, skipping = page.splitlines(), list[str](), False
    for line in lines:
        if line.startswith(_PROMPT):
            output = kept(folder, line[2:])
            skipping = output.is_file()
            out += [line, *(output.read_text().splitlines() if skipping else [])]
            continue
        skipping = skipping and not line.startswith("```")
        if not skipping:
            out.append(line)
    return "\n".join(out) + "\n"


def main() -> None:
    """Run what is not kept yet, and rewrite the page."""
    folder, headings = Path(sys.argv[1]).resolve(), sys.argv[2:]
    os.environ |= {"PYTHONPATH": str(ROOT), "COLUMNS": "110"}
    page = PAGE.read_text(encoding="utf-8")
    prepare(folder, page)
    for heading, commands in sections(page):
        if not headings or any(wanted in heading for wanted in headings):
            for command in commands:
                print(f"$ {command}", flush=True)
                run(folder, command)
    if not headings:
        PAGE.write_text(renewed(page, folder), encoding="utf-8")


if __name__ == "__main__":
    main()
