import { Button, Fieldset, Group, SimpleGrid, Text, Textarea, TextInput } from '@mantine/core'
import { Form } from '@remix-run/react'
import { type Answer, AnswerNotice, answerTo, fieldError } from '#app/ui/answer-notice.tsx'
import { AskButton, ConfirmDialog } from '#app/ui/confirm-dialog.tsx'
import { DataTable } from '#app/ui/data-table.tsx'
import { Empty, PageHeading, Panel } from '#app/ui/page.tsx'
import type { BookRow, PriceBookView } from './price-book-view.ts'
import { PricePreview } from './price-preview.tsx'

export type PriceBookAnswer = Answer<{ message: string }>
type Editing = NonNullable<PriceBookView['editing']>

const draftFields = ['workspace', 'currency']

function Ask({ book, name, children }: { book: BookRow; name: 'edit' | 'preview' | 'publish'; children: string }) {
  return (
    <AskButton ask={[name, book.version]} label={`${children} price book ${book.version}`}>
      {children}
    </AskButton>
  )
}

function Discard({ book }: { book: BookRow }) {
  return (
    <Form method="post" action="?" preventScrollReset>
      <input type="hidden" name="intent" value="discard-draft" />
      <input type="hidden" name="version" value={book.version} />
      <Button type="submit" variant="default" size="xs" aria-label={`Discard draft ${book.version}`}>
        Discard
      </Button>
    </Form>
  )
}

function Books({ books }: { books: BookRow[] }) {
  if (!books.length) return <Empty title="No price book yet">Load a preset in the catalogue, or make a draft.</Empty>
  return (
    <DataTable
      caption="Price books, drafts first"
      columns={['Version', 'State', 'For', 'In force from (UTC)', 'Currency', 'Note', ''].map((label) => ({ label }))}
      rows={books.map((book) => ({
        key: book.version,
        cells: [
          book.version,
          <div key="state">
            {book.state}
            {book.rerate && (
              <Text size="xs" c="gray.7">
                {book.rerate}
              </Text>
            )}
          </div>,
          book.whom,
          book.from,
          book.currency,
          book.note,
          book.draft ? (
            <Group key="do" gap="xs">
              <Ask book={book} name="edit">
                Edit
              </Ask>
              <Ask book={book} name="preview">
                Preview
              </Ask>
              <Ask book={book} name="publish">
                Publish
              </Ask>
              <Discard book={book} />
            </Group>
          ) : null,
        ],
      }))}
    />
  )
}

function NewDraft({ answer }: { answer: PriceBookAnswer | undefined }) {
  return (
    <Form method="post" action="?" preventScrollReset>
      <input type="hidden" name="intent" value="draft" />
      <Group align="flex-end" gap="sm">
        <TextInput
          name="workspace"
          label="For one workspace (optional)"
          placeholder="short name"
          error={fieldError(answer, 'workspace')}
          autoComplete="off"
        />
        <TextInput name="currency" label="Currency" defaultValue="usd" w={100} error={fieldError(answer, 'currency')} />
        <Button type="submit">Make a draft</Button>
      </Group>
    </Form>
  )
}

const prices = [
  ['input', 'Input'],
  ['output', 'Output'],
  ['cacheRead', 'Cache read'],
  ['cacheWrite', 'Cache write'],
] as const

function TierFields({ tier, answer }: { tier: Editing['tiers'][number]; answer: PriceBookAnswer | undefined }) {
  return (
    <Fieldset legend={`${tier.name}, per million tokens`} mb="md">
      <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
        {prices.map(([name, label]) => (
          <TextInput
            key={name}
            name={`${tier.tier}.${name}`}
            label={label}
            defaultValue={tier[name]}
            error={fieldError(answer, `${tier.tier}.${name}`)}
            inputMode="decimal"
            autoComplete="off"
          />
        ))}
      </SimpleGrid>
      <Textarea
        name={`${tier.tier}.bands`}
        label="Larger calls: above how many input tokens, input, output, cache read, cache write; one band per line"
        defaultValue={tier.bands}
        error={fieldError(answer, `${tier.tier}.bands`)}
        autosize
        minRows={1}
        mt="sm"
      />
    </Fieldset>
  )
}

