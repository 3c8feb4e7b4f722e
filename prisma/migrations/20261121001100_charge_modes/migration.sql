-- Every way to charge: tier, margin, markup, flat fee, credits, nothing. Prices in drafts, for one workspace, by cache class and
-- size. Credits in double entry, budgets reserved at dispatch, and usage that is no call.

-- ── Plans ────────────────────────────────────────────────────────────────────────────────────────────────────────────
ALTER TABLE "plans"
  ADD COLUMN "platform_markup_bp" INTEGER NOT NULL DEFAULT 10000,
  ADD COLUMN "workspace_markup_bp" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "key_fee_usd" DECIMAL(38,18) NOT NULL DEFAULT 0,
  ADD COLUMN "key_fee_proration" TEXT NOT NULL DEFAULT 'seconds',
  ADD COLUMN "monthly_credits_usd" DECIMAL(38,18) NOT NULL DEFAULT 0,
  ADD COLUMN "minimum_credits_usd" DECIMAL(38,18) NOT NULL DEFAULT 0,
  ADD COLUMN "credit_overage" TEXT NOT NULL DEFAULT 'stop',
  ADD CONSTRAINT "plan_modes_known" CHECK ("platform_charge_mode" IN ('tier', 'markup', 'credits', 'none')
    AND "workspace_charge_mode" IN ('tier_margin', 'markup', 'flat_fee', 'pass_through')),
  ADD CONSTRAINT "plan_amounts" CHECK ("platform_markup_bp" BETWEEN 0 AND 1000000 AND "workspace_markup_bp" BETWEEN 0 AND 1000000
    AND "key_fee_usd" >= 0 AND "monthly_credits_usd" >= 0 AND "minimum_credits_usd" >= 0),
  ADD CONSTRAINT "plan_policies_known" CHECK ("key_fee_proration" IN ('seconds', 'whole_month') AND "credit_overage" IN ('stop', 'bill'));

-- When a workspace was on which plan: kept by the database itself, so that no way of changing it is forgotten.
CREATE TABLE "workspace_plan_periods" (
    "workspace_id" UUID NOT NULL,
    "plan_id" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,
    "until" TIMESTAMPTZ(3),

    CONSTRAINT "workspace_plan_periods_pkey" PRIMARY KEY ("workspace_id","since")
);
ALTER TABLE "workspace_plan_periods" ADD CONSTRAINT "workspace_plan_periods_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
INSERT INTO workspace_plan_periods (workspace_id, plan_id, since) SELECT id, plan_id, created_at FROM workspaces;

-- When a provider key was enabled: what a monthly fee is charged for, and what the billing-mode timeline shows.
CREATE TABLE "provider_key_periods" (
    "workspace_id" UUID NOT NULL,
    "key_id" UUID NOT NULL,
    "provider" TEXT NOT NULL,
    "enabled_from" TIMESTAMPTZ(3) NOT NULL,
    "enabled_to" TIMESTAMPTZ(3),

    CONSTRAINT "provider_key_periods_pkey" PRIMARY KEY ("workspace_id","key_id","enabled_from")
);
ALTER TABLE "provider_key_periods" ADD CONSTRAINT "provider_key_periods_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
INSERT INTO provider_key_periods (workspace_id, key_id, provider, enabled_from)
  SELECT workspace_id, id, provider, created_at FROM provider_keys WHERE enabled;

-- The database's clock: every process writes the same time line, whatever its own clock says.
CREATE FUNCTION note_plan_period() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  at timestamptz(3) := clock_timestamp();
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.plan_id = OLD.plan_id THEN RETURN NULL; END IF;
    UPDATE workspace_plan_periods SET until = at WHERE workspace_id = NEW.id AND until IS NULL;
  END IF;
  INSERT INTO workspace_plan_periods (workspace_id, plan_id, since) VALUES (NEW.id, NEW.plan_id, at)
    ON CONFLICT (workspace_id, since) DO UPDATE SET plan_id = excluded.plan_id, until = NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER note_plan_period AFTER INSERT OR UPDATE OF plan_id ON workspaces FOR EACH ROW EXECUTE FUNCTION note_plan_period();

CREATE FUNCTION note_key_period() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  at timestamptz(3) := clock_timestamp();
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.enabled AND (TG_OP = 'DELETE' OR NOT NEW.enabled) THEN
    UPDATE provider_key_periods SET enabled_to = at WHERE workspace_id = OLD.workspace_id AND key_id = OLD.id AND enabled_to IS NULL;
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.enabled AND (TG_OP = 'INSERT' OR NOT OLD.enabled) THEN
    INSERT INTO provider_key_periods (workspace_id, key_id, provider, enabled_from) VALUES (NEW.workspace_id, NEW.id, NEW.provider, at)
      ON CONFLICT (workspace_id, key_id, enabled_from) DO UPDATE SET enabled_to = NULL;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER note_key_period AFTER INSERT OR UPDATE OF enabled OR DELETE ON provider_keys FOR EACH ROW EXECUTE FUNCTION note_key_period();

-- ── Prices ───────────────────────────────────────────────────────────────────────────────────────────────────────────
-- A price book is a draft until it is published, and never changes from then on. One that names a workspace holds for it alone,
-- before the general ones, for the tiers and meters that it prices.
ALTER TABLE "price_books"
  ADD COLUMN "workspace_id" UUID,
  ADD COLUMN "currency" TEXT NOT NULL DEFAULT 'usd',
  ADD COLUMN "effective_until" TIMESTAMPTZ(3),
  ADD COLUMN "published_at" TIMESTAMPTZ(3);
UPDATE price_books SET published_at = created_at;
ALTER TABLE "price_books" ADD CONSTRAINT "price_books_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE,
  ADD CONSTRAINT "price_book_times" CHECK ("effective_until" > "effective_from");
