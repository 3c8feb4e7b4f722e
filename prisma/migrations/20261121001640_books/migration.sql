-- An operator who knows the cause of a difference can close it, with a reason. The same one is not opened again, another amount is.
ALTER TABLE reconciliation_differences ADD COLUMN written_off_by text;
ALTER TABLE reconciliation_differences ADD CONSTRAINT written_off_with_a_reason
  CHECK (written_off_by IS NULL OR (resolved_at IS NOT NULL AND coalesce(btrim(resolution), '') <> ''));
CREATE INDEX reconciliation_differences_written_off ON reconciliation_differences (kind, reference) WHERE written_off_by IS NOT NULL;
CREATE INDEX reconciliation_differences_of_workspace ON reconciliation_differences (workspace_id, kind) WHERE resolved_at IS NULL;
