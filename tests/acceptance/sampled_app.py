"""The scenarios' application with the sampler that the environment names."""

from __future__ import annotations

import os

from tests.acceptance.app import app, provider  # noqa: F401
from tests.acceptance.samplers import SAMPLERS, VARIABLE

provider.sampler = SAMPLERS[os.environ[VARIABLE]]
