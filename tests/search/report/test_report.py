"""A sweep's report: what stands on the page is what the tables say, whatever the sweep is like."""

import base64
import html
import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import optuna
import pytest
import yaml
from optuna.trial import TrialState
from typer.testing import CliRunner

from fer_ray.cli.app import app
from fer_ray.errors import ConfigError, SweepError
from fer_ray.results import epochs_table, load, trials_table, write_tables
from fer_ray.search import SweepSpec, list_sweeps, load_result
from fer_ray.search.folder import SweepFolder
from fer_ray.search.memory import SweepMemory
from fer_ray.search.report import compare, make_report
from fer_ray.search.report.facts import read_facts
from fer_ray.search.storage import open_storage
from fer_ray.spaces import Space

FIGURES = [
    *("confusion", "best-over-time", "best-over-epochs", "history", "edf", "learning-curves", "importance"),
    *("parallel", "contour-1", "slice-1", "timeline", "failure-kinds"),
]


AXES = {"val_accuracy", "units", "rate", "optimizer", "batch_size", "augment"}


def data_of(page: str, key: str) -> dict:
    """What plotly.js gets for a figure."""
    found = re.search(rf'<script type="application/json" id="{key}-data">(.*?)</script>', page, re.S)
    assert found, key
    return json.loads(found[1])


def numbers(values) -> np.ndarray:
    """Of a plotly array, which may be binary."""
    if isinstance(values, dict):
        found = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).astype(float)
        return (
            found.reshape([int(size) for size in values["shape"].split(",")]) if "shape" in values else found
        )
    return np.array([math.nan if value is None else value for value in values], float)


