"""`descend report`, and the page in a real browser at desktop and phone width."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from conftest import Command
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from descend.output.report.compared import comparisons
from descend.output.report.curves import bands_of
from descend.output.report.html import write_report
from descend.output.report.runs import Runs

pytestmark = pytest.mark.long

SWEEP = (
    "-m",
    "objective=rosenbrock,beale",
    "objective.random_start=true",
    "optimizer=sgd,adam",
    "seed=range(0,3)",
    "steps=30",
)
QUIET = ("metrics=none", "derivatives=none", "tracker=none")

browser_only = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and chromedriver are not installed (Debian: apt install chromium chromium-driver)",
)


@pytest.fixture
def page(descend: Command, here: Path) -> Path:
    done = descend(*SWEEP, *QUIET, "optimizer.lr=0.0001,0.001,0.01", "hydra.sweep.dir=swept")
    assert not done.code, done.err
    return here / "swept" / "report.html"


def test_every_sweep_leaves_a_page_which_the_command_writes_again(descend: Command, page: Path) -> None:
    first = page.read_text()
    assert "descend -m objective=rosenbrock,beale" in first
    page.unlink()
    done = descend("report", "swept")
    assert done.code == 0, done.err
    assert "written: swept/report.html" in done.out
    assert page.read_text() == first


def test_several_folders_are_one_page(descend: Command, page: Path) -> None:
    shutil.copytree(page.parent, page.parent.parent / "again")
    assert descend("report", "swept", "again").code == 0
    assert "again sgd" in Path("report.html").read_text()
    assert descend("report", "swept", "out=elsewhere.html").code == 0
    assert Path("elsewhere.html").exists()


def test_folders_called_by_numbers_are_no_numbers(descend: Command, here: Path) -> None:
    """Each method of each folder is compared: no folder is a trial of another's."""
    for name in "12":
        assert not descend("-m", "optimizer=sgd,adam", "steps=3", f"hydra.sweep.dir={name}", *QUIET).code
    assert descend("compare", "1", "2").out.count("folder=") == 4
    assert descend("report", "1", "2").code == 0
    assert '"names":["1","2"]' in Path("report.html").read_text()


MISTAKES = {
    "descend report: it was given no folder": [],
    "nowhere is no folder": ["nowhere"],
    "no/such/page.html cannot be written": ["swept", "out=no/such/page.html"],
}


def test_mistakes_of_a_report_are_told(descend: Command, page: Path) -> None:
    for sentence, arguments in MISTAKES.items():
        done = descend("report", *arguments)
        assert done.code == 2
        assert sentence in done.err
        assert "Traceback" not in done.err


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


CELLS = """
    const [table] = document.querySelectorAll(".sortable");
    return [...table.tBodies[0].rows].map(row => row.cells[arguments[0]].textContent);
"""


def opened(browser: Chrome, page: Path, width: int) -> None:
    phone = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    browser.get(page.as_uri())
    assert browser.get_log("browser") == []


