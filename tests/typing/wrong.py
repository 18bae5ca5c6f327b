"""What a type checker has to refuse. Nothing runs this: an error that is expected and does not come is an error."""

from __future__ import annotations

from celery import Celery
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from celery_otel_links import Config, propagation, setup
from celery_otel_links.sampling import LinkedSampler
from celery_otel_links.typed import shared_task

app = Celery("shop")


@propagation("link")
def decorated(number: int) -> int:
    return number


@shared_task(otel_propagation="child")
def mail(address: str) -> bool:
    return bool(address)


setup(app, config={"defualt": "link"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
setup(app, config={"default": "lnik"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
setup(app, config={"tasks": {"reports.*": "lnik"}})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
setup(app, trcer_provider=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Config.from_mapping({"defualt": "link"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Config.from_mapping({"delay_threshold": "soon"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Config(defualt="link")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
propagation("links")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
decorated("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
shared_task(otel_propagation="lnik")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
mail.delay(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
LinkedSampler(ALWAYS_ON, folow=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
