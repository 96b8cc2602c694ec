"""A shop that confirms each order by phone: the order and its call are one transaction."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from outbound import BadCall, CallRecord, aio

BUSINESS_ID = int(os.environ.get("BUSINESS_ID", "1"))  # `outbound business list`
MAKE_TABLE = """
create table if not exists shop_order (
    id    bigint generated always as identity primary key,
    item  text not null,
    phone text not null
)
"""


class Order(BaseModel):
    """What somebody orders, and the number at which it is confirmed."""

    item: str
    phone: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the shop's own connections for as long as it runs."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1) as pool:
        await pool.execute(MAKE_TABLE)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def take_order(order: Order) -> dict[str, Any]:
    """Save an order and put its call in the queue: both, or neither."""
    async with app.state.pool.acquire() as connection, connection.transaction():
        order_id = await connection.fetchval(
            "insert into shop_order (item, phone) values ($1, $2) returning id", order.item, order.phone
        )
        call = await aio.enqueue_call(
            connection,
            business_id=BUSINESS_ID,
            to_number=order.phone,
            key=f"order-{order_id}",
            contact={"item": order.item},
        )
        if not call.has_key:  # no call of this order will come; the exception rolls the order back
            raise HTTPException(409, "another call to this phone is waiting or under way: the order was not taken")
        return {"order": order_id, "call": call.call_id}


@app.get("/orders/{order_id}/call")
async def show_call(order_id: int) -> dict[str, Any]:
    """Show where the call of an order stands."""
    async with app.state.pool.acquire() as connection, connection.transaction(readonly=True):
        call = await call_of(connection, order_id)
        reason = await aio.why(connection, call.call_id)
        return {"call": call.call_id, "status": call.status, "why": reason.sentence}


@app.delete("/orders/{order_id}")
async def cancel_order(order_id: int) -> dict[str, Any]:
    """Delete an order and cancel its call: both, or neither."""
    async with app.state.pool.acquire() as connection, connection.transaction():
        call = await call_of(connection, order_id)
        await connection.execute("delete from shop_order where id = $1", order_id)
        await aio.cancel_call(connection, call.call_id, reason="the order was canceled")
        return {"order": order_id, "canceled": True}


@app.exception_handler(BadCall)
async def refuse(_request: Request, error: BadCall) -> JSONResponse:
    """Answer with the sentence that says what is wrong; the transaction has been rolled back."""
    return JSONResponse({"error": str(error)}, status_code=422)


@app.exception_handler(HTTPException)
async def answer(_request: Request, error: HTTPException) -> JSONResponse:
    """Answer with the sentence of the exception; the transaction has been rolled back."""
    return JSONResponse({"error": error.detail}, status_code=error.status_code)


async def call_of(connection: asyncpg.Connection, order_id: int) -> CallRecord:
    """Find the call of an order by the key that it was given."""
    call = await aio.get_call(connection, business_id=BUSINESS_ID, key=f"order-{order_id}")
    if call is None:
        raise HTTPException(404)
    return call
