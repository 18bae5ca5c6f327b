"""What is emitted, declared once: the code, the tests and the reference pages read it here."""
