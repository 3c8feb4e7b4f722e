import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import credits from '../../../prisma/seed/credits.json' with { type: 'json' }
import harnessFee from '../../../prisma/seed/harness-fee.json' with { type: 'json' }
import markup from '../../../prisma/seed/markup.json' with { type: 'json' }
import passThrough from '../../../prisma/seed/pass-through.json' with { type: 'json' }
import tierMargin from '../../../prisma/seed/tier-margin.json' with { type: 'json' }
import { loadCatalogueFile } from './load-catalogue-file.server.ts'

/** The five products that a plan can follow (design §3), as the catalogue files that come with this version. */
const files: Record<string, { name: string; contents: unknown }> = {
  'tier-margin': { name: 'Tier price and margin', contents: tierMargin },
  'harness-fee': { name: 'Credits and a monthly key fee', contents: harnessFee },
  credits: { name: 'Credits', contents: credits },
  markup: { name: 'Markup on cost', contents: markup },
  'pass-through': { name: 'Pass-through', contents: passThrough },
}

export interface PresetView {
  id: string
  name: string
  /** What loading it would do, in words; empty: nothing. */
  changes: string[]
}

type Row = Record<string, unknown>

interface Part {
  part: 'plans' | 'surfaces' | 'models' | 'priceBooks' | 'planProducts' | 'addOnProducts'
  word: string
  key: string
}
const parts: Part[] = [
  { part: 'plans', word: 'plan', key: 'id' },
  { part: 'surfaces', word: 'surface', key: 'id' },
  { part: 'models', word: 'model', key: 'id' },
  { part: 'priceBooks', word: 'price book', key: 'version' },
  { part: 'planProducts', word: 'Stripe product', key: 'productId' },
  { part: 'addOnProducts', word: 'Stripe product', key: 'productId' },
]

const plain = (value: unknown): string => {
  const text =
    value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
  // 8 and 8.000 are the same amount.
  return /^\d+\.\d+$/.test(text) ? text.replace(/\.?0+$/, '') : text
}

function changesOf({ word, key, part }: Part, wanted: Row[], held: Row[]): string[] {
  const byKey = new Map(held.map((row) => [String(row[key]), row]))
  return wanted.flatMap((row) => {
    const before = byKey.get(String(row[key]))
    if (!before) return [`adds ${word} ${row[key]}`]
    if (part === 'priceBooks') return []
    const changed = Object.keys(row).filter((name) => plain(row[name]) !== plain(before[name]))
    return changed.length ? [`changes ${word} ${row[key]}: ${changed.join(', ')}`] : []
  })
}

/** Decimals as their text, so that they compare with what a file says. */
const toPlain = (rows: object[]): Row[] =>
  rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [
        name,
        value && typeof value === 'object' && 'toFixed' in value ? (value as { toFixed(): string }).toFixed() : value,
      ]),
    ),
  )

/** The presets, each with what loading it would change now. */
export async function listPresets(ctx: OperatorCtx): Promise<PresetView[]> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const held = await inSystem(async (tx) => ({
    plans: toPlain(await tx.plan.findMany()),
    surfaces: toPlain(await tx.surface.findMany()),
    models: toPlain(await tx.model.findMany()),
    priceBooks: toPlain(await tx.priceBook.findMany({ where: { publishedAt: { not: null } } })),
    planProducts: toPlain(await tx.planProduct.findMany()),
    addOnProducts: toPlain(await tx.addOnProduct.findMany()),
  }))
  return Object.entries(files).map(([id, { name, contents }]) => ({
    id,
    name,
    changes: parts.flatMap((part) => changesOf(part, ((contents as Row)[part.part] ?? []) as Row[], held[part.part])),
  }))
}

/** Loads a preset as it comes with this version. Loading it again changes nothing. @throws AppError not_found; RangeError */
export async function loadPreset(ctx: OperatorCtx, id: string): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const file = Object.hasOwn(files, id) ? files[id] : undefined
  if (!file) throw notFound('Preset')
  const counts = await loadCatalogueFile(file.contents, ctx.now())
  await inSystem((tx) =>
    recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'catalogue.preset_loaded',
      subjectType: 'preset',
      subjectId: id,
      detail: counts,
      at: ctx.now(),
    }),
  )
}
