# shop.py
import telemetry
from celery import Celery
from celery.signals import celeryd_init

import celery_otel_links

app = Celery("shop", broker="redis://127.0.0.1:6379/0")
celery_otel_links.setup(app)


@celeryd_init.connect
def start_telemetry(**_):
    telemetry.start()


@app.task
def charge(order):
    return f"order {order} is paid"


@app.task(otel_propagation="link")
def send_receipt(order):
    return f"the receipt of order {order} is on its way"
