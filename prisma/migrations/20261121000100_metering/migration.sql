-- Metering: what was asked of a provider, what it cost, and who pays. Written in batches, never through Prisma, so it has
-- a schema of its own beside the Prisma-managed tables. Amounts are integers of pico-dollars (1e-12 USD).
CREATE SCHEMA metering;

-- ── Attempts: one row per upstream try, committed before the request is sent ─────────────────────────────────────────

CREATE TABLE metering.attempts (
  call_id            uuid NOT NULL,
  attempt            smallint NOT NULL DEFAULT 1,
  workspace_id       uuid NOT NULL,
  process_id         text NOT NULL,
  state              text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settled')),
  opened_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_at         timestamptz,
  dispatched_at      timestamptz(3) NOT NULL,
  token_id           uuid,
  surface            text NOT NULL,
  provider           text NOT NULL,
  model              text NOT NULL,
  tier               text NOT NULL,
  key_source         text NOT NULL CHECK (key_source IN ('platform', 'workspace')),
  key_id             uuid,
  key_version        integer,
  charge_mode        text NOT NULL,
  price_book_version integer NOT NULL,
  streamed           boolean NOT NULL,
  -- for the estimate of last resort, should this process die
  prompt_tokens_estimate integer NOT NULL DEFAULT 0,
  relayed_bytes      bigint NOT NULL DEFAULT 0,
  -- the provider's own id of this generation, recorded at the first byte
  upstream_id        text,
  PRIMARY KEY (call_id, attempt),
  CHECK ((state = 'settled') = (settled_at IS NOT NULL)),
  CHECK ((key_source = 'workspace') = (key_id IS NOT NULL AND key_version IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX attempts_open ON metering.attempts (opened_at) WHERE state = 'open';
CREATE INDEX attempts_settled ON metering.attempts (settled_at) WHERE state = 'settled';

-- ── Inference calls: the ledger, one partition per UTC month of dispatch ─────────────────────────────────────────────

CREATE TABLE metering.inference_calls (
  workspace_id       uuid NOT NULL,
  dispatched_at      timestamptz(3) NOT NULL,
  id                 uuid NOT NULL,
  -- the month whose invoice carries the call: its dispatch month, or the first open one where that is closed
  billing_month      date NOT NULL,
  recorded_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  origin             text NOT NULL CHECK (origin IN ('gateway', 'sweeper', 'import')),
  token_id           uuid,
  surface            text NOT NULL,
  provider           text NOT NULL,
  model              text NOT NULL,
  response_model     text,
  tier               text NOT NULL,
  key_source         text NOT NULL CHECK (key_source IN ('platform', 'workspace')),
  key_id             uuid,
  key_version        integer,
  streamed           boolean NOT NULL,
  status             text NOT NULL CHECK (status IN ('ok', 'client_closed', 'interrupted', 'upstream_error', 'rejected_upstream')),
  http_status        integer,
  error_code         text,
  input_tokens       bigint CHECK (input_tokens >= 0),
  output_tokens      bigint CHECK (output_tokens >= 0),
  cache_read_tokens  bigint CHECK (cache_read_tokens >= 0),
  cache_write_tokens bigint CHECK (cache_write_tokens >= 0),
  reasoning_tokens   bigint CHECK (reasoning_tokens >= 0),
  usage_source       text NOT NULL CHECK (usage_source IN ('provider', 'generation', 'estimated', 'imported', 'none')),
  raw_cost_pico      bigint CHECK (raw_cost_pico >= 0),
  cost_source        text NOT NULL CHECK (cost_source IN ('provider', 'generation', 'list_price', 'imported', 'none', 'unknown')),
  cost_clamped       boolean NOT NULL DEFAULT false,
  price_book_version integer NOT NULL,
  tier_price_pico    bigint CHECK (tier_price_pico >= 0),
  charge_mode        text NOT NULL,
  charge_pico        bigint CHECK (charge_pico >= 0),
  latency_ms         integer,
  first_byte_ms      integer,
  upstream_id        text,
  PRIMARY KEY (workspace_id, dispatched_at, id),
  CONSTRAINT workspace_key_named CHECK (key_source = 'platform' OR origin = 'import' OR (key_id IS NOT NULL AND key_version IS NOT NULL)),
  CONSTRAINT unknown_cost_is_null CHECK ((cost_source = 'unknown') = (raw_cost_pico IS NULL)),
  CONSTRAINT billing_month_is_a_month CHECK (billing_month = date_trunc('month', billing_month)::date),
  CONSTRAINT billed_no_earlier_than_used CHECK (billing_month >= date_trunc('month', dispatched_at AT TIME ZONE 'UTC')::date),
  -- The charge rule of each mode. tier: the platform's key paid, the tier price is owed. tier_margin: the workspace's key
  -- paid, the margin above its cost is owed, never below zero; a call whose cost is unknown is held, not guessed.
  CONSTRAINT charge_rule CHECK (
    CASE charge_mode
      WHEN 'tier' THEN key_source = 'platform' AND charge_pico IS NOT NULL AND charge_pico = tier_price_pico
      WHEN 'tier_margin' THEN key_source = 'workspace' AND
        CASE WHEN raw_cost_pico IS NULL OR tier_price_pico IS NULL THEN charge_pico IS NULL
             ELSE charge_pico IS NOT NULL AND charge_pico = greatest(0, tier_price_pico - raw_cost_pico) END
      ELSE false
    END IS TRUE)
) PARTITION BY RANGE (dispatched_at);

CREATE INDEX inference_calls_held ON metering.inference_calls (workspace_id, dispatched_at) WHERE charge_pico IS NULL;
CREATE INDEX inference_calls_late ON metering.inference_calls (workspace_id, billing_month)
  WHERE billing_month <> date_trunc('month', dispatched_at AT TIME ZONE 'UTC')::date;

-- What became known of a call later. The newest row of a call replaces its amounts; the call's own row never changes.
CREATE TABLE metering.call_corrections (
  workspace_id    uuid NOT NULL,
  call_id         uuid NOT NULL,
  seq             integer NOT NULL,
  dispatched_at   timestamptz(3) NOT NULL,
  billing_month   date NOT NULL,
  recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  reason          text NOT NULL CHECK (reason IN ('cost_resolved', 'cost_cutoff')),
  input_tokens    bigint CHECK (input_tokens >= 0),
  output_tokens   bigint CHECK (output_tokens >= 0),
  raw_cost_pico   bigint CHECK (raw_cost_pico >= 0),
  cost_source     text NOT NULL CHECK (cost_source IN ('generation', 'list_price', 'unknown')),
  tier_price_pico bigint CHECK (tier_price_pico >= 0),
  charge_pico     bigint NOT NULL CHECK (charge_pico >= 0),
  PRIMARY KEY (workspace_id, call_id, seq),
  CONSTRAINT correction_rule CHECK (
    CASE reason
      WHEN 'cost_cutoff' THEN charge_pico = 0 AND raw_cost_pico IS NULL
      ELSE raw_cost_pico IS NOT NULL AND tier_price_pico IS NOT NULL AND charge_pico = greatest(0, tier_price_pico - raw_cost_pico)
    END IS TRUE)
);

-- ── Daily rollups: the same facts summed, kept in the ledger's own transaction ───────────────────────────────────────

CREATE TABLE metering.call_daily_rollups (
  workspace_id       uuid NOT NULL,
  day                date NOT NULL,
  billing_month      date NOT NULL,
  model              text NOT NULL,
  tier               text NOT NULL,
  key_source         text NOT NULL,
  surface            text NOT NULL,
  charge_mode        text NOT NULL,
  price_book_version integer NOT NULL,
  calls              bigint NOT NULL,
  failed_calls       bigint NOT NULL,
  held_calls         bigint NOT NULL,
  input_tokens       bigint NOT NULL,
  output_tokens      bigint NOT NULL,
  cache_read_tokens  bigint NOT NULL,
  cache_write_tokens bigint NOT NULL,
  reasoning_tokens   bigint NOT NULL,
  raw_cost_pico      numeric(38, 0) NOT NULL,
  tier_price_pico    numeric(38, 0) NOT NULL,
  charge_pico        numeric(38, 0) NOT NULL,
  PRIMARY KEY (workspace_id, day, billing_month, model, tier, key_source, surface, charge_mode, price_book_version)
) WITH (fillfactor = 70);
CREATE INDEX call_daily_rollups_billing ON metering.call_daily_rollups (workspace_id, billing_month);

-- A closed month takes no more calls: later ones are billed in the first open month, as late usage.
CREATE TABLE metering.closed_months (
  workspace_id uuid NOT NULL,
  month        date NOT NULL CHECK (month = date_trunc('month', month)::date),
  closed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (workspace_id, month)
);

-- ── Functions ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Makes the partition of the month of `day`. SECURITY DEFINER: the application's roles own no table and may not create one.
CREATE FUNCTION metering.ensure_month_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, metering AS $$
DECLARE
  month_start date := date_trunc('month', day)::date;
  partition   text := 'inference_calls_' || to_char(month_start, 'YYYY_MM');
BEGIN
  IF to_regclass('metering.' || partition) IS NOT NULL THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(7305, 1);
  EXECUTE format('CREATE TABLE IF NOT EXISTS metering.%I PARTITION OF metering.inference_calls FOR VALUES FROM (%L) TO (%L)',
    partition, month_start::text || ' 00:00:00+00', (month_start + interval '1 month')::date::text || ' 00:00:00+00');
END $$;

-- Ledger writers hold this lock shared for their transaction; closing a month holds it exclusively. So no call can slip
-- into a month between the moment its sums are read and the moment it is marked closed.
CREATE FUNCTION metering.lock_ledger_shared(workspace uuid) RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock_shared(7301, hashtext(workspace::text)) $$;
CREATE FUNCTION metering.lock_ledger_exclusive(workspace uuid) RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(7301, hashtext(workspace::text)) $$;

-- The month that bills a call: its dispatch month, or the month after the newest closed one.
CREATE FUNCTION metering.billing_month_of(workspace uuid, dispatched timestamptz) RETURNS date
LANGUAGE sql STABLE AS $$
  SELECT greatest(
    date_trunc('month', dispatched AT TIME ZONE 'UTC')::date,
    (SELECT (max(month) + interval '1 month')::date FROM metering.closed_months WHERE workspace_id = workspace))
$$;

-- Records settled calls, each exactly once, with their rollups, in one statement. A gateway or sweeper call is taken only
-- by whoever turns its attempt from open to settled; an imported one is known by its id. Answers the ids taken.
CREATE FUNCTION metering.record_calls(batch json) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM metering.lock_ledger_shared(w.workspace_id)
    FROM (SELECT DISTINCT (r ->> 'workspace_id')::uuid AS workspace_id FROM json_array_elements(batch) r ORDER BY 1) w;
  RETURN QUERY
  WITH input AS (
    SELECT * FROM json_to_recordset(batch) AS r(
      workspace_id uuid, dispatched_at timestamptz(3), id uuid, attempt smallint, origin text, token_id uuid, surface text,
      provider text, model text, response_model text, tier text, key_source text, key_id uuid, key_version integer,
      streamed boolean, status text, http_status integer, error_code text, input_tokens bigint, output_tokens bigint,
      cache_read_tokens bigint, cache_write_tokens bigint, reasoning_tokens bigint, usage_source text, raw_cost_pico bigint,
      cost_source text, cost_clamped boolean, price_book_version integer, tier_price_pico bigint, charge_mode text,
      charge_pico bigint, latency_ms integer, first_byte_ms integer, upstream_id text)
  ), settled AS (
    UPDATE metering.attempts a SET state = 'settled', settled_at = clock_timestamp()
      FROM input i
     WHERE i.origin <> 'import' AND a.call_id = i.id AND a.attempt = coalesce(i.attempt, 1) AND a.workspace_id = i.workspace_id
       AND a.state = 'open'
    RETURNING a.call_id
  ), taken AS (
    INSERT INTO metering.inference_calls (
      workspace_id, dispatched_at, id, billing_month, origin, token_id, surface, provider, model, response_model, tier, key_source,
      key_id, key_version, streamed, status, http_status, error_code, input_tokens, output_tokens, cache_read_tokens,
      cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico, cost_source, cost_clamped, price_book_version,
      tier_price_pico, charge_mode, charge_pico, latency_ms, first_byte_ms, upstream_id)
    SELECT i.workspace_id, i.dispatched_at, i.id, metering.billing_month_of(i.workspace_id, i.dispatched_at), i.origin, i.token_id,
      i.surface, i.provider, i.model, i.response_model, i.tier, i.key_source, i.key_id, i.key_version, i.streamed, i.status,
      i.http_status, i.error_code, i.input_tokens, i.output_tokens, i.cache_read_tokens, i.cache_write_tokens,
      i.reasoning_tokens, i.usage_source, i.raw_cost_pico, i.cost_source, coalesce(i.cost_clamped, false), i.price_book_version,
      i.tier_price_pico, i.charge_mode, i.charge_pico, i.latency_ms, i.first_byte_ms, i.upstream_id
    FROM input i
    WHERE i.origin = 'import' OR i.id IN (SELECT call_id FROM settled)
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

-- Corrects one held call, with its rollup. Answers false where the call is unknown or was already resolved.
-- A call whose month was closed meanwhile is not corrected here: its cut-off correction was written by the close itself.
CREATE FUNCTION metering.correct_held_call(
  workspace uuid, dispatched timestamptz, call uuid, why text, new_input bigint, new_output bigint,
  new_raw_pico bigint, new_cost_source text, new_tier_price_pico bigint, new_charge_pico bigint
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
    output_tokens, raw_cost_pico, cost_source, tier_price_pico, charge_pico)
  VALUES (workspace, call, 1, dispatched, c.billing_month, why, coalesce(new_input, c.input_tokens),
    coalesce(new_output, c.output_tokens), new_raw_pico, new_cost_source, coalesce(new_tier_price_pico, c.tier_price_pico), new_charge_pico);
  UPDATE metering.call_daily_rollups r SET
    held_calls = r.held_calls - 1,
    input_tokens = r.input_tokens + coalesce(new_input, c.input_tokens, 0) - coalesce(c.input_tokens, 0),
    output_tokens = r.output_tokens + coalesce(new_output, c.output_tokens, 0) - coalesce(c.output_tokens, 0),
    raw_cost_pico = r.raw_cost_pico + coalesce(new_raw_pico, 0),
    tier_price_pico = r.tier_price_pico + coalesce(new_tier_price_pico, c.tier_price_pico, 0) - coalesce(c.tier_price_pico, 0),
    charge_pico = r.charge_pico + new_charge_pico
  WHERE r.workspace_id = workspace AND r.day = (dispatched AT TIME ZONE 'UTC')::date AND r.billing_month = c.billing_month
    AND r.model = c.model AND r.tier = c.tier AND r.key_source = c.key_source AND r.surface = c.surface
    AND r.charge_mode = c.charge_mode AND r.price_book_version = c.price_book_version;
  RETURN true;
END $$;

-- Every call with what is known of it now.
CREATE VIEW metering.calls_now WITH (security_invoker = true) AS
SELECT c.workspace_id, c.dispatched_at, c.id, c.billing_month, c.recorded_at, c.origin, c.token_id, c.surface, c.provider, c.model,
  c.response_model, c.tier, c.key_source, c.key_id, c.key_version, c.streamed, c.status, c.http_status, c.error_code,
  coalesce(k.input_tokens, c.input_tokens) AS input_tokens, coalesce(k.output_tokens, c.output_tokens) AS output_tokens,
  c.cache_read_tokens, c.cache_write_tokens, c.reasoning_tokens, c.usage_source,
  coalesce(k.raw_cost_pico, c.raw_cost_pico) AS raw_cost_pico, coalesce(k.cost_source, c.cost_source) AS cost_source,
  c.cost_clamped, c.price_book_version, coalesce(k.tier_price_pico, c.tier_price_pico) AS tier_price_pico, c.charge_mode,
  coalesce(k.charge_pico, c.charge_pico) AS charge_pico, k.reason AS correction_reason, c.latency_ms, c.first_byte_ms, c.upstream_id
FROM metering.inference_calls c
LEFT JOIN LATERAL (
  SELECT * FROM metering.call_corrections k
   WHERE k.workspace_id = c.workspace_id AND k.call_id = c.id ORDER BY k.seq DESC LIMIT 1
) k ON c.charge_pico IS NULL;

-- The proof: the rollups recounted from the raw rows, in the rollup's own columns.
CREATE VIEW metering.call_daily_recount WITH (security_invoker = true) AS
SELECT workspace_id, (dispatched_at AT TIME ZONE 'UTC')::date AS day, billing_month, model, tier, key_source, surface, charge_mode,
  price_book_version, count(*) AS calls, count(*) FILTER (WHERE status <> 'ok' AND status <> 'client_closed') AS failed_calls,
  count(*) FILTER (WHERE charge_pico IS NULL) AS held_calls, coalesce(sum(input_tokens), 0) AS input_tokens,
  coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cache_read_tokens), 0) AS cache_read_tokens,
  coalesce(sum(cache_write_tokens), 0) AS cache_write_tokens, coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens,
  coalesce(sum(raw_cost_pico), 0) AS raw_cost_pico, coalesce(sum(tier_price_pico), 0) AS tier_price_pico,
  coalesce(sum(charge_pico), 0) AS charge_pico
FROM metering.calls_now
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
