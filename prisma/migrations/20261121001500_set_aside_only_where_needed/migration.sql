-- Most workspaces have neither credits nor budgets: their calls paid for the look at both, half as much again as the two statements
-- cost without. An attempt now says whether anything was set aside for it; where nothing was, nothing more is looked for.
ALTER TABLE metering.attempts ADD COLUMN sets_aside boolean NOT NULL DEFAULT false;

-- What a call came to, for the budgets it falls under.
CREATE TYPE metering.spend AS (
  workspace_id uuid, dispatched_at timestamptz, token_id uuid, key_id uuid, source text, charge bigint, cost bigint
);

-- As before; `most_charges` is null where the caller knows that nothing has to be set aside. That it knows is held against the
-- workspace's epoch, which every change of a budget or plan raises.
CREATE OR REPLACE FUNCTION metering.open_attempts(
  ids uuid[], workspaces uuid[], key_epochs bigint[], tokens uuid[], processes text[], dispatches timestamptz[], surfaces text[],
  providers text[], models text[], upstream_models text[], endpoints text[], fallbacks uuid[], tiers text[], key_sources text[],
  keys uuid[], key_versions integer[], charge_modes text[], books integer[], streams boolean[], prompt_estimates integer[],
  markups integer[], most_charges bigint[], most_costs bigint[],
  OUT stale integer[], OUT refused integer[], OUT refusals text[]
) RETURNS record
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  costly record;
  full_budget uuid;
BEGIN
  WITH input AS (
    SELECT r.*, EXISTS (SELECT FROM workspaces w WHERE w.id = r.workspace_id AND w.key_epoch = r.key_epoch)
        AND (r.token_id IS NULL OR EXISTS (
          SELECT FROM gateway_tokens t WHERE t.workspace_id = r.workspace_id AND t.id = r.token_id AND t.revoked_at IS NULL)) AS holds
      FROM unnest(ids, workspaces, key_epochs, tokens, processes, dispatches, surfaces, providers, models, upstream_models, endpoints,
          fallbacks, tiers, key_sources, keys, key_versions, charge_modes, books, streams, prompt_estimates, markups, most_charges) WITH ORDINALITY
        AS r(id, workspace_id, key_epoch, token_id, process_id, dispatched_at, surface, provider, model, upstream_model, endpoint,
          fallback_of, tier, key_source, key_id, key_version, charge_mode, price_book_version, streamed, prompt_tokens_estimate, markup_bp, most_charge, place)
  ), opened AS (
    INSERT INTO metering.attempts (call_id, workspace_id, process_id, dispatched_at, token_id, surface, provider, model, upstream_model,
      endpoint, fallback_of, tier, key_source, key_id, key_version, charge_mode, price_book_version, streamed, prompt_tokens_estimate, markup_bp,
      sets_aside)
    SELECT i.id, i.workspace_id, i.process_id, i.dispatched_at, i.token_id, i.surface, i.provider, i.model, i.upstream_model, i.endpoint,
      i.fallback_of, i.tier, i.key_source, i.key_id, i.key_version, i.charge_mode, i.price_book_version, i.streamed,
      i.prompt_tokens_estimate, i.markup_bp, i.most_charge IS NOT NULL
    FROM input i WHERE i.holds
    ON CONFLICT (call_id, attempt) DO NOTHING
  )
  SELECT array_agg(i.place::integer) INTO stale FROM input i WHERE NOT i.holds;
  IF cardinality(array_remove(most_charges, NULL)) = 0 THEN RETURN; END IF;
  -- Budgets of all, then credits of all, each by workspace: two of these transactions, and those that settle, take what they lock
  -- in the same order.
  PERFORM metering.lock_budgets(workspaces, dispatches, tokens, keys, true);
  FOR costly IN
    SELECT r.* FROM unnest(ids, workspaces, dispatches, tokens, keys, key_sources, most_charges, most_costs) WITH ORDINALITY
        AS r(id, workspace_id, dispatched_at, token_id, key_id, key_source, most_charge, most_cost, place)
     WHERE r.most_charge IS NOT NULL
       AND EXISTS (SELECT FROM budgets b WHERE b.workspace_id = r.workspace_id AND b.enabled AND b.hard)
       AND (stale IS NULL OR r.place <> ALL (stale))
     ORDER BY r.workspace_id, r.place
  LOOP
    full_budget := metering.reserve_budgets(costly.workspace_id, costly.id, costly.dispatched_at, costly.token_id, costly.key_id,
      costly.key_source, costly.most_charge, costly.most_cost);
    IF full_budget IS NOT NULL THEN
      refused := refused || costly.place::integer;
      refusals := refusals || ('budget:' || full_budget);
    END IF;
  END LOOP;
  FOR costly IN
    SELECT r.* FROM unnest(ids, workspaces, charge_modes, most_charges) WITH ORDINALITY AS r(id, workspace_id, charge_mode, most_charge, place)
     WHERE r.charge_mode = 'credits' AND (stale IS NULL OR r.place <> ALL (stale)) AND (refused IS NULL OR r.place <> ALL (refused))
       AND NOT EXISTS (SELECT FROM metering.credit_holds h WHERE h.workspace_id = r.workspace_id AND h.call_id = r.id)
     ORDER BY r.workspace_id, r.place
  LOOP
    IF metering.take_credits(costly.workspace_id, costly.id, greatest(1, costly.most_charge), 'hold', 'held', true) = 0 THEN
      DELETE FROM metering.budget_reservations r WHERE r.workspace_id = costly.workspace_id AND r.call_id = costly.id;
      refused := refused || costly.place::integer;
      refusals := refusals || 'credits'::text;
    END IF;
  END LOOP;
  IF refused IS NOT NULL THEN
    DELETE FROM metering.attempts a USING unnest(ids) WITH ORDINALITY AS r(id, place)
     WHERE a.call_id = r.id AND a.attempt = 1 AND r.place = ANY (refused);
  END IF;
