# web.py
from fastapi import FastAPI
from shop import charge, send_receipt

web = FastAPI()


@web.post("/order/{number}")
def order(number: int):
    charge.delay(number)
    send_receipt.delay(number)
