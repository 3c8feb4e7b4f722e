-- A workspace that was ended for good: billed at once, without people, keys and tokens; its ledger and invoices stay.
ALTER TABLE "workspaces" ADD COLUMN "ended_at" TIMESTAMPTZ(3);
