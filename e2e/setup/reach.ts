import type { Page } from '@playwright/test'

/**
 * What stands between a page and somebody who uses it without a mouse or without seeing it: fields and buttons without a name, tables
 * without headings, references to nothing, headings that skip a level, text of too little contrast. Runs in the browser.
 * @returns one line for each
 */
export const obstacles = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = []
    const each = (selector: string, look: (element: HTMLElement) => void) => {
      for (const element of document.querySelectorAll<HTMLElement>(selector))
        if (element.checkVisibility()) look(element)
    }
    const shortly = (element: HTMLElement) => element.outerHTML.slice(0, 120)
    each('input:not([type=hidden]), select, textarea:not([aria-hidden=true])', (field) => {
      const { labels } = field as HTMLInputElement
      if (!labels?.length && !field.ariaLabel) found.push(`field without a label: ${shortly(field)}`)
    })
    each('button, a, summary', (one) => {
      if (!one.ariaLabel && !one.textContent?.trim()) found.push(`no name: ${shortly(one)}`)
    })
    each('table', (table) => {
      const { caption } = table as HTMLTableElement
      if (!caption?.textContent) found.push(`table without a caption: ${shortly(table)}`)
      if (!table.querySelector('th[scope]')) found.push(`table without headings: ${caption?.textContent}`)
    })
    for (const name of ['aria-describedby', 'aria-labelledby', 'aria-controls'])
      each(`[${name}]`, (one) => {
        for (const id of (one.getAttribute(name) ?? '').split(' ').filter(Boolean))
          if (!document.getElementById(id)) found.push(`${name} of what is not there: ${shortly(one)}`)
      })
    const levels = [...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => Number(heading.tagName[1]))
    if (levels.filter((level) => level === 1).length !== 1) found.push('not one h1')
    if (!document.documentElement.lang) found.push('no language')
    if (document.querySelectorAll('main').length !== 1) found.push('not one main')

    const numbers = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number)
    const light = (color: number[]) =>
      color.slice(0, 3).reduce((sum, value, at) => {
        const part = value / 255
        const linear = part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
        return sum + linear * ([0.2126, 0.7152, 0.0722][at] ?? 0)
      }, 0)
    const over = (top: number[], under: number[], opacity = top[3] ?? 1) =>
      under.map((value, at) => (top[at] ?? 0) * opacity + value * (1 - opacity))
    const ground = (element: Element | null): number[] =>
      element
        ? over(numbers(getComputedStyle(element).backgroundColor), ground(element.parentElement))
        : [255, 255, 255]
    const opacity = (element: Element | null): number =>
      element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1
    each('body *:not(script, style, option, caption)', (element) => {
      const text = [...element.childNodes].filter(
        (node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim(),
      )
      const style = getComputedStyle(element)
      if (!text.length || style.clipPath !== 'none' || element.closest('[disabled], [data-disabled]')) return
      const back = ground(element)
      const front = over(numbers(style.color), back, (numbers(style.color)[3] ?? 1) * opacity(element))
      const [dark = 0, bright = 0] = [light(front), light(back)].sort((a, b) => a - b)
      const contrast = (bright + 0.05) / (dark + 0.05)
      const large = Number.parseFloat(style.fontSize) >= 24
      if (contrast < (large ? 3 : 4.5))
        found.push(`contrast ${contrast.toFixed(2)}: ${element.textContent?.slice(0, 60)}`)
    })
    return [...new Set(found)]
  })
