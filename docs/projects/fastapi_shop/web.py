# web.py
import asyncio

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from shop import charge, send_receipt

import celery_otel_links

web = FastAPI()


@web.post("/order/{number}")
async def order(number: int):
    await asyncio.to_thread(charge.delay, number)
    await asyncio.to_thread(send_receipt.delay, number)


@web.post("/orders/{count}")
async def orders(count: int):
    with celery_otel_links.propagation("link"):
        await asyncio.gather(*(asyncio.to_thread(charge.delay, number) for number in range(count)))


FastAPIInstrumentor.instrument_app(web)