DROP INDEX "price_books_effective_from_key";
CREATE UNIQUE INDEX price_books_one_at_a_time ON price_books (effective_from, currency, workspace_id) NULLS NOT DISTINCT WHERE published_at IS NOT NULL;
-- Cache classes cost what plain input does where they have no price of their own. bands: [{"aboveInputTokens", "inputUsd",
-- "outputUsd", "cacheReadUsd"?, "cacheWriteUsd"?}], the last that holds wins, for the whole call.
ALTER TABLE "tier_prices"
  ADD COLUMN "cache_read_usd" DECIMAL(38,18),
  ADD COLUMN "cache_write_usd" DECIMAL(38,18),
  ADD COLUMN "bands" JSONB NOT NULL DEFAULT '[]';

-- What usage that is no call costs: sandboxes, compute seconds, disk.
CREATE TABLE "meter_prices" (
    "price_book_version" INTEGER NOT NULL,
    "meter" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "unit" TEXT NOT NULL,
    "unit_usd" DECIMAL(38,18) NOT NULL,

    CONSTRAINT "meter_prices_pkey" PRIMARY KEY ("price_book_version","meter")
);
ALTER TABLE "meter_prices" ADD CONSTRAINT "meter_prices_price_book_version_fkey" FOREIGN KEY ("price_book_version") REFERENCES "price_books"("version") ON DELETE RESTRICT ON UPDATE CASCADE;

-- A published price never changes: calls name its version, and an auditor recomputes them by it.
CREATE FUNCTION refuse_published_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  published boolean;
BEGIN
  IF TG_TABLE_NAME = 'price_books' THEN
    IF OLD.published_at IS NOT NULL AND (TG_OP = 'DELETE' OR (to_jsonb(NEW) - 'effective_until') <> (to_jsonb(OLD) - 'effective_until')) THEN
      RAISE EXCEPTION 'price book % is published: % refused', OLD.version, TG_OP USING ERRCODE = 'restrict_violation';
    END IF;
  ELSE
    SELECT b.published_at IS NOT NULL INTO published FROM price_books b WHERE b.version = OLD.price_book_version;
    IF published THEN
      RAISE EXCEPTION 'price book % is published: % refused', OLD.price_book_version, TG_OP USING ERRCODE = 'restrict_violation';
    END IF;
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER published BEFORE UPDATE OR DELETE ON price_books FOR EACH ROW EXECUTE FUNCTION refuse_published_change();
CREATE TRIGGER published BEFORE UPDATE OR DELETE ON tier_prices FOR EACH ROW EXECUTE FUNCTION refuse_published_change();
CREATE TRIGGER published BEFORE UPDATE OR DELETE ON meter_prices FOR EACH ROW EXECUTE FUNCTION refuse_published_change();

-- ── Budgets ──────────────────────────────────────────────────────────────────────────────────────────────────────────
CREATE TABLE "budgets" (
    "workspace_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "scope_id" TEXT NOT NULL DEFAULT '',
    "period" TEXT NOT NULL,
    "limit_usd" DECIMAL(38,18) NOT NULL,
    "hard" BOOLEAN NOT NULL DEFAULT false,
    "counts_own_key" BOOLEAN NOT NULL DEFAULT false,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "budgets_pkey" PRIMARY KEY ("workspace_id","id"),
    CONSTRAINT "budget_known" CHECK ("scope" IN ('workspace', 'token', 'member', 'key') AND ("scope" = 'workspace') = ("scope_id" = '')
      AND "period" IN ('day', 'week', 'month', 'billing_month') AND "limit_usd" >= 0 AND "limit_usd" <= 1000000)
);
ALTER TABLE "budgets" ADD CONSTRAINT "budgets_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What a budget's window has come to, and how far its people were told.
CREATE TABLE metering.budget_spend (
  workspace_id uuid NOT NULL,
  budget_id    uuid NOT NULL,
  window_start date NOT NULL,
  spent_pico   numeric(38, 0) NOT NULL DEFAULT 0,
  told_percent integer NOT NULL DEFAULT 0,
  PRIMARY KEY (workspace_id, budget_id, window_start)
);
-- What calls under way may come to. A row lives as long as its attempt.
CREATE TABLE metering.budget_reservations (
  workspace_id uuid NOT NULL,
  call_id      uuid NOT NULL,
  budget_id    uuid NOT NULL,
  window_start date NOT NULL,
  amount_pico  bigint NOT NULL CHECK (amount_pico >= 0),
  PRIMARY KEY (workspace_id, call_id, budget_id)
);
CREATE INDEX budget_reservations_window ON metering.budget_reservations (workspace_id, budget_id, window_start);

-- First day of the window that an instant falls into; weeks begin on Monday. UTC.
CREATE FUNCTION metering.budget_window(period text, workspace uuid, instant timestamptz) RETURNS date
LANGUAGE sql STABLE AS $$
  SELECT CASE period
    WHEN 'day' THEN (instant AT TIME ZONE 'UTC')::date
    WHEN 'week' THEN date_trunc('week', instant AT TIME ZONE 'UTC')::date
    WHEN 'month' THEN date_trunc('month', instant AT TIME ZONE 'UTC')::date
    ELSE metering.billing_month_of(workspace, instant) END
$$;

-- ── Credits ──────────────────────────────────────────────────────────────────────────────────────────────────────────
-- Double entry: every transfer takes its amount from one account and puts it into another. Accounts: `issued` (where grants
-- come from), `grant:<id>` (what is left of one), `held`, `spent`, `expired`. Amounts are pico-dollars.
CREATE TABLE metering.credit_transfers (
  workspace_id uuid NOT NULL,
  seq          bigint GENERATED ALWAYS AS IDENTITY,
  at           timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind         text NOT NULL CHECK (kind IN ('grant', 'hold', 'settle', 'release', 'expire', 'draw')),
  from_account text NOT NULL,
  to_account   text NOT NULL CHECK (to_account <> from_account),
  grant_id     uuid NOT NULL,
  -- the call or usage event that it is about; null for grants and expiries
  subject_id   uuid,
  amount_pico  bigint NOT NULL CHECK (amount_pico > 0),
  PRIMARY KEY (workspace_id, seq)
);
CREATE INDEX credit_transfers_subject ON metering.credit_transfers (workspace_id, subject_id) WHERE subject_id IS NOT NULL;

