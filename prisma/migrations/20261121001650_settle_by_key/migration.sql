-- The plans of these functions are made when few calls are open, or none, and kept. With so few, going through all attempts there are
-- costs no more than looking one up, and that is what was planned: with 100,000 of them open, or as many dead ones that a long
-- transaction keeps from being cleared away, each settlement took 0.2 s. Joined one by one, a call is found by its key whatever there is
-- beside it; `attempt + 0` keeps the second column of that key from being taken for a way in.

-- As before, but for that.
CREATE OR REPLACE FUNCTION metering.open_attempts(openings metering.opening[], OUT stale integer[], OUT refused integer[], OUT refusals text[])
RETURNS record
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  costly record;
  full_budget uuid;
  written integer;
BEGIN
  INSERT INTO metering.attempts (call_id, workspace_id, process_id, dispatched_at, token_id, surface, provider, model, upstream_model,
    endpoint, fallback_of, tier, key_source, key_id, key_version, charge_mode, price_book_version, streamed, prompt_tokens_estimate, markup_bp,
    sets_aside)
  SELECT r.call_id, r.workspace_id, r.process_id, r.dispatched_at, r.token_id, r.surface, r.provider, r.model, r.upstream_model, r.endpoint,
    r.fallback_of, r.tier, r.key_source, r.key_id, r.key_version, r.charge_mode, r.price_book_version, r.streamed,
    r.prompt_tokens_estimate, r.markup_bp, r.most_charge IS NOT NULL
  FROM unnest(openings) r
  WHERE EXISTS (SELECT FROM workspaces w WHERE w.id = r.workspace_id AND w.key_epoch = r.key_epoch)
    AND (r.token_id IS NULL OR EXISTS (
      SELECT FROM gateway_tokens t WHERE t.workspace_id = r.workspace_id AND t.id = r.token_id AND t.revoked_at IS NULL))
  ON CONFLICT (call_id, attempt) DO NOTHING;
  GET DIAGNOSTICS written = ROW_COUNT;
  -- What has no row now was decided on what no longer holds: one that was written before has its row.
  IF written < cardinality(openings) THEN
    SELECT array_agg(r.place) INTO stale FROM unnest(openings) r
     WHERE NOT EXISTS (SELECT FROM metering.attempts a WHERE a.call_id = r.call_id AND a.attempt + 0 = 1);
  END IF;
  PERFORM FROM unnest(openings) r WHERE r.most_charge IS NOT NULL;
  IF NOT FOUND THEN RETURN; END IF;
  -- Budgets of all, then credits of all, each by workspace: two of these transactions, and those that settle, take what they lock
  -- in the same order.
  PERFORM metering.lock_budgets(array_agg(r.workspace_id), array_agg(r.dispatched_at), array_agg(r.token_id), array_agg(r.key_id), true)
    FROM unnest(openings) r;
  FOR costly IN
    SELECT r.* FROM unnest(openings) r
     WHERE r.most_charge IS NOT NULL
       AND EXISTS (SELECT FROM budgets b WHERE b.workspace_id = r.workspace_id AND b.enabled AND b.hard)
       AND (stale IS NULL OR r.place <> ALL (stale))
     ORDER BY r.workspace_id, r.place
  LOOP
    full_budget := metering.reserve_budgets(costly.workspace_id, costly.call_id, costly.dispatched_at, costly.token_id, costly.key_id,
      costly.key_source, costly.most_charge, costly.most_cost);
    IF full_budget IS NOT NULL THEN
      refused := refused || costly.place;
      refusals := refusals || ('budget:' || full_budget);
    END IF;
  END LOOP;
  FOR costly IN
    SELECT r.workspace_id, r.call_id, r.most_charge, r.place FROM unnest(openings) r
     WHERE r.charge_mode = 'credits' AND (stale IS NULL OR r.place <> ALL (stale)) AND (refused IS NULL OR r.place <> ALL (refused))
       AND NOT EXISTS (SELECT FROM metering.credit_holds h WHERE h.workspace_id = r.workspace_id AND h.call_id = r.call_id)
     ORDER BY r.workspace_id, r.place
  LOOP
    IF metering.take_credits(costly.workspace_id, costly.call_id, greatest(1, costly.most_charge), 'hold', 'held', true) = 0 THEN
      DELETE FROM metering.budget_reservations r WHERE r.workspace_id = costly.workspace_id AND r.call_id = costly.call_id;
      refused := refused || costly.place;
      refusals := refusals || 'credits'::text;
    END IF;
  END LOOP;
  IF refused IS NOT NULL THEN
    DELETE FROM metering.attempts a USING unnest(openings) r WHERE a.call_id = r.call_id AND a.attempt + 0 = 1 AND r.place = ANY (refused);
  END IF;
