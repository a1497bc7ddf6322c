"""What lies where in a sweep's folder, and the lock that keeps two processes from running one sweep."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from fer_ray.errors import SweepError
from fer_ray.files import write_atomically
from fer_ray.search.live import live_path
from fer_ray.search.spec import SweepSpec


def journal_path(sweep: Path) -> Path:
    """Where a sweep keeps its epochs."""
    return sweep / "epochs.jsonl"


def study_path(sweep: Path) -> Path:
    """Where a sweep keeps its study, unless a storage URL says otherwise."""
    return sweep / "study.journal"


def checkpoint_folder(sweep: Path, number: int) -> Path:
    """Where the checkpoints of one trial lie."""
    return sweep / "checkpoints" / f"trial-{number:05d}"


def checkpoint_folders(sweep: Path) -> list[tuple[int, Path]]:
    """Trial number and folder of all checkpoints of a sweep."""
    found = (sweep / "checkpoints").glob("trial-*")
    return [(int(folder.name.removeprefix("trial-")), folder) for folder in found]


@contextmanager
def writing_tables(sweep: Path) -> Iterator[None]:
    """One process at a time reads study and journal and writes the tables.

    Raises:
        SweepError: If the storage has no file locks.
    """
    with (sweep / "tables.lock").open("w") as file:
        _lock(file, fcntl.LOCK_EX)
        yield


def hang_report(sweep: Path, number: int) -> Path:
    """Where a trial's worker writes its stacks once an epoch has taken too long."""
    return stage_hang_report(sweep, f"trial-{number:05d}")


def stage_hang_report(sweep: Path, stage: str) -> Path:
    """Where a worker writes its stacks once something has taken too long."""
    return sweep / "hangs" / f"{stage}.txt"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the last run of a sweep ended.

    Args:
        ended: ``max_trials``, the budget that was used up, ``space exhausted``, ``interrupted`` or another reason;
            ``killed`` until a run has ended.
        seconds: Of searching, over all runs.
        training_seconds: Of them inside epochs, summed over workers, over all runs.
        workers: In the last run.
        utilisation: Of the last run, 0 to 1.
        model: Reference of the registered winner; None if none was registered.
        winner: Number of its trial.
    """

    ended: str
    seconds: float
    training_seconds: float
    workers: int
    utilisation: float
    model: str | None = None
    winner: int | None = None


def beside(space_file: Path) -> Path:
    """Where the modules lie that a space file imports: beside it; those of a sweep's own copy, in its folder."""
    kept = space_file.parent / "modules"
    is_copy = (space_file.parent / "sweep.yaml").is_file()
    return kept if is_copy and kept.is_dir() else space_file.parent


def write_sweep_file(path: Path, spec: SweepSpec) -> None:
    """Writes a sweep file; for its owner alone where it names a database, whose address may hold a password."""
    write_atomically(path, spec.to_yaml(), mode=0o600 if spec.storage else 0o666)


