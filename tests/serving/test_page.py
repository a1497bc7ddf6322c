"""The endpoint's page in a real browser."""

import shutil
import socket
import subprocess
import threading
import time

import pytest
import uvicorn

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")

# Without the last flags Chromium looks for hosts of its own at every start.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--virtual-time-budget=5000"]

# What a person does with the file dialogue, done by the page itself once it has loaded.
DROP_A_FILE = """
<script>
addEventListener("load", async () => {
  const canvas = new OffscreenCanvas(20, 20), context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, 20, 20);
  const files = new DataTransfer();
  files.items.add(new File([await canvas.convertToBlob()], "white.png"));
  const input = document.getElementById("file");
  input.files = files.files;
  input.dispatchEvent(new Event("change"));
});
</script>
"""


@pytest.fixture
def url(client):
    """The application behind a real HTTP server, its page with a file chosen."""
    from starlette.responses import HTMLResponse

    page = client.get("/").text.replace("location.pathname", '"/"')
    app = client.app
    dropped = page.replace("</script>", "</script>" + DROP_A_FILE, 1)
    app.add_route("/dropped", lambda request: HTMLResponse(dropped))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def dom(address: str, profile) -> str:
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_page_names_the_model(url, tmp_path):
    assert "toy 20261122T140501Z-3f9a2c" in dom(url, tmp_path)


def test_a_file_gets_its_bars(url, tmp_path):
    shown = dom(f"{url}/dropped", tmp_path)
    for label in ("dark", "bright", "tilted"):
        assert f"<span>{label}</span>" in shown
    assert shown.index("<span>bright</span>") < shown.index("<span>dark</span>")
