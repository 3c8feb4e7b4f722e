-- Spending: budgets are locked in one order, credits have one instant per decision, and usage that is no call is recorded.

-- A lock of its own: 7303 is the audit trail's, and whoever wrote an audit row would have kept the workspace's calls waiting.
CREATE OR REPLACE FUNCTION metering.lock_credits(workspace uuid) RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(7306, hashtext(workspace::text)) $$;

-- Locks the budgets that calls or usage fall under, in one order for everybody who takes several of them in one transaction,
-- whatever order its calls stand in. Windows that had nothing yet are begun.
CREATE FUNCTION metering.lock_budgets(workspaces uuid[], dispatches timestamptz[], tokens uuid[], keys uuid[], hard_only boolean) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  spaces uuid[];
  wanted uuid[];
  days date[];
BEGIN
  SELECT array_agg(w.workspace_id), array_agg(w.budget_id), array_agg(w.day) INTO spaces, wanted, days FROM (
    SELECT DISTINCT r.workspace_id, b.id AS budget_id, metering.budget_window(b.period, r.workspace_id, r.dispatched_at) AS day
      FROM unnest(workspaces, dispatches, tokens, keys) AS r(workspace_id, dispatched_at, token_id, key_id)
      JOIN budgets b ON b.workspace_id = r.workspace_id AND b.enabled AND (b.hard OR NOT hard_only) AND CASE b.scope
        WHEN 'workspace' THEN true
        WHEN 'token' THEN b.scope_id = r.token_id::text
        WHEN 'key' THEN b.scope_id = r.key_id::text
        ELSE b.scope_id = (SELECT t.created_by FROM gateway_tokens t WHERE t.workspace_id = r.workspace_id AND t.id = r.token_id) END
     ORDER BY 1, 2, 3) w;
  IF wanted IS NULL THEN RETURN; END IF;
  INSERT INTO metering.budget_spend (workspace_id, budget_id, window_start)
    SELECT w.workspace_id, w.budget_id, w.day FROM unnest(spaces, wanted, days) AS w(workspace_id, budget_id, day) ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING;
  PERFORM FROM metering.budget_spend s JOIN unnest(spaces, wanted, days) AS w(workspace_id, budget_id, day)
      ON s.workspace_id = w.workspace_id AND s.budget_id = w.budget_id AND s.window_start = w.day
    ORDER BY s.workspace_id, s.budget_id, s.window_start FOR UPDATE OF s;
END $$;

-- As before, with the budgets of the whole batch locked first: two batches whose calls fall under the same budgets in another
-- order do not wait for each other in a circle.
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
  PERFORM metering.lock_budgets(workspaces, dispatches, tokens, keys, true);
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

-- As before, by one instant: a grant that ends between two looks at it is either there for all of them or for none.
CREATE OR REPLACE FUNCTION metering.take_credits(workspace uuid, subject uuid, amount bigint, transfer_kind text, target text, whole boolean)
RETURNS bigint LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  held_grant record;
  missing bigint := amount;
  part bigint;
  total numeric;
  instant timestamptz;
BEGIN
  IF amount <= 0 THEN RETURN 0; END IF;
  PERFORM metering.lock_credits(workspace);
  instant := clock_timestamp();
  SELECT coalesce(sum(available_pico), 0) INTO total FROM metering.credit_grants
   WHERE workspace_id = workspace AND available_pico > 0 AND (expires_at IS NULL OR expires_at > instant);
  IF whole AND total < amount THEN RETURN 0; END IF;
  FOR held_grant IN
    SELECT id, available_pico FROM metering.credit_grants
     WHERE workspace_id = workspace AND available_pico > 0 AND (expires_at IS NULL OR expires_at > instant)
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

-- As before, by one instant.
CREATE OR REPLACE FUNCTION metering.settle_credits(workspace uuid, call uuid, cost bigint) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  hold record;
  missing bigint := cost;
  part bigint;
  instant timestamptz;
BEGIN
  PERFORM metering.lock_credits(workspace);
  instant := clock_timestamp();
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
        VALUES (workspace, 'release', 'held', CASE WHEN hold.expires_at <= instant THEN 'expired' ELSE 'grant:' || hold.grant_id END,
          hold.grant_id, call, part);
      IF hold.expires_at IS NULL OR hold.expires_at > instant THEN
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

-- As before, for the workspaces whose lock is held and by one instant: a grant that ends meanwhile waits for the next run. At most
-- 200 workspaces at a time, since each costs a lock until the transaction ends: the caller asks again until it answers 0.
CREATE OR REPLACE FUNCTION metering.expire_credits() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  ended record;
  instant timestamptz := clock_timestamp();
  locked uuid[];
  total bigint := 0;
