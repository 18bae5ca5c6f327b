"""What a page shows of a project is what the project's files hold, and nothing of a project is hidden."""

from __future__ import annotations

import pytest

from tests.projects.running import FILE, PROJECTS, REPOSITORY, text_of

PAGES = {
    "django_shop": "set-up/django.md",
    "fastapi_shop": "set-up/fastapi.md",
    "gunicorn_shop": "set-up/gunicorn.md",
    "beat_shop": "set-up/beat.md",
    "zero_code_shop": "set-up/zero-code.md",
    "declarative_shop": "set-up/declarative.md",
}
BOILERPLATE = {"manage.py", "wsgi.py"}  # as `django-admin startproject` writes them


def test_every_project_has_a_page():
    assert {path.name for path in PROJECTS.iterdir()} == set(PAGES)


@pytest.mark.parametrize(("name", "page"), PAGES.items(), ids=PAGES)
def test_the_files_on_a_page_are_those_of_its_project(name, page):
    told = dict(FILE.findall(text_of(page)))
    files = [path for path in (PROJECTS / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    there = {path.relative_to(REPOSITORY).as_posix(): path.read_text() for path in files}
    assert told == {path: text for path, text in there.items() if path.rpartition("/")[2] not in BOILERPLATE}