CREATE TABLE metering.credit_grants (
  workspace_id   uuid NOT NULL,
  id             uuid NOT NULL,
  kind           text NOT NULL CHECK (kind IN ('monthly', 'purchased', 'promotional')),
  -- what it was granted for, once: a month and plan, a Checkout session, an operator's note
  reference      text NOT NULL,
  amount_pico    bigint NOT NULL CHECK (amount_pico > 0),
  -- balance of the account grant:<id>; never below zero, whoever races
  available_pico bigint NOT NULL CHECK (available_pico BETWEEN 0 AND amount_pico),
  granted_at     timestamptz NOT NULL,
  expires_at     timestamptz,
  PRIMARY KEY (workspace_id, id),
  UNIQUE (workspace_id, reference)
);
CREATE INDEX credit_grants_available ON metering.credit_grants (workspace_id, expires_at) WHERE available_pico > 0;

-- Credits set aside for a call under way, by the grant they come from. A row lives as long as its attempt.
CREATE TABLE metering.credit_holds (
  workspace_id uuid NOT NULL,
  call_id      uuid NOT NULL,
  grant_id     uuid NOT NULL,
  amount_pico  bigint NOT NULL CHECK (amount_pico > 0),
  held_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (workspace_id, call_id, grant_id)
);

-- What was used beyond all credits, so that nobody pays for it: the operator's loss, counted instead of hidden.
CREATE TABLE metering.credit_shortfalls (
  workspace_id uuid NOT NULL,
  subject_id   uuid NOT NULL,
  amount_pico  bigint NOT NULL CHECK (amount_pico > 0),
  at           timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (workspace_id, subject_id)
);

-- Balances counted from the transfers alone: the proof of the numbers that are kept.
CREATE VIEW metering.credit_recount WITH (security_invoker = true) AS
SELECT workspace_id, account, sum(amount) AS balance_pico
  FROM (SELECT workspace_id, to_account AS account, amount_pico::numeric AS amount FROM metering.credit_transfers
        UNION ALL SELECT workspace_id, from_account, -amount_pico::numeric FROM metering.credit_transfers) entries
 GROUP BY workspace_id, account;

-- Whoever changes what a workspace has in credits holds this lock for its transaction.
CREATE FUNCTION metering.lock_credits(workspace uuid) RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(7303, hashtext(workspace::text)) $$;

