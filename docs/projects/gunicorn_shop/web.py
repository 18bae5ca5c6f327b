# web.py
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from shop import charge, send_receipt


def order(environ, start_response):
    charge.delay(1)
    send_receipt.delay(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ordered"]


application = OpenTelemetryMiddleware(order)
