// Following a channel, with a scripted source: what is asked for again, what is not, and that tending never stops.

import { describe, expect, test } from 'vitest'
import { agentFault } from '../../../src/agent/errors.js'
import { type Followed, follow } from '../../../src/agent/follow.js'
import { transportFault } from '../../../src/agent/transports/errors.js'
import type { Fetched, Since, Transport } from '../../../src/agent/transports/transport.js'
import { utf8 } from '../../../src/base/bytes.js'
import type { Fault } from '../../../src/base/fault.js'
import { bundleFault } from '../../../src/bundle/errors.js'

const bundle = { manifest: utf8('m'), members: new Map<string, Uint8Array>() }
const delivered = (tag: string, more: Partial<Fetched> = {}): Fetched => ({
  kind: 'delivered',
  bundle,
  tag,
  roots: [],
  ...more,
})
const stale = bundleFault('BUNDLE_STALE', { revision: '7', staleAtMs: 0, nowMs: 1 })

/** Runs one pass for each answer; `refusals[i]` is what admitting throws in pass i. */
async function run(
  answers: readonly (Fetched | Fault)[],
  refusals: readonly (Fault | undefined)[] = [],
  tending: readonly (Fault | undefined)[] = [],
) {
  const stop = new AbortController()
  const log: string[] = []
  const asked: Since[] = []
  let pass = -1
  let version = 1
  const transport: Transport = {
    name: 'script',
    close: () => undefined,
    push: () => Promise.reject(new TypeError('not used')),
    fetch: (_channel, since) => {
      pass++
      asked.push(since)
      const answer = answers[pass]
      if (pass === answers.length - 1) stop.abort()
      if (answer === undefined || 'code' in answer) return Promise.reject(answer ?? new TypeError('over'))
      return Promise.resolve(answer)
    },
  }
  const followed: Followed = {
    channel: 'stable',
    rootVersion: () => version,
    roots: (statements) => {
      version += statements.length
      log.push(`roots ${statements.length}`)
      return Promise.resolve(version)
    },
    admit: (_bundle, freshness) => {
      log.push(`admit ${freshness ? 'fresh' : '-'}`)
      const refused = refusals[pass]
      return refused ? Promise.reject(refused) : Promise.resolve()
    },
    confirm: (freshness) => {
      log.push(`confirm ${freshness ? 'fresh' : '-'}`)
      return Promise.resolve()
    },
    tend: () => {
      log.push('tend')
      const busy = tending[pass]
      return busy ? Promise.reject(busy) : Promise.resolve()
    },
    refused: (fault) => {
      log.push(`told ${fault.code}`)
      return Promise.resolve()
    },
    failed: (fault) => log.push(fault.code),
  }
  const effects = { random: () => 0, sleep: () => Promise.resolve() }
  await follow(transport, followed, stop.signal, { intervalMs: 1, longestMs: 2 }, effects)
  return { log, tags: asked.map(({ tag }) => tag), versions: asked.map(({ rootVersion }) => rootVersion) }
}

describe('follow', () => {
  test('roots first, then the bundle with its statement; next time only what is new', async () => {
    const first = delivered('t1', { roots: [utf8('2'), utf8('3')], freshness: utf8('f') })
    const { log, tags, versions } = await run([first, { kind: 'unchanged', roots: [], freshness: utf8('f') }])
    expect(log).toEqual(['roots 2', 'admit fresh', 'tend', 'confirm fresh', 'tend'])
    expect(tags).toEqual([undefined, 't1'])
    expect(versions).toEqual([1, 3])
  })

  test('bytes that were refused for good are not asked for again; those that may pass later are', async () => {
    const forged = bundleFault('BUNDLE_UNSIGNED', undefined)
    const unchanged: Fetched = { kind: 'unchanged', roots: [] }
    expect((await run([delivered('t1'), unchanged], [forged])).tags).toEqual([undefined, 't1'])
    expect((await run([delivered('t1'), delivered('t1')], [stale])).tags).toEqual([undefined, undefined])
    const busy = agentFault('AGENT_BUSY', { file: 'x' })
    expect((await run([delivered('t1'), delivered('t1')], [busy])).tags).toEqual([undefined, undefined])
  })

  test('a node that is busy while it is to be tended is tended in the next pass', async () => {
    const busy = agentFault('AGENT_BUSY', { file: 'x' })
    const unchanged: Fetched = { kind: 'unchanged', roots: [] }
    const { log } = await run([unchanged, unchanged], [], [busy])
    expect(log).toEqual(['confirm -', 'tend', 'AGENT_BUSY', 'confirm -', 'tend'])
  })

  test('what the source is refused for is told once for each reason in a row', async () => {
    const pinned = transportFault('TRANSPORT_TLS', { host: 'a', why: 'x' })
    const { log } = await run([pinned, pinned, transportFault('TRANSPORT_TLS', { host: 'b', why: 'x' })])
    expect(log.filter((line) => line.startsWith('told'))).toEqual(['told TRANSPORT_TLS', 'told TRANSPORT_TLS'])
  })

  test('a source that does not answer changes nothing, and tending goes on', async () => {
    const down = transportFault('TRANSPORT_UNREACHABLE', { host: 'a' })
    const { log } = await run([down, down, delivered('t1')])
    expect(log).toEqual(['TRANSPORT_UNREACHABLE', 'tend', 'TRANSPORT_UNREACHABLE', 'tend', 'admit -', 'tend'])
  })
})
