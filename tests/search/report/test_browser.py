"""The report in a real browser: clicked through, on a phone, in the dark, on paper."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from fer_ray.search import load_result
from fer_ray.search.report import compare, make_report

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")

SECTIONS = [
    "best",
    "test",
    "course",
    "curves",
    "hyperparameters",
    "trials",
    "workers",
    "failures",
    "environment",
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory):
    return make_report(finished, tmp_path_factory.mktemp("browser")).page


@pytest.fixture
def opened(browser, made):
    """Opens a page; afterwards it must have said nothing on the console and asked for no other file."""
    said, asked, contexts, files = [], [], [], set()

    def open_page(file=made, **options):
        files.add(file.as_uri())
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == files


def draw_all(page):
    """Scrolls through the page, as figures are drawn once they come into sight."""
    for figure in page.locator(".plot").all():
        figure.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('.plot')].every((plot) => plot._fullLayout)")


def test_a_person_clicks_through(opened, finished):
    page = opened(viewport={"width": 1200, "height": 900})
    assert page.locator("nav a").all_inner_texts()[:2] == ["Best configuration", "Test"]
    for section in SECTIONS:
        page.locator(f"nav a[href='#{section}']").click()
        page.wait_for_function(
            f"Math.abs(document.getElementById('{section}').getBoundingClientRect().top) < 870"
        )
        assert page.evaluate("location.hash") == f"#{section}"
    draw_all(page)

    curves = page.locator("#learning-curves")
    visible = (
        "() => document.querySelector('#learning-curves .plot').data.map((trace) => trace.visible ?? true)"
    )
    assert "legendonly" not in page.evaluate(visible)
    curves.locator(".legendtoggle").first.click()
    page.wait_for_function(f"({visible})().includes('legendonly')")

    page.locator("#best-over-epochs").scroll_into_view_if_needed()
    box = page.locator("#best-over-epochs .plot .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    for place in np.linspace(0.1, 0.9, 30):
        page.mouse.move(box["x"] + box["width"] * place, box["y"] + box["height"] * 0.4)
        if page.locator("#best-over-epochs .hovertext").count():
            break
    told = page.locator("#best-over-epochs .hovertext").first.text_content()
    trial, epoch, value = re.fullmatch(r"(?:best so far|trial (\d+), epoch (\d+):) ([\d.]+)", told).groups()
    epochs = load_result(finished).epochs.to_pandas()
    if trial:
        epochs = epochs[(epochs.trial == int(trial)) & (epochs.epoch == int(epoch))]
    assert value in {f"{accuracy:.4f}" for accuracy in epochs.val_accuracy}

    trials = load_result(finished).trials.to_pandas()
    page.locator("#all-trials summary").click()
    heading = page.locator("#all-trials th", has_text="epochs").last
    heading.locator("button").click()
    column = heading.evaluate("(cell) => cell.cellIndex")
    cells = page.locator(f"#all-trials tbody td:nth-child({column + 1})").all_inner_texts()
    assert [int(cell) for cell in cells] == sorted(trials.epochs)
    heading.locator("button").click()
    cells = page.locator(f"#all-trials tbody td:nth-child({column + 1})").all_inner_texts()
    assert [int(cell) for cell in cells] == sorted(trials.epochs, reverse=True)

    page.locator(".copy").first.click()
    page.wait_for_function("['Copied', 'Selected'].includes(document.querySelector('.copy').innerText)")


def test_the_tables_on_the_page_are_the_sweeps(opened, finished):
    page, result = opened(), load_result(finished)
    rows = page.locator("#all-trials tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent))"
    )
    shown = {int(row[1]): row for row in rows}
    for trial in result.trials.to_pylist():
        row = shown[trial["trial"]]
        assert row[2] == trial["state"] and int(row[5]) == trial["epochs"]
        assert row[3] == ("–" if trial["value"] is None else str(trial["value"]))
        assert row[8] == (trial["reason"] or "–")
    ranked = [row["trial"] for row in result.leaderboard(100)]
    assert [int(row[1]) for row in rows[: len(ranked)]] == ranked
    assert [row[0] for row in rows] == [
        *map(str, range(1, len(ranked) + 1)),
        *["–"] * (len(rows) - len(ranked)),
    ]
    assert page.locator("#leaderboard tbody tr").count() == min(10, len(ranked))
    chosen = page.locator("#configuration tbody tr").evaluate_all(
        "(rows) => Object.fromEntries(rows.map((row) => [row.cells[0].textContent, row.cells[1].textContent]))"
    )
    for name, value in result.best["hyperparameters"].items():
        assert chosen[name] == str(value)


def test_it_fits_a_phone(opened):
    page = opened(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for figure in page.locator("figure").all():
        assert figure.bounding_box()["width"] <= 390


def test_it_follows_the_dark(opened):
    page = opened(color_scheme="dark")
    page.locator("#best-over-time").scroll_into_view_if_needed()
    colour_of = "(text) => getComputedStyle(text).fill"
    ticks = page.locator("#best-over-time .xtick text").first
    ink = "getComputedStyle(document.body).color"
    dark = page.evaluate(ink)
    assert ticks.evaluate(colour_of) == dark
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    light = page.evaluate(ink)
    assert light != dark
    page.wait_for_function(
        "(ink) => getComputedStyle(document.querySelector('#best-over-time .xtick text')).fill === ink",
        arg=light,
    )


def test_it_can_be_printed(opened):
    """On A4 with margins of 1 cm all figures are drawn, though nobody scrolled to them, and nothing is cut off."""
    page = opened(viewport={"width": 1200, "height": 900})
    page.pdf(format="A4")
    assert page.locator(".plot").evaluate_all("(plots) => plots.every((plot) => plot._fullLayout)")
    page.set_viewport_size({"width": 718, "height": 1047})
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.locator("nav").is_visible()
    rights = "(all) => all.map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect().right])"
    elements = page.locator("body *:not(svg *)").evaluate_all(rights)
    assert [name for name, right in elements if right > 718.5] == []
    assert max(right for _, right in elements) > 600


def test_a_comparison_is_drawn(opened, made_up, finished, tmp_path):
    compare([finished, made_up.play(tmp_path, "other", max_trials=4)], tmp_path / "both.html")
    page = opened(tmp_path / "both.html")
    draw_all(page)
    for key in ("best-over-time", "best-over-epochs"):
        assert page.locator(f"#{key} .legendtext").all_text_contents() == ["faces", "other"]
        assert page.locator(f"#{key} .scatterlayer .js-line").count() == 2


def test_each_figure_is_saved_as_png_and_other_files_stay(made_up, tmp_path):
    """Of four objectives, for which Optuna draws no front: its picture from before does not stay."""

    def curve(values, epoch):
        found = made_up.accuracy(values, epoch)
        return {**found, "val_macro_f1": found["val_accuracy"] / 2, "val_balanced_accuracy": epoch / 9}

    metrics = ["val_accuracy", "val_loss", "val_macro_f1", "val_balanced_accuracy"]
    objectives = [{"metric": metric} for metric in metrics]
    sweep = made_up.play(tmp_path, space=made_up.space[:2], curve=curve, max_trials=6, objective=objectives)
    made_up.register(sweep, 0.8)
    figures = tmp_path / "page" / "figures"
    figures.mkdir(parents=True)
    for name in ("x.png", "pareto.png"):
        (figures / name).write_bytes(b"from before")

    report = make_report(sweep, tmp_path / "page", images=True)
    drawn = set(re.findall(r'data-figure="([^"]+)"', report.page.read_text()))
    assert {"learning-curves", "timeline", "importance", "parallel", "contour-1", "confusion"} <= drawn
    assert {path.name for path in report.images} == {f"{key}.png" for key in drawn}
    for path in report.images:
        with Image.open(path) as image:
            assert image.width == 1800 and np.unique(np.asarray(image.convert("L"))).size > 3, path
    assert list(report.missing) == ["Pareto front"]
    assert {path.name for path in figures.iterdir()} == {"x.png"} | {path.name for path in report.images}
    assert (figures / "x.png").read_bytes() == b"from before"