@pytest.mark.browser
@browser_only
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(page: Path, browser: Chrome, width: int) -> None:
    opened(browser, page, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return document.querySelectorAll('#across svg').length") == 3
    assert browser.execute_script("return document.querySelectorAll('.task svg').length") == 8

    heads = browser.find_elements("css selector", ".sortable th button")
    median = next(i for i, head in enumerate(heads) if "median" in (head.get_attribute("textContent") or ""))
    for rising in (True, False):
        browser.execute_script("arguments[0].click()", heads[median])
        values = [float(text) for text in browser.execute_script(CELLS, median)]
        assert values == sorted(values, reverse=not rising)
        assert len(values) == 2

    lines = "return document.querySelector('.task svg').querySelectorAll('path').length"
    before = browser.execute_script(lines)
    browser.execute_script("document.querySelector('.task .keys button').click()")
    assert browser.execute_script(lines) == before - 2  # the line and its band
    browser.execute_script(
        "const s = document.querySelector('.task select'); s.value = 'seconds'; s.dispatchEvent(new Event('change'))"
    )
    assert "seconds" in browser.execute_script("return document.querySelector('.task svg').textContent")
    assert browser.get_log("browser") == []


def page_of_five_keys(path: Path) -> Path:
    """Settings of long names by validation accuracy; by the training loss, six runs each, one rate runs away."""
    names = ["optimizer", "optimizer.lr", "optimizer.weight_decay", "objective.data.batch_size", "schedule", "seed"]
    methods, numbers = ("schedule_free_adamw", "levenberg_marquardt"), ((0.001, 0.01, 0.1), (0.0, 0.1), (32, 64))
    rows = list(itertools.product(methods, *numbers, ("cosine", "constant"), range(6)))
    accuracies = [0.5 + 0.1 * lr + 0.001 * seed for _, lr, _, _, _, seed in rows]
    away = ("levenberg_marquardt", 0.1, 0.1, 64)
    losses = [1e12 if row[:4] == away else 1 - x for row, x in zip(rows, accuracies, strict=True)]
    table = (
        pl.DataFrame(rows, schema=names, orient="row")
        .with_row_index("run")
        .with_columns(
            pl.col("run").cast(pl.Int64),
            pl.Series("value", losses),
            pl.Series("metrics.validation_accuracy", accuracies),
            status=pl.lit("finished"),
            steps=pl.lit(5),
        )
    )
    curves = table.select("run", pl.lit(0).alias("step"), pl.lit("nothing").alias("name"), "value").lazy()
    runs = Runs(table, tuple(names), curves)
    found = [*comparisons(runs), *comparisons(runs, "value")]
    write_report(path, runs, found, bands_of(found, curves), [], [])
    return path


BOXES = """
    const found = [...document.querySelectorAll(".task svg[aria-label='parallel coordinates']")];
    return found.map(svg => [...svg.querySelectorAll("text.name")].map(text => {
        const { left, right, top, bottom } = text.getBoundingClientRect(), outer = svg.getBoundingClientRect();
        return [left - outer.left, outer.right - right, outer.bottom - bottom, left, right, top, bottom];
    }));
"""


@pytest.mark.browser
@browser_only
@pytest.mark.parametrize("width", [1280, 390])
def test_names_of_parallel_coordinates_do_not_overlap(browser: Chrome, tmp_path: Path, width: int) -> None:
    opened(browser, page_of_five_keys(tmp_path / "page.html"), width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ends = "return [...document.querySelectorAll('.sortable th')].map(each => each.getBoundingClientRect().right)"
    assert browser.execute_script(ends)[1] <= width  # beside the setting there is its result
    by_accuracy, by_loss = browser.execute_script(BOXES)
    assert (len(by_accuracy), len(by_loss)) == (7, 6)  # `validation/accuracy` takes two lines
    for boxes in (by_accuracy, by_loss):
        assert all(min(box[:3]) >= 0 for box in boxes)  # inside of the picture
        for (*_, left, right, top, bottom), (*_, from_, to, upper, lower) in itertools.combinations(boxes, 2):
            assert (
                right <= from_ or to <= left or bottom <= upper + 3 or lower <= top + 3
            )  # lines of one name are close


@pytest.mark.browser
@browser_only
def test_what_runs_away_is_cut_off_and_the_caption_says_so(browser: Chrome, tmp_path: Path) -> None:
    opened(browser, page_of_five_keys(tmp_path / "page.html"), 1280)
    captions = [each.text for each in browser.find_elements("css selector", "figcaption")]
    tuned = [text for text in captions if "settings drawn" in text]
    assert "cut off" not in tuned[0]
    assert "The picture is cut off at" in tuned[1]
    assert "the worst 1000000000000." in tuned[1]
    heights = """
        const [figure] = [...document.querySelectorAll("figure")].filter(each => each.textContent.includes("cut off"));
        return [...figure.querySelectorAll("svg > text")].map(each => parseFloat(each.textContent)).filter(x => x > 0);
    """
    assert max(browser.execute_script(heights)) < 100  # settings tried, and losses
