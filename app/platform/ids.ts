import { v7 } from 'uuid'

/** A UUIDv7: its first 48 bits are the millisecond of its making, so ids sort by time. */
export const newId = (at?: Date): string => (at ? v7({ msecs: at.getTime() }) : v7())

/** The instant (whole milliseconds) inside a UUIDv7. An inference call's id carries its dispatch time. */
export const idTime = (id: string): Date => new Date(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16))

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
export const isId = (text: string): boolean => UUID.test(text)
