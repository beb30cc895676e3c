// What the driver keeps on disk: read back as written, and nothing believed that is damaged; what the backend says of itself from
// what was probed; the section of agent.yaml; and how a packet is read by who sees no options and believes no length.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/agent/config.js'
import { flowerCapabilities } from '../../../src/backends/tc-flower/capabilities.js'
import {
  EMPTY_STATE_FILE,
  FLAGS_NAME,
  readFlags,
  readState,
  removeState,
  STATE_NAME,
  type StateFile,
  writeFlags,
  writeState,
} from '../../../src/backends/tc-flower/record.js'
import { utf8 } from '../../../src/base/bytes.js'
import { digestOfText } from '../../../src/base/digest.js'
import type { Answer } from '../../../src/plan/capabilities.js'
import { evaluate } from '../../../src/plan/evaluate.js'
import { readFrame } from '../../../src/plan/packet.js'
import { EMPTY_STATE, type Env } from '../../../src/plan/state.js'
import { type FrameSpec, ipFrame } from '../../support/frames.js'
import { compile, ENTRY, egress, GATEWAY_MAC, planOf, policy, WS, WS_MAC } from '../../support/plans.js'

describe('tc-flower: records', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-flower-'))
  afterEach(() => rmSync(directory, { recursive: true, force: true }))
  const state: StateFile = {
    format: 1,
    live: {
      generation: 7,
      planDigest: digestOfText('plan'),
      turn: 1,
      workspaces: [
        {
          workspace: WS,
          interface: 'ws0',
          mac: WS_MAC,
          number: 0,
          grants: ['g'],
          clauses: [],
          bands: [],
          digests: ['d'],
        },
      ],
    },
    next: null,
    closed: [{ interface: 'ws1', mac: '', number: 1 }],
  }

  it('are read as they were written, and gone when they are removed', async () => {
    expect(await readState(directory)).toEqual({ state: EMPTY_STATE_FILE })
    await writeState(directory, state)
    writeFlags(directory, { quarantined: [WS], suspended: [] })
    expect(await readState(directory)).toEqual({ state })
    expect(readFlags(directory)).toEqual({ flags: { quarantined: [WS], suspended: [] } })
    await removeState(directory)
    expect(await readState(directory)).toEqual({ state: EMPTY_STATE_FILE })
    expect(readFlags(directory).flags).toEqual({ quarantined: [], suspended: [] })
  })
  it('are empty when they are damaged, and say so', async () => {
    await writeState(directory, state)
    for (const text of ['{', 'null', '[]', '{"format":2}', '{"format":1,"live":{"turn":3},"next":null,"closed":[]}']) {
      writeFileSync(join(directory, STATE_NAME), text)
      writeFileSync(join(directory, FLAGS_NAME), text)
      const read = await readState(directory)
      expect([text, read.state, typeof read.damage]).toEqual([text, EMPTY_STATE_FILE, 'string'])
      expect([text, typeof readFlags(directory).damage]).toEqual([text, 'string'])
    }
  })
  it('that cannot be written are a fault', async () => {
    const nowhere = join(directory, STATE_NAME, 'below-a-file')
    await writeState(directory, state)
    await expect(writeState(nowhere, state)).rejects.toMatchObject({ code: 'FLOWER_STATE' })
    expect(() => writeFlags(nowhere, { quarantined: [], suspended: [] })).toThrow(/cannot use .*tc-flower-flags\.json/)
  })
})

describe('tc-flower: capabilities', () => {
  const probed = (offload: Answer, hardware: Answer, classifier: Answer = 'yes') =>
    flowerCapabilities({
      backend: 'tc-flower',
      trustDomain: 'host',
      probes: [
        { feature: 'library', answer: 'yes', why: '' },
        { feature: 'classifier', answer: classifier, why: 'no module' },
        { feature: 'offload', answer: offload, why: 'no switch' },
        { feature: 'hardware', answer: hardware, why: '' },
      ],
    })
  it('are representors in hardware, and veth and tap in software', () => {
    expect(probed('yes', 'yes')).toMatchObject({ usable: true, slots: ['representor'] })
    expect(probed('yes', 'no')).toMatchObject({ usable: true, slots: ['representor', 'veth', 'tap'] })
    expect(probed('yes', 'no').why).toContain('in software')
  })
  it('are none without a switch, a classifier, or an answer', () => {
    expect(probed('no', 'no')).toMatchObject({ usable: false, why: 'offload: no switch' })
    expect(probed('yes', 'yes', 'could-not-tell')).toMatchObject({ usable: false, why: 'classifier: no module' })
    expect(flowerCapabilities({ backend: 'tc-flower', trustDomain: 'host', probes: [] }).usable).toBe(false)
  })
  it('stand beside every clause that they are about', () => {
    const { guarantees } = compile([policy([egress('web', ['93.184.216.34'], 'tcp', ['443'])])], probed('yes', 'no'), [
      ENTRY,
    ])
    expect(guarantees[0]).toMatchObject({
      level: 'enforced',
      why: 'tc-flower, answers by the reversed grant, IP options and lengths unread',
    })
  })
})

