/** What is held for a text is near what it comes to, however dense it is. */
import { createHash } from 'node:crypto'
import { countTokens as countOld } from 'gpt-tokenizer/encoding/cl100k_base'
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { expect, test } from 'vitest'
import { textTokens } from './text-tokens.ts'

const many = (text: string) => `${text} `.repeat(50)
/** Bytes without a pattern, the same in each run. */
const bytes = Buffer.concat(Array.from({ length: 300 }, (_, n) => createHash('sha256').update(String(n)).digest()))
const from = (letters: string) => [...bytes].map((byte) => [...letters][byte % [...letters].length]).join('')
const rows = Array.from({ length: 400 }, (_, n) => `${1_700_000_000 + n * 37},${(n * 7919) % 10_007},${n / 10}`)

test.each([
  [
    'English',
    many('The invoice of a month is the sum of its calls, and every call can be looked up with its receipt.'),
  ],
  [
    'German',
    many('Die Rechnung eines Monats ist die Summe seiner Aufrufe, und jeder Aufruf ist mit Beleg nachzusehen.'),
  ],
  ['Russian', many('Счёт за месяц складывается из вызовов, и каждый вызов можно посмотреть вместе с чеком.')],
  ['Chinese', many('一个月的账单是其所有调用的总和,每一次调用都可以连同收据一起查看。')],
  ['Japanese', many('月の請求書はすべての呼び出しの合計であり、各呼び出しは領収書とともに確認できます。')],
  ['Arabic', many('فاتورة الشهر هي مجموع مكالماته، ويمكن الاطلاع على كل مكالمة مع إيصالها.')],
  ['Hindi', many('महीने का चालान उसकी सभी कॉलों का योग है और हर कॉल रसीद के साथ देखी जा सकती है।')],
  ['capitals', many('THE INVOICE OF A MONTH IS THE SUM OF ITS CALLS')],
  ['code', many('export const readBody = (request) => parseMembers(request.bytes).get("model") ?? null;\n')],
  ['JSON', JSON.stringify(rows.map((row, id) => ({ id, row, done: false })))],
  ['rows of numbers', rows.join('\n')],
  ['digits', from('0123456789')],
  ['signs', from('!#$%&()*+,-./:;<=>?@[]^_`{|}~')],
  ['base64', bytes.toString('base64')],
  ['base64 for addresses', bytes.toString('base64url')],
  ['hex', bytes.toString('hex')],
  ['base32', from('abcdefghijklmnopqrstuvwxyz234567')],
  ['emoji', from('😀🎉🚀🔥💯🦊')],
])('%s is held at three quarters to twice what tokenizers count', (_name, text) => {
  const most = Math.max(countTokens(text), countOld(text))
  const held = textTokens(Buffer.from(text))
  expect(held).toBeGreaterThanOrEqual(0.75 * most)
  expect(held).toBeLessThanOrEqual(2 * most)
})
