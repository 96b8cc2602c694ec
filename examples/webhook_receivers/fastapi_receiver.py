"""
Receives outbound's webhooks with FastAPI: `uvicorn fastapi_receiver:app --port 5006`.

`WEBHOOK_SECRET` is what `outbound webhook secret` prints.
"""

import logging
import os

from fastapi import FastAPI, HTTPException, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
log = logging.getLogger("receiver")
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
done: set[str] = set()  # in an application, a table with a unique column


@app.post("/events", status_code=204)
async def receive(request: Request) -> Response:
    """Do something once for each event; answer within 15 seconds."""
    try:
        event = webhook.verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):  # ValueError: a signature or a body that cannot be read
        raise HTTPException(400, "not genuine") from None
    if event["id"] not in done:  # the same event may come twice
        done.add(event["id"])
        log.warning("%s: %s", event["type"], event["data"].get("call_id"))
    return Response(status_code=204)


@app.get("/events")
async def show() -> list[str]:
    """Show the ids of what was done."""
    return sorted(done)
