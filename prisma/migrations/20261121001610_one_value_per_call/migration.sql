-- The two statements of a call took 1.3 ms of the database's time for one call, and a tenth of it was the call's own rows. By
-- profile: a fifth went into reading the CHECK constraints from their stored text, once per statement; a fifth into one array per
-- column, each a function scan with a store of its own; as much into setting up a plan that joined what a subquery tells.

-- ── Rules as functions ───────────────────────────────────────────────────────────────────────────────────────────────
-- A session compiles a function once; the text of a CHECK is parsed by every statement that inserts.
CREATE FUNCTION metering.charge_follows_rule(
  charge_mode text, key_source text, raw_cost bigint, tier_price bigint, charge bigint, credit bigint, markup_bp integer, basis bigint
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN CASE charge_mode
    WHEN 'tier' THEN key_source = 'platform' AND credit = 0 AND charge IS NOT NULL AND charge = tier_price
    WHEN 'credits' THEN key_source = 'platform' AND charge IS NOT NULL AND charge = 0 AND credit = tier_price
    WHEN 'tier_margin' THEN key_source = 'workspace' AND credit = 0 AND
      CASE WHEN raw_cost IS NULL OR tier_price IS NULL THEN charge IS NULL
           ELSE charge IS NOT NULL AND charge = greatest(0, tier_price - raw_cost) END
    WHEN 'markup' THEN credit = 0 AND markup_bp IS NOT NULL AND
      CASE WHEN raw_cost IS NULL THEN basis IS NULL AND charge IS NULL
           ELSE basis IS NOT NULL AND (raw_cost = 0 OR basis = raw_cost) AND charge IS NOT NULL
             AND charge = metering.half_even(basis::numeric * markup_bp, 10000) END
    WHEN 'flat_fee' THEN key_source = 'workspace' AND credit = 0 AND charge IS NOT NULL AND charge = 0
    WHEN 'pass_through' THEN key_source = 'workspace' AND credit = 0 AND charge IS NOT NULL AND charge = 0
    ELSE false
  END IS TRUE;
END $$;

CREATE FUNCTION metering.call_words_known(
  origin text, endpoint text, key_source text, status text, usage_source text, cost_source text, basis_source text
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN origin IN ('gateway', 'sweeper', 'import')
    AND (endpoint IS NULL OR endpoint IN ('chat', 'responses', 'embeddings', 'rerank'))
    AND key_source IN ('platform', 'workspace')
    AND status IN ('ok', 'client_closed', 'interrupted', 'upstream_error', 'rejected_upstream')
    AND usage_source IN ('provider', 'generation', 'estimated', 'imported', 'none')
    AND cost_source IN ('provider', 'generation', 'list_price', 'imported', 'none', 'unknown')
    AND (basis_source IS NULL OR basis_source IN ('raw_cost', 'lowest_paid_rate', 'none'));
END $$;

CREATE FUNCTION metering.call_months_fit(billing_month date, dispatched_at timestamptz) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN extract(day FROM billing_month) = 1 AND billing_month >= date_trunc('month', dispatched_at AT TIME ZONE 'UTC')::date;
END $$;

CREATE FUNCTION metering.call_facts_agree(
  key_source text, origin text, key_id uuid, key_version integer, cost_source text, raw_cost bigint
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN (key_source = 'platform' OR origin = 'import' OR (key_id IS NOT NULL AND key_version IS NOT NULL))
    AND (cost_source = 'unknown') = (raw_cost IS NULL);
END $$;

CREATE FUNCTION metering.attempt_follows_rule(
  charge_mode text, key_source text, tier text, markup_bp integer, key_id uuid, key_version integer
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN key_source IN ('platform', 'workspace')
    AND (key_source = 'workspace') = (key_id IS NOT NULL AND key_version IS NOT NULL)
    AND CASE charge_mode
      WHEN 'tier' THEN key_source = 'platform' AND tier <> 'none'
      WHEN 'credits' THEN key_source = 'platform' AND tier <> 'none'
      WHEN 'tier_margin' THEN key_source = 'workspace' AND tier <> 'none'
      WHEN 'markup' THEN markup_bp IS NOT NULL
      WHEN 'flat_fee' THEN key_source = 'workspace'
      WHEN 'pass_through' THEN key_source = 'workspace'
      ELSE false END IS TRUE;
END $$;

ALTER TABLE metering.inference_calls
  DROP CONSTRAINT charge_rule,
  DROP CONSTRAINT workspace_key_named,
  DROP CONSTRAINT unknown_cost_is_null,
  DROP CONSTRAINT billed_no_earlier_than_used,
  DROP CONSTRAINT billing_month_is_a_month,
  DROP CONSTRAINT inference_calls_origin_check,
  DROP CONSTRAINT inference_calls_endpoint_check,
  DROP CONSTRAINT inference_calls_key_source_check,
  DROP CONSTRAINT inference_calls_status_check,
  DROP CONSTRAINT inference_calls_usage_source_check,
  DROP CONSTRAINT inference_calls_cost_source_check,
  DROP CONSTRAINT inference_calls_basis_source_check,
  DROP CONSTRAINT inference_calls_input_tokens_check,
  DROP CONSTRAINT inference_calls_output_tokens_check,
  DROP CONSTRAINT inference_calls_cache_read_tokens_check,
  DROP CONSTRAINT inference_calls_cache_write_tokens_check,
  DROP CONSTRAINT inference_calls_reasoning_tokens_check,
  DROP CONSTRAINT inference_calls_raw_cost_pico_check,
  DROP CONSTRAINT inference_calls_tier_price_pico_check,
  DROP CONSTRAINT inference_calls_charge_pico_check,
  DROP CONSTRAINT inference_calls_basis_pico_check;
ALTER TABLE metering.inference_calls
  ADD CONSTRAINT charge_rule CHECK (metering.charge_follows_rule(charge_mode, key_source, raw_cost_pico, tier_price_pico, charge_pico,
    credit_pico, markup_bp, basis_pico)),
  ADD CONSTRAINT words_known CHECK (metering.call_words_known(origin, endpoint, key_source, status, usage_source, cost_source, basis_source)),
  ADD CONSTRAINT months_fit CHECK (metering.call_months_fit(billing_month, dispatched_at)),
  ADD CONSTRAINT facts_agree CHECK (metering.call_facts_agree(key_source, origin, key_id, key_version, cost_source, raw_cost_pico)),
  -- least() passes over what is unknown
  ADD CONSTRAINT nothing_negative CHECK (least(input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    raw_cost_pico, tier_price_pico, charge_pico, credit_pico, basis_pico) >= 0);
ALTER TABLE metering.attempts
  DROP CONSTRAINT attempt_can_be_charged,
  DROP CONSTRAINT attempts_check1,
  DROP CONSTRAINT attempts_key_source_check;
-- Not held against attempts that stand open already: they are settled as they are.
ALTER TABLE metering.attempts
  ADD CONSTRAINT attempt_can_be_charged CHECK (metering.attempt_follows_rule(charge_mode, key_source, tier, markup_bp, key_id, key_version))
    NOT VALID;

-- ── One value per call ───────────────────────────────────────────────────────────────────────────────────────────────
-- An attempt to be written, and what it was decided on. `place` counts from 1 in its batch.
CREATE TYPE metering.opening AS (
  place integer, call_id uuid, workspace_id uuid, key_epoch bigint, token_id uuid, process_id text, dispatched_at timestamptz, surface text,
  provider text, model text, upstream_model text, endpoint text, fallback_of uuid, tier text, key_source text, key_id uuid,
  key_version integer, charge_mode text, price_book_version integer, streamed boolean, prompt_tokens_estimate integer, markup_bp integer,
  most_charge bigint, most_cost bigint
);

DROP FUNCTION metering.open_attempts(uuid[], uuid[], bigint[], uuid[], text[], timestamptz[], text[], text[], text[], text[], text[],
  uuid[], text[], text[], uuid[], integer[], text[], integer[], boolean[], integer[], integer[], bigint[], bigint[]);

-- As before, with one value per attempt.
CREATE FUNCTION metering.open_attempts(openings metering.opening[], OUT stale integer[], OUT refused integer[], OUT refusals text[])
RETURNS record
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
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
     WHERE NOT EXISTS (SELECT FROM metering.attempts a WHERE a.call_id = r.call_id AND a.attempt = 1);
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
    DELETE FROM metering.attempts a USING unnest(openings) r WHERE a.call_id = r.call_id AND a.attempt = 1 AND r.place = ANY (refused);
  END IF;
END $$;

-- What a call came to.
CREATE TYPE metering.outcome AS (
  place integer, workspace_id uuid, call_id uuid, origin text, response_model text, status text, http_status integer, error_code text,
  input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint, reasoning_tokens bigint, usage_source text,
  raw_cost_pico bigint, cost_source text, cost_clamped boolean, tier_price_pico bigint, charge_pico bigint, latency_ms integer,
  first_byte_ms integer, upstream_id text, price_row jsonb, basis_pico bigint, basis_source text, credit_pico bigint
);

DROP FUNCTION metering.settle_calls(uuid[], uuid[], text[], text[], text[], integer[], text[], bigint[], bigint[], bigint[], bigint[],
  bigint[], text[], bigint[], text[], boolean[], bigint[], bigint[], integer[], integer[], text[], jsonb[], bigint[], text[], bigint[]);

-- As before, with one value per call. Of two that settle the same call at the same time the ledger's own key lets one: the other
-- waits for it and takes nothing.
CREATE FUNCTION metering.settle_calls(outcomes metering.outcome[]) RETURNS integer[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
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
    JOIN metering.attempts a ON a.call_id = r.call_id AND a.attempt = 1 AND a.workspace_id = r.workspace_id
    ON CONFLICT (workspace_id, dispatched_at, id) DO NOTHING
    RETURNING id, workspace_id, dispatched_at, billing_month, model, tier, key_source, surface, charge_mode, price_book_version, status,
      input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, raw_cost_pico, tier_price_pico, charge_pico,
      provider, markup_bp, basis_pico, credit_pico, token_id, key_id
  ), closed AS (
    -- By an array: a join would carry every row whole through the plan, in case somebody else changes one meanwhile.
    DELETE FROM metering.attempts a
     WHERE a.attempt = 1 AND a.call_id = ANY (ARRAY(SELECT t.id FROM taken t))
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
     WHERE r.place = ANY (not_taken) AND a.call_id = r.call_id AND a.attempt = 1 AND a.workspace_id = r.workspace_id
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

GRANT EXECUTE ON FUNCTION metering.open_attempts, metering.settle_calls TO keymargin_app, keymargin_system;
