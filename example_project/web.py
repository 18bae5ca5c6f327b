"""The shop's web application, `uvicorn example_project.web:web`: each request publishes tasks and does not wait."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from celery import chord
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

from example_project import tasks

REVIEW_AFTER = 3.0  # seconds; days in a real shop


@asynccontextmanager
async def connected(_: FastAPI) -> AsyncIterator[None]:
    """Connect to the broker before the first request, not in it."""
    with tasks.app.producer_or_acquire() as producer:
        producer.connection.ensure_connection(max_retries=3)
    yield


web = FastAPI(title="A small shop", lifespan=connected)
FastAPIInstrumentor.instrument_app(web, exclude_spans=["receive", "send"])


@web.post("/checkout")
def checkout(order: int) -> dict[str, int]:
    """Sell something: charge the card now, ask for a review later."""
    tasks.charge.delay(order)
    tasks.remind.apply_async((order,), countdown=REVIEW_AFTER)
    return {"order": order}


@web.post("/catalogue")
def catalogue() -> dict[str, int]:
    """Change the catalogue, and rebuild the search index."""
    tasks.rebuild_index.delay()
    return {"products": len(tasks.PRODUCTS)}


@web.post("/close-day")
def close_day() -> dict[str, int]:
    """Count all tills, then close the books: a chord."""
    chord(tasks.count_till.s(till) for till in tasks.TILLS)(tasks.close_books.s())
    return {"tills": len(tasks.TILLS)}
