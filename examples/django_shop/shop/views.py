"""A shop that confirms each order by phone: the order and its call are one transaction."""

import json
from collections.abc import Callable

from django.conf import settings
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods

import outbound
from shop.models import Order


@require_http_methods(["POST"])
@transaction.atomic
def orders(request: HttpRequest) -> JsonResponse:
    """Save an order and put its call in the queue: both, or neither."""
    try:
        given = json.loads(request.body)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in ("item", "phone")):
        return JsonResponse({"error": "give a JSON object with item and phone, each a text"}, status=400)
    order = Order.objects.create(item=given["item"], phone=given["phone"])
    call = outbound.enqueue_call(
        connection,
        business_id=settings.BUSINESS_ID,
        to_number=order.phone,
        key=f"order-{order.id}",
        contact={"item": order.item},
    )
    if not call.has_key:  # no call of this order will come
        transaction.set_rollback(True)
        error = "another call to this phone is waiting or under way: the order was not taken"
        return JsonResponse({"error": error}, status=409)
    return JsonResponse({"order": order.id, "call": call.call_id}, status=201)


@require_http_methods(["GET"])
def call(_request: HttpRequest, order_id: int) -> JsonResponse:
    """Show where the call of an order stands."""
    found = call_of(order_id)
    reason = outbound.why(connection, found.call_id)
    return JsonResponse({"call": found.call_id, "status": found.status, "why": reason.sentence})


@require_http_methods(["DELETE"])
@transaction.atomic
def order(_request: HttpRequest, order_id: int) -> JsonResponse:
    """Delete an order and cancel its call: both, or neither."""
    found = call_of(order_id)
    Order.objects.filter(id=order_id).delete()
    outbound.cancel_call(connection, found.call_id, reason="the order was canceled")
    return JsonResponse({"order": order_id, "canceled": True})


def call_of(order_id: int) -> outbound.CallRecord:
    """Find the call of an order by the key that it was given."""
    found = outbound.get_call(connection, business_id=settings.BUSINESS_ID, key=f"order-{order_id}")
    if found is None:
        raise Http404
    return found


class RefusedCalls:
    """Answers a refused call with the sentence that says what is wrong; `atomic` has rolled back before."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self.get_response(request)

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer where a view raised BadCall; Django deals with all else."""
        return JsonResponse({"error": str(error)}, status=422) if isinstance(error, outbound.BadCall) else None
