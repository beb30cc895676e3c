// The door to libnftables.so.1: one long-lived context per lane, commands on a thread of the pool, one at a time. Gives the
// output of a script, or an NftError with what nft said; a script is one transaction, so a failure changed nothing.

import koffi from 'koffi'
import { nftablesFault } from './errors.js'
import { Lane } from './lane.js'
import type { CFunction } from './native.js'
import { TABLE } from './scaffold.js'

interface Library {
  readonly create: (flags: number) => unknown
  readonly free: (context: unknown) => void
  readonly bufferOutput: (context: unknown) => number
  readonly bufferError: (context: unknown) => number
  readonly output: (context: unknown) => string
  readonly error: (context: unknown) => string
  readonly setDryRun: (context: unknown, dry: boolean) => void
  readonly setFlags: (context: unknown, flags: number) => void
  readonly run: CFunction
  /** malloc_trim(3) of glibc; other C libraries have none. */
  readonly trim: CFunction | undefined
}

let loaded: Library | undefined

/** Throws NFT_UNAVAILABLE when the library is not there. */
function library(): Library {
  if (loaded) return loaded
  try {
    const lib = koffi.load('libnftables.so.1')
    loaded = {
      create: lib.func('void *nft_ctx_new(uint32_t flags)'),
      free: lib.func('void nft_ctx_free(void *ctx)'),
      bufferOutput: lib.func('int nft_ctx_buffer_output(void *ctx)'),
      bufferError: lib.func('int nft_ctx_buffer_error(void *ctx)'),
      output: lib.func('const char *nft_ctx_get_output_buffer(void *ctx)'),
      error: lib.func('const char *nft_ctx_get_error_buffer(void *ctx)'),
      setDryRun: lib.func('void nft_ctx_set_dry_run(void *ctx, bool dry)'),
      setFlags: lib.func('void nft_ctx_output_set_flags(void *ctx, unsigned int flags)'),
      run: lib.func('int nft_run_cmd_from_buffer(void *ctx, const char *buffer)'),
      trim: trimmer(),
    }
    return loaded
  } catch (cause) {
    throw nftablesFault('NFT_UNAVAILABLE', { library: 'libnftables.so.1', why: String(cause) }, { cause })
  }
}

function trimmer(): CFunction | undefined {
  try {
    return koffi.load(null).func('int malloc_trim(size_t pad)')
  } catch {
    // Not glibc: that one gives back by itself, or not at all.
    return undefined
  }
}

/** Characters of a listing whose memory is worth giving back at once. */
const LARGE = 1 << 20

/**
 * The JSON printer of nft 1.0.6 uses strtok(3), which two threads must not be in at once, whatever their contexts: an
 * assertion ends the process. So listings of all contexts stand in one line. Transactions print nothing and need not.
 */
const listings = new Lane()

/** What nft said about a script that the kernel or the parser refused. */
export class NftError extends Error {
  override readonly name = 'NftError'
}

/** Flags of nft_ctx_output_set_flags (libnftables.h). */
const JSON_OUTPUT = 1 << 4
const NUMERIC = (1 << 7) | (1 << 8) | (1 << 9)
const TERSE = 1 << 11

export class NftContext {
  private readonly lane = new Lane()
  private readonly context: unknown
  private readonly lib: Library
  private open = true

  constructor() {
    this.lib = library()
    const context = this.lib.create(0)
    if (context === null) throw nftablesFault('NFT_UNAVAILABLE', { library: 'libnftables', why: 'no context' })
    this.lib.bufferOutput(context)
    this.lib.bufferError(context)
    this.context = context
  }

  /** One transaction. Rejects with NftError. */
  run(script: string): Promise<string> {
    return this.lane.run(() => this.command(script, 0))
  }

  /** The kernel judges the transaction and takes none of it. Rejects with NftError. */
  check(script: string): Promise<string> {
    return this.lane.run(async () => {
      this.lib.setDryRun(this.context, true)
      try {
        return await this.command(script, 0)
      } finally {
        this.lib.setDryRun(this.context, false)
      }
    })
  }

  /** A listing as parsed JSON: the objects under `nftables`. `terse` leaves the elements of sets out. */
  list(command: string, terse = false): Promise<readonly NftObject[]> {
    return listings.run(() =>
      this.lane.run(async () => {
        const text = await this.command(command, JSON_OUTPUT | NUMERIC | (terse ? TERSE : 0))
        if (text.length > LARGE) await this.giveBack()
        return text === '' ? [] : (JSON.parse(text) as { nftables: NftObject[] }).nftables
      }),
    )
  }

  /**
   * The C library keeps what a listing took, a thousand octets an element, for each thread that ever ran one: an agent that
   * looks at a large table every few seconds would keep gigabytes.
   */
  private giveBack(): Promise<void> {
    const { trim } = this.lib
    if (!trim) return Promise.resolve()
    return new Promise((done) => {
      trim.async(0, () => {
        done()
      })
    })
  }

  /**
   * Every object of our table in one family, without elements; empty when the table is not there. By way of `list ruleset`,
   * because `list table` of nft 1.0.6 reads every element even when it is told not to show them.
   */
  async structure(family: 'inet' | 'netdev' | 'arp' | 'bridge'): Promise<readonly NftObject[]> {
    const objects = await this.list(`list ruleset ${family}`, true)
    return objects.filter((object) => Object.values(object).some(isOurs))
  }

  private command(script: string, flags: number): Promise<string> {
    if (!this.open) return Promise.reject(new NftError('the session is closed'))
    this.lib.setFlags(this.context, flags)
    return new Promise((done, failed) => {
      this.lib.run.async(this.context, script, (problem: Error | null, status: number) => {
        const said = this.lib.error(this.context)
        const output = this.lib.output(this.context)
        if (problem) failed(problem)
        else if (status === 0) done(output)
        else failed(new NftError(firstLine(said)))
      })
    })
  }

  /** Waits for what runs, then frees the context. */
  async close(): Promise<void> {
    await this.lane.idle()
    if (!this.open) return
    this.open = false
    this.lib.free(this.context)
  }
}

/** nft repeats the offending command under its message, which for a load is megabytes. */
const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 400) || 'nft gave no reason'

const isOurs = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (('table' in value && value.table === TABLE) || (!('table' in value) && 'name' in value && value.name === TABLE))

/** One object of a listing, as nft's JSON schema has it (libnftables-json(5)). */
export interface NftObject {
  readonly table?: { readonly family: string; readonly name: string; readonly handle: number }
  readonly chain?: NftNamed & { readonly hook?: string; readonly dev?: string }
  readonly set?: NftNamed & { readonly elem?: readonly NftElement[] }
  readonly map?: NftNamed & { readonly elem?: readonly NftElement[] }
  readonly counter?: Omit<NftNamed, 'handle'> & { readonly packets: number; readonly bytes: number }
  readonly rule?: { readonly family: string; readonly table: string; readonly chain: string; readonly expr: unknown }
}
interface NftNamed {
  readonly family: string
  readonly table: string
  readonly name: string
  readonly handle: number
}
/** An element: its key, or [key, value] of a map; with `elem` around the key when it has more than a key. */
export type NftElement = unknown
