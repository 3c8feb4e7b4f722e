-- What Stripe knows beside invoices: Checkout, how a customer pays, what was given back, and what is going to change.

-- ── Workspaces ───────────────────────────────────────────────────────────────────────────────────────────────────────
-- scheduled_*: a change that Stripe has planned (a schedule's phase, a cancellation); both null where none is.
-- suspended_at: the Stripe customer is gone, nobody pays: the gateway refuses calls until an operator links another.
ALTER TABLE "workspaces"
  ADD COLUMN "scheduled_plan_id" TEXT,
  ADD COLUMN "scheduled_change_at" TIMESTAMPTZ(3),
  ADD COLUMN "suspended_at" TIMESTAMPTZ(3),
  ADD CONSTRAINT "scheduled_whole" CHECK (("scheduled_plan_id" IS NULL) = ("scheduled_change_at" IS NULL));
ALTER TABLE "workspaces" ADD CONSTRAINT "workspaces_scheduled_plan_id_fkey" FOREIGN KEY ("scheduled_plan_id") REFERENCES "plans"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- ── Payment ──────────────────────────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE "payment_states" (
    "workspace_id" UUID NOT NULL,
    "method_kind" TEXT,
    "method_brand" TEXT,
    "method_last4" TEXT,
    "method_exp_month" INTEGER,
    "method_exp_year" INTEGER,
    "past_due_since" TIMESTAMPTZ(3),
    "next_attempt_at" TIMESTAMPTZ(3),
    "last_failure_at" TIMESTAMPTZ(3),
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "owed_cents" BIGINT NOT NULL DEFAULT 0,
    "pay_url" TEXT,
    "paused_since" TIMESTAMPTZ(3),
    "pending_plan_id" TEXT,
    "read_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "payment_states_pkey" PRIMARY KEY ("workspace_id")
);
ALTER TABLE "payment_states" ADD CONSTRAINT "payment_states_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- One Checkout session that a billing admin started.
CREATE TABLE "checkouts" (
    "workspace_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "plan_id" TEXT,
    "amount_cents" BIGINT,
    "status" TEXT NOT NULL,
    "payment_status" TEXT NOT NULL,
    "started_by" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "checkouts_pkey" PRIMARY KEY ("workspace_id","id"),
    CONSTRAINT "checkout_purpose" CHECK (("purpose" = 'plan' AND "plan_id" IS NOT NULL) OR ("purpose" = 'top_up' AND "amount_cents" > 0))
);
CREATE UNIQUE INDEX "checkouts_id_key" ON "checkouts"("id");
ALTER TABLE "checkouts" ADD CONSTRAINT "checkouts_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What was given back, as Stripe has it: credit notes, refunds (by their charge) and disputes. The ledger knows none of it.
CREATE TABLE "stripe_reversals" (
    "workspace_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "run_id" UUID,
    "stripe_invoice_id" TEXT,
    "number" TEXT,
    "amount_cents" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "reason" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "stripe_reversals_pkey" PRIMARY KEY ("workspace_id","id"),
    CONSTRAINT "reversal_kind" CHECK ("kind" IN ('credit_note', 'refund', 'dispute'))
);
ALTER TABLE "stripe_reversals" ADD CONSTRAINT "stripe_reversals_workspace_id_run_id_fkey" FOREIGN KEY ("workspace_id", "run_id") REFERENCES "invoice_runs"("workspace_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── Events ───────────────────────────────────────────────────────────────────────────────────────────────────────────
CREATE INDEX "stripe_events_object_id_processed_at_idx" ON "stripe_events"("object_id", "processed_at");

-- ── The pace of requests ─────────────────────────────────────────────────────────────────────────────────────────────
-- One row per Stripe operation, for all processes: when the next request may go out, and how many may in a second.
CREATE TABLE "stripe_paces" (
    "operation" TEXT NOT NULL,
    "per_second" DOUBLE PRECISION NOT NULL,
    "next_at" TIMESTAMPTZ(6) NOT NULL,
    "taken_at" TIMESTAMPTZ(6) NOT NULL,
    "limited_at" TIMESTAMPTZ(6),

    CONSTRAINT "stripe_paces_pkey" PRIMARY KEY ("operation")
);

-- Takes the next place in the operation's queue and answers how many ms away it is. Nothing is saved up while idle, so there
-- is no burst. A pace that was halved recovers by half a request a second, every second.
CREATE FUNCTION take_stripe_turn(p_operation text, p_most double precision) RETURNS double precision
LANGUAGE sql AS $$
  INSERT INTO stripe_paces AS p (operation, per_second, next_at, taken_at)
  VALUES (p_operation, p_most, clock_timestamp() + make_interval(secs => 1 / p_most), clock_timestamp())
  ON CONFLICT (operation) DO UPDATE SET
    per_second = least(p_most, p.per_second + 0.5 * extract(epoch FROM clock_timestamp() - p.taken_at)),
    next_at = greatest(p.next_at, clock_timestamp())
      + make_interval(secs => 1 / least(p_most, p.per_second + 0.5 * extract(epoch FROM clock_timestamp() - p.taken_at))),
    taken_at = clock_timestamp()
  RETURNING greatest(0, (extract(epoch FROM next_at - taken_at) - 1 / per_second) * 1000)
$$;

-- A 429: half the pace, once a second however many requests were refused together.
CREATE FUNCTION slow_stripe_down(p_operation text) RETURNS void
LANGUAGE sql AS $$
  UPDATE stripe_paces SET per_second = greatest(0.5, per_second / 2), limited_at = clock_timestamp()
  WHERE operation = p_operation AND (limited_at IS NULL OR limited_at < clock_timestamp() - interval '1 second')
$$;

-- ── Who may touch what ───────────────────────────────────────────────────────────────────────────────────────────────
GRANT SELECT, INSERT, UPDATE ON checkouts TO keymargin_app;
GRANT SELECT ON payment_states, stripe_reversals TO keymargin_app;
GRANT INSERT, UPDATE ON payment_states, stripe_reversals TO keymargin_system;
GRANT SELECT, INSERT, UPDATE ON stripe_paces TO keymargin_system;
DO $$
DECLARE
  tenant_table regclass;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY['payment_states', 'checkouts', 'stripe_reversals']::regclass[]
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('CREATE POLICY tenant ON %s TO keymargin_app USING (workspace_id = current_workspace_id()) WITH CHECK (workspace_id = current_workspace_id())', tenant_table);
    EXECUTE format('CREATE POLICY all_workspaces ON %s TO keymargin_system USING (true) WITH CHECK (true)', tenant_table);
  END LOOP;
END $$;
