-- Invoices of every charge mode, their proof, their review, and the books that are compared every night.

-- ── Runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
-- terms: what of the month's arithmetic stands in no other table: the fees' terms, whether the workspace was leaving.
-- calls_hash: over everything behind the invoice, taken once the month is closed and before Stripe hears of it.
ALTER TABLE "invoice_runs"
  ADD COLUMN "terms" JSONB NOT NULL DEFAULT '{}',
  ADD COLUMN "calls_hash" TEXT,
  ADD COLUMN "sealed_at" TIMESTAMPTZ(3),
  ADD COLUMN "review_until" TIMESTAMPTZ(3),
  ADD COLUMN "approved_at" TIMESTAMPTZ(3),
  ADD COLUMN "corrects_run_id" UUID,
  ADD COLUMN "settled_note" TEXT;

-- ── Lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────
ALTER TABLE "invoice_lines"
  ADD COLUMN "kind" TEXT NOT NULL DEFAULT 'calls',
  ADD COLUMN "markup_bp" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "basis_pico" DECIMAL(38,0) NOT NULL DEFAULT 0,
  ADD COLUMN "credit_pico" DECIMAL(38,0) NOT NULL DEFAULT 0,
  ADD COLUMN "quantity" DECIMAL(38,9),
  ADD COLUMN "detail" JSONB NOT NULL DEFAULT '{}';
ALTER TABLE "invoice_lines" DISABLE TRIGGER frozen;
UPDATE invoice_lines SET kind = 'carried' WHERE charge_mode = 'carried';
UPDATE invoice_lines SET kind = 'other' WHERE charge_mode = 'mixed';
ALTER TABLE "invoice_lines" ENABLE TRIGGER frozen;
ALTER TABLE "invoice_lines" ADD CONSTRAINT "line_kind_known" CHECK ("kind" IN ('calls', 'usage', 'key_fee', 'correction', 'carried', 'other'));

-- What stood behind a run, day by day: how many, their hash, and sums by which a single changed call is found again.
CREATE TABLE "invoice_day_digests" (
    "workspace_id" UUID NOT NULL,
    "run_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "entries" BIGINT NOT NULL,
    "hash" TEXT NOT NULL,
    "sums" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "invoice_day_digests_pkey" PRIMARY KEY ("workspace_id","run_id","kind","day"),
    CONSTRAINT "digest_kind_known" CHECK ("kind" IN ('calls', 'usage', 'corrections'))
);
ALTER TABLE "invoice_day_digests" ADD CONSTRAINT "invoice_day_digests_workspace_id_run_id_fkey" FOREIGN KEY ("workspace_id", "run_id") REFERENCES "invoice_runs"("workspace_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── Settings of the operator ─────────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE "billing_settings" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "review_hours" INTEGER NOT NULL DEFAULT 0,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "billing_settings_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "billing_settings_one" CHECK ("id" = 1 AND "review_hours" BETWEEN 0 AND 720)
);

