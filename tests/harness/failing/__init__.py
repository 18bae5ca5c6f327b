"""Tests that fail, as `tests/harness/test_undeclared.py` runs them: what they emit is not declared."""
