# shop.py
from celery import Celery
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import celery_otel_links

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)

app = Celery("shop", broker="redis://127.0.0.1:6379/0")
celery_otel_links.setup(app)


@app.task
def charge(order):
    return f"order {order} is paid"


@app.task(otel_propagation="link")
def send_receipt(order):
    return f"the receipt of order {order} is on its way"
