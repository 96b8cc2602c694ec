"""The shop's own tables."""

from django.db import models


class Order(models.Model):
    """What somebody ordered, and the number at which it is confirmed."""

    item = models.TextField()
    phone = models.TextField()

    class Meta:
        """Where the orders are."""

        db_table = "shop_order"
