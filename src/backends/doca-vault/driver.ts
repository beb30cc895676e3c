// The live half of doca-vault. The shim serves in this process, so that what is live goes with it: guests then get errors from their
// transport, and the next commit serves again. Flags lie in a file beside the state and outlive it. Staging starts functions, which
// refuse everything until the commit switches all volumes at once.

import { existsSync, rmSync } from 'node:fs'
import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
import type { VaultProgram } from '../../vault/program.js'
import { isFlagged, readAnchors, readEvents, readObserved } from '../../vault/readback.js'
import type {
  Anchor,
  Cut,
  DenialBatch,
  Driver,
  FileDenialBatch,
  Flag,
  Observed,
  OpenOptions,
  Probed,
  Staged,
} from '../backend.js'
import { docaVaultFault } from './errors.js'
import { VaultCard } from './native.js'
import { probeDocaVault } from './probe.js'

const NOTHING: Observed = { live: null, drift: [], counters: [], drops: {} }
/** Between two looks at the shim's ring, which holds some seconds of what a volume may report. */
const EVENTS_MS = 250

export class DocaVaultDriver implements Driver<VaultProgram> {
  /** Set while the shim is open in this process. */
  private card: VaultCard | undefined

  constructor(private readonly options: OpenOptions) {}

  probe(): Promise<Probed> {
    const { vault } = this.options
    try {
      return Promise.resolve(probeDocaVault(this.card ?? VaultCard.load(), vault))
    } catch (error) {
      return Promise.resolve(probeDocaVault(error instanceof Error ? error.message : String(error), vault))
    }
  }

  observe(): Promise<Observed> {
    return Promise.resolve(this.card === undefined ? NOTHING : readObserved(this.card.observe()))
  }

  /** Throws DOCA_VAULT_UNAVAILABLE, DOCA_VAULT_CARD, DOCA_VAULT_REFUSED. */
  async stage(program: VaultProgram): Promise<Staged> {
    const { vault } = this.options
    if (!vault) throw docaVaultFault('DOCA_VAULT_CARD', {})
    const card = this.opened()
    for (const { workspace, volume } of program.volumes) {
      // One without a function is refused when the plan is made; what comes round that is refused by the shim.
      if (!volume.function) continue
      card.place(workspace, volume.name, vault.card, volume.function.vuid, volume.function.tag)
    }
    const { generation, planDigest, table } = program
    await card.stage(table)
    return { generation, planDigest }
  }

  /** Throws DOCA_VAULT_REFUSED, DOCA_VAULT_STALE_STAGE. */
  async commit({ generation, planDigest }: Staged): Promise<void> {
    await this.opened().commit(generation)
    const { live } = await this.observe()
    if (live?.generation !== generation || live.planDigest !== planDigest)
      throw docaVaultFault('DOCA_VAULT_STALE_STAGE', {
        generation,
        found: live ? `generation ${live.generation}` : 'nothing',
      })
  }

  async discard(_staged: Staged): Promise<void> {
    await this.card?.discard()
  }

  /** Resolves when everything is refused and no answer from before is under way. Throws DOCA_VAULT_REFUSED, DOCA_VAULT_FLAG. */
  async flag(workspace: WorkspaceId, flag: Flag, on: boolean): Promise<void> {
    const card = this.opened()
    await card.flag(workspace, flag, on)
    if (isFlagged(card.observe(), workspace, flag) !== on) throw docaVaultFault('DOCA_VAULT_FLAG', { flag })
  }

  /** Nothing is learnt about files. */
  learn(_generation: number, _grants: readonly LearnedGrant[]): Promise<boolean> {
    return Promise.resolve(false)
  }

  denials(_deliver: (batch: DenialBatch) => void): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve())
  }

  fileDenials(deliver: (batch: FileDenialBatch) => void): Promise<() => Promise<void>> {
    const look = (): void => {
      const batch = readEvents(this.card?.events() ?? '')
      if (batch.denials.length > 0 || batch.lost > 0) deliver(batch)
    }
    const timer = setInterval(look, EVENTS_MS)
    let over = false
    return Promise.resolve(() => {
      if (!over) look()
      over = true
      clearInterval(timer)
      return Promise.resolve()
    })
  }

  /** A volume's fence hangs on its function, and judges by the table whose octets are read back here. */
  inspect(): Promise<readonly Anchor[]> {
    const table = this.card?.table()
    if (!this.card || !table) return Promise.resolve([])
    return Promise.resolve(
      readAnchors(this.card.observe(), table, {
        hook: 'virtio-fs',
        emulated: this.card.emulated,
        on: ({ device }) => device,
      }),
    )
  }

  /** No packet passes a volume. */
  cut(_workspace: WorkspaceId): Promise<Cut> {
    return Promise.resolve({ flows: 0, lastPacketAtMs: 0 })
  }

  async uninstall(): Promise<readonly string[]> {
    const { live } = await this.observe()
    await this.close()
    const { stateDirectory } = this.options
    const kept = existsSync(stateDirectory)
    rmSync(stateDirectory, { recursive: true, force: true })
    if (live) return [`the volumes of ${live.workspaces.length} workspaces, and the functions that served them`]
    return kept ? ['the flags of workspaces for volumes of a card'] : []
  }

  async close(): Promise<void> {
    await this.card?.close()
    this.card = undefined
  }

  private opened(): VaultCard {
    if (this.card) return this.card
    const card = VaultCard.load()
    card.open(this.options.stateDirectory)
    this.card = card
    return card
  }
}
