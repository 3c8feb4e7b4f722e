-- Who may touch what. Two roles own nothing and cannot bypass row level security:
--   keymargin_app     the console: sees one workspace, named by the setting app.workspace_id of its transaction
--   keymargin_system  jobs, the gateway's batches, operators: all workspaces, no DDL
-- The application assumes one of them on every connection, whatever login it uses. Roles belong to the whole server, so
-- several databases may run this.
DO $$
BEGIN
  PERFORM pg_advisory_xact_lock(7305, 2);
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'keymargin_app') THEN
    CREATE ROLE keymargin_app NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'keymargin_system') THEN
    CREATE ROLE keymargin_system NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE IN ROLE keymargin_app;
  END IF;
  EXECUTE format('GRANT keymargin_app, keymargin_system TO %I', current_user);
END $$;

-- The job queue's tables are made and owned by the application's role (its own migrations run as that role).
CREATE SCHEMA graphile_worker AUTHORIZATION keymargin_app;

GRANT USAGE ON SCHEMA public, metering TO keymargin_app;

CREATE FUNCTION current_workspace_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.workspace_id', true), '')::uuid $$;
CREATE FUNCTION current_member_user_id() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.user_id', true), '') $$;

-- Identity: not tenant data; only better-auth's adapter and the seed write here.
GRANT SELECT, INSERT, UPDATE, DELETE ON users, sessions, accounts, verifications, rate_limits TO keymargin_app;
GRANT SELECT ON operators TO keymargin_app;
GRANT INSERT, DELETE ON operators TO keymargin_system;

-- Catalogue and installation secrets: read by all, written by jobs and operators.
GRANT SELECT ON plans, plan_products, price_books, tier_prices, models, surfaces, kek_versions, process_secrets TO keymargin_app;
GRANT INSERT, UPDATE, DELETE ON plans, plan_products, models, surfaces TO keymargin_system;
GRANT INSERT ON price_books, tier_prices, kek_versions, process_secrets TO keymargin_system;
GRANT UPDATE ON process_secrets TO keymargin_system;

-- Operators only.
GRANT SELECT, INSERT, UPDATE, DELETE ON alerts, process_heartbeats, stripe_events TO keymargin_system;

-- Tenant tables.
GRANT SELECT, INSERT, UPDATE, DELETE ON members, gateway_tokens, workspace_data_keys, provider_keys TO keymargin_app;
GRANT SELECT, UPDATE ON workspaces TO keymargin_app;
GRANT INSERT, DELETE ON workspaces TO keymargin_system;
GRANT SELECT, INSERT ON audit_events, key_purges TO keymargin_app;
GRANT SELECT ON invoice_runs, invoice_lines, stripe_operations TO keymargin_app;
GRANT INSERT, UPDATE ON invoice_runs, invoice_lines, stripe_operations TO keymargin_system;
GRANT SELECT ON metering.inference_calls, metering.call_corrections, metering.call_daily_rollups, metering.closed_months,
  metering.attempts, metering.calls_now, metering.call_daily_recount TO keymargin_app;
GRANT INSERT ON metering.inference_calls, metering.call_corrections, metering.closed_months TO keymargin_system;
GRANT INSERT, UPDATE ON metering.call_daily_rollups TO keymargin_system;
GRANT INSERT, UPDATE, DELETE ON metering.attempts TO keymargin_system;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA metering TO keymargin_app;

DO $$
DECLARE
  tenant_table regclass;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY['members', 'gateway_tokens', 'workspace_data_keys', 'provider_keys', 'key_purges', 'audit_events',
    'invoice_runs', 'invoice_lines', 'stripe_operations', 'metering.inference_calls', 'metering.call_corrections',
    'metering.call_daily_rollups', 'metering.closed_months', 'metering.attempts']::regclass[]
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('CREATE POLICY tenant ON %s TO keymargin_app USING (workspace_id = current_workspace_id()) WITH CHECK (workspace_id = current_workspace_id())', tenant_table);
    EXECUTE format('CREATE POLICY all_workspaces ON %s TO keymargin_system USING (true) WITH CHECK (true)', tenant_table);
  END LOOP;
END $$;

ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspaces FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspaces TO keymargin_app USING (id = current_workspace_id()) WITH CHECK (id = current_workspace_id());
CREATE POLICY all_workspaces ON workspaces TO keymargin_system USING (true) WITH CHECK (true);

-- A signed-in person finds their own memberships, and the workspaces of these, before any workspace is chosen.
CREATE POLICY own_memberships ON members FOR SELECT TO keymargin_app USING (user_id = current_member_user_id());
CREATE POLICY own_workspaces ON workspaces FOR SELECT TO keymargin_app USING (
  id IN (SELECT workspace_id FROM members WHERE user_id = current_member_user_id()));

ALTER TABLE alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE alerts FORCE ROW LEVEL SECURITY;
CREATE POLICY operators_only ON alerts TO keymargin_system USING (true) WITH CHECK (true);

-- Append-only, for every role, the owner too.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
DO $$
DECLARE
  kept regclass;
BEGIN
  FOREACH kept IN ARRAY ARRAY['audit_events', 'key_purges', 'metering.inference_calls', 'metering.call_corrections', 'metering.closed_months']::regclass[]
  LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION refuse_change()', kept);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', kept);
  END LOOP;
END $$;

-- A frozen invoice line keeps its amounts: only the Stripe id of its item is learnt later.
CREATE FUNCTION refuse_line_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - 'stripe_item_id') <> (to_jsonb(OLD) - 'stripe_item_id') THEN
    RAISE EXCEPTION 'invoice lines are frozen: % refused', TG_OP USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE OR DELETE ON invoice_lines FOR EACH ROW EXECUTE FUNCTION refuse_line_change();

-- Says that a workspace's keys or plan changed; every process drops what it had opened.
CREATE FUNCTION announce_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.key_epoch IS DISTINCT FROM OLD.key_epoch THEN
    PERFORM pg_notify('keymargin_keys', NEW.id::text || ' ' || NEW.key_epoch::text);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER announce_key_change AFTER UPDATE OF key_epoch ON workspaces FOR EACH ROW EXECUTE FUNCTION announce_key_change();
