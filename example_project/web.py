"""The shop's web application, `uvicorn example_project.web:web`: each request publishes tasks and does not wait."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from celery import chord, group
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


@web.post("/returns")
def returns(order: int) -> dict[str, int]:
    """Take something back: one task fails, one is killed, and one expires before it is due."""
    tasks.refund.delay(order)
    tasks.read_photo.delay(order)
    tasks.offer_voucher.apply_async((order,), countdown=0.6, expires=0.3)
    return {"order": order}


@web.post("/newsletter")
def newsletter(readers: int) -> dict[str, int]:
    """Write to every reader: a group, as large as you like."""
    group(tasks.letter.s(reader) for reader in range(readers)).delay()
    return {"readers": readers}


@web.post("/review")
def review(order: int) -> dict[str, int]:
    """Ask for a review, later."""
    tasks.remind.apply_async((order,), countdown=REVIEW_AFTER)
    return {"order": order}


@web.post("/refund")
def refund(order: int) -> dict[str, int]:
    """Give the money back, which fails."""
    tasks.refund.delay(order)
    return {"order": order}


@web.post("/photo")
def photo(order: int) -> dict[str, int]:
    """Have a photo read by a process that is killed over it."""
    tasks.read_photo.delay(order)
    return {"order": order}


@web.post("/reports")
def reports() -> dict[str, int]:
    """Have reports written, faster than the worker can."""
    for number in tasks.REPORTS:
        tasks.report.delay(number)
    return {"reports": len(tasks.REPORTS)}
