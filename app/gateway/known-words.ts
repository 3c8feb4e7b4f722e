/** Where a letter leads from the letters before it; 0: nowhere. Room for 255 letters of words that begin differently. */
const steps = new Uint8Array(256 * 256)
const beginning = 1
let last = beginning
let longest = 0

/** Learns a word of ASCII letters. @returns its number, which no other has: what `wordAt` finds */
export function known(word: string): number {
  let letter = beginning
  for (const byte of Buffer.from(word)) {
    const at = letter * 256 + byte
    if (steps[at] === 0) steps[at] = ++last
    letter = steps[at] as number
  }
  if (last > 255) throw new Error('there is no room for more words')
  longest = Math.max(longest, word.length)
  return letter
}

/**
 * The word at a place in the bytes, without making a text of it: a body may hold a million names.
 * @param end exclusive
 * @returns its number; 0, or one that no word has, for whatever was not learnt
 */
export function wordAt(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > longest) return 0
  let letter = beginning
  for (let at = start; at < end; at++) {
    letter = steps[letter * 256 + (bytes[at] as number)] as number
    if (letter === 0) return 0
  }
  return letter
}
