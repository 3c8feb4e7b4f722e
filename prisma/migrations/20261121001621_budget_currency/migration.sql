-- A budget's limit is in the currency that its workspace is billed in: what is spent was counted in that, against a limit called USD.
ALTER TABLE "budgets" RENAME COLUMN "limit_usd" TO "limit_amount";
ALTER TABLE "budgets" ADD COLUMN "currency" TEXT NOT NULL DEFAULT 'usd';
UPDATE budgets b SET currency = w.currency FROM workspaces w WHERE w.id = b.workspace_id AND w.currency <> 'usd';
-- What providers bill is in USD: it is no part of a sum in another currency.
UPDATE budgets SET counts_own_key = false WHERE currency <> 'usd';
ALTER TABLE "budgets" ALTER COLUMN "currency" DROP DEFAULT,
  ADD CONSTRAINT "budget_of_one_currency" CHECK ("currency" = 'usd' OR NOT "counts_own_key");

-- As before, with the limit under its new name.
CREATE OR REPLACE FUNCTION metering.reserve_budgets(workspace uuid, call uuid, dispatched timestamptz, token uuid, provider_key uuid, source text,
  most_charge bigint, most_cost bigint
) RETURNS uuid
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  budget record;
  spend numeric;
  reserved numeric;
  amount bigint;
  day date;
  charged boolean;
BEGIN
  -- The attempt was written by the caller, in the same transaction.
  SELECT a.charge_mode NOT IN ('pass_through', 'flat_fee') INTO charged FROM metering.attempts a WHERE a.call_id = call AND a.attempt = 1;
  FOR budget IN
    SELECT b.id, b.period, b.limit_amount * 1000000000000 AS limit_pico, b.counts_own_key FROM budgets b
     WHERE b.workspace_id = workspace AND b.enabled AND b.hard AND CASE b.scope
       WHEN 'workspace' THEN true
       WHEN 'token' THEN b.scope_id = token::text
       WHEN 'key' THEN b.scope_id = provider_key::text
       ELSE b.scope_id = (SELECT t.created_by FROM gateway_tokens t WHERE t.workspace_id = workspace AND t.id = token) END
     ORDER BY b.id
  LOOP
    CONTINUE WHEN NOT charged AND NOT (source = 'workspace' AND budget.counts_own_key);
    day := metering.budget_window(budget.period, workspace, dispatched);
    amount := most_charge + CASE WHEN source = 'workspace' AND budget.counts_own_key THEN most_cost ELSE 0 END;
    INSERT INTO metering.budget_spend (workspace_id, budget_id, window_start) VALUES (workspace, budget.id, day) ON CONFLICT DO NOTHING;
    SELECT s.spent_pico INTO spend FROM metering.budget_spend s
     WHERE s.workspace_id = workspace AND s.budget_id = budget.id AND s.window_start = day FOR UPDATE;
    SELECT coalesce(sum(r.amount_pico), 0) INTO reserved FROM metering.budget_reservations r
     WHERE r.workspace_id = workspace AND r.budget_id = budget.id AND r.window_start = day AND r.call_id <> call;
    IF spend >= budget.limit_pico OR spend + reserved + amount > budget.limit_pico THEN
      DELETE FROM metering.budget_reservations r WHERE r.workspace_id = workspace AND r.call_id = call;
      RETURN budget.id;
    END IF;
    INSERT INTO metering.budget_reservations (workspace_id, call_id, budget_id, window_start, amount_pico)
      VALUES (workspace, call, budget.id, day, amount) ON CONFLICT DO NOTHING;
  END LOOP;
  RETURN NULL;
END $$;
