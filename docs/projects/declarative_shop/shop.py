# shop.py
from celery import Celery

app = Celery("shop", broker="redis://127.0.0.1:6379/0")


@app.task
def charge(order):
    return f"order {order} is paid"


@app.task
def send_receipt(order):
    return f"the receipt of order {order} is on its way"
