-- What the close of a month reads and writes, in a few statements whose plans every connection keeps. Before, a workspace's close was
-- some twenty statements, each parsed and planned anew: for most workspaces that took longer than its sums.

-- Rollups are rewritten only where calls were cut off: to look for held ones was a second pass over the month.
CREATE OR REPLACE FUNCTION metering.cut_off_held_calls(workspace uuid, month date) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  cut bigint;
BEGIN
  PERFORM metering.lock_ledger_exclusive(workspace);
  WITH corrected AS (
    INSERT INTO metering.call_corrections (workspace_id, call_id, seq, dispatched_at, billing_month, reason, input_tokens,
      output_tokens, raw_cost_pico, cost_source, tier_price_pico, charge_pico, charge_mode, markup_bp)
    SELECT c.workspace_id, c.id, 1, c.dispatched_at, c.billing_month, 'cost_cutoff', c.input_tokens, c.output_tokens, NULL,
      'unknown', c.tier_price_pico, 0, c.charge_mode, c.markup_bp
    FROM metering.inference_calls c
    WHERE c.workspace_id = workspace AND c.billing_month = month AND c.charge_pico IS NULL
      AND NOT EXISTS (SELECT FROM metering.call_corrections k WHERE k.workspace_id = c.workspace_id AND k.call_id = c.id)
    RETURNING 1
  )
  SELECT count(*) INTO cut FROM corrected;
  IF cut > 0 THEN
    UPDATE metering.call_daily_rollups r SET held_calls = 0
     WHERE r.workspace_id = workspace AND r.billing_month = month AND r.held_calls <> 0;
  END IF;
  RETURN cut;
END $$;

-- What a billing month comes to: its calls by the daily rollups (where asked for), usage that is no call, and corrections. Integers as
-- text: they may pass 2^53. A rollup's day is hardly ever before its billing month, so its month is seldom worked out.
CREATE FUNCTION metering.month_sums(workspace uuid, month date, of_calls boolean) RETURNS json
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  usage json := '[]';
  meters json;
  corrections json;
BEGIN
  IF of_calls THEN
    SELECT coalesce(json_agg(json_build_object('charge_mode', s.charge_mode, 'tier', s.tier, 'key_source', s.key_source,
        'usage_month', to_char(s.used, 'YYYY-MM'), 'price_book_version', s.price_book_version, 'markup_bp', s.markup_bp,
        'calls', s.calls::text, 'held_calls', s.held_calls::text, 'input_tokens', s.input_tokens::text,
        'output_tokens', s.output_tokens::text, 'tier_price_pico', s.tier_price_pico::text, 'raw_cost_pico', s.raw_cost_pico::text,
        'charge_pico', s.charge_pico::text, 'basis_pico', s.basis_pico::text, 'credit_pico', s.credit_pico::text)), '[]')
      INTO usage
    FROM (
      SELECT r.charge_mode, r.tier, r.key_source, r.price_book_version, r.markup_bp,
        CASE WHEN r.day >= r.billing_month THEN r.billing_month ELSE date_trunc('month', r.day)::date END AS used,
        sum(r.calls) AS calls, sum(r.held_calls) AS held_calls, sum(r.input_tokens) AS input_tokens,
        sum(r.output_tokens) AS output_tokens, sum(r.tier_price_pico) AS tier_price_pico, sum(r.raw_cost_pico) AS raw_cost_pico,
        sum(r.charge_pico) AS charge_pico, sum(r.basis_pico) AS basis_pico, sum(r.credit_pico) AS credit_pico
      FROM metering.call_daily_rollups r
      WHERE r.workspace_id = workspace AND r.billing_month = month
      GROUP BY 1, 2, 3, 4, 5, 6) s;
  END IF;
  SELECT coalesce(json_agg(json_build_object('meter', s.meter, 'name', s.name, 'unit', s.unit, 'unitUsd', s.unit_usd::text,
      'usageMonth', s.used, 'priceBookVersion', s.price_book_version, 'events', s.events::text, 'quantityNano', s.quantity::text,
      'creditPico', s.credit_pico::text, 'chargePico', s.charge_pico::text)), '[]')
    INTO meters
  FROM (
    SELECT e.meter, coalesce(p.name, e.meter) AS name, coalesce(p.unit, 'units') AS unit, e.unit_usd,
      to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM') AS used, e.price_book_version, count(*) AS events,
      sum(e.quantity) AS quantity, sum(e.credit_pico) AS credit_pico, sum(e.charge_pico) AS charge_pico
    FROM metering.usage_events e
    LEFT JOIN meter_prices p ON p.price_book_version = e.price_book_version AND p.meter = e.meter
    WHERE e.workspace_id = workspace AND e.billing_month = month
    GROUP BY e.meter, p.name, p.unit, e.unit_usd, 5, e.price_book_version) s;
  SELECT coalesce(json_agg(json_build_object('reason', s.reason, 'usageMonth', s.used, 'priceBookVersion', s.price_book_version,
      'calls', s.calls::text, 'beforePico', s.before_pico::text, 'afterPico', s.after_pico::text)), '[]')
    INTO corrections
  FROM (
    SELECT a.reason, to_char(a.dispatched_at AT TIME ZONE 'UTC', 'YYYY-MM') AS used, a.price_book_version, count(*) AS calls,
      sum(a.charge_before_pico) AS before_pico, sum(a.charge_after_pico) AS after_pico
    FROM metering.call_adjustments a
    WHERE a.workspace_id = workspace AND a.billing_month = month
    GROUP BY a.reason, 2, a.price_book_version) s;
  RETURN json_build_object('usage', usage, 'meters', meters, 'corrections', corrections);
