-- What the calls of one day would come to in every way to be charged: sums that the page "Pricing" adds up. A day that is over is
-- gone through once. `state` is what the day's rollups, the shares and the background surfaces were: with another one it is counted anew.
CREATE TABLE metering.counterfactual_days (
  workspace_id uuid NOT NULL,
  day          date NOT NULL,
  state        text NOT NULL,
  sums         jsonb NOT NULL,
  PRIMARY KEY (workspace_id, day)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON metering.counterfactual_days TO keymargin_app;
ALTER TABLE metering.counterfactual_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE metering.counterfactual_days FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON metering.counterfactual_days TO keymargin_app USING (workspace_id = current_workspace_id()) WITH CHECK (workspace_id = current_workspace_id());
CREATE POLICY all_workspaces ON metering.counterfactual_days TO keymargin_system USING (true) WITH CHECK (true);
