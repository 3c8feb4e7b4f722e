-- Corrections of what is held, priced and checked.

-- What the price of a model does not hold, in words: calls that used it have no known cost. Empty: the model has no price at all.
ALTER TABLE "unpriced_models" ADD COLUMN "missing" TEXT NOT NULL DEFAULT '';

-- The longest answer that a model gives, in tokens: what a call that names no limit may come to. Null: not known.
ALTER TABLE "models" ADD COLUMN "max_output_tokens" INTEGER,
  ADD CONSTRAINT "model_output" CHECK ("max_output_tokens" > 0);

-- When somebody had a provider asked about a key: a session must not be an oracle for keys that were found somewhere.
CREATE TABLE "provider_key_checks" (
    "workspace_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "user_id" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "provider_key_checks_pkey" PRIMARY KEY ("workspace_id","id")
);
ALTER TABLE "provider_key_checks" ADD CONSTRAINT "provider_key_checks_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
CREATE INDEX "provider_key_checks_workspace_id_at_idx" ON "provider_key_checks"("workspace_id", "at");
CREATE INDEX "provider_key_checks_user_id_at_idx" ON "provider_key_checks"("user_id", "at");
GRANT SELECT, INSERT, DELETE ON provider_key_checks TO keymargin_app;
ALTER TABLE provider_key_checks ENABLE ROW LEVEL SECURITY;
ALTER TABLE provider_key_checks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON provider_key_checks TO keymargin_app USING (workspace_id = current_workspace_id()) WITH CHECK (workspace_id = current_workspace_id());
CREATE POLICY all_workspaces ON provider_key_checks TO keymargin_system USING (true) WITH CHECK (true);
