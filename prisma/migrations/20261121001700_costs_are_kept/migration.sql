-- What a provider corrects of a call's cost was kept only where it changed what the customer is charged. A cost that changes nothing
-- of it (a call at a tier price, or paid out of credits) was lost: sums of costs, budgets that count them and the comparison with the
-- provider's reports stayed wrong. It is an entry too now, with a difference of 0, which no invoice tells of.

-- ── The entry says what the cost was before ──────────────────────────────────────────────────────────────────────────
-- First what may take its time: a re-rate run wrote an entry for each of millions of calls, and changed no cost. No call waits for it.
ALTER TABLE metering.call_adjustments
  ADD COLUMN raw_cost_before_pico bigint CHECK (raw_cost_before_pico >= 0),
  DROP CONSTRAINT adjustment_differs,
  NO FORCE ROW LEVEL SECURITY, -- which is for the table's owner too; here all workspaces are meant
  DISABLE TRIGGER append_only;
UPDATE metering.call_adjustments SET raw_cost_before_pico = raw_cost_pico WHERE reason = 're_rate';
-- An entry without a cost of its own says nothing of it.
ALTER TABLE metering.call_adjustments
  ADD COLUMN cost_change_pico bigint NOT NULL GENERATED ALWAYS AS
    (coalesce(raw_cost_pico, raw_cost_before_pico, 0) - coalesce(raw_cost_before_pico, 0)) STORED,
  -- A column, so that the planner knows how few there are: by the comparison alone it took them for all, and went through every entry.
  ADD COLUMN corrects_cost boolean NOT NULL GENERATED ALWAYS AS
    (raw_cost_pico IS NOT NULL AND raw_cost_pico IS DISTINCT FROM raw_cost_before_pico) STORED,
  ADD CONSTRAINT adjustment_differs CHECK (charge_before_pico <> charge_after_pico OR raw_cost_pico IS DISTINCT FROM raw_cost_before_pico);
CREATE INDEX call_adjustments_of_costs ON metering.call_adjustments (workspace_id, dispatched_at) WHERE corrects_cost;

-- From here on calls wait until this is committed. Of corrected costs there are as many as somebody entered.
ALTER TABLE metering.inference_calls NO FORCE ROW LEVEL SECURITY;
ALTER TABLE metering.call_corrections NO FORCE ROW LEVEL SECURITY;
ALTER TABLE metering.call_daily_rollups NO FORCE ROW LEVEL SECURITY;
UPDATE metering.call_adjustments a SET raw_cost_before_pico = coalesce(
    (SELECT x.raw_cost_pico FROM metering.call_adjustments x WHERE x.workspace_id = a.workspace_id AND x.call_id = a.call_id
       AND x.seq < a.seq AND x.raw_cost_pico IS NOT NULL ORDER BY x.seq DESC LIMIT 1),
    (SELECT c.raw_cost_pico FROM metering.calls_now c WHERE c.workspace_id = a.workspace_id AND c.dispatched_at = a.dispatched_at
       AND c.id = a.call_id))
  WHERE a.reason = 'cost_corrected';
ALTER TABLE metering.call_adjustments ENABLE TRIGGER append_only;

-- ── Daily sums ───────────────────────────────────────────────────────────────────────────────────────────────────────
-- Beside the costs that the calls were settled with, which frozen lines are compared with: what has been corrected of them since.
ALTER TABLE metering.call_daily_rollups ADD COLUMN cost_corrected_pico numeric(38, 0) NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW metering.call_daily_recount WITH (security_invoker = true) AS
SELECT c.workspace_id, (c.dispatched_at AT TIME ZONE 'UTC')::date AS day, c.billing_month, c.model, c.tier, c.key_source, c.surface, c.charge_mode,
  c.price_book_version, count(*) AS calls, count(*) FILTER (WHERE c.status <> 'ok' AND c.status <> 'client_closed') AS failed_calls,
  count(*) FILTER (WHERE c.charge_pico IS NULL) AS held_calls, coalesce(sum(c.input_tokens), 0) AS input_tokens,
  coalesce(sum(c.output_tokens), 0) AS output_tokens, coalesce(sum(c.cache_read_tokens), 0) AS cache_read_tokens,
  coalesce(sum(c.cache_write_tokens), 0) AS cache_write_tokens, coalesce(sum(c.reasoning_tokens), 0) AS reasoning_tokens,
  coalesce(sum(c.raw_cost_pico), 0) AS raw_cost_pico, coalesce(sum(c.tier_price_pico), 0) AS tier_price_pico,
  coalesce(sum(c.charge_pico), 0) AS charge_pico, c.provider, coalesce(c.markup_bp, 0) AS markup_bp,
  coalesce(sum(c.basis_pico), 0) AS basis_pico, coalesce(sum(c.credit_pico), 0) AS credit_pico,
  coalesce(sum(a.change), 0) AS cost_corrected_pico
