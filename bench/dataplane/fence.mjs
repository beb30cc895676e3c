// The eBPF fence in the network namespace of this process (scripts/bench.mjs makes one for each bench), with synthetic plans of many grants, for the measurements beside this file.
// Packets are judged with BPF_PROG_TEST_RUN, whose clock surrounds the program alone. Keys are cycled over the whole set: one
// repeated packet would measure one hot cache line.

import { execFileSync } from 'node:child_process'
import { mkdirSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { detachAll } from '../../dist/backends/ebpf/attach.js'
import { EbpfDriver } from '../../dist/backends/ebpf/driver.js'
import { Fence, removePins } from '../../dist/backends/ebpf/fence.js'
import { readBook } from '../../dist/backends/ebpf/generation.js'
import { STRUCTS } from '../../dist/backends/ebpf/layout.js'
import { lower } from '../../dist/backends/ebpf/lower.js'
import { nativePath } from '../../dist/backends/ebpf/native.js'
import { sweepAll } from '../../dist/backends/ebpf/sweep.js'

const WORKSPACE = 'spiffe://example.org/workspace/bench/one'
const SLOT = {
  kind: 'veth',
  interface: 'bench0',
  mac: '02:00:00:00:09:02',
  addresses: ['10.9.0.2'],
  gateway: { mac: '02:00:00:00:09:01', addresses: ['10.9.0.1'] },
}

/** Public addresses only: 45.0.0.0 and on has no reserved range within two million of it. */
export const address = (n) => `45.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`

const grant = (prefix, protocol) => ({
  id: `egress/${protocol}/${prefix}/443`,
  direction: 'egress',
  protocol,
  prefix,
  ports: { from: 443, to: 443 },
  opens: false,
  clauses: ['sha256:0'],
})

/** `count` grants: exact addresses, or /24 networks. */
export const slice = (generation, count, kind, clauses = [], protocol = 'tcp') => ({
  generation,
  planDigest: `sha256:${'0'.repeat(64)}`,
  source: { expiresAtMs: Date.now() + 1e9 },
  workspaces: [
    {
      workspace: WORKSPACE,
      slot: SLOT,
      backend: 'ebpf',
      domain: 'host',
      onExpiry: 'suspend',
      network: {
        services: [],
        egress: Array.from({ length: count }, (_, n) =>
          grant(kind === 'exact' ? `${address(n)}/32` : `${address(n << 8)}/24`, protocol),
        ),
        ingress: [],
        names: clauses.map((clause) => ({ clause })),
        idle: { tcpMs: 432_000_000, udpMs: 120_000, icmpMs: 30_000 },
      },
    },
  ],
})

export async function openBench() {
  execFileSync('ip', ['link', 'add', 'bench0', 'type', 'veth', 'peer', 'name', 'bench1'])
  const driver = await EbpfDriver.open({ attachInterfaces: [], stateDirectory: '' })
  const fence = Fence.open()
  const { native } = fence
  // Pins outlive their namespace, and of one that was stopped in the middle nothing says whose they are.
  const clear = () => removePins(dirname(fence.pins))
  process.once('exit', clear)
  const emptyPins = `${fence.pins}/empty`
  for (const folder of ['maps', 'programs']) mkdirSync(`${emptyPins}/${folder}`, { recursive: true })
  const log = Buffer.alloc(65_536)
  if (
    native.ask(
      'load',
      nativePath('fence_empty.bpf.o'),
      `${emptyPins}/maps`,
      `${emptyPins}/programs`,
      0,
      log,
      log.length,
    ) < 0
  )
    throw new Error(`${log}`)
  const empty = native.call('opening', 'get', `${emptyPins}/programs/fence_empty`)
  const lookup = native.call('opening', 'get', `${emptyPins}/programs/fence_lookup`)
  const table = native.call('opening', 'get', `${emptyPins}/maps/table`)
  return {
    driver,
    fence,
    empty,
    lookup,
    /** Makes the map that `lookup` looks into: `count` addresses under the fence's own key and value sizes. */
    async fillTable(count) {
      const map = await native.callAsync('making', 'mapCreate', 1, 24, 4, count, 0, 'table')
      const keys = Buffer.alloc(count * 24)
      for (let n = 0; n < count; n++) keys.set([45, (n >> 16) & 255, (n >> 8) & 255, n & 255], n * 24)
      await native.callAsync('filling', 'mapWrite', map, keys, Buffer.alloc(count * 4), count, 24, 4)
      await native.callAsync('publishing', 'publish', Int32Array.of(table), Int32Array.of(map), 1, 0)
      native.ask('close', map)
    },
    /** Forgets flows that a flag cut: the sweep alone, since an observation reads every counter as well, of a million grants for seconds. */
    async forget() {
      const kept = await sweepAll(fence, readBook(fence, Number(fence.word() & 1n)))
      if ([...kept.values()].some((flows) => flows > 0)) throw new Error('flows of a round before are still known')
    },
    ifindex: native.ask('ifindex', 'bench0'),
    workspace: WORKSPACE,
    lower: (generation, count, kind, clauses, protocol) => lower(slice(generation, count, kind, clauses, protocol)),
    /** Takes the fence off; a commit hangs it on again. */
    async detach() {
      detachAll(fence, [native.ask('ifindex', 'bench0')])
    },
    attachEmpty() {
      for (const egress of [0, 1])
        native.call(
          'attaching',
          'attach',
          empty,
          native.ask('ifindex', 'bench0'),
          egress,
          `${emptyPins}/maps/link${egress}`,
          1,
        )
    },
    detachEmpty() {
      for (const egress of [0, 1]) unlinkSync(`${emptyPins}/maps/link${egress}`)
    },
    async close() {
      for (const one of [empty, lookup, table]) native.ask('close', one)
      fence.close()
      await driver.uninstall()
      process.off('exit', clear)
      clear()
    },
  }
}

/** A TCP segment from the workspace; checksums are nobody's business here. */
export function segment(n, sourcePort, flags) {
  const frame = Buffer.alloc(54)
  frame.set([2, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9, 2, 8, 0, 0x45, 0, 0, 40])
  frame.set([64, 6], 22)
  frame.set([10, 9, 0, 2], 26)
  frame.set([45, (n >> 16) & 255, (n >> 8) & 255, n & 255], 30)
  frame.writeUInt16BE(sourcePort, 34)
  frame.writeUInt16BE(443, 36)
  frame.set([0x50, flags], 46)
  return frame
}

const RUN = STRUCTS.sluice_ebpf_run
const out = Buffer.alloc(256)

/** Mean nanoseconds of the program over the frames, each once, and how many of them passed. */
export function cost(bench, program, frames) {
  const run = Buffer.alloc(RUN.size)
  let sum = 0
  let passed = 0
  for (const frame of frames) {
    run.writeUInt32LE(bench.ifindex, 0)
    run.writeUInt32LE(bench.ifindex, 4)
    run.writeUInt32LE(1, 16)
    if (bench.fence.native.ask('run', program, frame, frame.length, run, out, out.length) < 0) throw new Error('run')
    if (run.readInt32LE(RUN.fields.verdict) === -1) passed++
    sum += run.readUInt32LE(24)
  }
  return { mean: sum / frames.length, passed }
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]
