export interface NavTarget {
  to: string
  label: string
  /** Pages below `to` are of other links. */
  end?: boolean
  /** Pages elsewhere that belong to it: they begin so. */
  also?: string
}

/** Whether a link of the navigation is the one that the page belongs to: a call to the analytics, a run to the runs. */
export function leadsHere({ to, end = false, also }: NavTarget, pathname: string): boolean {
  const page = `${pathname.replace(/\/$/, '')}/`
  return page === `${to}/` || (!end && page.startsWith(`${to}/`)) || (also !== undefined && page.startsWith(also))
}
