"""What a type checker sees of ``shared_task``: a task has the signature of its function."""

from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from celery.app.task import Task

from celery_otel_links._config.modes import Mode

__all__ = ["shared_task"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T", bound=Task[Any, Any])

@overload
def shared_task(fun: Callable[_P, _R], /) -> Task[_P, _R]: ...
@overload
def shared_task(
    *, otel_propagation: Mode = ..., bind: Literal[False] = ..., base: None = ..., **options: Any
) -> Callable[[Callable[_P, _R]], Task[_P, _R]]: ...
@overload
def shared_task(
    *, otel_propagation: Mode = ..., bind: Literal[True], base: None = ..., **options: Any
) -> Callable[[Callable[Concatenate[Task[_P, _R], _P], _R]], Task[_P, _R]]: ...
@overload
def shared_task(
    *, otel_propagation: Mode = ..., bind: bool = ..., base: type[_T], **options: Any
) -> Callable[[Callable[..., Any]], _T]: ...
