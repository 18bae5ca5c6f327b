"""What travels with a message, and what the header tasks of a chord leave for its body."""
