// A node that masquerades its workspaces: replies come to the node's own address, so before routing nobody can tell them for a
// workspace's. What holds all the same, and what the capability `translated: reassembled` means.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { nftablesBackend } from '../../src/backends/nftables/index.js'
import { type FrameSpec, ipFrame, ipPacket } from '../support/frames.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import type { Sender, Sniffer } from '../support/lab/wire.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { sliceOf } from '../support/nftables/slices.js'

const PORT = 5999
const LOCAL_PORT = 41_000
const DATA = Uint8Array.from({ length: 64 }, (_, i) => i)

labSuite('nftables, behind a translation of the node', () => {
  let lab: Lab
  let nft: NftHarness
  let fromOut: Sender
  let atWs: Sniffer
  const state = stateDirectory()

  beforeAll(async () => {
    lab = await openLab()
    nft = await NftHarness.start(lab.namespace('node'), state.path)
    await nft.apply(sliceOf(1, { egress: [`udp ${OUT.git} ${PORT}`] }))
    const nat = [
      'add table ip test_nat',
      'add chain ip test_nat post { type nat hook postrouting priority 100; }',
      `add rule ip test_nat post oifname "${UPLINK.node.interface}" masquerade`,
    ]
    await lab.exec('node', ['nft', nat.join('; ')])
    await lab.exec('out', [
      'nft',
      'add table ip quiet; add chain ip quiet c { type filter hook output priority 0; }; add rule ip quiet c meta l4proto icmp drop',
    ])
    fromOut = await lab.sender('out', UPLINK.out.interface)
    atWs = await lab.sniff('ws', WS.inside)
    // The flow, translated.
    await lab.ws.udp({ host: OUT.git, port: PORT, localPort: LOCAL_PORT, timeoutMs: 100 })
    const { stdout } = await lab.exec('node', ['conntrack', '-L', '-p', 'udp', '--orig-dst', OUT.git])
    expect(stdout).toContain(`src=${OUT.git} dst=${UPLINK.node.v4} sport=${PORT} dport=${LOCAL_PORT}`)
  })
  afterAll(async () => {
    await nft?.end()
    await lab?.close()
    state.remove()
  })

  const reply = (to: number, more: Partial<FrameSpec> = {}): FrameSpec => ({
    source: OUT.git,
    destination: UPLINK.node.v4,
    sourceMac: UPLINK.out.mac,
    destinationMac: UPLINK.node.mac,
    payload: { kind: 'udp', from: PORT, to, data: DATA },
    ...more,
  })
  /** The same datagram in two pieces. */
  function pieces(to: number): Uint8Array[] {
    const datagram = ipPacket(reply(to)).subarray(20)
    const piece = (data: Uint8Array, offset: number, more: boolean): Uint8Array =>
      ipFrame(reply(to, { fragment: { more, offset }, payload: { kind: 'raw', protocol: 17, data } }))
    return [piece(datagram.subarray(0, 40), 0, true), piece(datagram.subarray(40), 40, false)]
  }
  const arrived = (): number =>
    atWs.frames
      .splice(0)
      .filter(({ way, bytes }) => way === 'in' && bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 17).length
  const drops = async (): Promise<Readonly<Record<string, bigint>>> => nft.drops()

  it('a reply of a live flow passes', async () => {
    await fromOut.send([ipFrame(reply(LOCAL_PORT))])
    await atWs.settle()
    expect(arrived()).toBe(1)
  })

  it('a reply with IP options is malformed, as without a translation', async () => {
    const before = await drops()
    await fromOut.send([ipFrame(reply(LOCAL_PORT, { options: Uint8Array.of(1, 1, 1, 0) }))])
    await atWs.settle()
    expect((await drops()).malformed).toBe((before.malformed ?? 0n) + 1n)
    expect(arrived()).toBe(0)
  })

  it('fragments of a reply pass as the packet that they make, which is declared; those of no flow do not', async () => {
    expect(nftablesBackend.capabilities({ backend: 'nftables', trustDomain: 'host', probes: [] }).translated).toBe(
      'reassembled',
    )
    await fromOut.send(pieces(LOCAL_PORT))
    await atWs.settle()
    expect(arrived()).toBeGreaterThan(0)
    await fromOut.send(pieces(LOCAL_PORT + 1))
    await atWs.settle()
    expect(arrived()).toBe(0)
  })
})
