-- Who granted credits: `operator <id>`, `system`. The audit trail knows it too, by workspace; operators look over all of them.
ALTER TABLE metering.credit_grants ADD COLUMN granted_by text NOT NULL DEFAULT '';
UPDATE metering.credit_grants g SET granted_by = trim(e.actor_kind || ' ' || coalesce(e.actor_id, ''))
  FROM audit_events e WHERE e.workspace_id = g.workspace_id AND e.action = 'credits.granted' AND e.subject_id = g.id::text;
CREATE INDEX credit_grants_by_time ON metering.credit_grants (granted_at DESC, id);
