import { Anchor, Button, Code, Group, Paper, Text, Title } from '@mantine/core'
import { Link } from '@remix-run/react'
import { Facts } from '#app/ui/facts.tsx'
import styles from './certificate.module.css'

export interface CertificateView {
  back: string
  workspace: string
  id: string
  at: string
  provider: string
  hint: string
  version: string
  fingerprint: string
  sealingKey: string
  cause: string
  causeReference: string | null
  plans: string
  epoch: string
}

export function CertificatePage({ view }: { view: CertificateView }) {
  return (
    <>
      <Group justify="space-between" mb="md" className={styles.screenOnly}>
        <Anchor component={Link} to={view.back} size="sm">
          ← Billing
        </Anchor>
        <Button variant="default" size="xs" onClick={() => window.print()}>
          Print
        </Button>
      </Group>
      <Paper component="article" withBorder className={styles.certificate}>
        <Text size="sm" c="gray.7">
          Keymargin, {view.workspace}
        </Text>
        <Title order={1} size="h2" mb="md" id="page-title">
          Certificate of destruction
        </Title>
        <Text mb="lg" maw={680}>
          On {view.at}, the {view.provider} key named below was destroyed: its sealed form was deleted, and with it the
          random key that alone could open it, in the same transaction as the change of plan that called for it. From
          then on every process refused it. Backups of the database from before that moment hold both, still sealed,
          until they expire.
        </Text>
        <Facts
          facts={[
            ['Provider', view.provider],
            ['Key', <Code key="hint">{view.hint}</Code>],
            ['Version', view.version],
            ['Destroyed', view.at],
            ['Reason', view.cause],
            ['Plan', view.plans],
            ['Caused by', view.causeReference && <Code key="cause">{view.causeReference}</Code>],
            ['Fingerprint of the key', <Code key="fingerprint">{view.fingerprint}</Code>],
            ['Sealing key destroyed with it', <Code key="sealing">{view.sealingKey}</Code>],
            ['Key epoch after it', view.epoch],
            ['Certificate', <Code key="id">{view.id}</Code>],
          ]}
        />
        <Text size="sm" c="gray.7" mt="lg" maw={680}>
          The fingerprint identifies the key without revealing it: whoever has the key can have it compared with this
          certificate. Usage and invoices of the time before are kept. The key itself still works at {view.provider}{' '}
          until it is revoked there.
        </Text>
      </Paper>
    </>
  )
}
