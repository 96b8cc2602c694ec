"""
Receives outbound's webhooks with Django, in one file: `python django_receiver.py runserver 5007 --noreload`.

`WEBHOOK_SECRET` is what `outbound webhook secret` prints.
"""

import logging
import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from standardwebhooks import Webhook, WebhookVerificationError

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="only for this example")  # noqa: S106
log = logging.getLogger("receiver")
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
done: set[str] = set()  # in an application, a table with a unique column


@csrf_exempt  # the signature says who sent it
def events(request: HttpRequest) -> HttpResponse:
    """Do something once for each event; answer within 15 seconds."""
    if request.method != "POST":
        return JsonResponse(sorted(done), safe=False)
    try:
        event = webhook.verify(request.body, {name.lower(): value for name, value in request.headers.items()})
    except (WebhookVerificationError, ValueError):  # ValueError: a signature or a body that cannot be read
        return HttpResponse("not genuine", status=400)
    if event["id"] not in done:  # the same event may come twice
        done.add(event["id"])
        log.warning("%s: %s", event["type"], event["data"].get("call_id"))
    return HttpResponse(status=204)


urlpatterns = [path("events", events)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
