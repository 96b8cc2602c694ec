"""A shop that confirms each order by phone: the order and its call are one transaction."""

import os
from typing import Any

from flask import Flask, abort, request
from sqlalchemy import create_engine, delete
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from werkzeug.exceptions import HTTPException

import outbound

BUSINESS_ID = int(os.environ.get("BUSINESS_ID", "1"))  # `outbound business list`

app = Flask(__name__)
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:", 1))


class Base(DeclarativeBase):
    """The shop's own tables."""


class Order(Base):
    """What somebody ordered, and the number at which it is confirmed."""

    __tablename__ = "shop_order"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    phone: Mapped[str]


Base.metadata.create_all(engine)


@app.post("/orders")
def take_order() -> tuple[dict[str, Any], int]:
    """Save an order and put its call in the queue: both, or neither."""
    given = request.get_json(silent=True)
    if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in ("item", "phone")):
        abort(400, "give a JSON object with item and phone, each a text")
    with Session(engine) as session, session.begin():
        order = Order(item=given["item"], phone=given["phone"])
        session.add(order)
        session.flush()  # PostgreSQL gives the order its id here
        call = outbound.enqueue_call(
            session,
            business_id=BUSINESS_ID,
            to_number=order.phone,
            key=f"order-{order.id}",
            contact={"item": order.item},
        )
        if not call.has_key:  # no call of this order will come; abort() rolls the order back
            abort(409, "another call to this phone is waiting or under way: the order was not taken")
        return {"order": order.id, "call": call.call_id}, 201


@app.get("/orders/<int:order_id>/call")
def show_call(order_id: int) -> dict[str, Any]:
    """Show where the call of an order stands."""
    with Session(engine) as session:
        call = call_of(session, order_id)
        reason = outbound.why(session, call.call_id)
        return {"call": call.call_id, "status": call.status, "why": reason.sentence}


@app.delete("/orders/<int:order_id>")
def cancel_order(order_id: int) -> dict[str, Any]:
    """Delete an order and cancel its call: both, or neither."""
    with Session(engine) as session, session.begin():
        call = call_of(session, order_id)
        session.execute(delete(Order).where(Order.id == order_id))
        outbound.cancel_call(session, call.call_id, reason="the order was canceled")
        return {"order": order_id, "canceled": True}


@app.errorhandler(outbound.BadCall)
def refuse(error: outbound.BadCall) -> tuple[dict[str, Any], int]:
    """Answer with the sentence that says what is wrong; the transaction has been rolled back."""
    return {"error": str(error)}, 422


@app.errorhandler(HTTPException)
def answer(error: HTTPException) -> tuple[dict[str, Any], int]:
    """Answer with the sentence that abort() was called with; the transaction has been rolled back."""
    return {"error": error.description}, error.code or 500


def call_of(session: Session, order_id: int) -> outbound.CallRecord:
    """Find the call of an order by the key that it was given."""
    call = outbound.get_call(session, business_id=BUSINESS_ID, key=f"order-{order_id}")
    if call is None:
        abort(404)
    return call
