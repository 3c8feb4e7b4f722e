-- The ledger's charge rule holds for the attempt already: a call that the ledger would refuse at its end must not go out.
-- Not checked for the attempts of before, which are settled or swept within the hour.
ALTER TABLE metering.attempts ADD CONSTRAINT attempt_can_be_charged CHECK (
  (charge_mode = 'tier' AND key_source = 'platform') OR (charge_mode = 'tier_margin' AND key_source = 'workspace')) NOT VALID;
