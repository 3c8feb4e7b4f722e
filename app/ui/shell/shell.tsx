import { Button } from '@mantine/core'
import { Form, Link, useLocation } from '@remix-run/react'
import { type ReactNode, useEffect, useRef } from 'react'
import { StatusBadge } from '#app/ui/status-badge.tsx'
import { leadsHere, type NavTarget } from './nav-target.ts'
import styles from './shell.module.css'

export interface NavSection {
  title: string | null
  links: NavTarget[]
}

export interface SwitcherChoice {
  to: string
  name: string
  note: string
  current: boolean
}

export interface ShellView {
  /** What the switcher says: the workspace, or the operator console. */
  here: string
  badge: string | null
  choices: SwitcherChoice[]
  nav: NavSection[]
  /** Open notices; null where there are none to have. */
  bell: { to: string; count: number } | null
  person: { name: string; role: string }
}

/** Open notices: the number is read out with the word, never by the colour alone. */
function Bell({ to, count }: NonNullable<ShellView['bell']>) {
  const label = count === 1 ? '1 open notice' : `${count} open notices`
  return (
    <Link className={styles.bell} to={to} aria-label={count ? label : 'Notices'} title={count ? label : 'Notices'}>
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true" focusable="false">
        <path
          d="M10 2.5a4.6 4.6 0 0 0-4.6 4.6c0 4.2-1.7 5.6-1.7 5.6h12.6s-1.7-1.4-1.7-5.6A4.6 4.6 0 0 0 10 2.5Zm-1.7 12.7a1.8 1.8 0 0 0 3.4 0"
          fill="none"
          stroke="currentColor"
          strokeWidth="1.5"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      {count > 0 && <span className={styles.count}>{count > 99 ? '99+' : count}</span>}
    </Link>
  )
}

/** Closed again with every change of page, by its key. */
function Switcher({ here, choices, person }: Pick<ShellView, 'here' | 'choices' | 'person'>) {
  const { pathname } = useLocation()
  return (
    <details className={styles.switcher} key={pathname}>
      <summary aria-label={`${here}: switch workspace`}>
        <span>{here}</span>
      </summary>
      <ul>
        {choices.map((choice) => (
          <li key={choice.to}>
            <Link className={styles.choice} to={choice.to} aria-current={choice.current ? 'true' : undefined}>
              {choice.name}
              <small>{choice.note}</small>
            </Link>
          </li>
        ))}
        <li className={styles.me}>
          {person.name}, {person.role}
        </li>
      </ul>
    </details>
  )
}

/** On a phone the pages are one row that scrolls: the page that one is on must not be outside of it. */
function useCurrentLinkInView() {
  const { pathname } = useLocation()
  const nav = useRef<HTMLElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page, another link
  useEffect(() => {
    const link = nav.current?.querySelector<HTMLElement>('a[aria-current="page"]')
    if (!nav.current || !link) return
    const [row, at] = [nav.current.getBoundingClientRect(), link.getBoundingClientRect()]
    if (at.right > row.right) nav.current.scrollLeft += at.right - row.right + 12
    else if (at.left < row.left) nav.current.scrollLeft -= row.left - at.left + 12
  }, [pathname])
  return nav
}

/** Another page is read from its beginning: without scripts the browser does that, with them nothing would tell of it. */
function useFocusOnNewPage() {
  const { pathname } = useLocation()
  const main = useRef<HTMLElement>(null)
  const last = useRef(pathname)
  useEffect(() => {
    if (last.current === pathname) return
    last.current = pathname
    main.current?.focus({ preventScroll: true })
  }, [pathname])
  return main
}

/** Header, switcher, navigation by permission, who am I, sign out. Works without scripts. */
export function Shell({ view, children }: { view: ShellView; children: ReactNode }) {
  const nav = useCurrentLinkInView()
  const main = useFocusOnNewPage()
  const { pathname } = useLocation()
  return (
    <>
      <a className={styles.skip} href="#main">
        Skip to content
      </a>
      <header className={styles.header}>
        <Link to="/" className={styles.brand}>
          Keymargin
        </Link>
        <Switcher {...view} />
        {view.badge && (
          <span className={styles.badge}>
            <StatusBadge tone="teal">{view.badge}</StatusBadge>
          </span>
        )}
        <span className={styles.spacer} />
        {view.bell && <Bell {...view.bell} />}
        <span className={styles.person}>
          {view.person.name}
          <small>{view.person.role}</small>
        </span>
        <Form method="post" action="/sign-out">
          <input type="hidden" name="intent" value="sign-out" />
          <Button type="submit" variant="default" size="xs">
            Sign out
          </Button>
        </Form>
      </header>
      <div className={styles.body}>
        <nav className={styles.nav} aria-label="Pages" ref={nav}>
          {view.nav.map((section) => (
            <div key={section.title ?? 'top'}>
              {section.title && <h2>{section.title}</h2>}
              <ul>
                {section.links.map((link) => (
                  <li key={link.to}>
                    <Link
                      className={styles.link}
                      to={link.to}
                      aria-current={leadsHere(link, pathname) ? 'page' : undefined}
                    >
                      {link.label}
                    </Link>
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </nav>
        <main className={styles.main} id="main" tabIndex={-1} aria-labelledby="page-title" ref={main}>
          <div className={styles.inner}>{children}</div>
        </main>
      </div>
    </>
  )
}
