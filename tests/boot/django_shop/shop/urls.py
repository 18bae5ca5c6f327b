"""One page, which publishes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from shop.tasks import add


def order(request: HttpRequest) -> HttpResponse:
    return HttpResponse(add.delay(1, 2).id)


urlpatterns = [path("order", order)]
