"""
The API process by itself, as `outbound api` becomes it: what the command needed before it serves is not in its memory.

    python -m outbound.api MODULE

serves `app()` of MODULE: `outbound.api.app`, or with the page `outbound.page.app`.
"""

import signal
import sys

from outbound import late_imports

late_imports.leave_out("pydantic.v1")  # the frame would ask each model whether it is one of these, and none is
# What starts uvicorn from its own command line, and several processes of it, with what these two import.
late_imports.load("uvicorn", {"uvicorn.main": ("Server", "main", "run")})
# What the document is made with, which is served from its file, and ways to sign in that no operation has: 2.4 MB.
late_imports.load(
    "fastapi",
    {
        "fastapi.openapi.models": (
            *("APIKey", "APIKeyIn", "Example", "HTTPBase", "HTTPBearer", "OpenAPI", "OpenIdConnect", "SecurityBase"),
        ),
        "fastapi.security.oauth2": (
            *("OAuth2", "OAuth2AuthorizationCodeBearer", "OAuth2PasswordBearer", "OAuth2PasswordRequestForm"),
            *("OAuth2PasswordRequestFormStrict", "SecurityScopes"),
        ),
    },
)

from outbound import db, logs  # noqa: E402
from outbound.api import server  # noqa: E402
from outbound.errors import UserError  # noqa: E402

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as of each command
    logs.set_up()
    try:
        server.run(sys.argv[1])
    except UserError as error:
        sys.stderr.write(f"outbound: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        db.close()
