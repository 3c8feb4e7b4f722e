-- Every customer that a workspace ever had at Stripe. One that was linked before has events to come (a payment, a credit note, a paid
-- Checkout), whether a run was billed to it or not, and is nobody else's ever after.
CREATE TABLE "stripe_customers" (
    "workspace_id" UUID NOT NULL,
    "id" TEXT NOT NULL,

    CONSTRAINT "stripe_customers_pkey" PRIMARY KEY ("workspace_id","id")
);
CREATE UNIQUE INDEX "stripe_customers_id_key" ON "stripe_customers"("id");
ALTER TABLE "stripe_customers" ADD CONSTRAINT "stripe_customers_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Until now runs told it, and of a customer without any only the audit trail; one that another workspace took since is that one's.
ALTER TABLE workspaces NO FORCE ROW LEVEL SECURITY;
ALTER TABLE invoice_runs NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_events NO FORCE ROW LEVEL SECURITY;
INSERT INTO stripe_customers (workspace_id, id)
  SELECT id, stripe_customer_id FROM workspaces WHERE stripe_customer_id IS NOT NULL;
INSERT INTO stripe_customers (workspace_id, id)
  SELECT DISTINCT workspace_id, stripe_customer_id FROM invoice_runs WHERE stripe_customer_id IS NOT NULL
  ON CONFLICT DO NOTHING;
INSERT INTO stripe_customers (workspace_id, id)
  SELECT e.workspace_id, named.id FROM audit_events e, LATERAL (VALUES (e.detail->>'before'), (e.detail->>'customer')) named (id)
  WHERE e.action = 'workspace.customer_linked' AND e.workspace_id IS NOT NULL AND named.id <> ''
  ON CONFLICT DO NOTHING;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
ALTER TABLE invoice_runs FORCE ROW LEVEL SECURITY;
ALTER TABLE workspaces FORCE ROW LEVEL SECURITY;
DROP INDEX "invoice_runs_stripe_customer_id_idx";

-- By the database, so that no way of linking can forget it. Another workspace's customer is refused by the index.
CREATE FUNCTION note_stripe_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO stripe_customers (workspace_id, id) VALUES (NEW.id, NEW.stripe_customer_id) ON CONFLICT (workspace_id, id) DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER note_stripe_customer AFTER INSERT OR UPDATE OF stripe_customer_id ON workspaces
  FOR EACH ROW WHEN (NEW.stripe_customer_id IS NOT NULL) EXECUTE FUNCTION note_stripe_customer();

GRANT SELECT ON stripe_customers TO keymargin_app;
GRANT INSERT ON stripe_customers TO keymargin_system;
ALTER TABLE stripe_customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE stripe_customers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON stripe_customers TO keymargin_app USING (workspace_id = current_workspace_id()) WITH CHECK (workspace_id = current_workspace_id());
CREATE POLICY all_workspaces ON stripe_customers TO keymargin_system USING (true) WITH CHECK (true);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON stripe_customers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON stripe_customers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