function EditDraft({ draft, answer }: { draft: Editing; answer: PriceBookAnswer | undefined }) {
  return (
    <Form method="post" preventScrollReset key={draft.version}>
      <input type="hidden" name="intent" value="change-draft" />
      <input type="hidden" name="version" value={draft.version} />
      <SimpleGrid cols={{ base: 1, sm: 2, md: 4 }} spacing="sm" mb="md">
        <TextInput
          name="effectiveFrom"
          type="datetime-local"
          label="In force from (UTC)"
          defaultValue={draft.effectiveFrom}
          error={fieldError(answer, 'effectiveFrom')}
        />
        <TextInput
          name="effectiveUntil"
          type="datetime-local"
          label="Until (UTC, optional)"
          defaultValue={draft.effectiveUntil}
          error={fieldError(answer, 'effectiveUntil')}
        />
        <TextInput
          name="currency"
          label="Currency"
          defaultValue={draft.currency}
          error={fieldError(answer, 'currency')}
        />
        <TextInput
          name="note"
          label="Note (optional)"
          defaultValue={draft.note}
          error={fieldError(answer, 'note')}
          autoComplete="off"
        />
      </SimpleGrid>
      {draft.tiers.map((tier) => (
        <TierFields key={tier.tier} tier={tier} answer={answer} />
      ))}
      <Textarea
        name="meters"
        label="Usage that is no call: id, name, unit, price per unit; one meter per line"
        placeholder="sandbox_seconds, Sandboxes, seconds, 0.0000125"
        defaultValue={draft.meters}
        error={fieldError(answer, 'meters')}
        autosize
        minRows={2}
        mb="md"
      />
      <Button type="submit">Save draft</Button>
    </Form>
  )
}

function PublishDialog({ book }: { book: BookRow }) {
  return (
    <ConfirmDialog
      title={book.past ? `Apply price book ${book.version} to the past?` : `Publish price book ${book.version}?`}
      intent={book.past ? 'publish-rerate' : 'publish'}
      fields={{ version: book.version }}
      confirm={book.past ? 'Publish and re-rate' : 'Publish'}
    >
      <Text size="sm">
        {book.past
          ? `It begins at ${book.from}, in the past. Calls since then keep the price that stands in them and invoices stay as they are; what they were charged too much or too little goes onto the next invoices as corrections. Calls that were paid out of credits, and usage that is no call, stay as they are.`
          : `From ${book.from} on, calls are priced by it. A published price book never changes.`}
      </Text>
    </ConfirmDialog>
  )
}

function Currency({ answer }: { answer: PriceBookAnswer | undefined }) {
  return (
    <Form method="post" action="?" preventScrollReset>
      <input type="hidden" name="intent" value="set-currency" />
      <Group align="flex-end" gap="sm">
        <TextInput
          name="workspace"
          label="Workspace"
          placeholder="short name"
          error={fieldError(answer, 'workspace')}
          required
          withAsterisk={false}
          autoComplete="off"
        />
        <TextInput
          name="currency"
          label="Currency"
          placeholder="eur"
          w={100}
          error={fieldError(answer, 'currency')}
          required
          withAsterisk={false}
        />
        <Button type="submit" variant="default">
          Set currency
        </Button>
      </Group>
    </Form>
  )
}

/** What calls and other usage cost customers: versions, drafts, what a draft would change, and their publication. */
export function PriceBookPage({ view, answer }: { view: PriceBookView; answer: PriceBookAnswer | undefined }) {
  return (
    <>
      <PageHeading title="Price book">
        What customers pay per token and per unit. A call is priced by the version in force when it is sent; what is
        published never changes. A workspace’s own prices hold before the general ones.
      </PageHeading>
      <AnswerNotice
        answer={answer}
        fields={answer && !answer.ok && answer.intent === 'publish' ? [] : draftFields}
        success={answer?.ok ? answer.message : null}
      />
      <Panel title="Versions">
        <Books books={view.books} />
      </Panel>
      {view.editing && (
        <Panel
          title={`Draft ${view.editing.version}`}
          note="Stored exactly per token. A tier or meter that is left out stays at the price of the book before."
        >
          <EditDraft draft={view.editing} answer={answerTo(answer, 'change-draft')} />
        </Panel>
      )}
      {view.preview && (
        <Panel
          title={`${view.preview.month} under draft ${view.preview.version}`}
          note="Every workspace with calls or usage in the month, priced again by the same rules. Charges and what was drawn from credits together; nothing is stored."
        >
          <PricePreview preview={view.preview} />
        </Panel>
      )}
      <Panel title="New draft" note="A copy of what holds now, to begin next month.">
        <NewDraft answer={answerTo(answer, 'draft')} />
      </Panel>
      <Panel
        title="Currency of a workspace"
        note="Possible before its first invoice, where prices in that currency are published and its plan does not reckon with costs in USD."
      >
        <Currency answer={answerTo(answer, 'set-currency')} />
      </Panel>
      {view.publishing && <PublishDialog book={view.publishing} />}
    </>
  )
}
