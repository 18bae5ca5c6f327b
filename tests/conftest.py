"""Fixtures of all tests, and the options of their command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import selection, servers, undeclared
from tests.harness.progress import Progress


def pytest_addoption(parser: pytest.Parser) -> None:
    selection.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(selection.Selection(config))
    config.pluginmanager.register(Progress(config))
    config.pluginmanager.register(undeclared.Check())


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey of this session's own."""
    with servers.valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """A RabbitMQ that answers. It is shared: use queues with unique names, and delete them."""
    return servers.rabbitmq_url()
