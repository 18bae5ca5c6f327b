"""The same shop, in which the one task that asks for a trace of its own does not: for the comparison on the page.

What the configuration decides is turned off by the environment, see `servers.ONE_TRACE`.
"""

from example_project.app import app as celery

celery.conf.task_annotations = {"shop.rebuild_index": {"otel_propagation": "child"}}

from example_project.web import web  # noqa: E402  # binds the tasks, which takes the annotation

__all__ = ["celery", "web"]
