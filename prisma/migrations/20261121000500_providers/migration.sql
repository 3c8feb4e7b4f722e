-- Every provider, several keys of each, and what is known of them.

-- ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
DROP INDEX "provider_keys_workspace_id_provider_key";
ALTER TABLE "provider_keys"
  ADD COLUMN "name" TEXT NOT NULL DEFAULT '',
  ADD COLUMN "position" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "allowed_models" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
  ADD COLUMN "allowed_surfaces" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[],
  ADD COLUMN "last_error_text" TEXT,
  ADD COLUMN "last_used_at" TIMESTAMPTZ(3),
  ADD COLUMN "last_success_at" TIMESTAMPTZ(3),
  ADD COLUMN "balance_kind" TEXT,
  ADD COLUMN "balance_usd" DECIMAL(38,18),
  ADD COLUMN "balance_at" TIMESTAMPTZ(3),
  ADD COLUMN "balance_low" BOOLEAN NOT NULL DEFAULT false,
  ADD CONSTRAINT "verification_known" CHECK ("verification" IN ('valid', 'restricted', 'unverified')),
  ADD CONSTRAINT "balance_known" CHECK ("balance_kind" IN ('key_limit', 'account', 'no_limit') AND ("balance_kind" = 'no_limit') = ("balance_usd" IS NULL));
CREATE INDEX "provider_keys_workspace_id_provider_position_idx" ON "provider_keys"("workspace_id", "provider", "position");

