"""What a worker adds: its start, its main process, its end."""
