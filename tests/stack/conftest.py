"""Fixtures for the stack: real servers, started once for the whole run and gone with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# The fake models and the local provider of the integration tests serve here too, whichever tests were chosen.
sys.path.append(str(Path(__file__).parents[1] / "integration"))

import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def _started() -> Iterator[dict[str, servers.Server]]:
    started: dict[str, servers.Server] = {}
    yield started
    for server in started.values():
        server.remove()


@pytest.fixture
def server(require_program, _started) -> Callable[[str], servers.Server]:
    """`server("Redis")`: that server, up and answering. Without its program the test skips, or fails in CI."""
    makers: dict[str, Callable[[], servers.Server]] = {
        "Redis": lambda: servers.Redis(require_program("redis-server")),
        "Redis query engine": lambda: servers.Redis(require_program("redis-query-engine")),
        "memcached": lambda: servers.Memcached(require_program("memcached")),
        "PostgreSQL": lambda: servers.PostgreSQL(require_program("postgres"), require_program("initdb")),
    }

    def serve(name: str) -> servers.Server:
        if name not in _started:
            _started[name] = makers[name]()
        _started[name].start()
        return _started[name]

    return serve
