-- Mailing of notices. mail_after is lease and back-off in one: a worker that takes a notice moves it into the future, so that
-- no other takes it meanwhile; one that dies leaves it to be taken again then. dismissed_by: null where it resolved itself.
ALTER TABLE "notices"
  ADD COLUMN "mail_attempts" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "mail_after" TIMESTAMPTZ(3),
  ADD COLUMN "dismissed_by" TEXT;
CREATE INDEX "notices_to_mail" ON "notices"("raised_at") WHERE "mailed_at" IS NULL AND "dismissed_at" IS NULL;
