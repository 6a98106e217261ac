"""All cases; run as a program, the counts by kind: ``python -m tests.hostile.collect [PATTERN]``."""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tests.hostile import cases_files, cases_options, cases_runs, cases_yaml, world
from tests.hostile.case import FAULTS, Case, faults
from tests.hostile.zygote import Job, Runner, Zygote

#: Seconds of computing that a case may take.
PATIENCE = 10.0
#: Of a group's cases, one in so many is quick.
EVERY_REFUSAL, EVERY_RESULT = 3, 50


@lru_cache(1)
def cases() -> tuple[Case, ...]:
    """Every case, each of a name of its own."""
    return tuple(_all())


def quick() -> list[bool]:
    """Which cases the quick tests run: of every group the first, and every so many after it.

    What is refused costs little; what ends in a result counts and plans.
    """
    places: Counter[tuple[str, int]] = Counter()
    chosen = []
    for case in cases():
        kind = case.group, case.code
        chosen.append(places[kind] % (EVERY_RESULT if case.code == 0 else EVERY_REFUSAL) == 0)
        places[kind] += 1
    return chosen


def _all() -> Iterator[Case]:
    yield from cases_options.options()
    yield from cases_options.outputs()
    yield from cases_yaml.spaces()
    yield from cases_yaml.formats()
    yield from cases_yaml.networks()
    yield from cases_runs.results()
    yield from cases_runs.journals()
    yield from cases_runs.bad_runs()
    yield from cases_runs.tables()
    yield from cases_files.weights()
    yield from cases_files.pictures()
    yield from cases_files.caches()


def outcome(
    runner: Runner, case: Case, template: Path, folder: Path, cache: Path, patience: float
) -> list[str]:
    """Run a case in a fresh copy of the world; what is wrong with how it ended."""
    world.copy(template, folder)
    case.make(folder)
    before = world.snapshot(folder)
    surroundings = world.environment(cache, folder) | case.environment
    ended = runner.run(Job(case.line, str(folder), surroundings, patience, case.stdout))
    return faults(case, ended, before, world.snapshot(folder))


def main() -> None:
    """Run what matches; print every fault, and the counts."""
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    chosen = [case for case in cases() if pattern.search(case.id)]
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name, Zygote() as zygote:
        root = Path(name)
        world.make(root / "bare")
        world.copy(root / "bare", root / "runs")
        if any(case.runs for case in chosen):
            world.add_runs(zygote, root / "runs", root / "cache")
        for number, case in enumerate(chosen):
            folder = root / f"case-{number}"
            template = root / ("runs" if case.runs else "bare")
            found = outcome(zygote, case, template, folder, root / "cache", PATIENCE)
            worst = min((FAULTS.index(fault.split(":")[0]) for fault in found), default=None)
            kind = "well" if worst is None else FAULTS[worst]
            counts.setdefault(case.group, Counter())[kind] += 1
            for fault in found:
                print(f"{case.id}: {fault}", flush=True)
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
    total: Counter[str] = Counter()
    for group, counter in counts.items():
        total += counter
        print(f"{group:28} {dict(counter)}")
    print(f"{'all':28} {dict(total)} of {sum(total.values())}")


if __name__ == "__main__":
    main()
