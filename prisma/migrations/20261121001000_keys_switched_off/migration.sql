-- A pause of the subscription disables all keys and its end enables them again: those that their holder had switched off stay so.
ALTER TABLE "provider_keys" ADD COLUMN "switched_off" BOOLEAN NOT NULL DEFAULT false;
UPDATE "provider_keys" k SET "switched_off" = true FROM "workspaces" w
  WHERE w."id" = k."workspace_id" AND NOT k."enabled" AND w."subscription_status" IS DISTINCT FROM 'paused';
