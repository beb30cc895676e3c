// The one door to rtnetlink (src/native/rtnl/sluice_rtnl.h). Requests are prepared by the pure files; here they are sent, a batch
// in one system call, and a refusal becomes a fault with the kernel's own words.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { getSystemErrorName } from 'node:util'
import koffi, { type LibraryHandle } from 'koffi'
import { flowerFault } from './errors.js'
import { type Found, type Hook, readRule, writeQuestion } from './rule.js'
import { messagesIn, Writer } from './wire.js'

const ABI = 1
const LIBRARY = 'libsluice_rtnl.so'
const RTM_NEWTFILTER = 44
const EAGAIN = 11
const ENODEV = 19
const EINVAL = 22
/** Filters of one answer, at first; an answer that is longer is asked for again. */
const ROOM = 1 << 20
const ATTEMPTS = 20

/** `build/native` beside the package root, or SLUICE_NATIVE_DIR. */
function libraryPath(): string {
  const directory = process.env.SLUICE_NATIVE_DIR
  if (directory !== undefined && directory !== '') return `${directory}/${LIBRARY}`
  return fileURLToPath(new URL(`../../../build/native/${LIBRARY}`, import.meta.url))
}

type CFunction = ReturnType<LibraryHandle['func']>

/** What a batch ended with: the position of the request that was refused first. */
export interface Refusal {
  readonly errno: number
  readonly at: number
  readonly why: string
}

export class Native {
  private room = ROOM

  private constructor(
    private readonly sendBatch: CFunction,
    private readonly askList: CFunction,
    private readonly numberOf: CFunction,
  ) {}

  /** Throws FLOWER_UNAVAILABLE. */
  static open(): Native {
    const library = libraryPath()
    if (!existsSync(library)) throw flowerFault('FLOWER_UNAVAILABLE', { library, why: 'it has not been built' })
    try {
      const loaded = koffi.load(library)
      const found = loaded.func('uint32_t sluice_rtnl_abi(void)')() as number
      if (found !== ABI)
        throw flowerFault('FLOWER_UNAVAILABLE', { library, why: `its interface is ${found}, and ${ABI} is needed` })
      return new Native(
        loaded.func(
          'int sluice_rtnl_change(void *messages, uint32_t length, uint32_t count, _Out_ uint32_t *failed, void *why, uint32_t capacity)',
        ),
        loaded.func(
          'int sluice_rtnl_list(void *message, uint32_t length, void *out, uint32_t capacity, _Out_ uint32_t *total)',
        ),
        loaded.func('int sluice_rtnl_ifindex(const char *name)'),
      )
    } catch (cause) {
      if (cause instanceof Error && cause.name === 'Fault') throw cause
      throw flowerFault('FLOWER_UNAVAILABLE', { library, why: String(cause) }, { cause })
    }
  }

  /** 0: there is none. */
  ifindex(name: string): number {
    return this.numberOf(name) as number
  }

  /** At most 512 requests. undefined: all were done. */
  change(writer: Writer): Refusal | undefined {
    if (writer.count === 0) return undefined
    const bytes = writer.bytes()
    const failed: [number] = [0]
    const why = new Uint8Array(256)
    const result = this.sendBatch(bytes, bytes.length, writer.count, failed, why, why.length) as number
    if (result === 0) return undefined
    const said = Buffer.from(why.subarray(0, Math.max(0, why.indexOf(0)))).toString('utf8')
    return { errno: -result, at: failed[0], why: said === '' ? getSystemErrorName(result) : said }
  }

  /** The filters of a hook, or of one chain of it; none where the hook is not there. Throws FLOWER_KERNEL. */
  list(at: { readonly ifindex: number; readonly hook: Hook; readonly chain?: number }): Found[] {
    const writer = new Writer()
    writeQuestion(writer, at)
    const question = writer.bytes()
    for (let attempt = 0; ; attempt++) {
      const out = new Uint8Array(this.room)
      const total: [number] = [0]
      const got = this.askList(question, question.length, out, out.length, total) as number
      if (got === -EINVAL || got === -ENODEV) return []
      if (got === -EAGAIN && attempt < ATTEMPTS) continue
      if (got < 0) throw flowerFault('FLOWER_KERNEL', { what: 'listing filters', why: getSystemErrorName(got) })
      if (total[0] > out.length) {
        this.room = total[0] * 2
        continue
      }
      return messagesIn(out.subarray(0, got))
        .filter(({ type }) => type === RTM_NEWTFILTER)
        .flatMap(({ payload }) => readRule(payload) ?? [])
    }
  }
}
