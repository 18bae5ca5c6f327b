"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import servers


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "stages(*names): the stages (tests/acceptance/stages.py) that the scenario plays on"
    )
    config.addinivalue_line("markers", "worker(**settings): play on a worker of its own, with these settings")


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey of this session's own."""
    with servers.valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """A RabbitMQ that answers. It is shared: use queues with unique names, and delete them."""
    return servers.rabbitmq_url()