BEGIN
  SELECT array_agg(w.workspace_id ORDER BY w.workspace_id) INTO locked FROM (SELECT DISTINCT workspace_id FROM metering.credit_grants
     WHERE available_pico > 0 AND expires_at <= instant ORDER BY workspace_id LIMIT 200) w;
  PERFORM metering.lock_credits(w) FROM unnest(locked) w;
  FOR ended IN
    SELECT workspace_id, id, available_pico FROM metering.credit_grants
     WHERE workspace_id = ANY (locked) AND available_pico > 0 AND expires_at <= instant ORDER BY workspace_id, id FOR UPDATE
  LOOP
    UPDATE metering.credit_grants SET available_pico = 0 WHERE workspace_id = ended.workspace_id AND id = ended.id;
    INSERT INTO metering.credit_transfers (workspace_id, kind, from_account, to_account, grant_id, amount_pico)
      VALUES (ended.workspace_id, 'expire', 'grant:' || ended.id, 'expired', ended.id, ended.available_pico);
    total := total + 1;
  END LOOP;
  RETURN total;
END $$;

-- Writes events that are new, and draws their credits: events and grants are laid along one line, each from where the one before
-- it ends; where two overlap, the event draws that much from the grant. The caller holds the locks.
CREATE FUNCTION metering.take_usage(
  workspace uuid, token uuid, mode text, bill_overage boolean, fresh integer[],
  ids uuid[], sources text[], event_ids text[], meters text[], surfaces text[], quantities numeric[], instants timestamptz[],
  books integer[], units numeric[], amounts bigint[], hashes text[]
) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  instant timestamptz := clock_timestamp();
BEGIN
  WITH event AS (
    SELECT r.*, r.amount::numeric AS size, sum(r.amount::numeric) OVER (ORDER BY r.place) AS upto
      FROM unnest(ids, sources, event_ids, meters, surfaces, quantities, instants, books, units, amounts, hashes) WITH ORDINALITY
        AS r(id, source, event_id, meter, surface, quantity, occurred_at, book, unit_usd, amount, hash, place)
     WHERE r.place = ANY (fresh)
  ), standing AS (
    SELECT g.id, g.available_pico::numeric AS size,
        sum(g.available_pico::numeric) OVER (ORDER BY g.expires_at NULLS LAST, g.granted_at, g.id) AS upto
      FROM metering.credit_grants g
     WHERE mode = 'credits' AND g.workspace_id = workspace AND g.available_pico > 0 AND (g.expires_at IS NULL OR g.expires_at > instant)
  ), drawn AS (
    SELECT e.place, e.id AS subject, g.id AS grant_id, (least(e.upto, g.upto) - greatest(e.upto - e.size, g.upto - g.size))::bigint AS part
      FROM event e JOIN standing g ON e.size > 0 AND e.upto - e.size < g.upto AND g.upto - g.size < e.upto
  ), moved AS (
    INSERT INTO metering.credit_transfers (workspace_id, kind, from_account, to_account, grant_id, subject_id, amount_pico)
    SELECT workspace, 'draw', 'grant:' || d.grant_id, 'spent', d.grant_id, d.subject, d.part FROM drawn d ORDER BY d.place, d.grant_id
  ), lessened AS (
    UPDATE metering.credit_grants g SET available_pico = g.available_pico - d.part
      FROM (SELECT grant_id, sum(part)::bigint AS part FROM drawn GROUP BY grant_id) d
     WHERE g.workspace_id = workspace AND g.id = d.grant_id
  ), paid AS (
    SELECT e.*, coalesce((SELECT sum(d.part) FROM drawn d WHERE d.place = e.place), 0)::bigint AS credit FROM event e
  ), unpaid AS (
    INSERT INTO metering.credit_shortfalls (workspace_id, subject_id, amount_pico)
    SELECT workspace, p.id, p.amount - p.credit FROM paid p WHERE mode = 'credits' AND NOT bill_overage AND p.amount > p.credit
  )
  INSERT INTO metering.usage_events (workspace_id, source, event_id, id, meter, surface, quantity, occurred_at, billing_month, token_id,
    price_book_version, unit_usd, amount_pico, charge_mode, credit_pico, charge_pico, content_hash)
  SELECT workspace, p.source, p.event_id, p.id, p.meter, p.surface, p.quantity, p.occurred_at,
    metering.billing_month_of(workspace, p.occurred_at), token, p.book, p.unit_usd, p.amount, mode, p.credit,
    CASE WHEN mode = 'invoice' OR bill_overage THEN p.amount - p.credit ELSE 0 END, decode(p.hash, 'hex')
  FROM paid p;
