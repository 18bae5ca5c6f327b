# shop/urls.py
from django.db import transaction
from django.http import HttpResponse
from django.urls import path

from shop.tasks import charge, send_receipt


@transaction.atomic
def order(request, number):
    charge.delay(number)
    send_receipt.delay_on_commit(number)
    return HttpResponse("ordered")


urlpatterns = [path("order/<int:number>", order)]
