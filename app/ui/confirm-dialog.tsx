import { Button, Group, Modal, Text } from '@mantine/core'
import { Form, useLocation, useNavigate, useNavigation } from '@remix-run/react'
import { type ReactNode, useEffect } from 'react'

interface AskButtonProps {
  /** Query parameter and value that open the dialog: it works without scripts, and Back closes it. */
  ask: [name: string, value: string]
  children: ReactNode
  label?: string
}

export function AskButton({ ask: [name, value], children, label }: AskButtonProps) {
  return (
    <Form method="get" preventScrollReset>
      <input type="hidden" name={name} value={value} />
      <Button type="submit" variant="default" size="xs" aria-label={label}>
        {children}
      </Button>
    </Form>
  )
}

interface ConfirmDialogProps {
  title: string
  intent: string
  fields?: Record<string, string>
  confirm: string
  children: ReactNode
}

/** Closed, it gives the focus back to what had it, or to the page where that is gone. A dialog that opens with its page has to do so itself. */
function useFocusReturned(): void {
  useEffect(() => {
    const before = document.activeElement
    return () => {
      const isThere = before instanceof HTMLElement && before !== document.body && before.isConnected
      const to = isThere ? before : document.getElementById('main')
      to?.focus({ preventScroll: true })
    }
  }, [])
}

/** Says what will happen before it happens. Rendered in place, so that it also opens without scripts. */
export function ConfirmDialog({ title, intent, fields = {}, confirm, children }: ConfirmDialogProps) {
  const { pathname } = useLocation()
  const navigate = useNavigate()
  const busy = useNavigation().state !== 'idle'
  useFocusReturned()
  return (
    <Modal
      opened
      onClose={() => navigate(pathname, { replace: true, preventScrollReset: true })}
      title={
        <Text component="span" fw={650} size="lg">
          {title}
        </Text>
      }
      withinPortal={false}
      transitionProps={{ duration: 0 }}
      closeButtonProps={{ 'aria-label': 'Close' }}
      // in place it would start at its parent's edge
      styles={{ inner: { left: 0 } }}
      centered
    >
      {children}
      <Group justify="flex-end" mt="lg">
        <Form method="get" action={pathname} preventScrollReset>
          <Button type="submit" variant="default" data-autofocus>
            Cancel
          </Button>
        </Form>
        <Form method="post" action={pathname}>
          <input type="hidden" name="intent" value={intent} />
          {Object.entries(fields).map(([name, value]) => (
            <input key={name} type="hidden" name={name} value={value} />
          ))}
          <Button type="submit" color="red.9" loading={busy}>
            {confirm}
          </Button>
        </Form>
      </Group>
    </Modal>
  )
}
