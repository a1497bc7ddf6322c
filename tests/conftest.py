"""What every test shares: TensorFlow on one thread, so that sums come out in the same order each time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from fer_ray.training.threads import limit_threads

limit_threads(1)

# The machine is shared: a slow example is no failure.
settings.register_profile("fer_ray", deadline=None)
settings.load_profile("fer_ray")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fail-on-skip", action="store_true", help="A skipped test fails the run.")


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """A server of the S3 protocol in this process; its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment of one who uses an object store holds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def object_uri(address: str, path: str) -> str:
    """How a path on a server of the S3 protocol is told to pyarrow."""
    return f"s3://{path}?endpoint_override={address}&scheme=http&allow_bucket_creation=true&region=us-east-1"


@pytest.fixture
def bucket(object_store: str, credentials: None, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Gives the URI of a path in a new bucket."""
    import pyarrow.fs

    name = f"faces{abs(hash(request.node.nodeid))}"
    filesystem, root = pyarrow.fs.FileSystem.from_uri(object_uri(object_store, name))
    filesystem.create_dir(root)
    return lambda path: object_uri(object_store, f"{name}/{path}")


@pytest.fixture
def upload(bucket: Callable[[str], str]) -> Callable[[Path], str]:
    """Copies a file or folder to the bucket; returns its URI."""
    import pyarrow.fs

    def copy(source: Path) -> str:
        filesystem, target = pyarrow.fs.FileSystem.from_uri(bucket(source.name))
        pyarrow.fs.copy_files(str(source), target, destination_filesystem=filesystem)
        return bucket(source.name)

    return copy


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--fail-on-skip") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
