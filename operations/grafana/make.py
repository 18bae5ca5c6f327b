"""Writes the dashboard, of which ROWS is all: `python make.py > celery-otel-links.json`."""

import json

SELECTED = 'celery_task_name=~"$task",messaging_destination_name=~"$queue"'
QUEUE = 'messaging_destination_name=~"$queue"'
RATE = "[$__rate_interval]"


def quantiles(by):
    """Half, nineteen of twenty and 99 of 100 of what waited to start."""
    buckets = f"sum by (le, {by}) (rate(celery_task_latency_queue_seconds_bucket{{{SELECTED}}}{RATE}))"
    return {f"p{q} {{{{{by}}}}}": f"histogram_quantile(0.{q}, {buckets})" for q in (50, 95, 99)}


def rate(metric, by, matching=SELECTED):
    """How many a second."""
    return f"sum by ({by}) (rate({metric}{{{matching}}}{RATE}))"


def highest(metric):
    """Of each queue, whoever has looked at it."""
    return f"max by (messaging_destination_name) ({metric}{{{QUEUE}}})"


HOARDING = (
    "Waiting in the broker: there are too few processes, so add workers. Waiting in a worker's buffer (prefetch): "
    "messages lie in one worker while others may be idle, so set worker_prefetch_multiplier = 1 and "
    "task_acks_late = True."
)
# Title, what it tells, unit, legend -> query, and whether the series are stacked.
ROWS = {
    "Waiting": [
        (
            "Queue wait by task",
            "From when a message was due to the start of its task.",
            "s",
            quantiles("celery_task_name"),
            False,
        ),
        ("Queue wait by queue", "The number to alert on.", "s", quantiles("messaging_destination_name"), False),
        (
            "Broker against prefetch",
            HOARDING,
            "short",
            {
                "{{celery_wait_kind}}": rate(
                    "celery_task_wait_seconds_total",
                    "celery_wait_kind",
                    SELECTED + ',celery_wait_kind=~"broker|prefetch"',
                )
            },
            True,
        ),
        (
            "Asked for",
            "Seconds that messages were asked to wait, by eta, countdown or retry: nobody waits for these.",
            "short",
            {
                "{{celery_task_name}}": rate(
                    "celery_task_wait_seconds_total", "celery_task_name", SELECTED + ',celery_wait_kind="scheduled"'
                )
            },
            False,
        ),
    ],
    "Running": [
        (
            "Outcomes",
            "How attempts end, those of tasks that never ran included: EXPIRED, REVOKED, UNKNOWN.",
            "ops",
            {"{{celery_state}}": rate("celery_task_outcomes_total", "celery_state")},
            True,
        ),
        (
            "Failures",
            "By the class of the error; WorkerLostError and TimeLimitExceeded took their process with them.",
            "ops",
            {
                "{{celery_task_name}} {{error_type}}": rate(
                    "celery_task_outcomes_total", "celery_task_name, error_type", SELECTED + ',error_type!=""'
                )
            },
            False,
        ),
        (
            "Duration",
            "How long attempts run.",
            "s",
            {
                "p95 {{celery_task_name}}": "histogram_quantile(0.95, sum by (le, celery_task_name) "
                f"(rate(celery_task_duration_seconds_bucket{{{SELECTED}}}{RATE})))"
            },
            False,
        ),
    ],
    "Publishing": [
        (
            "Modes and reasons",
            "Which mode messages get, and which rule says so.",
            "ops",
            {
                "{{celery_propagation_mode}} {{celery_propagation_reason}}": rate(
                    "celery_task_published_total", "celery_propagation_mode, celery_propagation_reason"
                )
            },
            True,
        ),
        (
            "Published against started",
            "Apart for long: messages pile up.",
            "ops",
            {
                "published {{messaging_destination_name}}": rate(
                    "celery_task_published_total", "messaging_destination_name", QUEUE + ',error_type=""'
                ),
                "started {{messaging_destination_name}}": rate(
                    "messaging_client_consumed_messages_total", "messaging_destination_name", QUEUE
                ),
            },
            False,
        ),
    ],
    "Workers and queues": [
        (
            "Saturation",
            "The share of processes, threads or greenlets that run a task. At 1, waiting begins.",
            "percentunit",
            {"{{instance}}": "sum by (instance) (celery_worker_active) / sum by (instance) (celery_worker_processes)"},
            False,
        ),
        (
            "Held by workers",
            "Messages that wait in workers, and those that are held until their eta.",
            "short",
            {"reserved {{instance}}": "celery_worker_reserved", "scheduled {{instance}}": "celery_worker_scheduled"},
            False,
        ),
        (
            "Queue depth",
            "Messages in the broker, from `celery otel-links watch`.",
            "short",
            {"{{messaging_destination_name}}": highest("celery_queue_depth")},
            False,
        ),
        (
            "Oldest message",
            "Since it was published, from `celery otel-links watch`; absent where the broker can't tell.",
            "s",
            {"{{messaging_destination_name}}": highest("celery_queue_oldest_age_seconds")},
            False,
        ),
    ],
    "The library": [
        (
            "Failures in the library",
            "What it swallowed, by place: no task noticed. It should be empty.",
            "ops",
            {"{{celery_otel_links_where}}": rate("celery_otel_links_failures_total", "celery_otel_links_where", "")},
            False,
        ),
        (
            "Unstamped messages",
            "Of producers that are not instrumented: how long these messages waited in the broker is not known.",
            "ops",
            {"{{celery_task_name}}": rate("celery_task_unstamped_total", "celery_task_name")},
            False,
        ),
        (
            "Redelivered messages",
            "Tasks that start although they may have been started before.",
            "ops",
            {"{{celery_task_name}}": rate("celery_task_redelivered_total", "celery_task_name")},
            False,
        ),
    ],
}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def panels():
    """The rows and their panels, placed from left to right."""
    number, top = 0, 0
    for row, members in ROWS.items():
        number += 1
        yield {"id": number, "type": "row", "title": row, "gridPos": {"h": 1, "w": 24, "x": 0, "y": top}, "panels": []}
        for place, (title, description, unit, queries, stacked) in enumerate(members):
            number += 1
            stacking = {"mode": "normal" if stacked else "none"}
            yield {
                "id": number,
                "type": "timeseries",
                "title": title,
                "description": description,
                "datasource": SOURCE,
                "gridPos": {"h": 8, "w": 12, "x": 12 * (place % 2), "y": top + 1 + 8 * (place // 2)},
                "fieldConfig": {
                    "defaults": {"unit": unit, "custom": {"stacking": stacking, "fillOpacity": 30 * stacked}},
                    "overrides": [],
                },
                "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
                "targets": [
                    {
                        "refId": chr(65 + index),
                        "expr": query,
                        "legendFormat": legend,
                        "exemplar": "bucket" in query,
                        "datasource": SOURCE,
                    }
                    for index, (legend, query) in enumerate(queries.items())
                ],
            }
        top += 1 + 8 * ((len(members) + 1) // 2)


def variable(name, label):
    """A list of the values of a label, all of them chosen."""
    query = f"label_values(celery_task_published_total, {label})"
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard():
    """The whole of it, as Grafana imports it."""
    return {
        "title": "Celery by celery-otel-links",
        "uid": "celery-otel-links",
        "schemaVersion": 39,
        "tags": ["celery", "opentelemetry"],
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
                variable("task", "celery_task_name"),
                variable("queue", "messaging_destination_name"),
            ]
        },
        "panels": list(panels()),
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=2))