@pytest.fixture(scope="module")
def report(finished, tmp_path_factory):
    return make_report(finished, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(report):
    return report.page.read_text()


def test_each_figure_is_there(report, page):
    assert report.missing == {}
    for key in FIGURES:
        assert data_of(page, key)["data"]


def test_the_best_so_far_is_that_of_the_epochs(finished, page):
    epochs = load_result(finished).epochs.to_pandas().sort_values(["timestamp", "trial"])
    dots, line = data_of(page, "best-over-epochs")["data"]
    best = epochs["val_accuracy"].cummax().ffill()
    np.testing.assert_array_equal(numbers(line["y"]), best)
    np.testing.assert_array_equal(numbers(dots["y"]), epochs["val_accuracy"])
    np.testing.assert_array_equal(numbers(line["x"]), np.arange(1, len(epochs) + 1))
    times = numbers(data_of(page, "best-over-time")["data"][1]["x"])
    start = (
        epochs["timestamp"] - epochs["seconds"].map(lambda s: np.timedelta64(round(s * 1e6), "us"))
    ).min()
    minutes = (epochs["timestamp"] - start).dt.total_seconds() / 60
    np.testing.assert_allclose(times, minutes, atol=1e-6)


def test_the_curves_are_the_epochs_and_their_ends_say_why(finished, page):
    result = load_result(finished)
    epochs = result.epochs.to_pandas()
    figure = data_of(page, "learning-curves")
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines"]
    drawn = np.concatenate([numbers(trace["y"]) for trace in lines])
    expected = epochs["val_accuracy"].to_numpy()
    np.testing.assert_allclose(np.sort(drawn[np.isfinite(drawn)]), np.sort(expected[np.isfinite(expected)]))
    assert [trace["name"] for trace in lines] == ["winner", "trained to the end", "stopped early", "failed"]
    ends = " ".join(text for trace in figure["data"] if trace["mode"] == "markers" for text in trace["text"])
    stopped = [row for row in result.trials.to_pylist() if row["state"] == "PRUNED"]
    assert stopped
    for row in stopped:
        assert f"trial {row['trial']}, stopped early<br>{row['reason']}" in ends
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["rung 1", "rung 3"]
    marks = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    assert all(np.isfinite(numbers(trace["y"])).all() for trace in marks)


def test_failures_are_counted_by_kind_and_no_reason_becomes_markup(finished, page):
    failed = load(finished).trials.query("state == 'FAIL' and failure != 'infeasible'")
    (bars,) = data_of(page, "failure-kinds")["data"]
    assert dict(zip(bars["y"], numbers(bars["x"]), strict=True)) == failed.failure.value_counts().to_dict()
    assert set(failed.failure) == {"training", "diverged"}
    assert "<i>disk</i>" not in page and "the &lt;i&gt;disk&lt;/i&gt; of images has a hole" in page
    assert "angry <b>" not in re.sub(r"<script.*?</script>", "", page, flags=re.S)


def cells_of(page: str, key: str) -> list[str]:
    """A table's, row by row."""
    table = re.search(rf'id="{key}".*?<tbody>(.*?)</tbody>', page, re.S)[1]
    return [html.unescape(cell) for cell in re.findall(r"<td.*?>(.*?)</td>", table)]


def test_infeasible_trials_are_kept_apart_and_not_counted(finished, page):
    trials = load_result(finished).trials.to_pandas()
    infeasible, failed = trials.failure == "infeasible", (trials.state == "FAIL").sum()
    few = infeasible.sum()
    assert 0 < few < failed
    fact = re.search(r"<dt>Trials</dt><dd>(\d+)</dd><dd class=\"note\">(.*?)</dd>", page)
    assert int(fact[1]) == len(trials) - few == 16
    assert fact[2].endswith(f", {failed - few} failed, {few} infeasible")
    rows = [[str(number), "infeasible", "0", "too <i>large</i>"] for number in trials.trial[infeasible]]
    assert cells_of(page, "uncounted") == [cell for row in rows for cell in row]
    assert "infeasible" not in cells_of(page, "failed")
    assert list_sweeps(finished.parent)[0]["trials"] == 16
    said = CliRunner().invoke(app, ["sweep", "results", str(finished)]).stdout
    assert len(re.findall(r"^trial \d+ infeasible: too <i>large</i>$", said, re.M)) == few
    assert len(re.findall(r"^trial \d+ failed: ", said, re.M)) == failed - few


def test_values_of_a_trial_that_failed_are_never_the_best_so_far(finished, tmp_path, made_up):
    def crashes(values, epoch):
        if values["units"] < 64:
            return made_up.accuracy(values, epoch)
        if epoch == 5:
            raise ValueError("crash")
        return {"val_accuracy": 0.99}

    plain = {"kind": "none", "max_epochs": 6}
    sweep = made_up.play(tmp_path, "crashed", curve=crashes, scheduler=plain, max_trials=8)
    result = load_result(sweep)
    epochs = result.epochs.to_pandas().sort_values(["timestamp", "trial"])
    best = result.best["value"]
    assert epochs.val_accuracy.max() == 0.99 > best
    counted = epochs.val_accuracy.where(epochs.val_accuracy < 0.99)
    drawn = data_of(make_report(sweep).page.read_text(), "best-over-epochs")["data"][1]
    np.testing.assert_array_equal(numbers(drawn["y"]), counted.cummax().ffill())

    found = compare([sweep, finished], tmp_path / "both.html")
    assert found.sweeps[0].epochs_to_target == int(np.argmax(counted >= found.target)) + 1
    drawn, _ = data_of((tmp_path / "both.html").read_text(), "best-over-time")["data"]
    assert np.nanmax(numbers(drawn["y"])) == best


def test_a_trial_that_was_cut_short_has_not_failed(tmp_path, made_up):
    sweep = made_up.play(tmp_path, epochs=1)
    spec = SweepFolder(sweep).spec().model_copy(update={"epoch_budget": 1})
    SweepMemory(spec, Space.from_config({"space": made_up.space}), open_storage(spec)).propose()
    assert (load_result(sweep).trials.to_pandas().failure == "cut short").sum() == 1
    page = make_report(sweep).page.read_text()
    assert ", 1 cut short</dd>" in page and " failed</dd>" not in page and "No trial failed." in page


def test_the_timeline_has_every_trial_on_its_worker(finished, page):
    epochs = load_result(finished).epochs.to_pandas()
    bars = data_of(page, "timeline")["data"]
    shown = {
        (name, int(trial))
        for bar in bars
        for name, trial in zip(bar["y"], numbers(bar["customdata"])[:, 0], strict=True)
    }
    assert shown == set(zip(epochs.worker, epochs.trial, strict=True))
    assert sum(numbers(bar["x"]).sum() for bar in bars) * 60 >= epochs.seconds.sum() - 1e-6


def test_hyperparameters_have_their_real_values(page):
    layout = data_of(page, "parallel")["layout"]
    assert set(layout["xaxis"]["ticktext"]) == AXES
    place = layout["xaxis"]["ticktext"].index("batch_size")
    assert {note["text"] for note in layout["annotations"] if note["x"] == place} <= {"16", "32", "64"}
    assert (
        "not covered are those under a condition, here with the number of trials that have them: momentum ("
        in (page.lower())
    )


def test_the_page_needs_nothing_else(report, page):
    assert not re.search(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](?!data:)""", page)
    assert 4.5e6 < report.page.stat().st_size < 6e6


def test_the_best_configuration_comes_with_what_trains_it_again(finished, report, page):
    result = load_result(finished)
    best = result.best
    again = SweepSpec.from_yaml(report.reproduction)
    assert again.searcher.known == [best["hyperparameters"]]
    assert (again.seed, again.epoch_budget, again.max_trials) == (3 + best["trial"], best["epochs"], 1)
    assert again.scheduler.max_epochs == result.spec.scheduler.max_epochs
    assert f"fer-ray sweep run {report.reproduction}" in page
    shown = html.unescape(re.search(r"<summary>What reproduce.yaml says.*?<pre>(.*?)</pre>", page, re.S)[1])
    assert yaml.safe_load(shown) == yaml.safe_load(report.reproduction.read_text())


def test_the_test_accuracy_has_its_interval_and_n(finished, page):
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    evaluation = re.search(
        r"accuracy ([\d.]+)% \(95% interval ([\d.]+)% to ([\d.]+)%, n = 200, Wilson\)", text
    )
    share, low, high = (float(number) for number in evaluation.groups())
    assert low < share < high
    assert "evaluated once on the test split" in text
    assert ("ab" * 32) in page


def broken(values, epoch):
    raise ValueError("broken")


def constant(values, epoch):
    return {"val_accuracy": 0.5}


def never_finite(values, epoch):
    return {"val_accuracy": math.nan}


ODD = {
    "one trial": {"max_trials": 1},
    "two trials": {"max_trials": 2},
    "one hyperparameter": {"only": ["units"]},
    "only one value": {"only": ["classes"], "max_trials": 1},
    "all failed": {"curve": broken},
    "never finite": {"curve": never_finite},
    "all the same": {"curve": constant},
    "no rungs": {"scheduler": {"kind": "none", "max_epochs": 2}},
    "median": {"scheduler": {"kind": "median", "max_epochs": 6}},
    "promotion": {"scheduler": {"variant": "promotion", "max_epochs": 9}},
    "small is better": {"objective": {"metric": "val_loss"}},
    "killed": {"epochs": 12},
    "killed before an epoch": {"epochs": 0},
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_sweeps_have_reports_in_which_what_is_missing_says_why(tmp_path, made_up, kind):
    options = dict(ODD[kind])
    only = options.pop("only", None)
    space = [item for item in made_up.space if only is None or item["config"]["name"] in only]
    sweep = made_up.play(tmp_path, space=space, **options)
    made = make_report(sweep)
    page, best = html.unescape(made.page.read_text()), load_result(sweep).best
    assert made.page == sweep / "report" / "report.html"
    for problem in made.missing.values():
        assert problem in page
        assert "could not be drawn" not in problem and "Error" not in problem
    assert (made.reproduction is None) == (best is None)
    assert (f"Trial {best['trial']} " if best else "No trial has a result.") in page


def test_a_killed_sweep_counts_its_running_trials(tmp_path, made_up):
    sweep = made_up.play(tmp_path, epochs=5)
    result = load_result(sweep)
    rows = {row["trial"]: row for row in result.trials.to_pylist()}
    epochs = result.epochs.to_pandas()
    running = [row for row in rows.values() if row["state"] == "RUNNING" and row["epochs"]]
    assert running
    for row in running:
        assert row["value"] == epochs[epochs.trial == row["trial"]].val_accuracy.max()
    page = make_report(sweep).page.read_text()
    assert f"The sweep was killed; `fer-ray sweep resume {sweep}` goes on." in page
    assert result.best["value"] == epochs.val_accuracy.max()


def test_a_running_sweep_is_reported_as_such(tmp_path, made_up):
    sweep = made_up.play(tmp_path, epochs=12)
    with SweepFolder(sweep).locked():
        page = make_report(sweep).page.read_text()
    assert "The sweep is running; this is what there is so far." in page
    for key in ("learning-curves", "timeline"):
        names = [
            trace["name"] for trace in data_of(page, key)["data"] if trace.get("showlegend") is not False
        ]
        assert names[0] == "best so far" and "winner" not in names


def test_several_objectives_have_a_front(tmp_path, made_up):
    def curve(values, epoch):
        return {**made_up.accuracy(values, epoch), "parameters": values["units"] * 10}

    sweep = made_up.play(
        tmp_path, curve=curve, objective=[{"metric": "val_accuracy"}, {"metric": "parameters"}]
    )
    made = make_report(sweep)
    page = made.page.read_text()
    front = load_result(sweep).front
    points = [(numbers(trace["x"]), numbers(trace["y"])) for trace in data_of(page, "pareto")["data"]]
    drawn = {point for xs, ys in points for point in zip(xs, ys, strict=True)}
    assert len(front) > 1
    assert {(row["values"]["val_accuracy"], float(row["values"]["parameters"])) for row in front} <= drawn
    assert "Pareto front" not in made.missing


def test_thousands_of_trials_make_a_page_that_opens(tmp_path, made_up):
    """Two ranges without steps, so that all 2,000 trials differ in both."""
    second = {"class_name": "Float", "config": made_up.space[1]["config"] | {"name": "decay"}}
    sweep = made_up.play(tmp_path, space=[*made_up.space, second], max_trials=1)
    random, trials, epochs = np.random.default_rng(0), [], []
    for number in range(2000):
        rate, decay = 10 ** random.uniform(-4, -1, 2)
        chosen = {"units": 8, "rate": rate, "optimizer": "adam", "batch_size": 16, "augment": True}
        row = {"trial": number, "worker": f"a-{number % 4}", "seconds": 1.0}
        length = 9 if number % 9 == 0 else 3 if number % 3 == 0 else 1
        values = {"units": 8 * int(random.integers(1, 9)), "rate": rate}
        curve = [made_up.accuracy(values, epoch + 1) for epoch in range(length)]
        for epoch, metrics in enumerate(curve, start=1):
            ended = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=number / 4 + epoch)
            epochs.append({**row, "epoch": epoch, "timestamp": ended, **metrics})
        trials.append(
            {
                **{
                    "trial": number,
                    "state": "COMPLETE" if length == 9 else "PRUNED",
                    "objective": "val_accuracy",
                },
                **{"value": curve[-1]["val_accuracy"], "best_epoch": length, "epochs": length},
                "hyperparameters": {**chosen, **values, "decay": decay, "classes": 3},
            }
        )
    write_tables(sweep, trials_table(trials), epochs_table(epochs))
    made = make_report(sweep)
    page = made.page.read_text()
    assert made.missing == {} and len(page) < 10e6

    contour, points, _ = data_of(page, "contour-1")["data"]
    name = data_of(page, "contour-1")["layout"]["xaxis"]["title"]["text"]
    assert np.asarray(numbers(contour["z"])).size <= 32**2
    assert numbers(points["x"]).tolist() == [row["hyperparameters"][name] for row in trials]
    *lines, _ = data_of(page, "parallel")["data"]
    assert len(lines) == 100
    assert "The best 100 of 2,000 trials are shown." in page
    assert "Computed from 400 of the 2,000 trials, drawn at random." in page


def test_a_sweep_that_is_none_and_a_place_that_cannot_be_written(tmp_path, finished):
    with pytest.raises(SweepError, match="must be the folder of a sweep"):
        make_report(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepError, match="must be a file that can be written"):
        make_report(finished, tmp_path / "file")


def test_a_registry_that_is_gone_is_said(tmp_path, made_up):
    sweep = made_up.play(tmp_path, max_trials=4)
    made_up.register(sweep, 0.9)
    (tmp_path / "registry").rename(tmp_path / "elsewhere")
    page = make_report(sweep).page.read_text()
    assert "The registered winner faces:" in page and "cannot be read" in page


def test_passwords_are_not_passed_on(tmp_path, made_up):
    url = f"sqlite:///{tmp_path}/study.db"
    sweep = made_up.play(tmp_path, max_trials=2, storage=url)
    file = SweepFolder(sweep).spec_file
    registry = "s3://KEY:SECRET@bucket/models"
    file.write_text(file.read_text().replace(str(tmp_path / "registry"), registry))
    page = make_report(sweep).page.read_text()
    assert "SECRET" not in page and "s3://bucket/models" in page


def test_a_database_that_is_gone_costs_the_duplicates_only(tmp_path, made_up):
    sweep = made_up.play(tmp_path, max_trials=6, storage=f"sqlite:///{tmp_path}/study.db")
    file = SweepFolder(sweep).spec_file
    file.write_text(file.read_text().replace("study.db", "nowhere/study.db"))
    made = make_report(sweep)
    page = made.page.read_text()
    assert "Duplicates are not known. storage: must be a reachable Optuna storage URL." in page
    assert "Importance of hyperparameters" not in made.missing and load_result(sweep).best


def test_proposals_that_were_not_trained_again_are_named(tmp_path, made_up):
    tiny = [item for item in made_up.space if item["config"]["name"] in ("units", "augment")]
    sweep = made_up.play(tmp_path, space=tiny, max_trials=14)
    page = make_report(sweep).page.read_text()
    rows = re.search(r'id="duplicates".*?<tbody>(.*?)</tbody>', page, re.S)[1]
    pairs = [
        [int(cell) for cell in re.findall(r'data-value="(\d+)"', row)] for row in rows.split("</tr>")[:-1]
    ]
    assert pairs and f"Duplicates: {len(pairs)} proposals repeated a configuration" in page
    trials = {row["trial"] for row in load_result(sweep).trials.to_pylist()}
    for proposal, trial in pairs:
        assert proposal not in trials and trial in trials and trial < proposal


def test_images_need_a_browser(finished, tmp_path, monkeypatch):
    from choreographer.browsers.chromium import Chromium

    monkeypatch.setattr(Chromium, "find_browser", classmethod(lambda cls, **options: None))
    names = ("x.png", "timeline.png")
    (tmp_path / "figures").mkdir()
    for name in names:
        (tmp_path / "figures" / name).write_bytes(b"from before")
    with pytest.raises(ConfigError, match="need Chromium or Chrome on this machine"):
        make_report(finished, tmp_path, images=True)
    assert all((tmp_path / "figures" / name).read_bytes() == b"from before" for name in names)
    assert (tmp_path / "report.html").exists()


def test_passwords_of_a_database_are_masked():
    given = {"name": "my", "space": {"file": "space.py"}, "data": "s3://bucket/faces?endpoint_override=KEY"}
    spec = SweepSpec.parse({**given, "storage": "postgresql+psycopg2://user:SECRET@host/studies"})
    shown = spec.masked().to_yaml()
    assert "SECRET" not in shown and "KEY" not in shown and "postgresql+psycopg2://host/studies" in shown


def test_a_renamed_sweep_is_reported_with_a_command_that_can_be_pasted(tmp_path, made_up):
    sweep = made_up.play(tmp_path, max_trials=4)
    renamed = sweep.rename(sweep.with_name("faces copy"))
    made = make_report(renamed)
    assert SweepSpec.from_yaml(made.reproduction).name.startswith("faces-copy-trial-")
    assert f"fer-ray sweep run &#39;{made.reproduction}&#39;" in made.page.read_text()


def test_what_a_killed_run_has_searched_counts(tmp_path, made_up):
    sweep = made_up.play(tmp_path, max_trials=6)
    folder = SweepFolder(sweep)
    folder.write_outcome(replace(folder.read_outcome(), ended="killed", seconds=1.0))
    facts = read_facts(folder)
    assert facts.state == "killed" and facts.searching == facts.clock.seconds > 1.0
    page = make_report(sweep).page.read_text()
    busy = facts.epochs.seconds.sum() / facts.clock.seconds
    assert busy > 1 and page.lower().count(f"so far: on average {busy:.1f} workers inside training") == 2
    assert "last run" not in page.lower()


def test_tables_of_a_sweep_that_was_killed_are_made_anew(tmp_path, made_up):
    sweep = made_up.play(tmp_path, max_trials=4)
    folder = SweepFolder(sweep)
    folder.write_outcome(replace(folder.read_outcome(), ended="killed"))
    study = optuna.load_study(study_name=folder.spec().study_name, storage=open_storage(folder.spec()))
    trial = study.ask()
    study.tell(trial, state=TrialState.FAIL)
    assert len(load_result(sweep).trials) == 5
