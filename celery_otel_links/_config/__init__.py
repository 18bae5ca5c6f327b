"""What was configured: modes, options, conventions and where they are read."""
