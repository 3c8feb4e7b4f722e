-- As before, but where none of the batch's workspaces has a hard budget there is nothing to lock: it cost each call some 80
-- microseconds of the database to find that out.
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
  IF EXISTS (SELECT FROM budgets b WHERE b.workspace_id = ANY (workspaces) AND b.enabled AND b.hard) THEN
    PERFORM metering.lock_budgets(workspaces, dispatches, tokens, keys, true);
  END IF;
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
