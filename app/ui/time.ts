const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** "21 Nov 2026" of an instant or a `YYYY-MM-DD`, in UTC. */
export function utcDay(iso: string): string {
  const [year, month, day] = iso.slice(0, 10).split('-')
  return `${Number(day)} ${months[Number(month) - 1]} ${year}`
}

/** "21 Nov 2026, 14:03 UTC" */
export const utcMinute = (iso: string): string => `${utcDay(iso)}, ${iso.slice(11, 16)} UTC`

/** "21 Nov 14:03:09": for tables whose heading says UTC. */
export const utcSecond = (iso: string): string => `${utcDay(iso).slice(0, -5)} ${iso.slice(11, 19)}`
