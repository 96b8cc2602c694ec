"""Numbers as people write them."""

import pytest

from outbound.calls import call_request
from outbound.formats import digits, row_id

# Each is a number to Python's int or float, or to pydantic, and none to us.
ODD_WHOLE = ["5_0", "+5", " 5", "5 ", "5\n", "\u0665", "\uff15", "5.0", "0x5", "--5", "", "-", "1e3", "9" * 41]
ODD = ["5_0.5", "+0.5", " 0.5", "0.5\n", "\u0665", "1e3", "nan", "inf", "-inf", "Infinity", ".5", "5.", "0,5", "", "-"]


@pytest.mark.parametrize("text", ODD_WHOLE)
def test_a_whole_number_is_digits_alone(text: str) -> None:
    assert digits.whole(text) is None
    assert digits.fault(text, int) == "write a whole number in digits, like 50"
    assert row_id.read(text) is None
    with pytest.raises(call_request.BadCall):
        call_request.read_id(text, "business")


@pytest.mark.parametrize("text", ODD)
def test_a_number_is_digits_and_a_point(text: str) -> None:
    assert digits.number(text) is None
    assert digits.fault(text, float) == "write a number in digits, like 50 or 0.5"


def test_what_is_written_in_digits_is_read() -> None:
    assert [digits.whole(text) for text in ("5", "-5", "007", "0")] == [5, -5, 7, 0]
    assert [digits.number(text) for text in ("5", "-0.5", "1.25")] == [5, -0.5, 1.25]
    assert (row_id.read("812"), row_id.read("-1"), row_id.read("9" * 19)) == (812, None, None)
