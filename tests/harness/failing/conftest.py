"""The fixtures of a worker whose spans and metrics go to files."""

from tests.metrics.conftest import (  # noqa: F401
    _nothing_left_current,
    files,
    metered_on,
    pytest_generate_tests,
    stages,
    story_of,
)
