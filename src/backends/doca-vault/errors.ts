// Why an operation of the doca-vault backend did not happen. Codes are API: they stand in src/ERRORS.md with their remedies.

import { type FaultTable, faultsOf } from '../../base/fault.js'

export const DOCA_VAULT_FAULTS = {
  DOCA_VAULT_UNAVAILABLE: {
    reaction: 'unsupported',
    say: (d: { library: string; why: string }) => `cannot use ${d.library}: ${d.why}`,
    remedy:
      'Build the shim: make shims on a machine without a DPU (emulated), make shims SDK=/opt/mellanox/doca on one.',
  },
  DOCA_VAULT_CARD: {
    reaction: 'unsupported',
    say: (_: Record<string, never>) => 'agent.yaml names no card for doca-vault',
    remedy: 'Write `doca_vault: {card: PCI-ADDRESS}` into agent.yaml, or take doca-vault out of `backends`.',
  },
  DOCA_VAULT_REFUSED: {
    reaction: 'retry',
    say: (d: { what: string; errno: string; why: string }) => `${d.what}: ${d.why} (${d.errno})`,
    remedy:
      'Put right what it names: a function of the card, or the source of a volume. What was served is served as before.',
  },
  DOCA_VAULT_STALE_STAGE: {
    reaction: 'stale',
    say: (d: { generation: number; found: string }) =>
      `generation ${d.generation} was committed and ${d.found} is live`,
    remedy: 'Another process changed the volumes meanwhile; apply again.',
  },
  DOCA_VAULT_FLAG: {
    reaction: 'bug',
    say: (d: { flag: string }) => `the card does not show ${d.flag} as it was set`,
    remedy: 'Restart the agent; until then keep the workspace down.',
  },
} as const satisfies FaultTable

export const docaVaultFault = faultsOf(DOCA_VAULT_FAULTS)
