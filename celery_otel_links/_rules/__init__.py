"""Facts in, answers out: what decides, measures and relates, without side effects."""