FROM metering.calls_now c
LEFT JOIN (
  SELECT workspace_id, dispatched_at, call_id, sum(cost_change_pico) AS change
  FROM metering.call_adjustments WHERE corrects_cost GROUP BY workspace_id, dispatched_at, call_id
) a ON a.workspace_id = c.workspace_id AND a.dispatched_at = c.dispatched_at AND a.call_id = c.id
GROUP BY c.workspace_id, (c.dispatched_at AT TIME ZONE 'UTC')::date, c.billing_month, c.model, c.tier, c.key_source, c.surface, c.charge_mode,
  c.price_book_version, c.provider, coalesce(c.markup_bp, 0);

UPDATE metering.call_daily_rollups r SET cost_corrected_pico = s.change
FROM (
  SELECT c.workspace_id, (c.dispatched_at AT TIME ZONE 'UTC')::date AS day, c.billing_month, c.model, c.tier, c.key_source, c.surface,
    c.charge_mode, c.price_book_version, c.provider, coalesce(c.markup_bp, 0) AS markup_bp, sum(a.cost_change_pico) AS change
  FROM metering.call_adjustments a
  JOIN metering.inference_calls c ON c.workspace_id = a.workspace_id AND c.dispatched_at = a.dispatched_at AND c.id = a.call_id
  WHERE a.corrects_cost
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
) s
WHERE r.workspace_id = s.workspace_id AND r.day = s.day AND r.billing_month = s.billing_month AND r.model = s.model AND r.tier = s.tier
  AND r.key_source = s.key_source AND r.surface = s.surface AND r.charge_mode = s.charge_mode AND r.price_book_version = s.price_book_version
  AND r.provider = s.provider AND r.markup_bp = s.markup_bp;

ALTER TABLE metering.call_adjustments FORCE ROW LEVEL SECURITY;
ALTER TABLE metering.inference_calls FORCE ROW LEVEL SECURITY;
ALTER TABLE metering.call_corrections FORCE ROW LEVEL SECURITY;
ALTER TABLE metering.call_daily_rollups FORCE ROW LEVEL SECURITY;

-- ── The function that writes entries ─────────────────────────────────────────────────────────────────────────────────
-- Writes difference entries for calls, each once per reason and reference, where charge or cost are not what they were: the call's
-- own, or what its newest entry made of them. A cost of null leaves the cost as it is. Daily sums and budgets follow a corrected cost
-- in the same transaction; what a call is priced anew by another book changes what is billed, not what budgets have counted. A call whose
-- cost was corrected after the re-rate run read it is left to the run's next night: its new price was reckoned with the cost of before.
-- Answers how many were written and what they come to.
CREATE OR REPLACE FUNCTION metering.adjust_calls(
  workspace uuid, why text, what_for text, calls uuid[], dispatches timestamptz[], books integer[], raw_costs bigint[],
  tier_prices bigint[], bases bigint[], charges bigint[],
  OUT written bigint, OUT difference numeric
) RETURNS record
LANGUAGE plpgsql AS $$
DECLARE
  entries uuid[];
  changed record;