-- Grants credits, once per reference. Answers whether it was granted now.
CREATE FUNCTION metering.grant_credits(workspace uuid, new_id uuid, new_kind text, new_reference text, amount bigint, instant timestamptz, expiry timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO metering.credit_grants (workspace_id, id, kind, reference, amount_pico, available_pico, granted_at, expires_at)
    VALUES (workspace, new_id, new_kind, new_reference, amount, amount, instant, expiry)
    ON CONFLICT (workspace_id, reference) DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO metering.credit_transfers (workspace_id, kind, from_account, to_account, grant_id, amount_pico)
    VALUES (workspace, 'grant', 'issued', 'grant:' || new_id, new_id, amount);
  RETURN true;
END $$;

-- Takes up to `amount` out of the workspace's grants, those that expire soonest first; all of it or nothing where `whole`.
-- One lock per workspace: of two who race for the last credits one waits and then finds them gone.
CREATE FUNCTION metering.take_credits(workspace uuid, subject uuid, amount bigint, transfer_kind text, target text, whole boolean)
RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  held_grant record;
  missing bigint := amount;
  part bigint;
  total numeric;
BEGIN
  IF amount <= 0 THEN RETURN 0; END IF;
  PERFORM metering.lock_credits(workspace);
  SELECT coalesce(sum(available_pico), 0) INTO total FROM metering.credit_grants
   WHERE workspace_id = workspace AND available_pico > 0 AND (expires_at IS NULL OR expires_at > clock_timestamp());
  IF whole AND total < amount THEN RETURN 0; END IF;
  FOR held_grant IN
    SELECT id, available_pico FROM metering.credit_grants
     WHERE workspace_id = workspace AND available_pico > 0 AND (expires_at IS NULL OR expires_at > clock_timestamp())
     ORDER BY expires_at NULLS LAST, granted_at, id
  LOOP
    EXIT WHEN missing = 0;
    part := least(missing, held_grant.available_pico);
    UPDATE metering.credit_grants SET available_pico = available_pico - part WHERE workspace_id = workspace AND id = held_grant.id;
    INSERT INTO metering.credit_transfers (workspace_id, kind, from_account, to_account, grant_id, subject_id, amount_pico)
      VALUES (workspace, transfer_kind, 'grant:' || held_grant.id, target, held_grant.id, subject, part);
    IF transfer_kind = 'hold' THEN
      INSERT INTO metering.credit_holds (workspace_id, call_id, grant_id, amount_pico) VALUES (workspace, subject, held_grant.id, part);
    END IF;
    missing := missing - part;
  END LOOP;
  RETURN amount - missing;
END $$;

-- Pays `cost` for a call out of its hold, gives back what is left of it, and takes what is missing from other grants. What no
-- grant covers is written down as a shortfall. A hold that was taken stays good after its grant expired; what is given back to
-- an expired grant is expired.
CREATE FUNCTION metering.settle_credits(workspace uuid, call uuid, cost bigint) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  hold record;
  missing bigint := cost;
  part bigint;
BEGIN
  PERFORM metering.lock_credits(workspace);
  FOR hold IN
    SELECT h.grant_id, h.amount_pico, g.expires_at FROM metering.credit_holds h
      JOIN metering.credit_grants g ON g.workspace_id = h.workspace_id AND g.id = h.grant_id
     WHERE h.workspace_id = workspace AND h.call_id = call
     ORDER BY g.expires_at NULLS LAST, g.granted_at, g.id
  LOOP
    part := least(missing, hold.amount_pico);
    IF part > 0 THEN
      INSERT INTO metering.credit_transfers (workspace_id, kind, from_account, to_account, grant_id, subject_id, amount_pico)
        VALUES (workspace, 'settle', 'held', 'spent', hold.grant_id, call, part);
      missing := missing - part;
    END IF;
    part := hold.amount_pico - part;
    IF part > 0 THEN
      INSERT INTO metering.credit_transfers (workspace_id, kind, from_account, to_account, grant_id, subject_id, amount_pico)
        VALUES (workspace, 'release', 'held', CASE WHEN hold.expires_at <= clock_timestamp() THEN 'expired' ELSE 'grant:' || hold.grant_id END,
          hold.grant_id, call, part);
      IF hold.expires_at IS NULL OR hold.expires_at > clock_timestamp() THEN
        UPDATE metering.credit_grants SET available_pico = available_pico + part WHERE workspace_id = workspace AND id = hold.grant_id;
      END IF;
    END IF;
  END LOOP;
  DELETE FROM metering.credit_holds WHERE workspace_id = workspace AND call_id = call;
  missing := missing - metering.take_credits(workspace, call, missing, 'settle', 'spent', false);
  IF missing > 0 THEN
    INSERT INTO metering.credit_shortfalls (workspace_id, subject_id, amount_pico) VALUES (workspace, call, missing)
      ON CONFLICT (workspace_id, subject_id) DO UPDATE SET amount_pico = credit_shortfalls.amount_pico + excluded.amount_pico;
  END IF;
END $$;

-- Moves what is left of grants past their time to `expired`. Answers how many there were.
CREATE FUNCTION metering.expire_credits() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  ended record;
  total bigint := 0;
BEGIN
  PERFORM metering.lock_credits(w.workspace_id) FROM (SELECT DISTINCT workspace_id FROM metering.credit_grants
     WHERE available_pico > 0 AND expires_at <= clock_timestamp() ORDER BY 1) w;
  FOR ended IN
    SELECT workspace_id, id, available_pico FROM metering.credit_grants
     WHERE available_pico > 0 AND expires_at <= clock_timestamp() ORDER BY workspace_id, id FOR UPDATE
  LOOP
    UPDATE metering.credit_grants SET available_pico = 0 WHERE workspace_id = ended.workspace_id AND id = ended.id;
    INSERT INTO metering.credit_transfers (workspace_id, kind, from_account, to_account, grant_id, amount_pico)
      VALUES (ended.workspace_id, 'expire', 'grant:' || ended.id, 'expired', ended.id, ended.available_pico);
    total := total + 1;
  END LOOP;
  RETURN total;
END $$;

-- ── Usage that is no call ────────────────────────────────────────────────────────────────────────────────────────────
-- One row per CloudEvent, known by source and id. charge_pico goes onto the invoice, credit_pico came out of credits.
CREATE TABLE metering.usage_events (
  workspace_id       uuid NOT NULL,
  source             text NOT NULL,
  event_id           text NOT NULL,
  id                 uuid NOT NULL,
  meter              text NOT NULL,
  quantity           numeric(38, 9) NOT NULL CHECK (quantity >= 0),
  occurred_at        timestamptz(3) NOT NULL,
  recorded_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  billing_month      date NOT NULL CHECK (billing_month = date_trunc('month', billing_month)::date),
  token_id           uuid,
  price_book_version integer NOT NULL,
  unit_usd           numeric(38, 18) NOT NULL,
  amount_pico        bigint NOT NULL CHECK (amount_pico >= 0),
  charge_mode        text NOT NULL CHECK (charge_mode IN ('credits', 'invoice')),
  credit_pico        bigint NOT NULL CHECK (credit_pico >= 0),
  charge_pico        bigint NOT NULL CHECK (charge_pico >= 0),
  -- SHA-256 of what was sent: the same id with other content is a conflict, not a repetition
  content_hash       bytea NOT NULL,
  PRIMARY KEY (workspace_id, source, event_id),
  CONSTRAINT usage_charge_rule CHECK (CASE charge_mode WHEN 'invoice' THEN charge_pico = amount_pico AND credit_pico = 0
    ELSE credit_pico + charge_pico <= amount_pico END)
);
CREATE INDEX usage_events_month ON metering.usage_events (workspace_id, billing_month, meter);
CREATE INDEX usage_events_time ON metering.usage_events (workspace_id, occurred_at DESC);

-- ── Calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────
-- basis: what a markup is taken of: the raw cost, or for a model that is free the lowest paid rate of the same model.
ALTER TABLE metering.attempts ADD COLUMN markup_bp integer;
ALTER TABLE metering.inference_calls
  ADD COLUMN markup_bp integer,
  ADD COLUMN basis_pico bigint CHECK (basis_pico >= 0),
  ADD COLUMN basis_source text CHECK (basis_source IN ('raw_cost', 'lowest_paid_rate', 'none')),
  ADD COLUMN credit_pico bigint NOT NULL DEFAULT 0;
ALTER TABLE metering.call_corrections
  ADD COLUMN charge_mode text NOT NULL DEFAULT 'tier_margin',
  ADD COLUMN markup_bp integer,
  ADD COLUMN basis_pico bigint CHECK (basis_pico >= 0),
  ADD COLUMN basis_source text CHECK (basis_source IN ('raw_cost', 'lowest_paid_rate', 'none'));

-- dividend / divisor, both not negative, rounded half to even: as the application rounds.
CREATE FUNCTION metering.half_even(dividend numeric, divisor numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT div(dividend, divisor) + CASE
    WHEN 2 * mod(dividend, divisor) > divisor OR (2 * mod(dividend, divisor) = divisor AND mod(div(dividend, divisor), 2) = 1) THEN 1 ELSE 0 END
$$;

ALTER TABLE metering.attempts DROP CONSTRAINT attempt_can_be_charged;
ALTER TABLE metering.attempts ADD CONSTRAINT attempt_can_be_charged CHECK (
  CASE charge_mode
    WHEN 'tier' THEN key_source = 'platform' AND tier <> 'none'
    WHEN 'credits' THEN key_source = 'platform' AND tier <> 'none'
    WHEN 'tier_margin' THEN key_source = 'workspace' AND tier <> 'none'
    WHEN 'markup' THEN markup_bp IS NOT NULL
    WHEN 'flat_fee' THEN key_source = 'workspace'
    WHEN 'pass_through' THEN key_source = 'workspace'
    ELSE false END IS TRUE) NOT VALID;

-- The charge rule of each mode.
--   tier          the platform's key paid: the tier price is owed
--   credits       the platform's key paid: the tier price is drawn from credits, nothing goes onto the invoice
--   tier_margin   the workspace's key paid: what the tier price exceeds the cost by, never below zero
--   markup        a share of the basis, in basis points, rounded once, half to even
--   flat_fee      the workspace's key paid: nothing per call, a fee per month
--   pass_through  the workspace's key paid: nothing is owed
-- A call whose cost is unknown is held, not guessed.
ALTER TABLE metering.inference_calls DROP CONSTRAINT charge_rule;
ALTER TABLE metering.inference_calls ADD CONSTRAINT charge_rule CHECK (
  CASE charge_mode
    WHEN 'tier' THEN key_source = 'platform' AND credit_pico = 0 AND charge_pico IS NOT NULL AND charge_pico = tier_price_pico
    WHEN 'credits' THEN key_source = 'platform' AND charge_pico IS NOT NULL AND charge_pico = 0 AND credit_pico = tier_price_pico
    WHEN 'tier_margin' THEN key_source = 'workspace' AND credit_pico = 0 AND
      CASE WHEN raw_cost_pico IS NULL OR tier_price_pico IS NULL THEN charge_pico IS NULL
           ELSE charge_pico IS NOT NULL AND charge_pico = greatest(0, tier_price_pico - raw_cost_pico) END
    WHEN 'markup' THEN credit_pico = 0 AND markup_bp IS NOT NULL AND
      CASE WHEN raw_cost_pico IS NULL THEN basis_pico IS NULL AND charge_pico IS NULL
           ELSE basis_pico IS NOT NULL AND (raw_cost_pico = 0 OR basis_pico = raw_cost_pico) AND charge_pico IS NOT NULL
             AND charge_pico = metering.half_even(basis_pico::numeric * markup_bp, 10000) END
    WHEN 'flat_fee' THEN key_source = 'workspace' AND credit_pico = 0 AND charge_pico IS NOT NULL AND charge_pico = 0
    WHEN 'pass_through' THEN key_source = 'workspace' AND credit_pico = 0 AND charge_pico IS NOT NULL AND charge_pico = 0
    ELSE false
  END IS TRUE);
ALTER TABLE metering.call_corrections DROP CONSTRAINT correction_rule;
ALTER TABLE metering.call_corrections ADD CONSTRAINT correction_rule CHECK (
  CASE reason
    WHEN 'cost_cutoff' THEN charge_pico = 0 AND raw_cost_pico IS NULL
    ELSE raw_cost_pico IS NOT NULL AND CASE charge_mode
      WHEN 'tier_margin' THEN tier_price_pico IS NOT NULL AND charge_pico = greatest(0, tier_price_pico - raw_cost_pico)
      WHEN 'markup' THEN markup_bp IS NOT NULL AND basis_pico IS NOT NULL AND (raw_cost_pico = 0 OR basis_pico = raw_cost_pico)
        AND charge_pico = metering.half_even(basis_pico::numeric * markup_bp, 10000)
      ELSE false END
  END IS TRUE);

-- What a closed month's calls turn out to have been charged too much or too little: re-rated by another price book, or a cost that
-- its provider corrected. The call and its invoice stay as they are; the difference goes onto the next one, under its own line.
CREATE TABLE metering.call_adjustments (
  workspace_id       uuid NOT NULL,
  call_id            uuid NOT NULL,
  seq                integer NOT NULL,
  dispatched_at      timestamptz(3) NOT NULL,
  billing_month      date NOT NULL CHECK (billing_month = date_trunc('month', billing_month)::date),
  recorded_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  reason             text NOT NULL CHECK (reason IN ('re_rate', 'cost_corrected')),
  -- the re-rate run, or the import that brought the corrected cost
  reference          text NOT NULL,
  price_book_version integer NOT NULL,
  raw_cost_pico      bigint CHECK (raw_cost_pico >= 0),
  tier_price_pico    bigint CHECK (tier_price_pico >= 0),
  basis_pico         bigint CHECK (basis_pico >= 0),
  charge_before_pico bigint NOT NULL CHECK (charge_before_pico >= 0),
  charge_after_pico  bigint NOT NULL CHECK (charge_after_pico >= 0),
  PRIMARY KEY (workspace_id, call_id, seq),
  UNIQUE (workspace_id, call_id, reason, reference),
  CONSTRAINT adjustment_differs CHECK (charge_before_pico <> charge_after_pico)
);
CREATE INDEX call_adjustments_month ON metering.call_adjustments (workspace_id, billing_month);

-- ── Rollups: two dimensions and two sums more ────────────────────────────────────────────────────────────────────────
DROP VIEW metering.call_daily_recount;
DROP VIEW metering.calls_now;
ALTER TABLE metering.call_daily_rollups
  ADD COLUMN provider text NOT NULL DEFAULT 'openrouter',
  ADD COLUMN markup_bp integer NOT NULL DEFAULT 0,
  ADD COLUMN basis_pico numeric(38, 0) NOT NULL DEFAULT 0,
  ADD COLUMN credit_pico numeric(38, 0) NOT NULL DEFAULT 0,
  DROP CONSTRAINT call_daily_rollups_pkey;
CREATE VIEW metering.calls_now WITH (security_invoker = true) AS
SELECT c.workspace_id, c.dispatched_at, c.id, c.billing_month, c.recorded_at, c.origin, c.token_id, c.surface, c.provider, c.model,
  c.response_model, c.tier, c.key_source, c.key_id, c.key_version, c.streamed, c.status, c.http_status, c.error_code,
  coalesce(k.input_tokens, c.input_tokens) AS input_tokens, coalesce(k.output_tokens, c.output_tokens) AS output_tokens,
  c.cache_read_tokens, c.cache_write_tokens, c.reasoning_tokens, c.usage_source,
  coalesce(k.raw_cost_pico, c.raw_cost_pico) AS raw_cost_pico, coalesce(k.cost_source, c.cost_source) AS cost_source,
  c.cost_clamped, c.price_book_version, coalesce(k.tier_price_pico, c.tier_price_pico) AS tier_price_pico, c.charge_mode,
  coalesce(k.charge_pico, c.charge_pico) AS charge_pico, k.reason AS correction_reason, c.latency_ms, c.first_byte_ms, c.upstream_id,
  c.markup_bp, coalesce(k.basis_pico, c.basis_pico) AS basis_pico, coalesce(k.basis_source, c.basis_source) AS basis_source, c.credit_pico
FROM metering.inference_calls c
LEFT JOIN LATERAL (
  SELECT * FROM metering.call_corrections k
   WHERE k.workspace_id = c.workspace_id AND k.call_id = c.id ORDER BY k.seq DESC LIMIT 1
) k ON c.charge_pico IS NULL;

-- The proof: the rollups recounted from the raw rows, in the rollup's own columns and order.
CREATE VIEW metering.call_daily_recount WITH (security_invoker = true) AS
SELECT workspace_id, (dispatched_at AT TIME ZONE 'UTC')::date AS day, billing_month, model, tier, key_source, surface, charge_mode,
  price_book_version, count(*) AS calls, count(*) FILTER (WHERE status <> 'ok' AND status <> 'client_closed') AS failed_calls,
  count(*) FILTER (WHERE charge_pico IS NULL) AS held_calls, coalesce(sum(input_tokens), 0) AS input_tokens,
  coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cache_read_tokens), 0) AS cache_read_tokens,
  coalesce(sum(cache_write_tokens), 0) AS cache_write_tokens, coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens,
  coalesce(sum(raw_cost_pico), 0) AS raw_cost_pico, coalesce(sum(tier_price_pico), 0) AS tier_price_pico,
  coalesce(sum(charge_pico), 0) AS charge_pico, provider, coalesce(markup_bp, 0) AS markup_bp,
  coalesce(sum(basis_pico), 0) AS basis_pico, coalesce(sum(credit_pico), 0) AS credit_pico
