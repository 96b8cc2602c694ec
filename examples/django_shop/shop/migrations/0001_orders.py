"""The table of orders."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """What `manage.py makemigrations` writes for shop/models.py."""

    initial = True
    operations = [  # noqa: RUF012 (Django's way)
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("item", models.TextField()),
                ("phone", models.TextField()),
            ],
            options={"db_table": "shop_order"},
        ),
    ]
