"""The path of a message: published, delivered, run."""
