"""What is measured and counted, on real workers, against what is known by other means."""
