"""What is emitted: attributes, spans and metrics."""
