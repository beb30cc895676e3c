// A fuzzer for parsers: mutates known inputs, runs a target on each, keeps what reaches new branches, and reports whatever
// breaks a rule of the target. Deterministic for a seed. Coverage comes from counters that scripts/fuzz/instrument.mjs puts
// into the sources; without them (in the short run of the suite) it mutates the seeds alone.
//
// Why our own: jsfuzz instruments CommonJS only, has not been maintained since 2020 and brings nyc 14 with it; jazzer.js does
// not load on Debian 12. The technique is AFL's: branch counters in buckets, a queue, stacked mutations, a dictionary.

export interface Target {
  readonly name: string
  readonly seeds: () => Promise<readonly Uint8Array[]>
  /** Words of the format, spliced into inputs. */
  readonly words: readonly string[]
  /** Makes checksums right again, so that mutations get past them; applied to most inputs. */
  readonly repair?: (bytes: Uint8Array) => Uint8Array
  /** Throws anything for a broken rule; a Fault is part of the target's business and is caught by it. */
  readonly run: (bytes: Uint8Array) => void | Promise<void>
}

export interface Finding {
  readonly input: Uint8Array
  readonly error: unknown
}

export interface FuzzOptions {
  readonly runs: number
  readonly seed: number
  /** One counter a branch, set to zero before every run. */
  readonly counters?: Uint8Array
  /** Inputs that earlier runs kept. */
  readonly corpus?: readonly Uint8Array[]
  /** Called every 4,096 runs. */
  readonly progress?: (runs: number, corpus: number) => void
}

export interface FuzzResult {
  readonly runs: number
  readonly findings: readonly Finding[]
  /** Every input that reached something new, the seeds first. */
  readonly corpus: readonly Uint8Array[]
  readonly branches: number
}

/** Longest input that is tried; parsers have limits of their own beyond it, and tests at those limits. */
const MAX_LENGTH = 8_192
const SLOW_MS = 1_000

/** xorshift128, from a 32-bit seed: whole numbers below `n`. */
export function chance(seed: number): (n: number) => number {
  let [x, y, z, w] = [seed | 0 || 1, 362_436_069, 521_288_629, 88_675_123]
  return (n) => {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = (w ^ (w >>> 19) ^ t ^ (t >>> 8)) | 0
    return (w >>> 0) % n
  }
}

const INTERESTING = [0, 1, 9, 10, 13, 32, 34, 44, 45, 46, 47, 48, 57, 58, 61, 65, 92, 95, 123, 125, 127, 128, 192, 255]

const splice = (bytes: Uint8Array, from: number, cut: number, put: Uint8Array): Uint8Array => {
  const out = new Uint8Array(bytes.length - cut + put.length)
  out.set(bytes.subarray(0, from))
  out.set(put, from)
  out.set(bytes.subarray(from + cut), from + put.length)
  return out
}

/** One to eight changes, each of a kind drawn anew. */
export function mutate(
  input: Uint8Array,
  pick: (n: number) => number,
  words: readonly Uint8Array[],
  corpus: readonly Uint8Array[],
): Uint8Array {
  let bytes = new Uint8Array(input) as Uint8Array
  for (let left = 1 + pick(4) * pick(3); left > 0; left--) {
    const at = pick(bytes.length + 1)
    const here = Math.min(at, Math.max(0, bytes.length - 1))
    const span = Math.min(1 + pick(pick(4) === 0 ? 256 : 12), bytes.length - at)
    const other = corpus[pick(corpus.length)] ?? bytes
    const start = pick(other.length + 1)
    switch (pick(9)) {
      case 0:
        if (bytes.length > 0) bytes[here] = (bytes[here] ?? 0) ^ (1 << pick(8))
        break
      case 1:
        if (bytes.length > 0) bytes[here] = INTERESTING[pick(INTERESTING.length)] ?? 0
        break
      case 2:
        if (bytes.length > 0) bytes[here] = pick(256)
        break
      case 3:
        bytes = splice(bytes, at, Math.max(0, span), new Uint8Array(0))
        break
      case 4:
        bytes = splice(bytes, at, 0, bytes.subarray(at, at + Math.max(0, span)))
        break
      case 5:
        bytes = splice(bytes, at, pick(2) * Math.max(0, span), words[pick(words.length)] ?? new Uint8Array(0))
        break
      case 6:
        bytes = splice(bytes, at, pick(2) * Math.max(0, span), other.subarray(start, start + 1 + pick(64)))
        break
      case 7:
        // A digit one up or down, wherever the next one is.
        for (let i = here; i < bytes.length; i++) {
          const byte = bytes[i] ?? 0
          if (byte < 48 || byte > 57) continue
          bytes[i] = 48 + ((byte - 48 + (pick(2) === 0 ? 1 : 9)) % 10)
          break
        }
        break
      default:
        bytes = splice(bytes, at, bytes.length - at, other.subarray(start))
    }
  }
  return bytes
}