END $$;

-- ── Usage that is no call ────────────────────────────────────────────────────────────────────────────────────────────
ALTER TABLE metering.usage_events ADD COLUMN surface text;

-- Records usage events of one workspace in one statement, each once by source and id. Arrays hold one element per event, priced
-- by the caller. Answers for each place, from 1, what became of it: `recorded`, `duplicate` (the same content was recorded
-- before), or `conflict` (other content was). In mode `credits` each event draws what there is, in the order of the batch, from the
-- grants that expire soonest; what they do not cover is billed where the plan bills its overage, else written down as a
-- shortfall. Budgets count what is drawn and billed. A closed month's usage is billed in the next open one.
CREATE FUNCTION metering.record_usage_events(
  workspace uuid, token uuid, mode text, bill_overage boolean,
  ids uuid[], sources text[], event_ids text[], meters text[], surfaces text[], quantities numeric[], instants timestamptz[],
  books integer[], units numeric[], amounts bigint[], hashes text[]
) RETURNS TABLE (place integer, outcome text, credit_pico bigint, charge_pico bigint, billing_month date)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  fresh integer[];
BEGIN
  PERFORM metering.lock_ledger_shared(workspace);
  PERFORM pg_advisory_xact_lock(7307, hashtext(workspace::text)); -- one batch of one workspace at a time: an id is new to one of them
  SELECT array_agg(f.place) INTO fresh FROM (
    SELECT DISTINCT ON (r.source, r.event_id) r.source, r.event_id, r.place::integer AS place
      FROM unnest(sources, event_ids) WITH ORDINALITY AS r(source, event_id, place)
     ORDER BY r.source, r.event_id, r.place) f
   WHERE NOT EXISTS (SELECT FROM metering.usage_events u WHERE u.workspace_id = workspace AND u.source = f.source AND u.event_id = f.event_id);
  IF fresh IS NOT NULL THEN
    -- Budgets before credits, as calls do.
    PERFORM metering.lock_budgets(array_fill(workspace, ARRAY[cardinality(fresh)]),
      ARRAY(SELECT instants[p] FROM unnest(fresh) p), array_fill(token, ARRAY[cardinality(fresh)]),
      array_fill(NULL::uuid, ARRAY[cardinality(fresh)]), false);
    IF mode = 'credits' THEN PERFORM metering.lock_credits(workspace); END IF;
    PERFORM metering.take_usage(workspace, token, mode, bill_overage, fresh, ids, sources, event_ids, meters, surfaces, quantities,
      instants, books, units, amounts, hashes);
    PERFORM metering.count_spend(array_agg(workspace), array_agg(u.occurred_at), array_agg(token), array_agg(NULL::uuid),
        array_agg('platform'::text), array_agg(u.credit_pico + u.charge_pico), array_agg(0::bigint))
      FROM unnest(fresh) p JOIN metering.usage_events u
        ON u.workspace_id = workspace AND u.source = sources[p] AND u.event_id = event_ids[p];
  END IF;
  RETURN QUERY
  SELECT r.place::integer,
      CASE WHEN r.place::integer = ANY (fresh) THEN 'recorded' WHEN u.content_hash = decode(r.hash, 'hex') THEN 'duplicate' ELSE 'conflict' END,
      u.credit_pico, u.charge_pico, u.billing_month
    FROM unnest(sources, event_ids, hashes) WITH ORDINALITY AS r(source, event_id, hash, place)
    JOIN metering.usage_events u ON u.workspace_id = workspace AND u.source = r.source AND u.event_id = r.event_id
   ORDER BY 1;
END $$;

GRANT EXECUTE ON FUNCTION metering.lock_budgets, metering.take_usage, metering.record_usage_events TO keymargin_app, keymargin_system;

-- ── What people are told, and what they told us ──────────────────────────────────────────────────────────────────────
-- credits_low: the workspace was told that its credits are low, and they have not risen again since.
ALTER TABLE "workspaces"
  ADD COLUMN "low_credits_usd" DECIMAL(38,18) NOT NULL DEFAULT 1,
  ADD COLUMN "credits_low" BOOLEAN NOT NULL DEFAULT false;
-- Why an operator granted them.
ALTER TABLE metering.credit_grants ADD COLUMN note text NOT NULL DEFAULT '';

-- ── What the console asks ────────────────────────────────────────────────────────────────────────────────────────────
CREATE UNIQUE INDEX usage_events_id ON metering.usage_events (workspace_id, id);
CREATE INDEX credit_transfers_expired ON metering.credit_transfers (workspace_id) WHERE to_account = 'expired';
