import type pg from 'pg'

/**
 * Beats and the last use of a session change by themselves; that somebody had a key checked is counted whatever came of it;
 * sums that a page needs are kept. */
const restless = ['process_heartbeats', 'sessions', 'provider_key_checks', 'counterfactual_days']

/** One value over every row of every table of ours and of the queue; one query. Partitions are hashed, not their parents. */
export async function databaseHash(owner: pg.Client): Promise<string> {
  const { rows } = await owner.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('public', 'metering', 'graphile_worker') AND c.relkind = 'r' AND c.relname <> ALL($1) ORDER BY 1`,
    [restless],
  )
  const parts = rows.map(
    ({ name }) =>
      `SELECT '${name}' AS name, md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS hash FROM ${name} t`,
  )
  const all = await owner.query<{ hash: string }>(
    `SELECT md5(string_agg(name || hash, '|' ORDER BY name)) AS hash FROM (${parts.join(' UNION ALL ')}) AS tables`,
  )
  return all.rows[0]?.hash ?? ''
}