FROM metering.calls_now
GROUP BY workspace_id, (dispatched_at AT TIME ZONE 'UTC')::date, billing_month, model, tier, key_source, surface, charge_mode,
  price_book_version, provider, coalesce(markup_bp, 0);
-- Held calls that were cut off count as not held in the rollups; the recount says the same, since a cut-off charges 0.
TRUNCATE metering.call_daily_rollups;
INSERT INTO metering.call_daily_rollups SELECT * FROM metering.call_daily_recount;
ALTER TABLE metering.call_daily_rollups
  ALTER COLUMN provider DROP DEFAULT,
  ADD PRIMARY KEY (workspace_id, day, billing_month, model, tier, key_source, surface, charge_mode, price_book_version, provider, markup_bp);


-- ── Functions ────────────────────────────────────────────────────────────────────────────────────────────────────────
DROP FUNCTION metering.open_attempts(uuid[], uuid[], bigint[], uuid[], text[], timestamptz[], text[], text[], text[], text[], text[],
  uuid[], text[], text[], uuid[], integer[], text[], integer[], boolean[], integer[]);


-- Sets aside what a call may come to under every hard budget that it falls under. Answers the budget that has no room for it,
-- null where all have.
CREATE FUNCTION metering.reserve_budgets(workspace uuid, call uuid, dispatched timestamptz, token uuid, provider_key uuid, source text,
  most_charge bigint, most_cost bigint
) RETURNS uuid
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  budget record;
  spend numeric;
  reserved numeric;
  amount bigint;
  day date;
