"""Where the tests of faults write what they counted."""

import pytest

from tests.faults.table import Figures, Ledger


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="outages and leases of the real lengths")


@pytest.fixture(scope="session")
def is_long(pytestconfig):
    """Whether outages and leases last as long as in production."""
    return pytestconfig.getoption("--long", default=False)


@pytest.fixture(scope="session")
def ledger(pytestconfig):
    """The ledger of `python -m tests.faults`, or one that nobody reads."""
    return next((each for each in pytestconfig.pluginmanager.get_plugins() if isinstance(each, Ledger)), Ledger())


@pytest.fixture
def figures(request, ledger):
    """The counts of this test, added to the row of its fault whether it passes or fails."""
    made = Figures()
    yield made
    ledger.add(request.node.get_closest_marker("fault").args[0], made)
