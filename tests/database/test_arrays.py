"""Lists as PostgreSQL reads them."""

from datetime import UTC, datetime

import pytest

from outbound import db
from outbound.named_sql import array

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [None],
        [""],
        ["NULL", None],
        ["a", None, "b"],
        ['"'],
        ["\\"],
        ["a\\nb", None, '{"name": "Dana \\"D\\" Levi"}', "NULL"],
        ["{}", ",", " a ", "שלום", "line\nbreak"],
    ],
)
def test_postgresql_reads_the_texts_that_were_given(texts: list[str | None]) -> None:
    with db.connect() as connection:
        read = connection.execute("select %s::text[]", [array(texts)]).fetchone()

    assert read == (texts,)


def test_postgresql_reads_the_moments_that_were_given() -> None:
    moments = [datetime(2026, 11, 30, 9, 0, 0, 250, tzinfo=UTC), None]

    with db.connect() as connection:
        read = connection.execute("select %s::timestamptz[]", [array(moments)]).fetchone()

    assert read == (moments,)
