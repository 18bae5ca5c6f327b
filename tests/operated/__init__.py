"""What operators use: logs, commands, gauges, alerts; on real workers."""

MARK = "fields:"
