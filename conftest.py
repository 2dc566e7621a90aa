"""Which tests make the fast tier: those that open no socket. `tox run -e fast` runs them with sockets blocked."""

import pytest

#: Fixtures that start a server or speak to one. A test that does so by itself is marked `network`.
_NETWORK_FIXTURES = frozenset({"_org", "sf", "salesforce_emulator"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the fast tier, before `-m` selects by the mark."""
    for item in items:
        needs = set(getattr(item, "fixturenames", ()))
        if needs.isdisjoint(_NETWORK_FIXTURES) and item.get_closest_marker("network") is None:
            item.add_marker(pytest.mark.fast)