-- The models that a saved key can call, as its provider last listed them.
CREATE TABLE "provider_key_models" (
    "workspace_id" UUID NOT NULL,
    "key_id" UUID NOT NULL,
    "key_version" INTEGER NOT NULL,
    "models" TEXT[] NOT NULL,
    "fetched_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "provider_key_models_pkey" PRIMARY KEY ("workspace_id","key_id")
);
ALTER TABLE "provider_key_models" ADD CONSTRAINT "provider_key_models_workspace_id_key_id_fkey" FOREIGN KEY ("workspace_id", "key_id") REFERENCES "provider_keys"("workspace_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- One attempt of a billing admin to connect an account by OAuth: the verifier is sealed, the rest is hashes.
CREATE TABLE "oauth_flows" (
    "workspace_id" UUID NOT NULL,
    "nonce_hash" BYTEA NOT NULL,
    "provider" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "session_hash" BYTEA NOT NULL,
    "verifier_nonce" BYTEA NOT NULL,
    "verifier_sealed" BYTEA NOT NULL,
    "data_key_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "used_at" TIMESTAMPTZ(3),

    CONSTRAINT "oauth_flows_pkey" PRIMARY KEY ("workspace_id","nonce_hash")
);
ALTER TABLE "oauth_flows" ADD CONSTRAINT "oauth_flows_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── What a workspace decides for its calls ───────────────────────────────────────────────────────────────────────────
ALTER TABLE "workspaces"
  ADD COLUMN "never_platform_key" BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN "low_balance_usd" DECIMAL(38,18) NOT NULL DEFAULT 5;

-- Surfaces on which a call that the provider answers with 429 or 5xx may go out again under the platform's key.
CREATE TABLE "surface_fallbacks" (
    "workspace_id" UUID NOT NULL,
    "surface" TEXT NOT NULL,
    "daily_cap_usd" DECIMAL(38,18) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "surface_fallbacks_pkey" PRIMARY KEY ("workspace_id","surface")
);
ALTER TABLE "surface_fallbacks" ADD CONSTRAINT "surface_fallbacks_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What the workspace's own people are told, in the console and by mail. One open row per (kind, reference).
CREATE TABLE "notices" (
    "workspace_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "reference" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "path" TEXT,
    "raised_at" TIMESTAMPTZ(3) NOT NULL,
    "mailed_at" TIMESTAMPTZ(3),
    "dismissed_at" TIMESTAMPTZ(3),

    CONSTRAINT "notices_pkey" PRIMARY KEY ("workspace_id","id")
);
CREATE UNIQUE INDEX "notices_open" ON "notices"("workspace_id", "kind", "reference") WHERE "dismissed_at" IS NULL;
ALTER TABLE "notices" ADD CONSTRAINT "notices_workspace_id_fkey" FOREIGN KEY ("workspace_id") REFERENCES "workspaces"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── Catalogue ────────────────────────────────────────────────────────────────────────────────────────────────────────
ALTER TABLE "plans" ADD COLUMN "provider_precedence" TEXT[] NOT NULL DEFAULT ARRAY[]::TEXT[];

-- What providers themselves publish: model ids with their prices, as last fetched.
CREATE TABLE "provider_catalogues" (
    "provider" TEXT NOT NULL,
    "models" JSONB NOT NULL,
    "fetched_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "provider_catalogues_pkey" PRIMARY KEY ("provider")
);

-- Models that calls went to although nobody knows their price: the operator's list.
CREATE TABLE "unpriced_models" (
    "provider" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "calls" BIGINT NOT NULL,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "unpriced_models_pkey" PRIMARY KEY ("provider","model")
);

-- The operator's own prices, where no other source knows one. USD per token, exact.
CREATE TABLE "price_overrides" (
    "provider" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "input_usd" DECIMAL(38,18) NOT NULL,
    "output_usd" DECIMAL(38,18) NOT NULL,
    "cache_read_usd" DECIMAL(38,18),
    "cache_write_usd" DECIMAL(38,18),
    "note" TEXT NOT NULL DEFAULT '',
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "price_overrides_pkey" PRIMARY KEY ("provider","model")
);

-- ── Who may touch what ───────────────────────────────────────────────────────────────────────────────────────────────
GRANT SELECT, INSERT, UPDATE, DELETE ON provider_key_models, oauth_flows, surface_fallbacks, notices TO keymargin_app;
GRANT SELECT ON provider_catalogues, unpriced_models, price_overrides TO keymargin_app;
GRANT INSERT, UPDATE, DELETE ON provider_catalogues, unpriced_models, price_overrides TO keymargin_system;
DO $$
DECLARE
  tenant_table regclass;
BEGIN
  FOREACH tenant_table IN ARRAY ARRAY['provider_key_models', 'oauth_flows', 'surface_fallbacks', 'notices']::regclass[]
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('CREATE POLICY tenant ON %s TO keymargin_app USING (workspace_id = current_workspace_id()) WITH CHECK (workspace_id = current_workspace_id())', tenant_table);
    EXECUTE format('CREATE POLICY all_workspaces ON %s TO keymargin_system USING (true) WITH CHECK (true)', tenant_table);
  END LOOP;
END $$;

-- ── Metering ─────────────────────────────────────────────────────────────────────────────────────────────────────────
-- upstream_model: the model's id at the provider, where it is not the one the caller named. fallback_of: the call that the
-- provider refused and this one stands in for. price_row: the prices, and where they came from, that made the raw cost of a
-- call whose provider reports none. tier is 'none' for a model that no tier holds; its tier price is unknown then.
ALTER TABLE metering.attempts
  ADD COLUMN upstream_model text,
  ADD COLUMN endpoint text NOT NULL DEFAULT 'chat',
  ADD COLUMN fallback_of uuid;
ALTER TABLE metering.inference_calls
  ADD COLUMN upstream_model text,
  ADD COLUMN endpoint text NOT NULL DEFAULT 'chat' CHECK (endpoint IN ('chat', 'responses', 'embeddings', 'rerank')),
  ADD COLUMN fallback_of uuid,
  ADD COLUMN price_row jsonb;
CREATE INDEX inference_calls_fallbacks ON metering.inference_calls (workspace_id, dispatched_at) WHERE fallback_of IS NOT NULL;

-- pass_through: the workspace's key paid, and nothing is owed here.
ALTER TABLE metering.attempts DROP CONSTRAINT attempt_can_be_charged;
ALTER TABLE metering.attempts ADD CONSTRAINT attempt_can_be_charged CHECK (
  (charge_mode = 'tier' AND key_source = 'platform' AND tier <> 'none')
  OR (charge_mode = 'tier_margin' AND key_source = 'workspace' AND tier <> 'none')
  OR (charge_mode = 'pass_through' AND key_source = 'workspace')) NOT VALID;
ALTER TABLE metering.inference_calls DROP CONSTRAINT charge_rule;
ALTER TABLE metering.inference_calls ADD CONSTRAINT charge_rule CHECK (
  CASE charge_mode
    WHEN 'tier' THEN key_source = 'platform' AND charge_pico IS NOT NULL AND charge_pico = tier_price_pico
    WHEN 'tier_margin' THEN key_source = 'workspace' AND
      CASE WHEN raw_cost_pico IS NULL OR tier_price_pico IS NULL THEN charge_pico IS NULL
           ELSE charge_pico IS NOT NULL AND charge_pico = greatest(0, tier_price_pico - raw_cost_pico) END
    WHEN 'pass_through' THEN key_source = 'workspace' AND charge_pico IS NOT NULL AND charge_pico = 0
    ELSE false
  END IS TRUE);
