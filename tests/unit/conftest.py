"""Hypothesis as it has to be on shared machines: no deadline, nothing left on disk."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("links", deadline=None, database=None, max_examples=100, print_blob=True)
settings.load_profile("links")
