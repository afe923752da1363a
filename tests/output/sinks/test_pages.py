"""TensorBoard's pages as a person sees them, in a headless Chromium; the screenshots stay in pytest's folder."""

import io
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

pytestmark = [
    pytest.mark.long,
    pytest.mark.browser,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="chromium and chromedriver are not installed (Debian: apt install chromium chromium-driver)",
    ),
]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1500,1100"
)
SECONDS = 120

# TensorBoard's pages are trees of web components: texts lie below shadow roots.
WALK = """
    const found = [];
    const walk = node => {
        found.push(node);
        if (node.shadowRoot) walk(node.shadowRoot);
        node.childNodes.forEach(walk);
    };
    walk(document.body);
"""
# A card's title is cut in two before the last slash.
TEXT = f"{WALK} return found.filter(n => n.nodeType == 3).map(n => n.data.trim()).join('\\n').replaceAll('\\n/', '/');"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    driver.set_page_load_timeout(SECONDS)
    driver.set_script_timeout(SECONDS)
    yield driver
    driver.quit()


def wait_for_words(browser: Chrome, *words: str) -> None:
    """Wait until each of the words stands on the page by itself."""
    deadline = time.monotonic() + SECONDS
    while missing := set(words) - set(browser.execute_script(TEXT).split("\n")):
        assert time.monotonic() < deadline, f"not on the page: {missing}"
        time.sleep(0.3)


def keep_screenshot(browser: Chrome, path: Path, coloured: int) -> None:
    """Wait until the page stands still with at least so many coloured pixels, and keep its picture."""
    deadline = time.monotonic() + SECONDS
    before, now = b"", browser.get_screenshot_as_png()
    while now != before or count_coloured(now) < coloured:
        path.write_bytes(now)
        assert time.monotonic() < deadline, f"{count_coloured(now)} coloured pixels, see {path}"
        time.sleep(1.0)
        before, now = now, browser.get_screenshot_as_png()
    path.write_bytes(now)


def count_coloured(png: bytes) -> int:
    """Count the pixels right of the side bar and below the head that are no shade of grey: curves, bars, pictures."""
    body = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)[120:, 380:]
    return int((np.ptp(body, axis=-1) > 60).sum())


def test_time_series_shows_curves(browser: Chrome, served: str, tmp_path: Path) -> None:
    browser.get(f"{served}?tagFilter={quote('^(value|gradient/norm|update/ratio|parameter/norm)$')}#timeseries")
    wait_for_words(browser, "value", "gradient/norm", "rosenbrock", "digits")
    keep_screenshot(browser, tmp_path / "timeseries.png", coloured=500)


def test_scalars_show_curves(browser: Chrome, served: str, tmp_path: Path) -> None:
    browser.get(f"{served}#scalars&tagFilter=hessian")
    wait_for_words(browser, "hessian/condition", "hessian/trace")
    keep_screenshot(browser, tmp_path / "scalars.png", coloured=500)


def test_histograms_show_ridges(browser: Chrome, served: str, tmp_path: Path) -> None:
    browser.get(f"{served}#histograms&tagFilter=linear")
    wait_for_words(browser, "gradient/histogram/linear1.weight", "parameter/histogram/linear2.weight")
    keep_screenshot(browser, tmp_path / "histograms.png", coloured=2000)


def test_images_show_the_path(browser: Chrome, served: str, tmp_path: Path) -> None:
    browser.get(f"{served}#images")
    wait_for_words(browser, "path", "rosenbrock")
    keep_screenshot(browser, tmp_path / "images.png", coloured=10_000)
