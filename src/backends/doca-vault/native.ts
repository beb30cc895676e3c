// The one door to the shim that serves volumes behind DevEmu virtio-fs (doca-shims/vault/include/sluice_doca_vault.h). What may take
// long runs on another thread; a negative answer becomes a fault with the shim's own words. One process serves one card.

import { existsSync, mkdirSync } from 'node:fs'
import { endianness } from 'node:os'
import { fileURLToPath } from 'node:url'
import { getSystemErrorName } from 'node:util'
import koffi, { type LibraryHandle } from 'koffi'
import type { Flag } from '../backend.js'
import { docaVaultFault } from './errors.js'

const LIBRARY = 'libsluice_doca_vault.so'
const ABI = 2
const WHY = 512
const LINES = 4 << 20

/** `build/doca` beside the package root, or SLUICE_DOCA_DIR. */
export const vaultShimPath = (): string =>
  process.env.SLUICE_DOCA_DIR === undefined
    ? fileURLToPath(new URL(`../../../build/doca/${LIBRARY}`, import.meta.url))
    : `${process.env.SLUICE_DOCA_DIR}/${LIBRARY}`

const SIGNATURES = {
  card: 'int32_t sluice_doca_vault_card(const char *pci)',
  emulated: 'uint32_t sluice_doca_vault_emulated()',
  open: 'int32_t sluice_doca_vault_open(const char *directory, void *why, uint32_t room)',
  place:
    'int32_t sluice_doca_vault_place(const char *workspace, const char *volume, const char *pci, const char *vuid, const char *tag)',
  stage: 'int32_t sluice_doca_vault_stage(void *table, uint64_t size, void *why, uint32_t room)',
  commit: 'int32_t sluice_doca_vault_commit(uint64_t generation, void *why, uint32_t room)',
  discard: 'void sluice_doca_vault_discard()',
  flag: 'int32_t sluice_doca_vault_flag(const char *workspace, const char *flag, uint32_t on)',
  observe: 'uint32_t sluice_doca_vault_observe(void *text, uint32_t room)',
  events: 'uint32_t sluice_doca_vault_events(void *text, uint32_t room, _Out_ uint64_t *lost)',
  table: 'uint64_t sluice_doca_vault_table(void *table, uint64_t room)',
  close: 'void sluice_doca_vault_close()',
} as const

type Name = keyof typeof SIGNATURES
type CFunction = ReturnType<LibraryHandle['func']>

export class VaultCard {
  private constructor(private readonly functions: Readonly<Record<Name, CFunction>>) {}

  /** Throws DOCA_VAULT_UNAVAILABLE. */
  static load(): VaultCard {
    const library = vaultShimPath()
    const no = (why: string, cause?: unknown): never => {
      throw docaVaultFault('DOCA_VAULT_UNAVAILABLE', { library, why }, cause === undefined ? {} : { cause })
    }
    if (!existsSync(library)) return no('it is not built')
    if (endianness() !== 'LE') return no('tables are little-endian')
    try {
      const from = koffi.load(library)
      const found = Number(from.func('uint32_t sluice_doca_vault_abi()')())
      if (found !== ABI) return no(`it has the interface ${found}, and this agent needs ${ABI}`)
      const entries = Object.entries(SIGNATURES).map(([name, signature]) => [name, from.func(signature)])
      return new VaultCard(Object.fromEntries(entries) as Record<Name, CFunction>)
    } catch (cause) {
      return no(cause instanceof Error ? cause.message : String(cause), cause)
    }
  }

  get emulated(): boolean {
    return Number(this.functions.emulated()) === 1
  }

  /** undefined: it is there and emulates virtio-fs; otherwise why not. Opens nothing. */
  lacks(pci: string): string | undefined {
    const code = Number(this.functions.card(pci))
    return code === 0 ? undefined : code === -19 ? `no card has the address ${pci}` : `${pci} emulates no virtio-fs`
  }

  open(directory: string): void {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const why = Buffer.alloc(WHY)
    check('opening the shim', Number(this.functions.open(directory, why, WHY)), why)
  }

  place(workspace: string, volume: string, pci: string, vuid: string, tag: string): void {
    check(`placing the volume ${volume}`, Number(this.functions.place(workspace, volume, pci, vuid, tag)))
  }

  async stage(table: Uint8Array): Promise<void> {
    const why = Buffer.alloc(WHY)
    check('staging the volumes', await this.aside('stage', Buffer.from(table), table.length, why, WHY), why)
  }

  async commit(generation: number): Promise<void> {
    const why = Buffer.alloc(WHY)
    check('switching the volumes', await this.aside('commit', generation, why, WHY), why)
  }

  async discard(): Promise<void> {
    await this.aside('discard')
  }

  async flag(workspace: string, flag: Flag, on: boolean): Promise<void> {
    check('setting a flag', await this.aside('flag', workspace, flag, on ? 1 : 0))
  }

  /** Lines, as vault/readback.ts takes them. */
  observe(): string {
    const text = Buffer.alloc(LINES)
    return text.toString('utf8', 0, Number(this.functions.observe(text, LINES)))
  }

  events(): string {
    const text = Buffer.alloc(LINES)
    const lost: [number | bigint] = [0]
    const size = Number(this.functions.events(text, LINES, lost))
    return `${text.toString('utf8', 0, size)}lost ${lost[0]}\n`
  }

  /** The octets that are judged by; undefined while nothing is live. */
  table(): Uint8Array | undefined {
    let room = 1 << 16
    for (;;) {
      const octets = Buffer.alloc(room)
      const size = Number(this.functions.table(octets, room))
      if (size === 0) return undefined
      if (size <= room) return octets.subarray(0, size)
      room = size
    }
  }

  async close(): Promise<void> {
    await this.aside('close')
  }

  /** On a thread of the pool: the loop of the agent does not wait for a device. */
  private aside(name: Name, ...given: readonly unknown[]): Promise<number> {
    return new Promise((done, failed) => {
      this.functions[name].async(...given, (error: Error | null, answer: unknown) => {
        if (error) failed(error)
        else done(Number(answer ?? 0))
      })
    })
  }
}

function check(what: string, code: number, why?: Buffer): void {
  if (code >= 0) return
  const said = why?.toString('utf8', 0, Math.max(0, why.indexOf(0))) ?? ''
  const errno = getSystemErrorName(code)
  throw docaVaultFault('DOCA_VAULT_REFUSED', { what, errno, why: said === '' ? 'refused' : said })
}
