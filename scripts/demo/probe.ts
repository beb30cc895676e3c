// What a probe is, and the ways to make one: a real connection, datagram or echo of a real stack, or a raw frame that is
// watched for at the far end. Each says what it expects, and the question that `sluice explain` answers about it.

import { type FrameSpec, ipFrame } from '../../test/support/frames.js'
import { isV6, UPLINK, WS } from '../../test/support/lab/addresses.js'
import type { Lab } from '../../test/support/lab/lab.js'
import type { Station } from '../../test/support/lab/station.js'
import type { Sender, Sniffer } from '../../test/support/lab/wire.js'

/** `refused`: the client failed at once. `dropped`: silence. */
export type Verdict = 'allowed' | 'refused' | 'dropped'

export interface Scene {
  readonly lab: Lab
  /** A station on the enforcement node itself. */
  readonly node: Station
  readonly sender: Sender
  /** Watches what arrives in the outside world. */
  readonly outside: Sniffer
  /** The node's own interface towards the workspace: the one that answers it. */
  readonly gateway: string
}

export interface Probe {
  readonly group: string
  readonly name: string
  readonly expect: Verdict
  /** For `explain`; absent for what is no first packet of a flow. */
  readonly question?: string
  /** What the table says where there is no question. */
  readonly because?: string
  /** What becomes of it where no flow state is held (capability `flowState: none`). */
  readonly stateless?: Verdict
  /** False: gets nowhere without a fence either, so the check before the fence leaves it out. */
  readonly open: boolean
  run(scene: Scene): Promise<Verdict>
}

const PROMPT_MS = 700

/** A refusal that takes long is silence to a client. */
const refusal = (outcome: string, tookMs: number): Verdict =>
  (outcome === 'reset' || outcome === 'prohibited') && tookMs < PROMPT_MS ? 'refused' : 'dropped'

const verdictOf = ({ outcome, tookMs }: { outcome: string; tookMs: number }): Verdict =>
  outcome === 'connected' || outcome === 'answered' ? 'allowed' : refusal(outcome, tookMs)

const bracketed = (address: string): string => (isV6(address) ? `[${address}]` : address)
const from = (to: string): string => (isV6(to) ? WS.v6 : WS.v4)

type Rest = Pick<Probe, 'group' | 'name' | 'expect'>

/** TCP from the workspace, with an echo through it. */
export const tcp = (rest: Rest, to: string, port: number): Probe => ({
  ...rest,
  open: true,
  question: `tcp ${bracketed(from(to))}:40000 > ${bracketed(to)}:${port}`,
  run: async ({ lab }) => verdictOf(await lab.ws.tcp({ host: to, port, say: 'hello' })),
})

/** HTTP from the workspace, by name: the name must resolve to the address, and the answer must come from it. */
export const http = (rest: Rest, name: string, to: string, port: number): Probe => ({
  ...rest,
  open: true,
  question: `tcp ${bracketed(from(to))}:40000 > ${bracketed(to)}:${port}`,
  run: async ({ lab }) => {
    const addresses = await lab.ws.lookup(name)
    if (!addresses.includes(to)) throw new Error(`${name} does not resolve to ${to} in the workspace`)
    const got = await lab.ws.httpGet({ host: to, port })
    return got.outcome === 'answered' && got.reached !== to ? 'dropped' : verdictOf(got)
  },
})

export const udp = (rest: Rest, to: string, port: number): Probe => ({
  ...rest,
  open: true,
  question: `udp ${bracketed(from(to))}:40000 > ${bracketed(to)}:${port}`,
  run: async ({ lab }) => verdictOf(await lab.ws.udp({ host: to, port })),
})

export const ping = (rest: Rest, to: string): Probe => ({
  ...rest,
  open: true,
  question: `icmp-echo ${bracketed(from(to))} > ${bracketed(to)}`,
  run: async ({ lab }) => verdictOf(await lab.ping('ws', to)),
})

/** From the outside world into the workspace. */
export const inward = (rest: Rest, source: string, protocol: 'tcp' | 'udp' | 'icmp-echo', port: number): Probe => {
  const to = isV6(source) ? WS.v6 : WS.v4
  const question =
    protocol === 'icmp-echo'
      ? `icmp-echo ${bracketed(source)} > ${bracketed(to)}`
      : `${protocol} ${bracketed(source)}:40000 > ${bracketed(to)}:${port}`
  return {
    ...rest,
    open: true,
    question,
    run: async ({ lab }) => {
      if (protocol === 'icmp-echo') return verdictOf(await lab.ping('out', to, { from: source }))
      const at = { host: to, port, localAddress: source }
      return verdictOf(protocol === 'tcp' ? await lab.out.tcp({ ...at, say: 'hello' }) : await lab.out.udp(at))
    },
  }
}

const text = new TextEncoder()
let marks = 0

/** A raw frame from the workspace. `build` gets a payload to put in; it is looked for on the outside wire. */
export const raw = (
  rest: Rest & { because: string; open?: boolean; stateless?: Verdict },
  build: (mark: Uint8Array) => readonly Uint8Array[],
): Probe => ({
  ...rest,
  open: rest.open ?? true,
  run: async ({ sender, outside }) => {
    const mark = text.encode(`sluice-mark-${String(++marks).padStart(4, '0')}`)
    await sender.send(build(mark))
    // Silence cannot be waited for; two settled intervals are many times what the frame would take.
    await outside.settle(80)
    return outside.frames.some((frame) => Buffer.from(frame.bytes).includes(Buffer.from(mark))) ? 'allowed' : 'dropped'
  },
})

/** A raw UDP datagram to a granted port, with something wrong about it. */
export const rawUdp = (
  rest: Rest & { because: string; open?: boolean },
  wrong: Partial<FrameSpec> & { readonly to: string },
): Probe =>
  raw(rest, (mark) => {
    const { to, ...spec } = wrong
    return [
      ipFrame({
        source: from(to),
        destination: to,
        ...spec,
        payload: { kind: 'udp', from: 41000, to: 5000, data: mark },
      }),
    ]
  })

export const UPLINK_OUTSIDE = UPLINK.out.interface
