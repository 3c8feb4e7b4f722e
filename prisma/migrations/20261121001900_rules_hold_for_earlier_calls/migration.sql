-- The rules that 20261121001610_one_value_per_call laid down, held against the calls that were there before it: one pass over each
-- partition, during which calls are read and written as ever. Alone in its transaction: it would keep the locks of what it shares one with.
ALTER TABLE metering.inference_calls
  VALIDATE CONSTRAINT charge_rule,
  VALIDATE CONSTRAINT words_known,
  VALIDATE CONSTRAINT months_fit,
  VALIDATE CONSTRAINT facts_agree,
  VALIDATE CONSTRAINT nothing_negative;
