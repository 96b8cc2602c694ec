"""The settings of the shop; `DATABASE_URL` says where its tables and outbound's are."""

import os

from psycopg.conninfo import conninfo_to_dict

_database = conninfo_to_dict(os.environ["DATABASE_URL"])

BUSINESS_ID = int(os.environ.get("BUSINESS_ID", "1"))  # `outbound business list`
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": _database.pop("dbname"), "OPTIONS": _database}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["shop"]
# An application for browsers has Django's CsrfViewMiddleware here; this one is for programs.
MIDDLEWARE = ["shop.views.RefusedCalls"]
ROOT_URLCONF = "shop.urls"
SECRET_KEY = os.environ.get("SECRET_KEY", "only for this example: nothing is signed")
ALLOWED_HOSTS = ["127.0.0.1"]
