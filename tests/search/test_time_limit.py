"""What hangs in a worker is ended, and the place is told."""

import subprocess
import sys
from pathlib import Path

from fer_ray.search.time_limit import place_of_hang

STACKS = """Timeout (0:00:10)!
Thread 0x00007f0000000001 (most recent call first):
  File "/lib/queue.py", line 5 in get
  File "/lib/threading.py", line 6 in run

Thread 0x00007f0000000002 (most recent call first):
  File "/lib/socket.py", line 7 in recv
  File "/sweep/space.py", line 8 in download
  File "/sweep/space.py", line 9 in build
  File "/fer_ray/trial.py", line 10 in build_model

Thread 0x00007f0000000003 (most recent call first):
  File "/lib/threading.py", line 11 in join
"""


def test_the_place_is_the_innermost_line_of_the_space_file():
    place = place_of_hang(STACKS, Path("/sweep/space.py"))
    assert place == "line 8 of the space file, in download, which was in /lib/socket.py, line 7, in recv"


def test_the_place_is_in_the_main_thread_if_the_space_has_no_part_in_it():
    assert place_of_hang(STACKS, Path("/other.py")) == "/lib/threading.py, line 11, in join"


LIMITED = """
import sys, time
from pathlib import Path
from fer_ray.search.time_limit import StageLimit

limit = StageLimit(key="limits.x", what="it", seconds=2, report=Path(sys.argv[1]), space_file=Path(__file__))
with limit.watch() as begin:
    for _ in range(4):
        begin()
        time.sleep(0.6)
    print("all in time", flush=True)
    if sys.argv[2] == "hang":
        begin()
        time.sleep(600)
"""


def test_each_beginning_has_the_whole_time_and_the_next_worker_tells_where_the_former_hung(tmp_path):
    script, report = tmp_path / "limited.py", tmp_path / "hangs" / "stage.txt"
    script.write_text(LIMITED)

    def call(then: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(script), str(report), then]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert call("go on").returncode == 0 and not report.exists()
    hung = call("hang")
    assert (hung.returncode, hung.stdout) == (1, "all in time\n")
    told = call("go on")
    assert (
        told.returncode == 1 and "it must end within 2 s. Received: line 14 of the space file" in told.stderr
    )
    assert call("go on").returncode == 0
