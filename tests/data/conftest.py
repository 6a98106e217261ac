from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test caches in a folder of its own."""
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> MakeFolder:
    """Makes folders of images: ``folder({"train/cat": 3, ...})`` gives the root."""

    def make(counts: dict[str, int], size: tuple[int, int] = (40, 30), root: str = "set") -> Path:
        generator = np.random.default_rng(0)
        for place, count in counts.items():
            (tmp_path / root / place).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / root / place / f"{index}.png")
        return tmp_path / root

    return make
