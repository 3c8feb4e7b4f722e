/** `npm run pictures`: the documents' pictures anew, from those that the last run of the browser tests took. */
import { copyFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
const shown = path.join(root, 'docs/pictures')
const taken = path.join(root, 'artifacts/pictures')

for (const name of readdirSync(shown)) copyFileSync(path.join(taken, name), path.join(shown, name))
console.log(`Copied to ${path.relative(root, shown)}. Run the browser tests first (npm run test:e2e) for newer ones.`)
