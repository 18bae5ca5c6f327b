"""Every way in which an attempt or a worker can end, on real workers, and what is seen of it."""
