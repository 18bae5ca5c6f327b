"""A window into linked traces: a receiver of OTLP over HTTP, a page of one file, and trees for the terminal."""
