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
app.conf.beat_schedule = {"sweep every second": {"task": "shop.sweep", "schedule": 1.0}}
celery_otel_links.setup(app)


@app.task
def sweep():
    remind.delay(1)


@app.task(otel_propagation="link")
def remind(order):
    return f"the customer of order {order} is reminded"
