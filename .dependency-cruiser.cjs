/**
 * The house's directions, as docs/decisions/0003 gives them: server → gateway, routes → http → domain → platform;
 * workers → domain; domain nouns import lower ranks only; one door per vendor.
 */
const ranks = [
  ['plans', 'pricing', 'permissions', 'providers'],
  ['audit', 'jobs', 'notifications'],
  ['workspaces', 'vault', 'tokens', 'ledger', 'credits'],
  ['billing', 'budgets', 'analytics', 'retention', 'operations'],
]

const nounRule = (noun, rank) => {
  const allowed = ranks.slice(0, rank).flat()
  return {
    name: `rank-of-${noun}`,
    comment: `${noun} has rank ${rank}: it may import only ranks below, and never another noun of its own rank.`,
    severity: 'error',
    from: { path: `^app/domain/${noun}/`, pathNot: '\\.test\\.ts$' },
    to: { path: '^app/domain/', pathNot: [`^app/domain/${noun}/`, ...allowed.map((lower) => `^app/domain/${lower}/`)] },
  }
}

const door = (name, vendor, from) => ({
  name: `one-door-${name}`,
  comment: `${vendor} is reached through ${from} only.`,
  severity: 'error',
  from: { path: '^(app|workers|server)', pathNot: from },
  to: { path: `^node_modules/(${vendor})/`, dependencyTypesNot: ['type-only'] },
})

const forbid = (name, from, to, extra = {}) => ({
  name,
  severity: 'error',
  from: { path: from, ...extra.from },
  to: { path: to, ...extra.to },
})

module.exports = {
  forbidden: [
    ...ranks.flatMap((nouns, rank) => nouns.map((noun) => nounRule(noun, rank))),
    forbid('platform-is-the-ground', '^app/platform/', '^(app/(domain|http|gateway|routes|ui)|workers|test|scripts)/'),
    forbid('domain-knows-no-doorway', '^app/domain/', '^(app/(http|gateway|routes|ui)|workers|scripts)/', {
      from: { pathNot: '\\.test\\.ts$' },
    }),
    forbid('doorway-knows-no-pages', '^app/http/', '^(app/(routes|gateway|ui)|workers|scripts)/'),
    forbid('gateway-stands-alone', '^app/gateway/', '^(app/(routes|http|ui)|workers|scripts)/'),
    forbid('ui-is-pure', '^app/ui/', '(\\.server\\.tsx?$|^app/(routes|gateway)/|^workers/|^scripts/)', {
      to: { dependencyTypesNot: ['type-only'] },
    }),
    forbid('routes-take-no-database', '^app/routes/', '^app/platform/db\\.server\\.ts$'),
    forbid('workers-know-the-domain', '^workers/', '^app/(http|gateway|routes|ui)/'),
    forbid('nobody-imports-routes', '^(app/(?!routes)|workers|server)', '^app/routes/', {
      from: { pathNot: '^app/generated/' },
    }),
    forbid('nobody-imports-workers', '^(app|server)', '^workers/'),
    forbid('product-knows-no-tests', '^(app|workers|server)', '^(test|e2e|bench|scripts)/', {
      from: { pathNot: '\\.test\\.ts$' },
    }),
    {
      name: 'internal-is-internal',
      severity: 'error',
      from: { path: '^app/domain/([^/]+)/' },
      to: { path: '^app/domain/([^/]+)/internal/', pathNot: '^app/domain/$1/' },
    },
    forbid('internal-from-outside', '^(app/(?!domain)|workers|server)', '^app/domain/[^/]+/internal/'),
    door('stripe', 'stripe', '^app/domain/billing/internal/'),
    door('libsodium', 'libsodium-wrappers', '^app/domain/vault/internal/'),
    door('casl', '@casl/[^/]+', '^app/domain/permissions/'),
    door('graphile', 'graphile-worker', '^(workers|app/domain/jobs)/'),
    door('undici', 'undici', '^app/domain/providers/internal/'),
    door('nodemailer', 'nodemailer', '^app/domain/notifications/internal/'),
    door('aws4fetch', 'aws4fetch', '^app/domain/providers/internal/'),
    {
      name: 'one-way-out',
      comment:
        'Connections to other machines are made in app/domain/providers/internal/ only: hosts are pinned and addresses checked there. (Stripe, better-auth, PostgreSQL and mail have doors of their own.)',
      severity: 'error',
      from: { path: '^(app|workers)/', pathNot: ['^app/domain/providers/internal/', '\\.test\\.ts$'] },
      to: {
        path: '^(node:)?(http|https|http2|net|tls|dgram|dns|dns/promises)$',
        dependencyTypes: ['core'],
        dependencyTypesNot: ['type-only'],
      },
    },
    door('better-auth', 'better-auth|@better-auth/[^/]+', '^app/http/'),
    {
      name: 'no-circles',
      severity: 'error',
      from: { pathNot: '^app/generated/' },
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'declared-dependencies',
      severity: 'error',
      from: { path: '^(app|workers|server)' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], pathNot: '^node_modules/(vite|vitest)/' },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '^virtual:' } },
  ],
  options: {
    doNotFollow: { path: ['node_modules', 'app/generated'] },
    exclude: { path: '^(build|\\.keymargin)' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.cjs', '.json'],
    },
  },
}
