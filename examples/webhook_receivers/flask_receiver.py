"""
Receives outbound's webhooks with Flask: `flask --app flask_receiver run --port 5005`.

`WEBHOOK_SECRET` is what `outbound webhook secret` prints.
"""

import os

from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
done: set[str] = set()  # in an application, a table with a unique column


@app.post("/events")
def receive() -> tuple[str, int]:
    """Do something once for each event; answer within 15 seconds."""
    try:
        event = webhook.verify(request.get_data(), {name.lower(): value for name, value in request.headers.items()})
    except (WebhookVerificationError, ValueError):  # ValueError: a signature or a body that cannot be read
        return "not genuine", 400
    if event["id"] not in done:  # the same event may come twice
        done.add(event["id"])
        app.logger.warning("%s: %s", event["type"], event["data"].get("call_id"))
    return "", 204


@app.get("/events")
def show() -> list[str]:
    """Show the ids of what was done."""
    return sorted(done)
