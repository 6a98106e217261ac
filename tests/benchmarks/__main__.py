"""``python -m tests.benchmarks`` says which benchmarks there are; each is run by its own name."""

from pathlib import Path

for file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    first = file.read_text(encoding="utf-8").removeprefix('"""').splitlines()[0]
    print(f"python -m tests.benchmarks.{file.stem:22} {first}")
