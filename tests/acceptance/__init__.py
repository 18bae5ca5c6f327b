"""Scenarios on real workers over real brokers: each test is one sentence of the specification."""