END $$;

-- Attempts that are being settled at this moment are passed over: what is noted of those is of no use any more, and waiting for one
-- while it held others it could stand in a circle with the settlement of a batch.
CREATE OR REPLACE FUNCTION metering.note_progress(ids uuid[], upstream_ids text[], relayed bigint[]) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  UPDATE metering.attempts a
     SET upstream_id = coalesce(r.upstream_id, a.upstream_id), relayed_bytes = greatest(a.relayed_bytes, r.relayed_bytes)
    FROM (SELECT o.call_id, r.upstream_id, r.relayed_bytes FROM unnest(ids, upstream_ids, relayed) AS r(call_id, upstream_id, relayed_bytes)
            JOIN metering.attempts o ON o.call_id = r.call_id AND o.attempt + 0 = 1 FOR UPDATE OF o SKIP LOCKED) r
   WHERE a.call_id = r.call_id AND a.attempt + 0 = 1;
END $$;

-- As before, but for that.
CREATE OR REPLACE FUNCTION metering.settle_calls(outcomes metering.outcome[]) RETURNS integer[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  not_taken integer[];
  aside boolean;
  spends metering.spend[];
  held record;
BEGIN
  -- A statement of its own, before the other takes its snapshot: a month that closes while we wait must be seen as closed.
  PERFORM pg_advisory_xact_lock_shared(7301, hashtext(d.w)) FROM (SELECT DISTINCT r.workspace_id::text AS w FROM unnest(outcomes) r ORDER BY 1) d;
  WITH taken AS (
    INSERT INTO metering.inference_calls (
      workspace_id, dispatched_at, id, billing_month, origin, token_id, surface, provider, model, upstream_model, response_model,
      endpoint, fallback_of, tier, key_source, key_id, key_version, streamed, status, http_status, error_code, input_tokens,
      output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico, cost_source, cost_clamped,
      price_row, price_book_version, tier_price_pico, charge_mode, charge_pico, latency_ms, first_byte_ms, upstream_id,
      markup_bp, basis_pico, basis_source, credit_pico)
    SELECT a.workspace_id, a.dispatched_at, a.call_id, greatest(date_trunc('month', a.dispatched_at AT TIME ZONE 'UTC')::date,
        (SELECT (max(c.month) + interval '1 month')::date FROM metering.closed_months c WHERE c.workspace_id = a.workspace_id)),
      r.origin, a.token_id, a.surface, a.provider, a.model, a.upstream_model, r.response_model, a.endpoint, a.fallback_of, a.tier,
      a.key_source, a.key_id, a.key_version, a.streamed, r.status, r.http_status, r.error_code, r.input_tokens, r.output_tokens,
      r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.usage_source, r.raw_cost_pico, r.cost_source, r.cost_clamped,
      r.price_row, a.price_book_version, r.tier_price_pico, a.charge_mode, r.charge_pico, r.latency_ms, r.first_byte_ms, r.upstream_id,
      a.markup_bp, r.basis_pico, r.basis_source, r.credit_pico
    FROM unnest(outcomes) r
    JOIN metering.attempts a ON a.call_id = r.call_id AND a.attempt + 0 = 1 AND a.workspace_id = r.workspace_id
    ON CONFLICT (workspace_id, dispatched_at, id) DO NOTHING
    RETURNING id, workspace_id, dispatched_at, billing_month, model, tier, key_source, surface, charge_mode, price_book_version, status,
      input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, raw_cost_pico, tier_price_pico, charge_pico,
      provider, markup_bp, basis_pico, credit_pico, token_id, key_id
  ), closed AS (
    -- By an array: a join would carry every row whole through the plan, in case somebody else changes one meanwhile.
    DELETE FROM metering.attempts a
     WHERE a.attempt + 0 = 1 AND a.call_id = ANY (ARRAY(SELECT t.id FROM taken t))
       AND a.workspace_id = ANY (ARRAY(SELECT t.workspace_id FROM taken t))
    RETURNING a.sets_aside
  ), rolled AS (
    INSERT INTO metering.call_daily_rollups AS r (
      workspace_id, day, billing_month, model, tier, key_source, surface, charge_mode, price_book_version, calls, failed_calls,
      held_calls, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, raw_cost_pico,
      tier_price_pico, charge_pico, provider, markup_bp, basis_pico, credit_pico)
    SELECT t.workspace_id, (t.dispatched_at AT TIME ZONE 'UTC')::date, t.billing_month, t.model, t.tier, t.key_source, t.surface,
      t.charge_mode, t.price_book_version, count(*), count(*) FILTER (WHERE t.status <> 'ok' AND t.status <> 'client_closed'),
      count(*) FILTER (WHERE t.charge_pico IS NULL), coalesce(sum(t.input_tokens), 0), coalesce(sum(t.output_tokens), 0),
      coalesce(sum(t.cache_read_tokens), 0), coalesce(sum(t.cache_write_tokens), 0), coalesce(sum(t.reasoning_tokens), 0),
      coalesce(sum(t.raw_cost_pico), 0), coalesce(sum(t.tier_price_pico), 0), coalesce(sum(t.charge_pico), 0),
      t.provider, coalesce(t.markup_bp, 0), coalesce(sum(t.basis_pico), 0), coalesce(sum(t.credit_pico), 0)
    FROM taken t
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 22
    ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 22 -- two writers take the same rows in the same order: no deadlock
    ON CONFLICT (workspace_id, day, billing_month, model, tier, key_source, surface, charge_mode, price_book_version,
      provider, markup_bp) DO UPDATE SET
      calls = r.calls + excluded.calls,
      failed_calls = r.failed_calls + excluded.failed_calls,
      held_calls = r.held_calls + excluded.held_calls,
      input_tokens = r.input_tokens + excluded.input_tokens,
      output_tokens = r.output_tokens + excluded.output_tokens,
      cache_read_tokens = r.cache_read_tokens + excluded.cache_read_tokens,
      cache_write_tokens = r.cache_write_tokens + excluded.cache_write_tokens,
      reasoning_tokens = r.reasoning_tokens + excluded.reasoning_tokens,
      raw_cost_pico = r.raw_cost_pico + excluded.raw_cost_pico,
      tier_price_pico = r.tier_price_pico + excluded.tier_price_pico,
      charge_pico = r.charge_pico + excluded.charge_pico,
      basis_pico = r.basis_pico + excluded.basis_pico,
      credit_pico = r.credit_pico + excluded.credit_pico
  )
  SELECT CASE WHEN (SELECT count(*) FROM taken) < cardinality(outcomes) THEN
        (SELECT array_agg(n.place) FROM (
          SELECT r.place, row_number() OVER (PARTITION BY r.call_id ORDER BY r.place) AS nth, r.call_id IN (SELECT t.id FROM taken t) AS was_taken
            FROM unnest(outcomes) r) n
          WHERE NOT n.was_taken OR n.nth > 1) END,
      (SELECT bool_or(c.sets_aside) FROM closed c),
      (SELECT array_agg((t.workspace_id, t.dispatched_at, t.token_id, t.key_id, t.key_source, coalesce(t.charge_pico, 0) + t.credit_pico,
          coalesce(t.raw_cost_pico, 0))::metering.spend)
         FROM taken t WHERE EXISTS (SELECT FROM budgets b WHERE b.workspace_id = t.workspace_id AND b.enabled))
    INTO not_taken, aside, spends;
  -- One that is in the ledger already leaves no attempt behind: the sweeper would try to settle it for ever.
  IF not_taken IS NOT NULL THEN
    DELETE FROM metering.attempts a USING unnest(outcomes) r
     WHERE r.place = ANY (not_taken) AND a.call_id = r.call_id AND a.attempt + 0 = 1 AND a.workspace_id = r.workspace_id
       AND EXISTS (SELECT FROM metering.inference_calls c
         WHERE c.workspace_id = a.workspace_id AND c.dispatched_at = a.dispatched_at AND c.id = a.call_id);
  END IF;
  IF spends IS NOT NULL THEN
    PERFORM metering.count_spend(array_agg(s.workspace_id), array_agg(s.dispatched_at), array_agg(s.token_id), array_agg(s.key_id),
      array_agg(s.source), array_agg(s.charge), array_agg(s.cost)) FROM unnest(spends) s;
  END IF;
  IF aside IS NOT TRUE THEN RETURN not_taken; END IF;
  DELETE FROM metering.budget_reservations b USING unnest(outcomes) r
   WHERE b.workspace_id = r.workspace_id AND b.call_id = r.call_id AND (not_taken IS NULL OR r.place <> ALL (not_taken));
  FOR held IN
    SELECT DISTINCT r.workspace_id, r.call_id, r.credit_pico FROM unnest(outcomes) r
      JOIN metering.credit_holds h ON h.workspace_id = r.workspace_id AND h.call_id = r.call_id
     WHERE not_taken IS NULL OR r.place <> ALL (not_taken)
     ORDER BY r.workspace_id, r.call_id
  LOOP
    PERFORM metering.settle_credits(held.workspace_id, held.call_id, held.credit_pico);
  END LOOP;
  RETURN not_taken;
END $$;
