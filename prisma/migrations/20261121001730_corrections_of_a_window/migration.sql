-- A budget that is begun counts corrected costs while no call of the workspace can be settled, and went through every correction that
-- there ever was, or through every entry of a re-rate run in the month. A correction is in the billing month of its call or in a later one.
CREATE INDEX call_adjustments_of_a_window ON metering.call_adjustments (workspace_id, billing_month, dispatched_at) WHERE reason = 'cost_corrected';
