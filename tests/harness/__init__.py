"""What the scenarios stand on: servers, workers, recorded spans, and spans rendered as text."""
