"""The pure modules, in tables: milliseconds, no worker and no broker."""
