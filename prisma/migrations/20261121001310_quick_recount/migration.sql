-- Corrections are looked up for calls that have no charge of their own, and for no others: where the condition stood beside the
-- look-up instead of in it, a recount of a month made one for every call.
CREATE OR REPLACE VIEW metering.calls_now WITH (security_invoker = true) AS
SELECT c.workspace_id, c.dispatched_at, c.id, c.billing_month, c.recorded_at, c.origin, c.token_id, c.surface, c.provider, c.model,
  c.response_model, c.tier, c.key_source, c.key_id, c.key_version, c.streamed, c.status, c.http_status, c.error_code,
  coalesce(k.input_tokens, c.input_tokens) AS input_tokens, coalesce(k.output_tokens, c.output_tokens) AS output_tokens,
  c.cache_read_tokens, c.cache_write_tokens, c.reasoning_tokens, c.usage_source,
  coalesce(k.raw_cost_pico, c.raw_cost_pico) AS raw_cost_pico, coalesce(k.cost_source, c.cost_source) AS cost_source,
  c.cost_clamped, c.price_book_version, coalesce(k.tier_price_pico, c.tier_price_pico) AS tier_price_pico, c.charge_mode,
  coalesce(k.charge_pico, c.charge_pico) AS charge_pico, k.reason AS correction_reason, c.latency_ms, c.first_byte_ms, c.upstream_id,
  c.markup_bp, coalesce(k.basis_pico, c.basis_pico) AS basis_pico, coalesce(k.basis_source, c.basis_source) AS basis_source, c.credit_pico
FROM metering.inference_calls c
LEFT JOIN LATERAL (
  SELECT * FROM metering.call_corrections k
   WHERE c.charge_pico IS NULL AND k.workspace_id = c.workspace_id AND k.call_id = c.id ORDER BY k.seq DESC LIMIT 1
) k ON true;

-- The text that a call is hashed by is written in the query itself: as a function it was called once per call.
DROP FUNCTION metering.call_text(metering.calls_now);
