"""The window into linked traces: receiver, stories, terminal, and the page in a real browser."""
