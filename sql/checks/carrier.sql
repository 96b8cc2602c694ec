-- carrier.sql: the accounts that businesses have at the carrier.  Read by outbound/checks/carrier.py alone.

-- name: accounts_of_businesses()
-- Returns  the accounts of the carrier's that businesses have beside TWILIO_ACCOUNT_SID, the businesses of each, and what
--          the living workers lack; NULL where nothing
select carrier_account as account, array_agg(id order by id) as businesses, account_sentence(carrier_account) as fault
  from business
 where carrier_account is not null
 group by carrier_account
 order by carrier_account;