END $$;

-- On what terms a workspace is billed now: its currency, where its subscription stands, and the fees of plans that ask one for a key.
CREATE FUNCTION billing_terms(workspace uuid) RETURNS json
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN (
    SELECT json_build_object('currency', w.currency, 'subscriptionStatus', w.subscription_status, 'fees', (
        SELECT coalesce(json_agg(json_build_object('planId', p.id, 'planName', p.name, 'feeUsd', p.key_fee_usd::text,
            'proration', p.key_fee_proration) ORDER BY p.id), '[]')
        FROM plans p WHERE p.workspace_charge_mode = 'flat_fee' AND p.key_fee_usd > 0))
    FROM workspaces w WHERE w.id = workspace);
END $$;

-- The last link of a workspace's chain of residues: what its newest run left, and when that was frozen. Null before the first.
CREATE FUNCTION last_invoice_run(workspace uuid) RETURNS json
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN (
    SELECT json_build_object('closingResiduePico', r.closing_residue_pico::text,
      'frozenAtMs', (extract(epoch FROM r.frozen_at) * 1000)::bigint)
    FROM invoice_runs r WHERE r.workspace_id = workspace AND r.kind = 'ai_usage'
    ORDER BY r.frozen_at DESC, r.month DESC, r.revision DESC LIMIT 1);
END $$;

-- The first half of a close: keeps the ledger's writers out until the transaction ends, cuts off calls whose cost never became known,
-- and reads what the invoice is computed from. Where the month was frozen before, it answers that run and changes nothing.
-- Every statement of the transaction uses plans that are kept: the queue's own functions were planned anew for every job.
CREATE FUNCTION begin_close(workspace uuid, closed date) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
  known json;
BEGIN
  PERFORM set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true);
  PERFORM metering.lock_ledger_exclusive(workspace);
  SELECT json_build_object('runId', r.id, 'state', r.state) INTO known
    FROM invoice_runs r
   WHERE r.workspace_id = workspace AND r.month = to_char(closed, 'YYYY-MM') AND r.kind = 'ai_usage'
   ORDER BY r.revision DESC LIMIT 1;
  IF known IS NOT NULL THEN
    RETURN json_build_object('known', known);
  END IF;
  PERFORM metering.cut_off_held_calls(workspace, closed);
  -- foreign: price books of other currencies than the workspace's.
  RETURN json_build_object('terms', billing_terms(workspace), 'last', last_invoice_run(workspace),
    'sums', metering.month_sums(workspace, closed, true),
    'foreign', (SELECT coalesce(json_object_agg(b.version, b.currency), '{}') FROM price_books b
      WHERE b.currency <> (SELECT w.currency FROM workspaces w WHERE w.id = workspace)));
END $$;

-- The second half: marks the month closed and stores the run, its lines and what Stripe will be asked. The caller holds the ledger's
-- exclusive lock. Names are the application's own; what is learnt later keeps its default.
CREATE FUNCTION store_frozen_run(workspace uuid, closed date, run json, lines json, operations json) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  INSERT INTO metering.closed_months (workspace_id, month) VALUES (workspace, closed);
  INSERT INTO invoice_runs (workspace_id, id, month, state, currency, opening_residue_pico, exact_pico, total_cents,
    closing_residue_pico, calls, lines_hash, terms, frozen_at, updated_at)
  SELECT workspace, r.id, r.month, r.state, r.currency, r."openingResiduePico", r."exactPico", r."totalCents",
    r."closingResiduePico", r.calls, r."linesHash", r.terms, r."frozenAt", r."frozenAt"
  FROM json_to_record(run) AS r(id uuid, month text, state text, currency text, "openingResiduePico" numeric, "exactPico" numeric,
    "totalCents" bigint, "closingResiduePico" numeric, calls bigint, "linesHash" text, terms jsonb, "frozenAt" timestamptz);
  INSERT INTO invoice_lines (workspace_id, run_id, line_key, position, kind, charge_mode, tier, key_source, usage_month,
    price_book_version, description, calls, input_tokens, output_tokens, tier_price_pico, raw_cost_pico, exact_pico, amount_cents,
    markup_bp, basis_pico, credit_pico, quantity, detail)
  SELECT workspace, l."runId", l."lineKey", l.position, l.kind, l."chargeMode", l.tier, l."keySource", l."usageMonth",
    l."priceBookVersion", l.description, l.calls, l."inputTokens", l."outputTokens", l."tierPricePico", l."rawCostPico",
    l."exactPico", l."amountCents", l."markupBp", l."basisPico", l."creditPico", l.quantity, l.detail
  FROM json_to_recordset(lines) AS l("runId" uuid, "lineKey" text, position integer, kind text, "chargeMode" text, tier text,
    "keySource" text, "usageMonth" text, "priceBookVersion" integer, description text, calls bigint, "inputTokens" bigint,
    "outputTokens" bigint, "tierPricePico" numeric, "rawCostPico" numeric, "exactPico" numeric, "amountCents" bigint,
    "markupBp" integer, "basisPico" numeric, "creditPico" numeric, quantity numeric, detail jsonb);
  INSERT INTO stripe_operations (workspace_id, run_id, seq, operation, line_key, state)
  SELECT workspace, o."runId", o.seq, o.operation, o."lineKey", o.state
  FROM json_to_recordset(operations) AS o("runId" uuid, seq integer, operation text, "lineKey" text, state text);
END $$;

GRANT EXECUTE ON FUNCTION metering.month_sums(uuid, date, boolean), billing_terms(uuid), last_invoice_run(uuid), begin_close(uuid, date),
  store_frozen_run(uuid, date, json, json, json) TO keymargin_app;