END $$;

-- As before, with budgets and credits looked for only where there are any.
CREATE OR REPLACE FUNCTION metering.settle_calls(
  workspaces uuid[], ids uuid[], origins text[], response_models text[], statuses text[], http_statuses integer[],
  error_codes text[], inputs bigint[], outputs bigint[], cache_reads bigint[], cache_writes bigint[], reasonings bigint[],
  usage_sources text[], raw_costs bigint[], cost_sources text[], clamps boolean[], tier_prices bigint[], charges bigint[],
  latencies integer[], first_bytes integer[], upstream_ids text[], price_rows jsonb[],
  bases bigint[], basis_sources text[], credits bigint[]
) RETURNS integer[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  not_taken integer[];
  aside boolean;
  spends metering.spend[];
  held record;
BEGIN
  -- A statement of its own, before the other takes its snapshot: a month that closes while we wait must be seen as closed.
  PERFORM pg_advisory_xact_lock_shared(7301, hashtext(w::text)) FROM (SELECT DISTINCT u AS w FROM unnest(workspaces) u ORDER BY 1) d;
  WITH settled AS (
    DELETE FROM metering.attempts a
     USING unnest(workspaces, ids, origins, response_models, statuses, http_statuses, error_codes, inputs, outputs, cache_reads,
         cache_writes, reasonings, usage_sources, raw_costs, cost_sources, clamps, tier_prices, charges, latencies, first_bytes,
         upstream_ids, price_rows, bases, basis_sources, credits) WITH ORDINALITY
       AS r(workspace_id, id, origin, response_model, status, http_status, error_code, input_tokens, output_tokens, cache_read_tokens,
         cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico, cost_source, cost_clamped, tier_price_pico, charge_pico,
         latency_ms, first_byte_ms, upstream_id, price_row, basis_pico, basis_source, credit_pico, place)
     WHERE a.call_id = r.id AND a.attempt = 1 AND a.workspace_id = r.workspace_id
    RETURNING a.workspace_id, a.dispatched_at, a.call_id, a.token_id, a.surface, a.provider, a.model, a.upstream_model, a.endpoint,
      a.fallback_of, a.tier, a.key_source, a.key_id, a.key_version, a.streamed, a.price_book_version, a.charge_mode,
      date_trunc('month', a.dispatched_at AT TIME ZONE 'UTC')::date AS month, r.origin, r.response_model, r.status, r.http_status,
      r.error_code, r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.usage_source,
      r.raw_cost_pico, r.cost_source, r.cost_clamped, r.tier_price_pico, r.charge_pico, r.latency_ms, r.first_byte_ms, r.upstream_id,
      r.price_row, a.markup_bp, r.basis_pico, r.basis_source, r.credit_pico, a.sets_aside, r.place
  ), months AS (
    SELECT d.workspace_id, d.month, greatest(d.month,
        (SELECT (max(c.month) + interval '1 month')::date FROM metering.closed_months c WHERE c.workspace_id = d.workspace_id)) AS billing_month
      FROM (SELECT DISTINCT s.workspace_id, s.month FROM settled s) d
  ), taken AS (
    INSERT INTO metering.inference_calls (
      workspace_id, dispatched_at, id, billing_month, origin, token_id, surface, provider, model, upstream_model, response_model,
      endpoint, fallback_of, tier, key_source, key_id, key_version, streamed, status, http_status, error_code, input_tokens,
      output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico, cost_source, cost_clamped,
      price_row, price_book_version, tier_price_pico, charge_mode, charge_pico, latency_ms, first_byte_ms, upstream_id,
      markup_bp, basis_pico, basis_source, credit_pico)
    SELECT s.workspace_id, s.dispatched_at, s.call_id, m.billing_month, s.origin, s.token_id, s.surface, s.provider, s.model,
      s.upstream_model, s.response_model, s.endpoint, s.fallback_of, s.tier, s.key_source, s.key_id, s.key_version, s.streamed,
      s.status, s.http_status, s.error_code, s.input_tokens, s.output_tokens, s.cache_read_tokens, s.cache_write_tokens,
      s.reasoning_tokens, s.usage_source, s.raw_cost_pico, s.cost_source, s.cost_clamped, s.price_row, s.price_book_version,
      s.tier_price_pico, s.charge_mode, s.charge_pico, s.latency_ms, s.first_byte_ms, s.upstream_id,
      s.markup_bp, s.basis_pico, s.basis_source, s.credit_pico
    FROM settled s JOIN months m ON m.workspace_id = s.workspace_id AND m.month = s.month
    ON CONFLICT (workspace_id, dispatched_at, id) DO NOTHING
    RETURNING id, workspace_id, dispatched_at, billing_month, model, tier, key_source, surface, charge_mode, price_book_version, status,
      input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, raw_cost_pico, tier_price_pico, charge_pico,
      provider, markup_bp, basis_pico, credit_pico, token_id, key_id
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
  SELECT (SELECT array_agg(p) FROM generate_subscripts(ids, 1) p
           WHERE p NOT IN (SELECT s.place FROM settled s WHERE s.call_id IN (SELECT t.id FROM taken t))),
      (SELECT bool_or(s.sets_aside) FROM settled s),
      (SELECT array_agg((t.workspace_id, t.dispatched_at, t.token_id, t.key_id, t.key_source, coalesce(t.charge_pico, 0) + t.credit_pico,
          coalesce(t.raw_cost_pico, 0))::metering.spend)
         FROM taken t WHERE EXISTS (SELECT FROM budgets b WHERE b.workspace_id = t.workspace_id AND b.enabled))
    INTO not_taken, aside, spends;
  IF spends IS NOT NULL THEN
    PERFORM metering.count_spend(array_agg(s.workspace_id), array_agg(s.dispatched_at), array_agg(s.token_id), array_agg(s.key_id),
      array_agg(s.source), array_agg(s.charge), array_agg(s.cost)) FROM unnest(spends) s;
  END IF;
  IF aside IS NOT TRUE THEN RETURN not_taken; END IF;
  DELETE FROM metering.budget_reservations b USING unnest(workspaces, ids) WITH ORDINALITY AS r(workspace_id, id, place)
   WHERE b.workspace_id = r.workspace_id AND b.call_id = r.id AND (not_taken IS NULL OR r.place <> ALL (not_taken));
  FOR held IN
    SELECT DISTINCT r.workspace_id, r.id, r.credit FROM unnest(workspaces, ids, credits) WITH ORDINALITY AS r(workspace_id, id, credit, place)
      JOIN metering.credit_holds h ON h.workspace_id = r.workspace_id AND h.call_id = r.id
     WHERE not_taken IS NULL OR r.place <> ALL (not_taken)
     ORDER BY r.workspace_id, r.id
  LOOP
    PERFORM metering.settle_credits(held.workspace_id, held.id, held.credit);
  END LOOP;
  RETURN not_taken;
END $$;
