"""What was run with which versions, and the page that says so."""