BEGIN
  FOR budget IN
    SELECT b.id, b.period, b.limit_usd * 1000000000000 AS limit_pico, b.counts_own_key FROM budgets b
     WHERE b.workspace_id = workspace AND b.enabled AND b.hard AND CASE b.scope
       WHEN 'workspace' THEN true
       WHEN 'token' THEN b.scope_id = token::text
       WHEN 'key' THEN b.scope_id = provider_key::text
       ELSE b.scope_id = (SELECT t.created_by FROM gateway_tokens t WHERE t.workspace_id = workspace AND t.id = token) END
     ORDER BY b.id
  LOOP
    day := metering.budget_window(budget.period, workspace, dispatched);
    amount := most_charge + CASE WHEN source = 'workspace' AND budget.counts_own_key THEN most_cost ELSE 0 END;
    INSERT INTO metering.budget_spend (workspace_id, budget_id, window_start) VALUES (workspace, budget.id, day) ON CONFLICT DO NOTHING;
    SELECT s.spent_pico INTO spend FROM metering.budget_spend s
     WHERE s.workspace_id = workspace AND s.budget_id = budget.id AND s.window_start = day FOR UPDATE;
    SELECT coalesce(sum(r.amount_pico), 0) INTO reserved FROM metering.budget_reservations r
     WHERE r.workspace_id = workspace AND r.budget_id = budget.id AND r.window_start = day AND r.call_id <> call;
    IF spend + reserved + amount > budget.limit_pico THEN
      DELETE FROM metering.budget_reservations r WHERE r.workspace_id = workspace AND r.call_id = call;
      RETURN budget.id;
    END IF;
    INSERT INTO metering.budget_reservations (workspace_id, call_id, budget_id, window_start, amount_pico)
      VALUES (workspace, call, budget.id, day, amount) ON CONFLICT DO NOTHING;
  END LOOP;
  RETURN NULL;
END $$;