describe('tc-flower: agent.yaml', () => {
  const read = (section: string) =>
    parseConfig(
      utf8(`node: spiffe://fleet.example/node/n1
audience: fleet.example/dev
channel: stable
trust_root: root.json
state_directory: state
events_file: events.ndjson
backends: [tc-flower]
${section}
`),
      'agent.yaml',
      '/etc/sluice',
      ['tc-flower'],
    )
  it('names an uplink, or asks for software', () => {
    expect(read('tc_flower: {uplink: p0}').config?.flower).toEqual({ uplink: 'p0', software: false })
    expect(read('tc_flower: {software: true}').config?.flower).toEqual({ software: true })
    expect(read('').config).not.toHaveProperty('flower')
  })
  it('takes no pattern for an uplink', () => {
    expect(read('tc_flower: {uplink: "p*"}').notes.map(({ path, say }) => `${path}: ${say}`)).toEqual([
      'tc_flower.uplink: expected the name of one interface, such as p0',
    ])
  })
})

describe('a packet that is not sound', () => {
  const plan = planOf([egress('web', ['93.184.216.34', '2a05:9:9::10'], 'tcp', ['443'])])
  const env: Env = { linkLayer: true, replies: 'stateless', icmpErrors: 'dropped', flowState: 'none' }
  const verdict = (
    spec: Partial<FrameSpec>,
    unsound: boolean,
    change: (frame: Uint8Array) => Uint8Array = (one) => one,
  ) => {
    const [source, destination] = spec.source?.includes(':')
      ? [spec.source, '2a05:9:9::10']
      : ['10.9.0.2', '93.184.216.34']
    const payload = { kind: 'tcp', from: 40_000, to: 443, flags: 0x02 } as const
    const frame = ipFrame({ sourceMac: WS_MAC, destinationMac: GATEWAY_MAC, payload, ...spec, source, destination })
    const packet = readFrame(change(frame), 'from')
    const { verdict: said } = evaluate(plan, EMPTY_STATE, WS, packet, 0, unsound ? { ...env, unsound: 'as-read' } : env)
    return `${said.kind} ${said.reason}`
  }
  const SIX = 'fd09:0:0:1::2'
  const options = Uint8Array.of(7, 4, 4, 0)

  it('is dropped, or judged by what can be read of it where that is declared', () => {
    for (const odd of [{ options }, { source: SIX, extensions: [60] }, { source: SIX, extensions: [0, 43] }]) {
      expect(verdict(odd, false)).toBe('drop malformed')
      expect(verdict(odd, true)).toBe('allow static-grant')
    }
    const short = (frame: Uint8Array): Uint8Array => frame.slice(0, 14 + 20 + 8)
    expect(verdict({}, false, short)).toBe('drop malformed')
    expect(verdict({}, true, short)).toBe('allow static-grant')
  })
  it('is still dropped for what can be read of it', () => {
    const to80 = { kind: 'tcp', from: 40_000, to: 80, flags: 0x02 } as const
    expect(verdict({ options, payload: to80 }, true)).toBe('drop no-grant')
    expect(verdict({ options, sourceMac: '02:00:00:00:09:ff' }, true)).toBe('drop spoof')
    expect(verdict({ fragment: { more: true, offset: 0 } }, true)).toBe('drop fragment')
    expect(verdict({ source: SIX, extensions: [44] }, true)).toMatch(/^drop /)
    // What is cut off is no port of anything.
    expect(verdict({}, true, (frame) => frame.slice(0, 14 + 20 + 2))).toBe('drop no-grant')
  })
})
