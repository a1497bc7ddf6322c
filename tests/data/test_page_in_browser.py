"""The page in a real browser: nothing missing, nothing fetched, nothing wider than a telephone."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading

import numpy as np
import pytest

from fer_ray.data.importer import import_dataset
from fer_ray.data.page import PageOptions, write_page
from fer_ray.data.shown import Augmented

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += [
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=5000",
    "--enable-logging=stderr",
]

# The page in frames as wide as a telephone and a desk; what is seen of each is written into the document.
HARNESS = """<!doctype html><link rel="icon" href="data:,"><body><script>
const widths = [390, 1280], seen = {};
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${width}px; height: 800px; border: 0`;
  frame.src = "index.html";
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    seen[width] = {
      overflow: root.scrollWidth - width,
      fetched: frame.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name),
      images: page.images.length,
      broken: [...page.images].filter(image => !image.naturalWidth).length,
    };
    if (Object.keys(seen).length == widths.length) {
      const report = document.createElement("pre");
      report.textContent = JSON.stringify(seen);
      document.body.replaceChildren(report);
    }
  };
  document.body.append(frame);
}
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def look(tmp_path):
    """Opens `index.html` of a folder; returns what was seen by width, and the console's lines."""

    def open_page(folder):
        (folder / "harness.html").write_text(HARNESS)
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/harness.html"
            command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", address]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        finally:
            server.shutdown()
            server.server_close()
        report = json.loads(re.search("<pre>(.*)</pre>", done.stdout).group(1))
        return report, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


def test_the_page_is_whole_by_itself_and_fits_a_telephone(look, make_faces, tmp_path):
    def turn(images, copies, seed):
        turned = np.repeat(images[:, None], copies, axis=1)
        return [
            Augmented(name=name, strength={"turned": "never" * 30}, images=turned) for name in ("one", "two")
        ]

    names = "w" * 90, "one class with quite a long name, in words"
    root = make_faces(200).write_folders(
        tmp_path / "images",
        lambda faces, n: f"{faces.labels[n] if n % 3 else names[n % 2]}/{'x' * 80}{n}.png",
    )
    data = import_dataset(root, tmp_path / "data", name="a name with no end" + "d" * 60)
    write_page(data, tmp_path / "page", PageOptions(images=9, augment=turn))
    seen, console = look(tmp_path / "page")
    assert console == []
    for width in ("390", "1280"):
        assert seen[width]["overflow"] <= 0, width
        assert seen[width]["fetched"] == []
        assert seen[width]["broken"] == 0 and seen[width]["images"] > 100


def test_a_bad_page_would_be_noticed(look, tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "index.html").write_text(
        '<div style="width: 500px">wide</div><img src="lost.png" alt=""><script>console.error("no")</script>'
    )
    seen, console = look(folder)
    assert seen["390"]["overflow"] > 100 and seen["1280"]["overflow"] == 0
    assert seen["390"]["broken"] == 1 and seen["390"]["fetched"][0].endswith("lost.png")
    assert any('"no"' in line for line in console)