-- Opens attempts. Arrays hold one element per attempt. A gateway admits calls from memory; here, in the statement that
-- commits it to a call, what it believes is held against the tables: the workspace's key epoch, which every change of plan,
-- keys and settings raises, and that the token lives. `stale` are the places, from 1, of those where it no longer holds: they
-- were not opened. Opening one again changes nothing.
-- Where a hard budget or credits apply, what the call may come to at most is set aside in the same transaction. `refused` are
-- the places of those that there is no room for, with `refusals` saying of what: `credits`, or `budget:` and its id.
-- Plans of these functions are made once per session: a plan per call costs more than the call. They must not depend on
-- how many rows a table happened to hold at that moment, so they always go by index.
CREATE FUNCTION metering.open_attempts(
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
          fallbacks, tiers, key_sources, keys, key_versions, charge_modes, books, streams, prompt_estimates, markups) WITH ORDINALITY
        AS r(id, workspace_id, key_epoch, token_id, process_id, dispatched_at, surface, provider, model, upstream_model, endpoint,
          fallback_of, tier, key_source, key_id, key_version, charge_mode, price_book_version, streamed, prompt_tokens_estimate, markup_bp, place)
  ), opened AS (
    INSERT INTO metering.attempts (call_id, workspace_id, process_id, dispatched_at, token_id, surface, provider, model, upstream_model,
      endpoint, fallback_of, tier, key_source, key_id, key_version, charge_mode, price_book_version, streamed, prompt_tokens_estimate, markup_bp)
    SELECT i.id, i.workspace_id, i.process_id, i.dispatched_at, i.token_id, i.surface, i.provider, i.model, i.upstream_model, i.endpoint,
      i.fallback_of, i.tier, i.key_source, i.key_id, i.key_version, i.charge_mode, i.price_book_version, i.streamed,
      i.prompt_tokens_estimate, i.markup_bp
    FROM input i WHERE i.holds
    ON CONFLICT (call_id, attempt) DO NOTHING
  )
  SELECT array_agg(i.place::integer) INTO stale FROM input i WHERE NOT i.holds;
  -- Budgets of all, then credits of all, each by workspace: two of these transactions, and those that settle, take what they lock
  -- in the same order.
  FOR costly IN
    SELECT r.* FROM unnest(ids, workspaces, dispatches, tokens, keys, key_sources, most_charges, most_costs) WITH ORDINALITY
        AS r(id, workspace_id, dispatched_at, token_id, key_id, key_source, most_charge, most_cost, place)
     WHERE EXISTS (SELECT FROM budgets b WHERE b.workspace_id = r.workspace_id AND b.enabled AND b.hard)
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




-- Adds what calls came to, to the budgets that they fall under. Rows are taken in one order: no deadlock.
CREATE FUNCTION metering.count_spend(workspaces uuid[], dispatches timestamptz[], tokens uuid[], keys uuid[], sources text[],
  charges bigint[], costs bigint[]
) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
  INSERT INTO metering.budget_spend AS s (workspace_id, budget_id, window_start, spent_pico)
  SELECT r.workspace_id, b.id, metering.budget_window(b.period, r.workspace_id, r.dispatched_at),
    sum(r.charge + CASE WHEN r.source = 'workspace' AND b.counts_own_key THEN r.cost ELSE 0 END)
  FROM unnest(workspaces, dispatches, tokens, keys, sources, charges, costs)
    AS r(workspace_id, dispatched_at, token_id, key_id, source, charge, cost)
  JOIN budgets b ON b.workspace_id = r.workspace_id AND b.enabled AND CASE b.scope
    WHEN 'workspace' THEN true
    WHEN 'token' THEN b.scope_id = r.token_id::text
    WHEN 'key' THEN b.scope_id = r.key_id::text
    ELSE b.scope_id = (SELECT t.created_by FROM gateway_tokens t WHERE t.workspace_id = r.workspace_id AND t.id = r.token_id) END
  GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
  ON CONFLICT (workspace_id, budget_id, window_start) DO UPDATE SET spent_pico = s.spent_pico + excluded.spent_pico;
END $$;


DROP FUNCTION metering.settle_calls(uuid[], uuid[], text[], text[], text[], integer[], text[], bigint[], bigint[], bigint[], bigint[],
  bigint[], text[], bigint[], text[], boolean[], bigint[], bigint[], integer[], integer[], text[], jsonb[]);

-- Settles calls that have an attempt: each is taken by whoever deletes its attempt, and only by that one; what was decided
-- before it was sent is copied from the attempt. The ledger row and the rollups are written by the same statement, credits and
-- budgets in the same transaction. Arrays hold one element per call. Answers the places, from 1, of calls that somebody else
-- had settled.
CREATE FUNCTION metering.settle_calls(
  workspaces uuid[], ids uuid[], origins text[], response_models text[], statuses text[], http_statuses integer[],
  error_codes text[], inputs bigint[], outputs bigint[], cache_reads bigint[], cache_writes bigint[], reasonings bigint[],
  usage_sources text[], raw_costs bigint[], cost_sources text[], clamps boolean[], tier_prices bigint[], charges bigint[],
  latencies integer[], first_bytes integer[], upstream_ids text[], price_rows jsonb[],
  bases bigint[], basis_sources text[], credits bigint[]
) RETURNS integer[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  not_taken integer[];
  budgeted record;
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
      r.price_row, a.markup_bp, r.basis_pico, r.basis_source, r.credit_pico, r.place
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
  ), spent AS (
    SELECT array_agg(t.workspace_id) AS workspaces, array_agg(t.dispatched_at::timestamptz) AS dispatches, array_agg(t.token_id) AS tokens,
      array_agg(t.key_id) AS keys, array_agg(t.key_source) AS sources,
      array_agg(coalesce(t.charge_pico, 0) + t.credit_pico) AS charges, array_agg(coalesce(t.raw_cost_pico, 0)) AS costs
      FROM taken t WHERE EXISTS (SELECT FROM budgets b WHERE b.workspace_id = t.workspace_id AND b.enabled)
  )
  SELECT (SELECT array_agg(p) FROM generate_subscripts(ids, 1) p
           WHERE p NOT IN (SELECT s.place FROM settled s WHERE s.call_id IN (SELECT t.id FROM taken t))) AS not_taken, spent.*
    INTO budgeted FROM spent;
  not_taken := budgeted.not_taken;
  IF budgeted.workspaces IS NOT NULL THEN
    PERFORM metering.count_spend(budgeted.workspaces, budgeted.dispatches, budgeted.tokens, budgeted.keys, budgeted.sources,
      budgeted.charges, budgeted.costs);
  END IF;
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


