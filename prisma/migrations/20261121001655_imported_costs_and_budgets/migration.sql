-- Budgets count the calls of this gateway, and so does a budget that begins in the middle of its window. A cost that became known
-- of an imported call was counted all the same: a budget of $0.02 was full, and refused calls, by one call made elsewhere.

-- As before, but for that.
CREATE OR REPLACE FUNCTION metering.correct_held_call(
  workspace uuid, dispatched timestamptz, call uuid, why text, new_input bigint, new_output bigint,
  new_raw_pico bigint, new_cost_source text, new_tier_price_pico bigint, new_basis_pico bigint, new_basis_source text, new_charge_pico bigint
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  c metering.inference_calls;
BEGIN
  PERFORM metering.lock_ledger_shared(workspace);
  PERFORM pg_advisory_xact_lock(7302, hashtext(call::text)); -- one correction of one call at a time
  SELECT * INTO c FROM metering.inference_calls
   WHERE workspace_id = workspace AND dispatched_at = dispatched AND id = call AND charge_pico IS NULL;
  IF NOT FOUND OR EXISTS (SELECT FROM metering.call_corrections WHERE workspace_id = workspace AND call_id = call) THEN
    RETURN false;
  END IF;
  INSERT INTO metering.call_corrections (workspace_id, call_id, seq, dispatched_at, billing_month, reason, input_tokens,
    output_tokens, raw_cost_pico, cost_source, tier_price_pico, charge_pico, charge_mode, markup_bp, basis_pico, basis_source)
  VALUES (workspace, call, 1, dispatched, c.billing_month, why, coalesce(new_input, c.input_tokens),
    coalesce(new_output, c.output_tokens), new_raw_pico, new_cost_source, coalesce(new_tier_price_pico, c.tier_price_pico), new_charge_pico,
    c.charge_mode, c.markup_bp, new_basis_pico, new_basis_source);
  UPDATE metering.call_daily_rollups r SET
    held_calls = r.held_calls - 1,
    input_tokens = r.input_tokens + coalesce(new_input, c.input_tokens, 0) - coalesce(c.input_tokens, 0),
    output_tokens = r.output_tokens + coalesce(new_output, c.output_tokens, 0) - coalesce(c.output_tokens, 0),
    raw_cost_pico = r.raw_cost_pico + coalesce(new_raw_pico, 0),
    tier_price_pico = r.tier_price_pico + coalesce(new_tier_price_pico, c.tier_price_pico, 0) - coalesce(c.tier_price_pico, 0),
    basis_pico = r.basis_pico + coalesce(new_basis_pico, 0),
    charge_pico = r.charge_pico + new_charge_pico
  WHERE r.workspace_id = workspace AND r.day = (dispatched AT TIME ZONE 'UTC')::date AND r.billing_month = c.billing_month
    AND r.model = c.model AND r.tier = c.tier AND r.key_source = c.key_source AND r.surface = c.surface
    AND r.charge_mode = c.charge_mode AND r.price_book_version = c.price_book_version AND r.provider = c.provider
    AND r.markup_bp = coalesce(c.markup_bp, 0);
  IF c.origin <> 'import' THEN
    PERFORM metering.count_spend(ARRAY[workspace], ARRAY[dispatched], ARRAY[c.token_id], ARRAY[c.key_id], ARRAY[c.key_source],
      ARRAY[new_charge_pico], ARRAY[coalesce(new_raw_pico, 0)]);
  END IF;
  RETURN true;
END $$;
