"""What is published holds what it has to, and its tests pass where it is unpacked."""
