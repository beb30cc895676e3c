// Sessions of the access broker with real packets on both kernel backends: closed before, open after, cut with the close, over at
// the deadline with nobody there, and known again by whoever comes next. Needs root.

import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Observed } from '../../src/backends/backend.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { Plan, SessionPeer } from '../../src/plan/model.js'
import { labPlan, ONE, openScene, type Scene } from '../support/ebpf/scene.js'
import { OUT, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { egress, ingress } from '../support/plans.js'

/** One fence in a laboratory, whichever it is. */
interface Fenced {
  readonly lab: Lab
  apply(plan: Plan): Promise<unknown>
  sessions(peers: readonly SessionPeer[]): Promise<boolean>
  observe(): Promise<Observed>
  /** The driver ends; the fence stays. */
  leave(): Promise<void>
  come(): Promise<void>
  close(): Promise<void>
}

async function onNftables(): Promise<Fenced> {
  const lab = await openLab()
  const state = stateDirectory()
  let nft = await NftHarness.start(lab.namespace('node'), state.path)
  let generation = 0
  return {
    lab,
    apply: (plan) => nft.apply(sliceFor(plan, 'memory', ++generation)),
    sessions: (peers) => nft.sessions(ONE, peers),
    observe: () => nft.observe(),
    leave: () => nft.end(),
    come: async () => {
      nft = await NftHarness.start(lab.namespace('node'), state.path)
    },
    close: async () => {
      await nft.uninstall()
      await nft.end()
      await lab.close()
      state.remove()
    },
  }
}

async function onEbpf(): Promise<Fenced> {
  const scene: Scene = await openScene()
  return {
    lab: scene.lab,
    apply: (plan) => scene.apply(plan),
    sessions: (peers) => scene.driver.sessions(ONE, peers),
    observe: () => scene.driver.observe(),
    leave: () => scene.driver.close(),
    come: () => scene.restart(),
    close: () => scene.close(),
  }
}

const HOUR_MS = 3_600_000
const peer = (address: string, expiresAtMs = Date.now() + HOUR_MS): SessionPeer => ({
  ...{ workspace: ONE, peer: address, expiresAtMs },
})
const ASKS = labPlan([
  egress('git', [OUT.git], 'tcp', ['80']),
  ingress('broker', ['10.60.0.0/24', '45.76.10.0/24'], 'tcp', ['443'], 'required'),
])

labSuite('sessions of the access broker', () => {
  for (const [name, open] of [
    ['nftables', onNftables],
    ['ebpf', onEbpf],
  ] as const)
    describe(name, () => {
      let fenced: Fenced

      beforeAll(async () => {
        fenced = await open()
        // The workspace serves what the broker leads to.
        await fenced.lab.ws.serveHttp([443])
        await fenced.apply(ASKS)
      })
      afterAll(async () => {
        await fenced?.close()
      })

      const reach = (from: string, timeoutMs: number) =>
        fenced.lab.out.tcp({ host: WS.v4, port: 443, localAddress: from, timeoutMs })
      const lets = async (from: string): Promise<void> => {
        await expect.poll(() => reach(from, 2_000), { timeout: 30_000 }).toMatchObject({ outcome: 'connected' })
      }
      const keepsOut = async (from: string): Promise<void> => {
        expect(await reach(from, 400)).toMatchObject({ outcome: 'timeout' })
      }
      /** A download from the workspace that goes on until it is cut. */
      const download = async (from: string): Promise<number> =>
        (
          await fenced.lab.out.download({
            host: WS.v4,
            port: 443,
            localAddress: from,
            rate: 200_000,
            timeoutMs: 30_000,
          })
        ).number
      const bytesOf = async (number: number): Promise<number> =>
        (await fenced.lab.out.downloads([number]))[0]?.bytes ?? 0
      const flows = async (number: number): Promise<void> => {
        const before = await bytesOf(number)
        await expect.poll(() => bytesOf(number), { timeout: 30_000 }).toBeGreaterThan(before)
      }
      /** What was on its way has come; after that not an octet more. */
      const isCut = async (number: number): Promise<void> => {
        let [last, still] = [-1, 0]
        await expect
          .poll(
            async () => {
              const now = await bytesOf(number)
              still = now === last ? still + 1 : 0
              last = now
              return still
            },
            { timeout: 30_000, interval: 200 },
          )
          .toBeGreaterThan(4)
      }

      it('is closed before, open for its one peer after, and closed again', async () => {
        await keepsOut(OUT.broker)
        expect(await fenced.sessions([peer(OUT.broker)])).toBe(true)
        await lets(OUT.broker)
        await keepsOut(OUT.git)
        const { live, drift } = await fenced.observe()
        expect([live?.sessions?.map((one) => one.peer), drift]).toEqual([[OUT.broker], []])
        expect(await fenced.sessions([])).toBe(true)
        await keepsOut(OUT.broker)
        expect((await fenced.observe()).live?.sessions).toEqual([])
      })

      it('cuts what goes on with the close, and leaves alone what another session has', async () => {
        await fenced.sessions([peer(OUT.broker), peer(OUT.git)])
        const [one, other] = [await download(OUT.broker), await download(OUT.git)]
        await flows(one)
        await fenced.sessions([peer(OUT.git)])
        await isCut(one)
        await flows(other)
        // A session that comes later revives nothing of it.
        await fenced.sessions([peer(OUT.git), peer(OUT.broker)])
        const before = await bytesOf(one)
        await lets(OUT.broker)
        // Time for whatever would be sent again.
        await flows(other)
        expect(await bytesOf(one)).toBe(before)
        await fenced.lab.out.stopDownload([one, other])
      })

      it('goes on through a change of plan that still asks, and is over with one that does not let it in', async () => {
        await fenced.sessions([peer(OUT.git)])
        const number = await download(OUT.git)
        await fenced.apply({ ...ASKS })
        await flows(number)
        await fenced.apply(labPlan([ingress('broker', ['10.60.0.0/24'], 'tcp', ['443'], 'required')]))
        await isCut(number)
        await fenced.lab.out.stopDownload([number])
        await keepsOut(OUT.git)
        await fenced.apply(ASKS)
      })

      it('is known to whoever comes next, and ends at its deadline with nobody there', async () => {
        await fenced.sessions([peer(OUT.broker), peer(OUT.git)])
        const number = await download(OUT.broker)
        await flows(number)
        const untilMs = Date.now() + 8_000
        await fenced.sessions([peer(OUT.broker, untilMs), peer(OUT.git)])
        await fenced.leave()
        while (Date.now() <= untilMs) await wait(50)
        await isCut(number)
        await fenced.lab.out.stopDownload([number])
        await keepsOut(OUT.broker)
        await lets(OUT.git)
        await fenced.come()
        expect((await fenced.observe()).live?.sessions?.map((one) => one.peer)).toEqual([OUT.git])
        await fenced.sessions([])
        await keepsOut(OUT.git)
      })

      // Elsewhere the driver is a process of its own, with the clock of the machine.
      if (name === 'ebpf')
        it('is put off for nobody when the wall clock is set back', async () => {
          const untilMs = Date.now() + 10_000
          await fenced.sessions([peer(OUT.broker, untilMs)])
          const both = [peer(OUT.broker, untilMs), peer(OUT.git)]
          const now = Date.now.bind(Date)
          const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() - 2 * HOUR_MS)
          await fenced.sessions(both).finally(() => {
            clock.mockRestore()
          })
          while (Date.now() <= untilMs) await wait(50)
          await keepsOut(OUT.broker)
          await lets(OUT.git)
          await fenced.sessions([])
        })

      it('opens nothing for a workspace that is not there', async () => {
        const { workspaces, ...rest } = ASKS
        await fenced.sessions([peer(OUT.broker)])
        await fenced.apply({ ...rest, workspaces: workspaces.filter(({ workspace }) => workspace !== ONE) })
        expect(await fenced.sessions([peer(OUT.broker)])).toBe(false)
        await fenced.apply(ASKS)
        expect((await fenced.observe()).live?.sessions).toEqual([])
        await keepsOut(OUT.broker)
      })
    })
})
