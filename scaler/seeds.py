"""Seeds derived from names and numbers, so that a result never depends on the order of the work."""

from __future__ import annotations

import hashlib


def derive(seed: int, *parts: int | str) -> int:
    """A seed in ``[0, 2^31)`` for one purpose, e.g. ``derive(run_seed, "order", seed_index)``."""
    text = ":".join(str(part) for part in (seed, *parts))
    return (
        int.from_bytes(hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:4], "big") & 0x7FFFFFFF
    )
