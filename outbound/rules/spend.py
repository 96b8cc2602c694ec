"""Count calls and minutes for the caps that the claim keeps.  Money is not counted: no price is known here."""

from outbound import db, logs

sql = db.statements("rules/spend")
log = logs.get("spend")

BATCH_MAX = 1000  # calls


def settle_spend() -> int:
    """
    Move what ended calls cost from the reserved to the spent, and note whom they called; return how many calls.

    Safe on many hosts at once.  Until it has run, an ended call counts with all the time that it might have taken.
    """
    new = db.run(sql.note_countries)
    if new:
        log.warning("spend.new_country", countries=new)
    settled = db.run(sql.settle_ended_calls, batch_max=BATCH_MAX)
    db.run(sql.forget_old_spend)
    return int(settled)
