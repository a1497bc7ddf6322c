"""What every test shares: TensorFlow on one thread, so that sums come out in the same order each time."""

import pytest
from hypothesis import settings

from fer_ray.training.threads import limit_threads

limit_threads(1)

# The machine is shared: a slow example is no failure.
settings.register_profile("fer_ray", deadline=None)
settings.load_profile("fer_ray")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fail-on-skip", action="store_true", help="A skipped test fails the run.")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--fail-on-skip") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
