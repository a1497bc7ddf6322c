"""The results page: figures from benchmarks/results, protocols from the heads of the scripts that measured them."""

import ast
import importlib.util
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
MARK = "<!-- made here: results -->"
RACE = "time_to_accuracy"

#: Title, and what is shown of a result file: a label, the key, and how its numbers are written.
Shown = tuple[str, tuple[tuple[str, str, str], ...]]
BENCHMARK_FILES: dict[str, Shown] = {
    "fer2013": (
        "FER2013",
        (
            ("accuracy of the sweep's winner on test", "test_accuracy", "{:.1%}"),
            ("its 95% interval", "test_interval", "{:.1%}"),
            ("test images", "n", "{:,}"),
            ("macro-F1 on test", "test_macro_f1", "{:.3f}"),
            ("accuracy on validation, which chose it", "validation_accuracy", "{:.1%}"),
            ("seconds of the whole sweep", "sweep_s", "{:,.0f}"),
            ("trials", "trials", "{:,}"),
            ("epochs", "epochs", "{:,}"),
            ("share of the workers' time inside training", "utilisation", "{:.0%}"),
            ("accuracy of the rival on test, after as many seconds", "rival_test_accuracy", "{:.1%}"),
            ("its 95% interval", "rival_test_interval", "{:.1%}"),
        ),
    ),
    "import_csv": (
        "Importing FER2013",
        (
            ("seconds, ours", "ours_s", "{:.1f}"),
            ("seconds, the loop that only parses", "pandas_split_s", "{:.1f}"),
            ("most memory, ours, MB", "ours_peak_mb", "{:,.0f}"),
            ("most memory, the loop, MB", "pandas_split_peak_mb", "{:,.0f}"),
            ("rounds", "rounds", "{}"),
        ),
    ),
    "trial_overhead": (
        "Overhead of a trial",
        (
            ("seconds beyond the steps, a bare Keras loop", "bare_s", "{:.2f}"),
            ("ours", "ours_s", "{:.2f}"),
            ("a function on Ray Tune", "ray_function_s", "{:.2f}"),
            ("Keras Tuner", "keras_tuner_s", "{:.2f}"),
            ("ours less the bare loop", "ours_minus_bare_s", "{:.2f}"),
            ("trials in a round", "trials", "{}"),
            ("rounds", "rounds", "{}"),
        ),
    ),
    "memory": (
        "Memory",
        (
            ("growth of the driver per 100 trials, MB", "driver_mb_per_100_trials", "{:.1f}"),
            ("growth of the worse worker per 100 trials, MB", "worker_mb_per_100_trials", "{:.1f}"),
            ("share of the data set that a worker takes", "extra_worker_dataset_share", "{:.3f}"),
            ("trials", "trials", "{:,}"),
        ),
    ),
    "driver_load": (
        "Load of the driver",
        (
            ("results a second", "results_per_s", "{:,.0f}"),
            ("results a second, Ray Tune alone", "tune_results_per_s", "{:,.0f}"),
            ("microseconds of a decision", "decision_us", "{:.1f}"),
            ("workers", "workers", "{}"),
        ),
    ),
    "chaos": (
        "Killed at random",
        (
            ("processes killed", "kills", "{}"),
            ("of them drivers", "killed.driver", "{}"),
            ("of them workers", "killed.worker", "{}"),
            ("epochs trained", "epochs", "{:,}"),
            ("epochs lost", "lost", "{}"),
            ("epochs or configurations doubled", "doubled", "{}"),
            ("most epochs that one kill made to be trained again", "epochs_repeated_max", "{}"),
        ),
    ),
    "four_nodes": (
        "Nodes that join, die and come back",
        (
            ("epochs trained", "epochs", "{:,}"),
            ("epochs lost", "lost", "{}"),
            ("epochs or configurations doubled", "doubled", "{}"),
            ("epochs trained again, of all trials", "epochs_repeated", "{}"),
            ("most epochs trained again of one trial", "epochs_repeated_max", "{}"),
            ("trials that failed", "failed_trials", "{}"),
            ("retries used up", "retries_used", "{}"),
            ("longest silence of the driver, seconds", "driver_stood_still_s", "{:.1f}"),
        ),
    ),
    "sources": ("Sources of faces", ()),
    "simulate": ("Simulated searches", ()),
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts the results where a page asks for them."""
    return markdown.replace(MARK, "\n\n".join(sections())) if MARK in markdown else markdown


def sections(folder: Path = BENCHMARKS / "results") -> Iterator[str]:
    """One section per benchmark, those without a result too.

    Args:
        folder: Of the result files.
    """
    yield _section("Time to an accuracy", RACE, _race(folder))
    for name, (title, shown) in BENCHMARK_FILES.items():
        file = folder / f"{name}.json"
        if not file.exists():
            body = f"Missing: `benchmarks/results/{file.name}` is not there; it has not been run in full."
        else:
            content = json.loads(file.read_text())
            body = _chosen(content, shown) if shown else "\n\n".join(_all(content))
        yield _section(title, name, body)
    for file in sorted(folder.glob("*.json")):
        if file.stem not in BENCHMARK_FILES and file.stem != RACE:
            yield _section(
                file.stem.replace("_", " "), file.stem, "\n\n".join(_all(json.loads(file.read_text())))
            )


def _section(title: str, name: str, body: str) -> str:
    script = BENCHMARKS / f"{name}.py"
    protocol = ast.get_docstring(ast.parse(script.read_text())) if script.exists() else None
    return "\n\n".join([f"## {title}", *([_fenced(protocol)] if protocol else []), body])


def _fenced(text: str) -> str:
    """Indented code with fences: after a list it would be a part of the list."""
    return re.sub(
        r"(?:^ {4}.*\n?)+", lambda code: f"```\n{textwrap.dedent(code[0]).rstrip()}\n```\n", text, flags=re.M
    )


def _chosen(content: dict[str, Any], shown: tuple[tuple[str, str, str], ...]) -> str:
    rows = [(label, _written(_get(content, key), form)) for label, key, form in shown]
    machine = content.get("machine", content)
    rows += [
        (label, str(machine[key])) for label, key in (("cores", "cores"), ("date", "date")) if key in machine
    ]
    return _table(("figure", "value"), rows)


def _get(content: dict[str, Any], key: str) -> Any:
    found: Any = content
    for part in key.split("."):
        found = found[part]
    return found


def _written(value: Any, form: str) -> str:
    if value is None:
        return "not measured"
    return " to ".join(form.format(each) for each in value) if isinstance(value, list) else form.format(value)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _all(content: dict[str, Any], name: str = "") -> Iterator[str]:
    """Everything in a result: numbers and texts in one table, mappings of mappings as tables of their own."""
    plain = {key: value for key, value in content.items() if not isinstance(value, dict)}
    nested = {key: value for key, value in content.items() if isinstance(value, dict)}
    if plain:
        figures = [(f"`{key}`", _plain(value)) for key, value in plain.items()]
        yield f"{_named(name)}{_table(('figure', 'value'), figures)}"
    leaves = [leaf for each in nested.values() for leaf in each.values()]
    if nested and not plain and not any(isinstance(leaf, dict) for leaf in leaves):
        columns = list(dict.fromkeys(key for each in nested.values() for key in each))
        matrix = [
            (f"`{key}`", *(_plain(each.get(column, "")) for column in columns))
            for key, each in nested.items()
        ]
        yield f"{_named(name)}{_table(('', *columns), matrix)}"
        return
    for key, value in nested.items():
        yield from _all(value, f"{name}.{key}" if name else key)


def _named(name: str) -> str:
    return f"`{name}`:\n\n" if name else ""


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def _race(folder: Path) -> str:
    """Seconds of every tool to every target, and how many times longer than ours, by the benchmark's own code."""
    file = folder / f"{RACE}.jsonl"
    if not file.exists():
        return f"Missing: `benchmarks/results/{file.name}` is not there; the race has not been run."
    race = _script(RACE)
    lines = race.read_lines(file)
    found = race.figures(lines, race.BUDGET)
    every = sorted({line["seed"] for line in lines})
    told = (
        f"Seeds that every tool has run: {found['seeds']} of the {len(every)} that were begun. Seconds by seed; a "
        f"miss counts as the {race.BUDGET:.0f} allowed."
    )
    if not found["seeds"]:
        return told
    targets = list(race.TARGETS)
    head = ("tool", *(f"to {race.TARGETS[target]:.1%}" for target in targets))
    rows = [
        (
            tool,
            *(", ".join(f"{seconds:.0f}" for seconds in parts["seconds_to"][target]) for target in targets),
        )
        for tool, parts in found["tools"].items()
    ]
    ratios = [(name, _plain(value)) for name, value in found.items() if name.startswith("speedup")]
    headline = (
        f"Times of a tool over ours to {race.TARGETS[race.HEADLINE]:.1%}: the median over the seeds, and as `_low` "
        "the lower end of the 95% interval of their geometric mean, which needs two seeds."
    )
    return "\n\n".join([told, _table(head, rows), headline, _table(("figure", "value"), ratios)])


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
