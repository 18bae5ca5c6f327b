"""A small shop, traced: `python -m example_project` runs it and shows every trace; `app.py` is the file to copy from.

`celery -A example_project worker` finds the application under the name `celery`.
"""

from example_project.app import app as celery

__all__ = ["celery"]
