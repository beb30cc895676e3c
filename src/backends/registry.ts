// The closed list of backends of this release. A backend is loaded when it is named and not before, so that checking a
// policy needs no kernel library; a backend without a row here does not exist.

import type { BackendName } from '../plan/model.js'
import type { Backend } from './backend.js'

const LOADERS = {
  'doca-flow': async (): Promise<Backend> => (await import('./doca-flow/index.js')).docaFlowBackend,
  'tc-flower': async (): Promise<Backend> => (await import('./tc-flower/index.js')).tcFlowerBackend,
  nftables: async (): Promise<Backend> => (await import('./nftables/index.js')).nftablesBackend,
  ebpf: async (): Promise<Backend> => (await import('./ebpf/index.js')).ebpfBackend,
  'doca-vault': async (): Promise<Backend> => (await import('./doca-vault/index.js')).docaVaultBackend,
  vaultfs: async (): Promise<Backend> => (await import('./vaultfs/index.js')).vaultfsBackend,
  'bpf-lsm': async (): Promise<Backend> => (await import('./bpf-lsm/index.js')).bpfLsmBackend,
  'exec-sensor': async (): Promise<Backend> => (await import('./exec-sensor/index.js')).execSensorBackend,
  'doca-argus': async (): Promise<Backend> => (await import('./doca-argus/index.js')).docaArgusBackend,
  memory: async (): Promise<Backend> => (await import('./memory/index.js')).memoryBackend,
} satisfies Partial<Record<BackendName, () => Promise<Backend>>>

export type RegisteredBackend = keyof typeof LOADERS

/** Strongest first, which is the order that `sluice doctor` prints and `sluice init` writes. */
export const REGISTERED_BACKENDS = Object.keys(LOADERS) as readonly RegisteredBackend[]

/** Those that fence something: what is used when nobody names a backend. */
export const FENCING_BACKENDS: readonly RegisteredBackend[] = REGISTERED_BACKENDS.filter((name) => name !== 'memory')

export const isRegistered = (name: string): name is RegisteredBackend => Object.hasOwn(LOADERS, name)

export const loadBackend = (name: RegisteredBackend): Promise<Backend> => LOADERS[name]()
