-- A workspace can be linked to another Stripe customer, after its own was deleted or merged. What was billed to the one before stays
-- with that one. Null: the run is billed to the workspace's own customer.
ALTER TABLE "invoice_runs" ADD COLUMN "stripe_customer_id" TEXT;
CREATE INDEX "invoice_runs_stripe_customer_id_idx" ON "invoice_runs"("stripe_customer_id");
