"""A hostile case, and what is wrong with how it ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.zygote import Ended

#: How a case can end badly, the worst first.
FAULTS = ("hang", "damage", "silent", "traceback", "wrong code", "misleading", "in a box")

#: Of one sentence that a person can act on: none of Python's own words.
_FOREIGN = re.compile(r"Traceback|np\.float64|<class|object at 0x|\[Errno|File \"|Error\(|\{'")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def nothing(folder: Path) -> None:
    """No preparation."""


@dataclass(frozen=True)
class Case:
    """A command line that must be refused in one sentence, without a trace.

    Attributes:
        group: what is hostile, for the counts.
        name: of the case.
        line: the arguments.
        says: patterns that the sentence holds: what, where, how to mend it.
        never: patterns that it does not hold, such as an option that is not at fault.
        make: prepares the case's own folder.
        code: 2 for the user's fault, 1 for the machine's, 0 where the right end is a result.
        runs: the folder holds finished runs.
        writes: what may change, as a pattern of paths.
        stdout: a device to print to.
        environment: added to the process's own.
    """

    group: str
    name: str
    line: tuple[str, ...]
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    make: Callable[[Path], None] = nothing
    code: int = 2
    runs: bool = False
    writes: str = "^$"
    stdout: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """For pytest."""
        return re.sub(r"[^\w.+-]+", "_", f"{self.group}-{self.name}")[:80]


def faults(case: Case, ended: Ended, before: dict[str, object], after: dict[str, object]) -> list[str]:
    """What is wrong, each beginning with a word of :data:`FAULTS`; nothing if all is well."""
    found = []
    if ended.hung:
        found.append(f"hang: not done after computing for {ended.seconds:.0f} s")
    changed = {
        path
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path) and not re.search(case.writes, path)
    }
    if changed:
        found.append(f"damage: {', '.join(sorted(changed)[:5])} changed")
    if not ended.hung and ("Traceback" in ended.err or ended.code in (98, 99) or ended.code < 0):
        last = (ended.err.strip().splitlines() or ["nothing printed"])[-1]
        found.append(f"traceback: {last[:200]} (code {ended.code})")
    elif ended.code == 0 != case.code:
        found.append(f"silent: it succeeded: {(ended.out + ended.err).strip()[-150:]}")
    elif ended.code != case.code and not ended.hung:
        found.append(f"wrong code: {ended.code}, not {case.code}: {ended.err.strip()[-200:]}")
    if found:
        return found
    if ended.err.rstrip().endswith("╯"):
        return ["in a box: of several lines, cut by the terminal's width"]
    return [f"misleading: {problem}" for problem in _sentence_faults(case, ended)]


def _sentence_faults(case: Case, ended: Ended) -> list[str]:
    if _CONTROL.search(ended.err.replace("\t", " ")) or _CONTROL.search(ended.out.replace("\t", " ")):
        return ["control characters reach the terminal"]
    text = ended.err.strip() if case.code else ended.out + ended.err
    last = text.splitlines()[-1] if text and case.code else text
    if case.code and not last.startswith("Error: "):
        return [f"the last line is no sentence: {text[-300:]!r}"]
    problems = [f"it lacks {words!r}: {last[:300]}" for words in case.says if not re.search(words, last)]
    problems += [f"it says {words!r}: {last[:300]}" for words in case.never if re.search(words, last)]
    if case.code and (foreign := _FOREIGN.search(last)):
        problems.append(f"it holds {foreign[0]!r}: {last[:300]}")
    if case.code and len(last) > 700:
        problems.append(f"it is {len(last)} characters long: {last[:100]}")
    return problems[:1]