BEGIN
  PERFORM metering.lock_ledger_shared(workspace);
  PERFORM pg_advisory_xact_lock(7304, hashtext(workspace::text)); -- entries of one workspace are numbered one writer at a time
  WITH input AS (
    SELECT * FROM unnest(calls, dispatches, books, raw_costs, tier_prices, bases, charges)
      AS r(call_id, dispatched_at, book, raw_cost, tier_price, basis, charge)
  ), before AS (
    SELECT i.*, coalesce(a.seq, 0) AS last_seq, coalesce(a.charge_after_pico, c.charge_pico) AS charge_before,
        coalesce(a.raw_cost_pico, a.raw_cost_before_pico, c.raw_cost_pico) AS cost_before
      FROM input i
      JOIN metering.calls_now c ON c.workspace_id = workspace AND c.dispatched_at = i.dispatched_at AND c.id = i.call_id
      LEFT JOIN LATERAL (SELECT x.seq, x.charge_after_pico, x.raw_cost_pico, x.raw_cost_before_pico FROM metering.call_adjustments x
         WHERE x.workspace_id = workspace AND x.call_id = i.call_id ORDER BY x.seq DESC LIMIT 1) a ON true
  ), inserted AS (
    INSERT INTO metering.call_adjustments (workspace_id, call_id, seq, dispatched_at, billing_month, reason, reference,
      price_book_version, raw_cost_before_pico, raw_cost_pico, tier_price_pico, basis_pico, charge_before_pico, charge_after_pico)
    SELECT workspace, b.call_id, b.last_seq + 1, b.dispatched_at, metering.billing_month_of(workspace, b.dispatched_at), why, what_for,
      b.book, b.cost_before, coalesce(b.raw_cost, b.cost_before), b.tier_price, b.basis, b.charge_before, b.charge
      FROM before b
     WHERE b.charge_before IS NOT NULL AND b.charge IS NOT NULL
       AND (b.charge <> b.charge_before OR coalesce(b.raw_cost, b.cost_before) IS DISTINCT FROM b.cost_before)
       AND (why <> 're_rate' OR b.raw_cost IS NULL OR b.raw_cost = b.cost_before)
       AND NOT EXISTS (SELECT FROM metering.call_adjustments x WHERE x.workspace_id = workspace AND x.call_id = b.call_id
         AND x.reason = why AND x.reference = what_for)
    RETURNING call_id, cost_change_pico, charge_after_pico - charge_before_pico AS change
  )
  SELECT count(*), coalesce(sum(i.change), 0), array_agg(i.call_id) FILTER (WHERE i.cost_change_pico <> 0 OR (why = 'cost_corrected' AND i.change <> 0))
    INTO written, difference, entries FROM inserted i;
  IF entries IS NULL THEN RETURN; END IF;
  -- Rows are taken in the order that calls are settled in, budgets after them: no deadlock.
  FOR changed IN
    SELECT (c.dispatched_at AT TIME ZONE 'UTC')::date AS day, c.billing_month, c.model, c.tier, c.key_source, c.surface, c.charge_mode,
        c.price_book_version, c.provider, coalesce(c.markup_bp, 0) AS markup_bp, sum(a.cost_change_pico) AS cost
      FROM metering.call_adjustments a
      JOIN metering.inference_calls c ON c.workspace_id = a.workspace_id AND c.dispatched_at = a.dispatched_at AND c.id = a.call_id
     WHERE a.workspace_id = workspace AND a.call_id = ANY (entries) AND a.reason = why AND a.reference = what_for AND a.cost_change_pico <> 0
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
  LOOP
    UPDATE metering.call_daily_rollups r SET cost_corrected_pico = r.cost_corrected_pico + changed.cost
     WHERE r.workspace_id = workspace AND r.day = changed.day AND r.billing_month = changed.billing_month AND r.model = changed.model
       AND r.tier = changed.tier AND r.key_source = changed.key_source AND r.surface = changed.surface AND r.charge_mode = changed.charge_mode
       AND r.price_book_version = changed.price_book_version AND r.provider = changed.provider AND r.markup_bp = changed.markup_bp;
  END LOOP;
  IF why <> 'cost_corrected' THEN RETURN; END IF;
  PERFORM metering.count_spend(array_agg(workspace), array_agg(c.dispatched_at), array_agg(c.token_id), array_agg(c.key_id), array_agg(c.key_source),
      array_agg(a.charge_after_pico - a.charge_before_pico), array_agg(a.cost_change_pico))
    FROM metering.call_adjustments a
    JOIN metering.inference_calls c ON c.workspace_id = a.workspace_id AND c.dispatched_at = a.dispatched_at AND c.id = a.call_id
   WHERE a.workspace_id = workspace AND a.call_id = ANY (entries) AND a.reason = why AND a.reference = what_for AND c.origin <> 'import'
  HAVING count(*) > 0;
END $$;

-- ── What a month comes to ────────────────────────────────────────────────────────────────────────────────────────────
-- As before, but corrections that change no charge are on no invoice.
CREATE OR REPLACE FUNCTION metering.month_sums(workspace uuid, month date, of_calls boolean) RETURNS json
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
    WHERE a.workspace_id = workspace AND a.billing_month = month AND a.charge_after_pico <> a.charge_before_pico
    GROUP BY a.reason, 2, a.price_book_version) s;
  RETURN json_build_object('usage', usage, 'meters', meters, 'corrections', corrections);
END $$;
