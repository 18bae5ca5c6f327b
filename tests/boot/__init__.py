"""Applications that come up, or do not: processes of their own, as people start them."""