-- ── Credit notes ─────────────────────────────────────────────────────────────────────────────────────────────────────
-- What an operator decided to give back for a finalised invoice; Stripe's own copy stands in stripe_reversals.
CREATE TABLE "credit_notes" (
    "workspace_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "run_id" UUID NOT NULL,
    "reason" TEXT NOT NULL,
    "memo" TEXT NOT NULL,
    "amount_cents" BIGINT NOT NULL,
    "lines" JSONB NOT NULL,
    "state" TEXT NOT NULL,
    "stripe_credit_note_id" TEXT,
    "number" TEXT,
    "failure" TEXT,
    "issued_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "credit_notes_pkey" PRIMARY KEY ("workspace_id","id"),
    CONSTRAINT "credit_note_known" CHECK ("reason" IN ('duplicate', 'fraudulent', 'order_change', 'product_unsatisfactory')
      AND "state" IN ('planned', 'issued', 'refused') AND "amount_cents" > 0)
);
ALTER TABLE "credit_notes" ADD CONSTRAINT "credit_notes_workspace_id_run_id_fkey" FOREIGN KEY ("workspace_id", "run_id") REFERENCES "invoice_runs"("workspace_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── Re-rate runs ─────────────────────────────────────────────────────────────────────────────────────────────────────
-- A price book whose time began in the past: what calls were charged before it was published is made good by difference entries.
CREATE TABLE "rerate_runs" (
    "id" UUID NOT NULL,
    "price_book_version" INTEGER NOT NULL,
    "covers_from" TIMESTAMPTZ(3) NOT NULL,
    "covers_until" TIMESTAMPTZ(3) NOT NULL,
    "state" TEXT NOT NULL,
    "calls" BIGINT NOT NULL DEFAULT 0,
    "adjusted" BIGINT NOT NULL DEFAULT 0,
    "difference_pico" DECIMAL(38,0) NOT NULL DEFAULT 0,
    "left_credit_calls" BIGINT NOT NULL DEFAULT 0,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "rerate_runs_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "rerate_known" CHECK ("state" IN ('waiting', 'running', 'done') AND "covers_until" > "covers_from")
);
CREATE UNIQUE INDEX "rerate_runs_price_book_version_key" ON "rerate_runs"("price_book_version");
ALTER TABLE "rerate_runs" ADD CONSTRAINT "rerate_runs_price_book_version_fkey" FOREIGN KEY ("price_book_version") REFERENCES "price_books"("version") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Writes difference entries for calls, each once per reason and reference. The difference is taken from what the call was charged
-- in the end: its own charge, or what its newest entry made of it. Answers how many were written and what they come to.
CREATE FUNCTION metering.adjust_calls(
  workspace uuid, why text, what_for text, calls uuid[], dispatches timestamptz[], books integer[], raw_costs bigint[],
  tier_prices bigint[], bases bigint[], charges bigint[],
  OUT written bigint, OUT difference numeric
) RETURNS record
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM metering.lock_ledger_shared(workspace);
  PERFORM pg_advisory_xact_lock(7304, hashtext(workspace::text)); -- entries of one workspace are numbered one writer at a time
  WITH input AS (
    SELECT * FROM unnest(calls, dispatches, books, raw_costs, tier_prices, bases, charges)
      AS r(call_id, dispatched_at, book, raw_cost, tier_price, basis, charge)
  ), before AS (
    SELECT i.*, coalesce(a.seq, 0) AS last_seq, coalesce(a.charge_after_pico, c.charge_pico) AS charge_before
      FROM input i
      JOIN metering.calls_now c ON c.workspace_id = workspace AND c.dispatched_at = i.dispatched_at AND c.id = i.call_id
      LEFT JOIN LATERAL (SELECT x.seq, x.charge_after_pico FROM metering.call_adjustments x
         WHERE x.workspace_id = workspace AND x.call_id = i.call_id ORDER BY x.seq DESC LIMIT 1) a ON true
  ), inserted AS (
    INSERT INTO metering.call_adjustments (workspace_id, call_id, seq, dispatched_at, billing_month, reason, reference,
      price_book_version, raw_cost_pico, tier_price_pico, basis_pico, charge_before_pico, charge_after_pico)
    SELECT workspace, b.call_id, b.last_seq + 1, b.dispatched_at, metering.billing_month_of(workspace, b.dispatched_at), why, what_for,
      b.book, b.raw_cost, b.tier_price, b.basis, b.charge_before, b.charge
      FROM before b
     WHERE b.charge_before IS NOT NULL AND b.charge IS NOT NULL AND b.charge <> b.charge_before
       AND NOT EXISTS (SELECT FROM metering.call_adjustments x WHERE x.workspace_id = workspace AND x.call_id = b.call_id
         AND x.reason = why AND x.reference = what_for)
    RETURNING charge_after_pico - charge_before_pico AS change
  )
  SELECT count(*), coalesce(sum(change), 0) INTO written, difference FROM inserted;
END $$;

-- ── What providers report ────────────────────────────────────────────────────────────────────────────────────────────
-- A provider's own account of a day, imported. account: `platform`, or the id of the workspace's key whose account it is.
CREATE TABLE "provider_usage_reports" (
    "provider" TEXT NOT NULL,
    "account" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "model" TEXT NOT NULL,
    "cost_pico" DECIMAL(38,0) NOT NULL,
    "requests" BIGINT NOT NULL,
    "input_tokens" BIGINT NOT NULL,
    "output_tokens" BIGINT NOT NULL,
    "imported_by" TEXT NOT NULL,
    "imported_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "provider_usage_reports_pkey" PRIMARY KEY ("provider","account","day","model")
);

-- A call whose cost nobody could tell until its month was closed is told apart by the mode that it was charged in.
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
  UPDATE metering.call_daily_rollups r SET held_calls = 0
   WHERE r.workspace_id = workspace AND r.billing_month = month AND r.held_calls <> 0;
  RETURN cut;
END $$;

-- Costs that operators enter by hand are resolved like those that a provider tells.
ALTER TABLE metering.call_corrections DROP CONSTRAINT call_corrections_cost_source_check;
ALTER TABLE metering.call_corrections ADD CONSTRAINT call_corrections_cost_source_check CHECK (cost_source IN ('generation', 'list_price', 'imported', 'unknown'));

-- One line of text per call, in a fixed order of fields joined by U+001F, null as nothing: what the hash is taken of, and what the
-- JSON export says, so that an auditor can take it again.
CREATE FUNCTION metering.call_text(c metering.calls_now) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT concat_ws(E'\x1f', c.id::text, ((extract(epoch FROM c.dispatched_at) * 1000)::bigint)::text, coalesce(c.origin, ''),
    coalesce(c.surface, ''), coalesce(c.provider, ''), coalesce(c.model, ''), coalesce(c.tier, ''), coalesce(c.key_source, ''),
    coalesce(c.key_id::text, ''), coalesce(c.key_version::text, ''), coalesce(c.status, ''), coalesce(c.input_tokens::text, ''),
    coalesce(c.output_tokens::text, ''), coalesce(c.cache_read_tokens::text, ''), coalesce(c.cache_write_tokens::text, ''),
    coalesce(c.reasoning_tokens::text, ''), coalesce(c.usage_source, ''), coalesce(c.raw_cost_pico::text, ''),
    coalesce(c.cost_source, ''), coalesce(c.price_book_version::text, ''), coalesce(c.tier_price_pico::text, ''),
    coalesce(c.charge_mode, ''), coalesce(c.markup_bp::text, ''), coalesce(c.basis_pico::text, ''), coalesce(c.credit_pico::text, ''),
    coalesce(c.charge_pico::text, ''), coalesce(c.correction_reason, ''))
$$;

-- ── Who may touch what ───────────────────────────────────────────────────────────────────────────────────────────────
GRANT SELECT ON invoice_day_digests, credit_notes TO keymargin_app;
GRANT INSERT ON invoice_day_digests TO keymargin_system;
GRANT INSERT, UPDATE ON credit_notes TO keymargin_system;
GRANT SELECT, INSERT, UPDATE ON billing_settings, rerate_runs, provider_usage_reports TO keymargin_system;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA metering TO keymargin_app;
DO $$
DECLARE
  tenant_table regclass;
  own_table regclass;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY['invoice_day_digests', 'credit_notes']::regclass[]
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('CREATE POLICY tenant ON %s TO keymargin_app USING (workspace_id = current_workspace_id()) WITH CHECK (workspace_id = current_workspace_id())', tenant_table);
    EXECUTE format('CREATE POLICY all_workspaces ON %s TO keymargin_system USING (true) WITH CHECK (true)', tenant_table);
  END LOOP;
  FOREACH own_table IN ARRAY ARRAY['billing_settings', 'rerate_runs', 'provider_usage_reports']::regclass[]
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', own_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', own_table);
    EXECUTE format('CREATE POLICY operators_only ON %s TO keymargin_system USING (true) WITH CHECK (true)', own_table);
  END LOOP;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON invoice_day_digests FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON invoice_day_digests FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