/** AFL's buckets: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128 and more. */
const bucket = (hits: number): number =>
  hits < 4 ? 1 << (hits - 1) : hits < 8 ? 8 : hits < 16 ? 16 : hits < 32 ? 32 : hits < 128 ? 64 : 128

/** Whether this run did something that none before it did; remembers it. */
function isNews(counters: Uint8Array, seen: Uint8Array): boolean {
  let news = false
  for (let i = 0; i < counters.length; i++) {
    const hits = counters[i] ?? 0
    if (hits === 0) continue
    const bit = bucket(hits)
    if (((seen[i] ?? 0) & bit) !== 0) continue
    seen[i] = (seen[i] ?? 0) | bit
    news = true
  }
  return news
}

export async function fuzz(target: Target, options: FuzzOptions): Promise<FuzzResult> {
  const pick = chance(options.seed)
  const encoder = new TextEncoder()
  const words = target.words.map((word) => encoder.encode(word))
  const counters = options.counters ?? new Uint8Array(0)
  const seen = new Uint8Array(counters.length)
  const corpus: Uint8Array[] = []
  const findings = new Map<string, Finding>()
  const started = [...(await target.seeds()), ...(options.corpus ?? [])]

  const attempt = async (input: Uint8Array): Promise<void> => {
    counters.fill(0)
    const before = performance.now()
    try {
      const result = target.run(input)
      if (result) await result
      if (performance.now() - before > SLOW_MS) await requireQuick(target, input)
    } catch (error) {
      // One finding a place: messages quote the input.
      const stack = error instanceof Error ? (error.stack ?? '').split('\n') : []
      const key =
        stack
          .filter((line) => /^\s+at /.test(line))
          .slice(0, 4)
          .join() || String(error)
      if (!findings.has(key) && findings.size < 100) findings.set(key, { input: new Uint8Array(input), error })
    }
  }

  for (const seed of started) {
    await attempt(seed)
    isNews(counters, seen)
    corpus.push(seed)
  }
  let runs = started.length
  while (runs < options.runs) {
    runs++
    // Newer entries twice as often: they are where the last news was.
    const entry = corpus[pick(2) === 0 ? pick(corpus.length) : Math.max(pick(corpus.length), pick(corpus.length))]
    const mutated = mutate(entry ?? new Uint8Array(0), pick, words, corpus).subarray(0, MAX_LENGTH)
    const input = target.repair && pick(8) !== 0 ? target.repair(mutated) : mutated
    await attempt(input)
    if (counters.length > 0 && isNews(counters, seen)) corpus.push(new Uint8Array(input))
    if (runs % 4_096 === 0) options.progress?.(runs, corpus.length)
  }
  const branches = seen.reduce((count, bits) => count + (bits === 0 ? 0 : 1), 0)
  return { runs, findings: [...findings.values()], corpus, branches }
}

/** A run that took long by the clock is run again, and counted by the processor's time: the machine may be busy. */
async function requireQuick(target: Target, input: Uint8Array): Promise<void> {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 3; i++) {
    const before = process.cpuUsage()
    await target.run(input)
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / 1_000)
  }
  if (least > SLOW_MS) throw new Error(`an input of ${input.length} octets takes ${Math.round(least)} ms`)
}