-- Records imported calls, which have no attempt: each is known by its id. Answers the ids taken.
-- They were made elsewhere: no budget and no credit is touched by them.
DROP FUNCTION metering.import_calls(json);

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
      tier_price_pico bigint, charge_mode text, charge_pico bigint, latency_ms integer, first_byte_ms integer, upstream_id text,
      markup_bp integer, basis_pico bigint, basis_source text, credit_pico bigint)
  ), taken AS (
    INSERT INTO metering.inference_calls (
      workspace_id, dispatched_at, id, billing_month, origin, token_id, surface, provider, model, upstream_model, response_model,
      endpoint, fallback_of, tier, key_source, key_id, key_version, streamed, status, http_status, error_code, input_tokens,
      output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_source, raw_cost_pico, cost_source, cost_clamped,
      price_row, price_book_version, tier_price_pico, charge_mode, charge_pico, latency_ms, first_byte_ms, upstream_id,
      markup_bp, basis_pico, basis_source, credit_pico)
    SELECT i.workspace_id, i.dispatched_at, i.id, metering.billing_month_of(i.workspace_id, i.dispatched_at), 'import', i.token_id,
      i.surface, i.provider, i.model, i.upstream_model, i.response_model, i.endpoint, i.fallback_of, i.tier, i.key_source, i.key_id,
      i.key_version, i.streamed, i.status, i.http_status, i.error_code, i.input_tokens, i.output_tokens, i.cache_read_tokens,
      i.cache_write_tokens, i.reasoning_tokens, i.usage_source, i.raw_cost_pico, i.cost_source, i.cost_clamped, i.price_row,
      i.price_book_version, i.tier_price_pico, i.charge_mode, i.charge_pico, i.latency_ms, i.first_byte_ms, i.upstream_id,
      i.markup_bp, i.basis_pico, i.basis_source, coalesce(i.credit_pico, 0)
    FROM input i
    ON CONFLICT (workspace_id, dispatched_at, id) DO NOTHING
    RETURNING *
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
  SELECT taken.id FROM taken;
END $$;


DROP FUNCTION metering.correct_held_call(uuid, timestamptz, uuid, text, bigint, bigint, bigint, text, bigint, bigint);
-- Corrects one held call, with its rollup and its budgets. Answers false where the call is unknown or was already resolved.
-- A call whose month was closed meanwhile is not corrected here: its cut-off correction was written by the close itself.
CREATE FUNCTION metering.correct_held_call(
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
  PERFORM metering.count_spend(ARRAY[workspace], ARRAY[dispatched], ARRAY[c.token_id], ARRAY[c.key_id], ARRAY[c.key_source],
    ARRAY[new_charge_pico], ARRAY[coalesce(new_raw_pico, 0)]);
  RETURN true;
END $$;

-- ── What finance must look at ────────────────────────────────────────────────────────────────────────────────────────
-- Two books that should agree and do not. One open row per kind and reference; the money it means in pico-dollars.
CREATE TABLE "reconciliation_differences" (
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "reference" TEXT NOT NULL,
    "workspace_id" UUID,
    "expected" TEXT NOT NULL,
    "actual" TEXT NOT NULL,
    "money_pico" DECIMAL(38,0),
    "found_at" TIMESTAMPTZ(3) NOT NULL,
    "seen_at" TIMESTAMPTZ(3) NOT NULL,
    "resolved_at" TIMESTAMPTZ(3),
    "resolution" TEXT,

    CONSTRAINT "reconciliation_differences_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX reconciliation_differences_open ON reconciliation_differences (kind, reference) WHERE resolved_at IS NULL;
ALTER TABLE reconciliation_differences ENABLE ROW LEVEL SECURITY;
ALTER TABLE reconciliation_differences FORCE ROW LEVEL SECURITY;
CREATE POLICY operators_only ON reconciliation_differences TO keymargin_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON reconciliation_differences TO keymargin_system;

-- ── Who may touch what ───────────────────────────────────────────────────────────────────────────────────────────────
GRANT SELECT, INSERT, UPDATE ON workspace_plan_periods, provider_key_periods TO keymargin_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON budgets TO keymargin_app;
GRANT SELECT ON meter_prices TO keymargin_app;
GRANT UPDATE, DELETE ON price_books, tier_prices TO keymargin_system;
GRANT INSERT, UPDATE, DELETE ON meter_prices TO keymargin_system;
GRANT SELECT ON metering.budget_spend, metering.budget_reservations, metering.credit_transfers, metering.credit_grants,
  metering.credit_holds, metering.credit_shortfalls, metering.usage_events, metering.call_adjustments,
  metering.credit_recount, metering.calls_now, metering.call_daily_recount TO keymargin_app;
-- A budget that is made in the middle of its window begins with what was spent in it.
GRANT INSERT, UPDATE, DELETE ON metering.budget_spend TO keymargin_app;
GRANT INSERT, UPDATE, DELETE ON metering.budget_reservations, metering.credit_holds TO keymargin_system;
GRANT INSERT, UPDATE ON metering.credit_grants, metering.credit_shortfalls TO keymargin_system;
GRANT INSERT ON metering.credit_transfers, metering.usage_events, metering.call_adjustments TO keymargin_system;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA metering TO keymargin_app;
DO $$
DECLARE
  tenant_table regclass;
  kept regclass;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY['workspace_plan_periods', 'provider_key_periods', 'budgets', 'metering.budget_spend',
    'metering.budget_reservations', 'metering.credit_transfers', 'metering.credit_grants', 'metering.credit_holds',
    'metering.credit_shortfalls', 'metering.usage_events', 'metering.call_adjustments']::regclass[]
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('CREATE POLICY tenant ON %s TO keymargin_app USING (workspace_id = current_workspace_id()) WITH CHECK (workspace_id = current_workspace_id())', tenant_table);
    EXECUTE format('CREATE POLICY all_workspaces ON %s TO keymargin_system USING (true) WITH CHECK (true)', tenant_table);
  END LOOP;
  FOREACH kept IN ARRAY ARRAY['metering.credit_transfers', 'metering.usage_events', 'metering.call_adjustments']::regclass[]
  LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION refuse_change()', kept);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', kept);
  END LOOP;
END $$;
-- A workspace sees the general prices and its own, never another's, and no draft.
ALTER TABLE price_books ENABLE ROW LEVEL SECURITY;
ALTER TABLE price_books FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON price_books FOR SELECT TO keymargin_app USING (published_at IS NOT NULL AND (workspace_id IS NULL OR workspace_id = current_workspace_id()));
CREATE POLICY all_workspaces ON price_books TO keymargin_system USING (true) WITH CHECK (true);
