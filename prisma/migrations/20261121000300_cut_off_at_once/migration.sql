-- Bills 0 every call of a month whose cost never became known, with its rollups, in two statements. One by one, a month of
-- some ten thousand such calls ran out of time, and of the server's shared memory: each took a lock of its own.
-- Needs no lock per call: the ledger's exclusive lock, which is taken here, keeps every other correction out.
-- Answers how many were cut off.
CREATE FUNCTION metering.cut_off_held_calls(workspace uuid, month date) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  cut bigint;
BEGIN
  PERFORM metering.lock_ledger_exclusive(workspace);
  WITH corrected AS (
    INSERT INTO metering.call_corrections (workspace_id, call_id, seq, dispatched_at, billing_month, reason, input_tokens,
      output_tokens, raw_cost_pico, cost_source, tier_price_pico, charge_pico)
    SELECT c.workspace_id, c.id, 1, c.dispatched_at, c.billing_month, 'cost_cutoff', c.input_tokens, c.output_tokens, NULL,
      'unknown', c.tier_price_pico, 0
    FROM metering.inference_calls c
    WHERE c.workspace_id = workspace AND c.billing_month = month AND c.charge_pico IS NULL
      AND NOT EXISTS (SELECT FROM metering.call_corrections k WHERE k.workspace_id = c.workspace_id AND k.call_id = c.id)
    RETURNING 1
  )
  SELECT count(*) INTO cut FROM corrected;
  -- Nothing is known of these calls now that was not before: no sum changes, and none of the month's calls is held any more.
  UPDATE metering.call_daily_rollups r SET held_calls = 0
   WHERE r.workspace_id = workspace AND r.billing_month = month AND r.held_calls <> 0;
  RETURN cut;
END $$;
