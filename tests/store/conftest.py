"""The stores that must keep the contract."""

import pytest

from tests.store.contract import STORES


@pytest.fixture(scope="session", params=STORES.values(), ids=STORES)
def make_store(request):
    """Makes an empty, open store: an async context manager."""
    return request.param(request)
