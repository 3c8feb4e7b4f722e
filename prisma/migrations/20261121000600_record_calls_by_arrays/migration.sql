-- The two durable writes of a call, made cheap. An attempt is deleted when its call is settled, instead of marked: the row
-- had to be written a second time, into every index, to say what the ledger's own row says. What stands in the table is open.
DELETE FROM metering.attempts WHERE state = 'settled';
DROP INDEX metering.attempts_open, metering.attempts_settled;
ALTER TABLE metering.attempts DROP COLUMN state, DROP COLUMN settled_at; -- their checks go with them
-- Rows come and go by the thousand: what is dead is cleared away often, whatever share of the table it is.
ALTER TABLE metering.attempts SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000000);

-- Opens attempts. Arrays hold one element per attempt. A gateway admits calls from memory; here, in the statement that
-- commits it to a call, what it believes is held against the tables: the workspace's key epoch, which every change of plan,
-- keys and settings raises, and that the token lives. Answers the places, from 1, of those where it no longer holds: they
-- were not opened. Opening one again changes nothing.
-- Plans of these functions are made once per session: a plan per call costs more than the call. They must not depend on
-- how many rows a table happened to hold at that moment, so they always go by index.
CREATE FUNCTION metering.open_attempts(
  ids uuid[], workspaces uuid[], key_epochs bigint[], tokens uuid[], processes text[], dispatches timestamptz[], surfaces text[],
  providers text[], models text[], upstream_models text[], endpoints text[], fallbacks uuid[], tiers text[], key_sources text[],
  keys uuid[], key_versions integer[], charge_modes text[], books integer[], streams boolean[], prompt_estimates integer[]
) RETURNS integer[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  stale integer[];
BEGIN
  WITH input AS (
    SELECT r.*, EXISTS (SELECT FROM workspaces w WHERE w.id = r.workspace_id AND w.key_epoch = r.key_epoch)
        AND (r.token_id IS NULL OR EXISTS (
          SELECT FROM gateway_tokens t WHERE t.workspace_id = r.workspace_id AND t.id = r.token_id AND t.revoked_at IS NULL)) AS holds
      FROM unnest(ids, workspaces, key_epochs, tokens, processes, dispatches, surfaces, providers, models, upstream_models, endpoints,
          fallbacks, tiers, key_sources, keys, key_versions, charge_modes, books, streams, prompt_estimates) WITH ORDINALITY
        AS r(id, workspace_id, key_epoch, token_id, process_id, dispatched_at, surface, provider, model, upstream_model, endpoint,
          fallback_of, tier, key_source, key_id, key_version, charge_mode, price_book_version, streamed, prompt_tokens_estimate, place)
  ), opened AS (
    INSERT INTO metering.attempts (call_id, workspace_id, process_id, dispatched_at, token_id, surface, provider, model, upstream_model,
      endpoint, fallback_of, tier, key_source, key_id, key_version, charge_mode, price_book_version, streamed, prompt_tokens_estimate)
    SELECT i.id, i.workspace_id, i.process_id, i.dispatched_at, i.token_id, i.surface, i.provider, i.model, i.upstream_model, i.endpoint,
      i.fallback_of, i.tier, i.key_source, i.key_id, i.key_version, i.charge_mode, i.price_book_version, i.streamed,
      i.prompt_tokens_estimate
    FROM input i WHERE i.holds
    ON CONFLICT (call_id, attempt) DO NOTHING
  )
  SELECT array_agg(i.place::integer) INTO stale FROM input i WHERE NOT i.holds;
  RETURN stale;
END $$;

-- Notes how far open attempts have come. One that is settled meanwhile is gone.
CREATE FUNCTION metering.note_progress(ids uuid[], upstream_ids text[], relayed bigint[]) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
  UPDATE metering.attempts a
     SET upstream_id = coalesce(r.upstream_id, a.upstream_id), relayed_bytes = greatest(a.relayed_bytes, r.relayed_bytes)
    FROM unnest(ids, upstream_ids, relayed) AS r(call_id, upstream_id, relayed_bytes)
   WHERE a.call_id = r.call_id AND a.attempt = 1;
END $$;

-- Settles calls that have an attempt: each is taken by whoever deletes its attempt, and only by that one; what was decided
-- before it was sent is copied from the attempt. The ledger row and the rollups are written by the same statement. Arrays
-- hold one element per call. Answers the places, from 1, of calls that somebody else had settled.
CREATE FUNCTION metering.settle_calls(
  workspaces uuid[], ids uuid[], origins text[], response_models text[], statuses text[], http_statuses integer[],
  error_codes text[], inputs bigint[], outputs bigint[], cache_reads bigint[], cache_writes bigint[], reasonings bigint[],
  usage_sources text[], raw_costs bigint[], cost_sources text[], clamps boolean[], tier_prices bigint[], charges bigint[],
  latencies integer[], first_bytes integer[], upstream_ids text[], price_rows jsonb[]
) RETURNS integer[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  not_taken integer[];
BEGIN
  -- A statement of its own, before the other takes its snapshot: a month that closes while we wait must be seen as closed.
  PERFORM pg_advisory_xact_lock_shared(7301, hashtext(w::text)) FROM (SELECT DISTINCT u AS w FROM unnest(workspaces) u ORDER BY 1) d;
  WITH settled AS (
    DELETE FROM metering.attempts a
     USING unnest(workspaces, ids, origins, response_models, statuses, http_statuses, error_codes, inputs, outputs, cache_reads,
         cache_writes, reasonings, usage_sources, raw_costs, cost_sources, clamps, tier_prices, charges, latencies, first_bytes,
         upstream_ids, price_rows) WITH ORDINALITY
       AS r(workspace_id, id, origin, response_model, status, http_status, error_code, input_tokens, output_tokens, cache_read_tokens,
         cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico, cost_source, cost_clamped, tier_price_pico, charge_pico,
         latency_ms, first_byte_ms, upstream_id, price_row, place)
     WHERE a.call_id = r.id AND a.attempt = 1 AND a.workspace_id = r.workspace_id
    RETURNING a.workspace_id, a.dispatched_at, a.call_id, a.token_id, a.surface, a.provider, a.model, a.upstream_model, a.endpoint,
      a.fallback_of, a.tier, a.key_source, a.key_id, a.key_version, a.streamed, a.price_book_version, a.charge_mode,
      date_trunc('month', a.dispatched_at AT TIME ZONE 'UTC')::date AS month, r.origin, r.response_model, r.status, r.http_status,
      r.error_code, r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.usage_source,
      r.raw_cost_pico, r.cost_source, r.cost_clamped, r.tier_price_pico, r.charge_pico, r.latency_ms, r.first_byte_ms, r.upstream_id,
      r.price_row, r.place
  ), months AS (
    SELECT d.workspace_id, d.month, greatest(d.month,
        (SELECT (max(c.month) + interval '1 month')::date FROM metering.closed_months c WHERE c.workspace_id = d.workspace_id)) AS billing_month
      FROM (SELECT DISTINCT s.workspace_id, s.month FROM settled s) d
  ), taken AS (
    INSERT INTO metering.inference_calls (
      workspace_id, dispatched_at, id, billing_month, origin, token_id, surface, provider, model, upstream_model, response_model,
      endpoint, fallback_of, tier, key_source, key_id, key_version, streamed, status, http_status, error_code, input_tokens,
      output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico, cost_source, cost_clamped,
      price_row, price_book_version, tier_price_pico, charge_mode, charge_pico, latency_ms, first_byte_ms, upstream_id)
    SELECT s.workspace_id, s.dispatched_at, s.call_id, m.billing_month, s.origin, s.token_id, s.surface, s.provider, s.model,
      s.upstream_model, s.response_model, s.endpoint, s.fallback_of, s.tier, s.key_source, s.key_id, s.key_version, s.streamed,
      s.status, s.http_status, s.error_code, s.input_tokens, s.output_tokens, s.cache_read_tokens, s.cache_write_tokens,
      s.reasoning_tokens, s.usage_source, s.raw_cost_pico, s.cost_source, s.cost_clamped, s.price_row, s.price_book_version,
      s.tier_price_pico, s.charge_mode, s.charge_pico, s.latency_ms, s.first_byte_ms, s.upstream_id
    FROM settled s JOIN months m ON m.workspace_id = s.workspace_id AND m.month = s.month
    ON CONFLICT (workspace_id, dispatched_at, id) DO NOTHING
    RETURNING id, workspace_id, dispatched_at, billing_month, model, tier, key_source, surface, charge_mode, price_book_version, status,
      input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, raw_cost_pico, tier_price_pico, charge_pico
  ), rolled AS (
    INSERT INTO metering.call_daily_rollups AS r (
      workspace_id, day, billing_month, model, tier, key_source, surface, charge_mode, price_book_version, calls, failed_calls,
      held_calls, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, raw_cost_pico,
      tier_price_pico, charge_pico)
    SELECT t.workspace_id, (t.dispatched_at AT TIME ZONE 'UTC')::date, t.billing_month, t.model, t.tier, t.key_source, t.surface,
      t.charge_mode, t.price_book_version, count(*), count(*) FILTER (WHERE t.status <> 'ok' AND t.status <> 'client_closed'),
      count(*) FILTER (WHERE t.charge_pico IS NULL), coalesce(sum(t.input_tokens), 0), coalesce(sum(t.output_tokens), 0),
      coalesce(sum(t.cache_read_tokens), 0), coalesce(sum(t.cache_write_tokens), 0), coalesce(sum(t.reasoning_tokens), 0),
      coalesce(sum(t.raw_cost_pico), 0), coalesce(sum(t.tier_price_pico), 0), coalesce(sum(t.charge_pico), 0)
    FROM taken t
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9 -- two writers take the same rows in the same order: no deadlock
    ON CONFLICT (workspace_id, day, billing_month, model, tier, key_source, surface, charge_mode, price_book_version) DO UPDATE SET
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
      charge_pico = r.charge_pico + excluded.charge_pico
  )
  SELECT array_agg(p) INTO not_taken FROM generate_subscripts(ids, 1) p
   WHERE p NOT IN (SELECT s.place FROM settled s WHERE s.call_id IN (SELECT t.id FROM taken t));
  RETURN not_taken;
END $$;

-- Records imported calls, which have no attempt: each is known by its id. Answers the ids taken.
DROP FUNCTION metering.record_calls(json);
CREATE FUNCTION metering.import_calls(batch json) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM metering.lock_ledger_shared(w.workspace_id)
    FROM (SELECT DISTINCT (r ->> 'workspace_id')::uuid AS workspace_id FROM json_array_elements(batch) r ORDER BY 1) w;
  RETURN QUERY
  WITH input AS (
    SELECT * FROM json_to_recordset(batch) AS r(
      workspace_id uuid, dispatched_at timestamptz(3), id uuid, token_id uuid, surface text, provider text, model text,
      upstream_model text, response_model text, endpoint text, fallback_of uuid, tier text, key_source text, key_id uuid,
      key_version integer, streamed boolean, status text, http_status integer, error_code text, input_tokens bigint,
      output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint, reasoning_tokens bigint, usage_source text,
      raw_cost_pico bigint, cost_source text, cost_clamped boolean, price_row jsonb, price_book_version integer,
      tier_price_pico bigint, charge_mode text, charge_pico bigint, latency_ms integer, first_byte_ms integer, upstream_id text)
  ), taken AS (
    INSERT INTO metering.inference_calls (
      workspace_id, dispatched_at, id, billing_month, origin, token_id, surface, provider, model, upstream_model, response_model,
      endpoint, fallback_of, tier, key_source, key_id, key_version, streamed, status, http_status, error_code, input_tokens,
      output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico, cost_source, cost_clamped,
      price_row, price_book_version, tier_price_pico, charge_mode, charge_pico, latency_ms, first_byte_ms, upstream_id)
    SELECT i.workspace_id, i.dispatched_at, i.id, metering.billing_month_of(i.workspace_id, i.dispatched_at), 'import', i.token_id,
      i.surface, i.provider, i.model, i.upstream_model, i.response_model, i.endpoint, i.fallback_of, i.tier, i.key_source, i.key_id,
      i.key_version, i.streamed, i.status, i.http_status, i.error_code, i.input_tokens, i.output_tokens, i.cache_read_tokens,
      i.cache_write_tokens, i.reasoning_tokens, i.usage_source, i.raw_cost_pico, i.cost_source, i.cost_clamped, i.price_row,
      i.price_book_version, i.tier_price_pico, i.charge_mode, i.charge_pico, i.latency_ms, i.first_byte_ms, i.upstream_id
    FROM input i
    ON CONFLICT (workspace_id, dispatched_at, id) DO NOTHING
    RETURNING *
  ), rolled AS (
    INSERT INTO metering.call_daily_rollups AS r (
      workspace_id, day, billing_month, model, tier, key_source, surface, charge_mode, price_book_version, calls, failed_calls,
      held_calls, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, raw_cost_pico,
      tier_price_pico, charge_pico)
    SELECT t.workspace_id, (t.dispatched_at AT TIME ZONE 'UTC')::date, t.billing_month, t.model, t.tier, t.key_source, t.surface,
      t.charge_mode, t.price_book_version, count(*), count(*) FILTER (WHERE t.status <> 'ok' AND t.status <> 'client_closed'),
      count(*) FILTER (WHERE t.charge_pico IS NULL), coalesce(sum(t.input_tokens), 0), coalesce(sum(t.output_tokens), 0),
      coalesce(sum(t.cache_read_tokens), 0), coalesce(sum(t.cache_write_tokens), 0), coalesce(sum(t.reasoning_tokens), 0),
      coalesce(sum(t.raw_cost_pico), 0), coalesce(sum(t.tier_price_pico), 0), coalesce(sum(t.charge_pico), 0)
    FROM taken t
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9 -- two writers take the same rows in the same order: no deadlock
    ON CONFLICT (workspace_id, day, billing_month, model, tier, key_source, surface, charge_mode, price_book_version) DO UPDATE SET
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
      charge_pico = r.charge_pico + excluded.charge_pico
  )
  SELECT taken.id FROM taken;
END $$;
