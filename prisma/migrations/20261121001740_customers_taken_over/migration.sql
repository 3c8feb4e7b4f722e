-- A customer that was linked to the wrong workspace could never be linked to the right one. It may change hands now, and nothing else
-- of it: while no workspace is linked to it, and where no run stands that sent anything there.
CREATE FUNCTION keep_stripe_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> OLD.id
    OR EXISTS (SELECT FROM workspaces w WHERE w.stripe_customer_id = OLD.id)
    OR EXISTS (SELECT FROM invoice_runs r WHERE r.workspace_id = OLD.workspace_id AND r.stripe_customer_id = OLD.id AND (
      r.stripe_invoice_id IS NOT NULL OR EXISTS (SELECT FROM stripe_operations o
        WHERE o.workspace_id = r.workspace_id AND o.run_id = r.id AND o.state <> 'planned')))
  THEN
    RAISE EXCEPTION 'stripe_customers: % stays with its workspace', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
DROP TRIGGER append_only ON stripe_customers;
CREATE TRIGGER append_only BEFORE DELETE ON stripe_customers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER keep_stripe_customer BEFORE UPDATE ON stripe_customers FOR EACH ROW EXECUTE FUNCTION keep_stripe_customer();
GRANT UPDATE (workspace_id) ON stripe_customers TO keymargin_system;
