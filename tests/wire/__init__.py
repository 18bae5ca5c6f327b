"""The promise of the wire: every release reads what every earlier one has written."""
