# shop/tasks.py
from celery import shared_task


@shared_task
def charge(order):
    return f"order {order} is paid"


@shared_task
def send_receipt(order):
    return f"the receipt of order {order} is on its way"
