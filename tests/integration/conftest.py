"""Fixtures of the integration tests."""

import pytest


@pytest.fixture
def world(instrumented):
    """An application under HTTP and database instrumentation, and under langmeter with default settings."""
    from nesting_world import instrumented_world  # where it is needed: not every environment has those packages

    with instrumented_world(instrumented) as world:
        yield world
