/** A JSON number with exactly these digits, as `JSON.stringify` is to write it. (The language has it, its types not yet.) */
export const rawJson = (text: string): unknown => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text)