class SweepFolder:
    """Paths of a sweep.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec_file, self.space_file = path / "sweep.yaml", path / "space.py"
        self.discovery_file, self.outcome_file = path / "space.json", path / "outcome.json"
        self.runs_file = path / "runs.json"
        self.tune, self.winner, self.modules = path / "tune", path / "winner", path / "modules"

    @classmethod
    def create(cls, spec: SweepSpec) -> "SweepFolder":
        """Makes the folder of a new sweep, with its resolved sweep file and a copy of its space file.

        Raises:
            SweepError: If a sweep of that name is there already.
        """
        folder = cls(spec.path)
        folder.check_new(spec)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.fill(spec)
        return folder

    def fill(self, spec: SweepSpec) -> None:
        """Makes the files of a new sweep; the folder is there.

        Raises:
            SweepError: As `check_new`.
        """
        self.check_new(spec)
        shutil.copyfile(spec.space.file, self.space_file)
        self.write_spec(spec.with_study())

    def write_spec(self, spec: SweepSpec) -> None:
        """Keeps the resolved sweep file; the space file in it is the original, whatever the working directory."""
        space = spec.space.model_copy(update={"file": spec.space.file.absolute()})
        write_sweep_file(self.spec_file, spec.model_copy(update={"space": space}))

    def keep_modules(self, space_file: Path, names: Iterable[str]) -> None:
        """Copies what a space imports from beside its file: that may be gone when the sweep is resumed.

        Args:
            space_file: Its own place.
            names: Of modules and packages beside it.
        """
        for name in names:
            source, target = beside(space_file) / name, self.modules / name
            self.modules.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=self._no_module, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, target)

    def _no_module(self, folder: str, names: list[str]) -> set[str]:
        """What lies in a package and is none of it: Python's own files, and sweeps."""
        sweeps = {self.path.resolve(), self.path.parent.resolve()}
        own = shutil.ignore_patterns("__pycache__", "*.pyc")(folder, names)
        return set(own) | {name for name in names if Path(folder, name).resolve() in sweeps}

    def check_new(self, spec: SweepSpec) -> None:
        """Whether a sweep can be made here.

        Raises:
            SweepError: If one is there, or there is no space file.
        """
        if self.spec_file.exists():
            remedy = f"Resume it with `fer-ray sweep resume {spec.path}`, or take another name"
            raise SweepError(f"sweep {spec.name}", "must not exist yet", str(spec.path), remedy)
        if not spec.space.file.is_file():
            raise SweepError("space.file", "must be a Python file", str(spec.space.file))

    def has_final_tables(self) -> bool:
        """Whether the tables have all that the study and the journal have; a run writes them at its end."""
        tables, journal, outcome = self.path / "trials.parquet", journal_path(self.path), self.read_outcome()
        if not tables.exists() or outcome is None or outcome.ended == "killed" or self.is_running():
            return False
        return not journal.exists() or journal.stat().st_mtime <= tables.stat().st_mtime

    def discard(self) -> None:
        """Takes back a sweep that could not start, so that its name is free again; whoever calls it holds it."""
        if not self.outcome_file.exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def repair(self) -> None:
        """Cuts off what a full disk or a kill left behind the study's last whole line: Optuna would refuse it."""
        file = study_path(self.path)
        if file.exists() and not (content := file.read_bytes()).endswith(b"\n"):
            write_atomically(file, content[: content.rfind(b"\n") + 1])

    @classmethod
    def open(cls, path: str | Path) -> "SweepFolder":
        """The folder of a sweep that exists.

        Raises:
            SweepError: If it is none.
        """
        folder = cls(Path(path))
        if not folder.spec_file.is_file():
            raise SweepError(f"sweep {path}", "must be the folder of a sweep, with a sweep.yaml")
        return folder

    def spec(self) -> SweepSpec:
        """The resolved sweep file, whatever the folder is called now."""
        spec = SweepSpec.from_yaml(self.spec_file, is_resolved=True)
        return spec.model_copy(update={"folder": self.path.parent, "name": self.path.name})

    def read_outcome(self) -> Outcome | None:
        """How the last run ended; None while the first is running, or if it was killed."""
        return Outcome(**json.loads(self.outcome_file.read_text())) if self.outcome_file.exists() else None

    def write_outcome(self, outcome: Outcome) -> None:
        """Keeps how a run ended."""
        write_atomically(self.outcome_file, json.dumps(asdict(outcome), indent=2))

    def add_run(self, environment: dict[str, Any]) -> None:
        """Keeps where and with what a run was made."""
        write_atomically(self.runs_file, json.dumps([*self.read_runs(), environment], indent=2))

    def read_runs(self) -> list[dict[str, Any]]:
        """What each run was made with, in their order; none of a sweep made before that was kept."""
        if not self.runs_file.exists():
            return []
        found: list[dict[str, Any]] = json.loads(self.runs_file.read_text())
        return found

    def read_discovery(self) -> dict[str, Any] | None:
        """What was discovered of the space, if it was."""
        if not self.discovery_file.exists():
            return None
        found: dict[str, Any] = json.loads(self.discovery_file.read_text())
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the sweep for this process.

        Raises:
            SweepError: If another process runs it, or has just taken it back.
        """
        with self._open_lock() as file:
            if not _take(file, fcntl.LOCK_EX):
                # Somebody may just be looking whether it runs.
                time.sleep(0.2)
                if not _take(file, fcntl.LOCK_EX):
                    raise SweepError(f"sweep {self.path}", "is being run by another process")
            if not os.fstat(file.fileno()).st_nlink:
                raise self._gone()
            # A killed run's.
            live_path(self.path).unlink(missing_ok=True)
            yield

    def _open_lock(self) -> IO[str]:
        try:
            return (self.path / "lock").open("w")
        except FileNotFoundError as error:
            raise self._gone() from error

    def _gone(self) -> SweepError:
        return SweepError(f"sweep {self.path}", "must still be there", "another process has removed it")

    def is_running(self) -> bool:
        """Whether a process holds the sweep now."""
        file = self.path / "lock"
        if not file.exists():
            return False
        with file.open() as opened:
            return not _take(opened, fcntl.LOCK_SH)


def _take(file: IO[str], lock: int) -> bool:
    """Whether a lock is to be had; it is given back when the file is closed."""
    try:
        _lock(file, lock | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(file: IO[str], lock: int) -> None:
    try:
        fcntl.flock(file, lock)
    except BlockingIOError:
        raise
    except OSError as error:  # such as Lustre mounted without it
        remedy = "Mount it with `flock`, or name another `folder`"
        rule = "must lie on storage that has file locks"
        raise SweepError(f"sweep {Path(file.name).parent}", rule, str(error), remedy) from error
