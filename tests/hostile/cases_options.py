"""Every option with values that are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.case import Case
from tests.hostile.cases_yaml import writes
from tests.hostile.world import PYTHON

SEARCH = ("search", "--space", "space.yaml")
PLAN = (*SEARCH, "--dry-run")
GROW = ("scale", "--space", "space.yaml", "--dry-run")
PROFILE = ("profile", "resnet-20")
REPLAY = ("replay", "table.csv", "--replays", "2", "--strategy", "exhaustive")
_BIG = "9" * 400
#: Options whose sentence may well name another one.
_NAMING_FILES = ("--base", "--space", "--data", "--data-root", "--search")

#: Command, option, and values that none of them can take.
_VALUES: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (PLAN, "--seed", ("-1", _BIG, "1.5", "x", "", "nan")),
    (PLAN, "--seeds", ("0", "-1", "1000000", "x", _BIG)),
    (PLAN, "--time-budget", ("", "0", "-1m", "nan", "inf", _BIG, "1e400", "10x", "1h30", "99999999999d")),
    (PLAN, "--se", ("nan", "inf", "-1", "0", "x", "1e300")),
    (PLAN, "--budget", ("", "x", "0", "-1", "nan", "inf", "1x", "0x", f"{_BIG}x", "1e400", "2xx",
        "0.00001x", "3")),
    (PLAN, "--strategy", ("", "nosuch", "asha@nan", "asha@-1", "asha@2", "law@0", "law@", "law@x", "@0.2",
                          "exhaustive@0.1", "gp@inf", "tpe@1e-300")),
    (PLAN, "--max-params", ("x", "-1", "0", "nan", "2x", "")),
    (PLAN, "--max-activations", ("x", "-1", "0", "nan")),
    (PLAN, "--max-memory", ("x", "-1", "0", "inf")),
    (PLAN, "--max-latency", ("x", "-1", "0", "nan", "inf")),
    (PLAN, "--base", ("", "nosuch", ":", "a:", ":b", "nosuch.yaml", "nosuch:net", "nosuch.py:net",
        "/dev/null",
                      "net.py:nosuch", "..", "effnet-b0\n", "\x1b[31m", "os:system", "net.py:__name__")),
    (PLAN, "--space", ("", "nosuch", "nosuch.yaml", "..", "../quick", "/dev/zero", "net.yaml",
        "\x1b[31m", "results")),
    (PLAN, "--data", ("", "nosuch", "folder", "folder:", "folder:nosuch", "folder:/dev/null",
        "folder:net.yaml",
                      "digits:x", "folder:\x1b[31m", "cifar10:x")),
    ((*PLAN, "--data", "cifar10"), "--data-root", ("nosuch", "net.yaml", "/dev/null")),
    (PLAN, "--device", ("", "gpu", "cuda:99", "cuda:-1", "mps", "cpu:0", "auto ")),
    (PLAN, "--workers", ("0", "-1", "x", "1000000", _BIG)),
    (PLAN, "--name", ("", ".", "..", "../x", "a/b", "/tmp", "a b", "\x1b[31m", "x" * 300, "-x", "a\nb")),
    (PLAN, "--storage", ("", "nosuch://x", "postgresql://nosuch@localhost:1/x", "results",
        "net.yaml/study.log",
                         "sqlite:///net.yaml/x.db", "mysql://u:secret@h/x", "redis://localhost:1", "://",
                         "sqlite:///results", "/dev/null", "x" * 300)),
    (PLAN, "--results", ("net.yaml", "/dev/null", "/proc/nosuch", "x" * 300)),
    (PLAN, "--up-to", ("", "x", "0x", "-2x", "nan", "16G", f"{_BIG}x", "1e9x")),
    (PLAN, "--engine", ("", "nosuch", "dask")),
    (PLAN, "--ray-address", ("auto", "localhost:1")),
    (PLAN, "--gpus-per-training", ("0", "-1", "nan", "x")),
    ((*PLAN, "--data", "cifar10"), "--data-root", ("photos", "results")),
    (PLAN, "--data-root", ("photos",)),
    (GROW, "--phi", ("", "x", "nan", "inf", "1e3", "99", "-99", _BIG, "1,,2", "1;2",
        ",".join(f"{n / 1000}" for n in range(1, 1000)))),
    (GROW, "--flops", ("", "x", "0", "-1", "nan", f"{_BIG}x", "1e400", "4", "99999999x")),
    (GROW, "--search", ("", "nosuch", "photos", "net.yaml", "..", "/dev/null", "\x1b[31m")),
    (("scale", "--dry-run"), "--path", ("", "nosuch", "law")),
    (GROW, "--alpha", ("nan", "inf", "-1", "0", "x", "1e300", "1")),
    (GROW, "--beta", ("nan", "inf", "-1", "0", "1e300", "1")),
    (GROW, "--gamma", ("nan", "inf", "-1", "0", "1e300", "1")),
    (GROW, "--base", ("", "nosuch", ":", "nosuch.yaml", "nosuch:net", "/dev/null", "\x1b[31m")),
    (("scale", "--dry-run"), "--space", ("", "nosuch", "nosuch.yaml", "net.yaml", "/dev/zero")),
    (GROW, "--data", ("", "nosuch", "folder:", "folder:nosuch", "folder:/dev/null")),
    (GROW, "--data-root", ("photos",)),
    (GROW, "--seeds", ("0", "-1", "x", _BIG, "1000000")),
    (GROW, "--seed", ("-1", "x", _BIG)),
    (GROW, "--compare", ("", ",", "nosuch", "depth,nosuch", "none,depth")),
    (GROW, "--time-budget", ("", "0", "-1m", "nan", _BIG, "10x")),
    (GROW, "--device", ("", "gpu", "cuda:99")),
    (GROW, "--workers", ("0", "-1", "x", "1000000")),
    (GROW, "--engine", ("", "nosuch")),
    (GROW, "--name", ("", "..", "a/b", "/tmp", "x" * 300)),
    (GROW, "--storage", ("", "nosuch://x", "results", "net.yaml/study.log", "mysql://u:secret@h/x")),
    (GROW, "--results", ("net.yaml", "/dev/null", "/proc/nosuch", "x" * 300)),
    (PROFILE, "--depth", ("0", "-1", "nan", "inf", "x", "1e9")),
    (PROFILE, "--width", ("0", "-1", "nan", "inf", "x", "1e9")),
    (PROFILE, "--resolution", ("0", "-1", "nan", "inf", "x", "1e9")),
    (PROFILE, "--phi", ("nan", "inf", "x", "1e9")),
    (PROFILE, "--small", ("0", "-1", "x", "1.5", "1000000")),
    (PROFILE, "--se", ("0", "-1", "nan", "inf", "x")),
    (PROFILE, "--rounding", ("", "up")),
    (PROFILE, "--classes", ("0", "-1", "x", "1.5", "1000000000000")),
    ((*PROFILE, "--memory"), "--batch", ("0", "-1", "x", "1000000000")),
    (PROFILE, "--batch", ("4",)),
    (PROFILE, "--weights", ("nosuch.pth", "net.yaml", "results", "/dev/null", "")),
    ((*PROFILE, "--latency"), "--device", ("gpu", "cuda:99", "")),
    (REPLAY, "--strategy", ("", "nosuch", "asha@nan", "racing@-1", "racing@2", ",", "exhaustive,,racing")),
    (REPLAY, "--replays", ("0", "-1", "x", _BIG)),
    (REPLAY, "--metric", ("", "nosuch")),
    (REPLAY, "--seed", ("-1", "x", _BIG)),
    (REPLAY, "--output", ("", "results", "nosuch/dir/x.csv", "net.yaml/x.csv", "/proc/x.csv", "x" * 300)),
    (REPLAY, "--record", ("", "results", "nosuch/dir/x.csv", "x" * 300)),
)  # fmt: skip

#: The same of commands that read runs.
_OF_RUNS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (("pareto", "one"), "--objectives", ("", ",", "accuracy", "accuracy,nosuch", "accuracy,latency",
        "accuracy,accuracy", "\x1b[31m,flops")),
    (("pareto", "one"), "--format", ("", "xls", "CSV")),
    (("pareto", "one"), "--output", ("", "photos", "net.yaml/x.csv", "/proc/x.csv", f"{'x' * 300}.csv")),
    (("plot", "one"), "--format", ("", "gif", "PNG")),
    (("plot", "one"), "--output", ("net.yaml", "/dev/null", "/proc/nosuch", "x" * 300)),
    (("report", "one"), "--output", ("", "photos", "net.yaml/x.html", "/proc/x.html", f"{'x' * 300}.html")),
    (("export", "grown"), "--to", ("", "nosuch", "ONNX")),
    (("export", "grown", "--to", "spec"), "--phi", ("nan", "inf", "x", "99", "0.5")),
    (("export", "grown", "--to", "spec"), "--policy", ("", "nosuch")),
    (("export", "grown", "--to", "spec"), "--output", ("", "photos", "net.yaml/x.yaml", "/proc/x.yaml")),
    (("scale",), "--predict", ("", "x", "nan", "-1x", "0", f"{_BIG}x", "1e9x")),
    (("scale",), "--for-accuracy", ("", "x", "nan", "-1%", "101%", "200", "inf")),
    (("inspect", "cam", "grown"), "--method", ("", "nosuch")),
    (("inspect", "cam", "grown"), "--part", ("", "nosuch")),
    (("inspect", "cam", "grown"), "--format", ("", "gif")),
    (("inspect", "cam", "grown"), "--phi", ("nan", "x", "99")),
    (("inspect", "excitation", "grown"), "--threshold", ("nan", "-1", "x")),
    (("inspect", "reuse", "grown"), "--last", ("0", "-1", "x")),
)  # fmt: skip

#: Whole command lines.
_LINES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "no such command": (("nosuch",), ("nosuch",)),
    "misspelt command": (("serch",), ("search",)),
    "misspelt option": (("search", "--bugdet", "2x"), ("--bugdet",)),
    "profile without a base": (("profile",), ("BASE",)),
    "replay without a table": (("replay",), ("TABLE",)),
    "replay of nothing": (("replay", "nosuch.csv"), ("nosuch.csv",)),
    "replay of a directory": (("replay", "results"), ("results",)),
    "pareto of nothing": (("pareto",), ("results", "scaler search")),
    "pareto of no run": (("pareto", "nosuch"), ("nosuch",)),
    "plot of nothing": (("plot",), ("results", "scaler search")),
    "plot of no run": (("plot", "nosuch"), ("nosuch",)),
    "plot of no format": (("plot", "nosuch", "--format", "gif"), ("gif", "png")),
    "bases of nothing": (("bases", "nosuch"), ("nosuch",)),
    "skip without se": ((*PLAN, "--se-skip-last-stage"), ("--se",)),
    "pixels with phi": ((*PROFILE, "--resolution", "64", "--phi", "2"), ("--phi",)),
    "images larger than they are": (
        (*PLAN, "--data", "folder:photos", "--space", "photos"), ("photos",),
    ),
    "phi beside FLOPs": (("scale", "--phi", "2", "--flops", "4G", "--dry-run"), ("--flops", "--phi")),
    "a search beside coefficients": (
        ("scale", "--search", "one", "--alpha", "1.2", "--dry-run"), ("--search", "--alpha"),
    ),
    "a search beside a space": (
        ("scale", "--search", "one", "--space", "quick", "--dry-run"), ("--search", "--space"),
    ),
    "a time for no training": (
        (*GROW, "--no-train", "--time-budget", "5m"), ("--no-train", "--time-budget"),
    ),
    "a prediction beside a phi": (("scale", "--predict", "2x", "--phi", "2"), ("--predict", "--phi")),
    "unreadable images of none": ((*PLAN, "--skip-unreadable"), ("--skip-unreadable",)),
    "images of other classes as CIFAR-10": (
        (*PLAN, "--data", "cifar10", "--data-root", "photos"), ("CIFAR-10", "folder:photos"),
    ),
    "a budget without its x": ((*PLAN, "--budget", "2"), ("2x",)),
    "a budget far off": ((*PLAN, "--budget", "100000000x"), ("1000x",)),
    "report of no run": (("report", "nosuch"), ("nosuch",)),
    "export of nothing": (("export",), ("results",)),
    "inspect of nothing": (("inspect", "cam"), ("results",)),
    "inspect of no weights": (
        ("inspect", "cam", "--weights", "nosuch.pth", "--base", "resnet-20", "--data", "digits"),
        ("nosuch.pth",),
    ),
    "inspect of weights of nobody": (("inspect", "cam", "--weights", "net.yaml"), ("--base",)),
    "fewer parameters than any": ((*PLAN, "--max-params", "1"), ("params|parameters",)),
}  # fmt: skip

_BASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "exits at once": ("import sys\nsys.exit(0)\n", ("mine.py", "exit")),
    "exits when called": ("import sys\ndef net(**k):\n    sys.exit(0)\n", ("mine.py", "exit")),
    "os error": ("raise OSError(28, 'No space left')\n", ("mine.py",)),
    "interrupts nothing": ("def net(**k):\n    raise KeyError('x')\n", ("KeyError",)),
    "syntax error": ("def net(\n", ("mine.py", "SyntaxError")),
    "not UTF-8": ("\xff\xfe", ("mine.py",)),
    "recursion": ("def net(**k):\n    return net(**k)\n", ("Recursion",)),
    "returns nothing": ("def net(**k):\n    pass\n", ("Module",)),
    "takes nothing": ("def net():\n    pass\n", ("net",)),
    "no function": ("net = 5\n", ("net",)),
    "no FLOPs": (
        "from torch import nn\nclass Z(nn.Module):\n    def forward(self, x):\n"
        "        return x.new_zeros(x.shape[0], self.n)\n"
        "def net(depth, width, resolution, num_classes):\n    z = Z()\n    z.n = num_classes\n    return z\n",
        ("FLOPs",),
    ),
    "lazy layers": (
        "from torch import nn\ndef net(depth, width, resolution, num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))\n",
        ("[Ll]azy",),
    ),
    "on the meta device": (
        "import torch\nfrom torch import nn\ndef net(depth, width, resolution, num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * resolution**2, num_classes, device='meta'))\n",
        ("meta",),
    ),
    "wrong number of scores": (PYTHON.replace("channels, num_classes)", "channels, 7)"), ("scores",)),
    "resolution of text": (PYTHON.replace("= 32", "= 'x'"), ("base_resolution",)),
    "resolution of zero": (PYTHON.replace("= 32", "= 0"), ("base_resolution",)),
    "resolution without end": (PYTHON.replace("= 32", "= 10**9"), ("base_resolution",)),
    "resolution true": (PYTHON.replace("= 32", "= True"), ("base_resolution",)),
    "message with escapes": ("raise ValueError('\\x1b[31mred')\n", ("mine.py",)),
    "huge message": ("raise ValueError('x' * 10**6)\n", ("mine.py",)),
    "warns of nothing": ("raise SystemExit('bye')\n", ("mine.py",)),
}


def options() -> Iterator[Case]:
    """Every option, and lines that contradict themselves."""
    for line, option, values in (*_VALUES, *_OF_RUNS):
        for value in values:
            shown = value if len(value) < 20 else value[:8] + ".."
            never = tuple(o for o in ("--results", "--storage") if o != option and option.startswith("--"))
            yield Case(
                "option", f"{line[0]} {option} {shown!a}", (*line, option, value),
                never=never if option not in _NAMING_FILES else (),
                runs=(line, option, values) in _OF_RUNS,
            )  # fmt: skip
    for name, (line, says) in _LINES.items():
        yield Case("command", name, line, says)
    for command in ("search", "profile"):
        for name, (code, says) in _BASES.items():
            line = (*PLAN, "--base", "mine.py:net") if command == "search" else ("profile", "mine.py:net")
            yield Case(
                "python base", f"{command}, {name}", line, says,
                make=writes("mine.py", code.encode("latin-1") if "\xff" in code else code),
            )  # fmt: skip
    noisy = PYTHON.replace("    channels", "    print('noise')\n    channels", 1) + "print('loud')\n"
    yield Case(
        "python base", "prints into JSON", ("profile", "mine.py:net", "--json"), (r"^\{[^\n]*\}\n[^{}]*$",),
        code=0, make=writes("mine.py", noisy),
    )  # fmt: skip


_ONE_TABLE = "results/one/"


def outputs() -> Iterator[Case]:
    """``--output`` and ``--record`` onto what is no plain file: written through, nothing replaced."""
    pareto = ("pareto", "one", "--quiet")
    lines = {
        "pareto": (*pareto, "--output"),
        "replay output": (*REPLAY, "--quiet", "--output"),
        "replay record": ("replay", "table.csv", "--quiet", "--record"),
    }

    def link(folder: Path) -> None:
        (folder / "target.csv").write_text("old\n")
        (folder / "to.csv").symlink_to("target.csv")

    def device(folder: Path) -> None:
        os.mknod(folder / "to.csv", 0o20666, os.makedev(1, 3))

    def full(folder: Path) -> None:
        os.mknod(folder / "to.csv", 0o20666, os.makedev(1, 7))

    for name, line in lines.items():
        runs = name == "pareto"
        yield Case(
            "output",
            f"{name} to a link",
            (*line, "to.csv"),
            make=link,
            code=0,
            runs=runs,
            writes=r"^target\.csv$",
        )
        yield Case("output", f"{name} to a device", (*line, "to.csv"), make=device, code=0, runs=runs)
        yield Case(
            "output", f"{name} to a full device", (*line, "to.csv"), ("full",), make=full, code=1, runs=runs
        )
        yield Case(
            "output", f"{name} to a FIFO that nobody reads", (*line, "to.csv"), ("to.csv",), ("--results",),
            make=lambda f: os.mkfifo(f / "to.csv"), runs=runs,
        )  # fmt: skip
        yield Case(
            "output", f"{name} to a looping link", (*line, "to.csv"), ("to.csv",), ("--results",),
            make=lambda f: (f / "to.csv").symlink_to("to.csv"), runs=runs,
        )  # fmt: skip
        yield Case(
            "output", f"{name} to a directory", (*line, "photos"), ("photos",), ("--results",), runs=runs
        )
        yield Case("output", f"{name} to /dev/stdout", (*line, "/dev/stdout"), code=0, runs=runs)
    yield Case("output", "a full stdout", ("bases",), ("full",), code=1, stdout="/dev/full")
    yield Case("output", "a full stdout, JSON", ("bases", "--json"), ("full",), code=1, stdout="/dev/full")
    yield Case(
        "output", "plot into a file", ("plot", "one", "--output", "net.yaml"), ("net.yaml", "--output"),
        ("--results",), runs=True,
    )  # fmt: skip
