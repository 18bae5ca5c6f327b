"""The theatre around the shop: its servers, an audience of one OTLP receiver, and the pictures. Not for copying."""
