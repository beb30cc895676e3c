// Observe mode with real packets on both kernel backends: what passes and what does not, what is told, and that it ends by itself
// with nobody there, for what goes on as well as for what begins. Needs root.

import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DenialBatch, Observed, Sighting } from '../../src/backends/backend.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { Plan } from '../../src/plan/model.js'
import { observation, withObserve } from '../conformance/observing.js'
import { labPlan, ONE, openScene, type Scene } from '../support/ebpf/scene.js'
import { OUT, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { egress } from '../support/plans.js'

/** One fence in a laboratory, whichever it is. */
interface Fenced {
  readonly lab: Lab
  apply(plan: Plan): Promise<unknown>
  heard(): Promise<readonly DenialBatch[]>
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
  const batches: DenialBatch[] = []
  await nft.listen()
  return {
    lab,
    apply: (plan) => nft.apply(sliceFor(plan, 'memory', ++generation)),
    heard: async () => {
      batches.push(...(await nft.heard()))
      return batches
    },
    observe: () => nft.observe(),
    leave: () => nft.end(),
    come: async () => {
      nft = await NftHarness.start(lab.namespace('node'), state.path)
      await nft.listen()
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
  const batches: DenialBatch[] = []
  const listen = () => scene.driver.denials((batch) => batches.push(batch))
  let stop = await listen()
  return {
    lab: scene.lab,
    apply: (plan) => scene.apply(plan),
    heard: () => Promise.resolve(batches),
    observe: () => scene.driver.observe(),
    leave: async () => {
      await stop()
      await scene.driver.close()
    },
    come: async () => {
      await scene.restart()
      stop = await listen()
    },
    close: async () => {
      await stop()
      await scene.close()
    },
  }
}

const observed = (untilMs: number, clauses = [egress('git', [OUT.git], 'tcp', ['80'])]): Plan =>
  withObserve(labPlan(clauses), observation(untilMs))

labSuite('observe mode', () => {
  for (const [name, open] of [
    ['nftables', onNftables],
    ['ebpf', onEbpf],
  ] as const)
    describe(name, () => {
      let fenced: Fenced
      const tcp = (host: string, port: number) => fenced.lab.ws.tcp({ host, port, timeoutMs: 2_000 })
      const sightings = async (): Promise<readonly Sighting[]> =>
        (await fenced.heard()).flatMap((batch) => batch.observed ?? []).filter(({ workspace }) => workspace === ONE)

      beforeAll(async () => {
        fenced = await open()
      })
      afterAll(async () => {
        await fenced?.close()
      })

      it('lets through what nothing grants, and tells when it begins and when it is answered', async () => {
        await fenced.apply(observed(Date.now() + 3_600_000))
        expect(await tcp(OUT.git, 80)).toMatchObject({ outcome: 'connected' })
        expect(await tcp(OUT.unlisted, 8080)).toMatchObject({ outcome: 'connected' })
        expect(await tcp(OUT.unlisted6, 443)).toMatchObject({ outcome: 'connected' })
        await fenced.lab.ws.udp({ host: OUT.registry, port: 5000, timeoutMs: 2_000 })
        expect(await fenced.lab.ping('ws', OUT.unlisted, { timeoutMs: 2_000 })).toMatchObject({ outcome: 'answered' })
        const told = async (): Promise<string[]> =>
          (await sightings())
            .map(
              (one) =>
                `${one.protocol} ${one.source} > ${one.destination} ${one.destinationPort ?? '-'} ${one.answered}`,
            )
            .sort()
        await expect
          .poll(told, { timeout: 20_000 })
          .toEqual(
            [
              `6 ${WS.v4} > ${OUT.unlisted} 8080`,
              `6 ${WS.v6} > ${OUT.unlisted6} 443`,
              `17 ${WS.v4} > ${OUT.registry} 5000`,
              `1 ${WS.v4} > ${OUT.unlisted} -`,
            ]
              .flatMap((line) => [`${line} false`, `${line} true`])
              .sort(),
          )
        expect(new Set((await sightings()).map(({ reason }) => reason))).toEqual(new Set(['no-grant']))
        const seen = await fenced.observe()
        expect(seen.observed).toBe(4n)
        expect([seen.drift, seen.drops['no-grant']]).toEqual([[], 0n])
      })

      it('refuses what is refused for any other reason', async () => {
        for (const [host, port] of [
          [OUT.database, 5432],
          [OUT.carrierNat, 80],
          [OUT.metadata, 80],
          [OUT.unlisted, 853],
          [OUT.unlisted, 6443],
          [OUT.uniqueLocal6, 5432],
        ] as const)
          expect.soft(await tcp(host, port), `${host} ${port}`).toMatchObject({ outcome: 'reset' })
        expect(await fenced.lab.out.tcp({ host: WS.v4, port: 22, timeoutMs: 300 })).toMatchObject({
          outcome: 'timeout',
        })
        expect((await sightings()).filter(({ destination }) => destination === OUT.metadata)).toEqual([])
      })

      /** Bytes go on arriving. */
      const flows = async (number: number): Promise<boolean> => {
        const bytes = async (): Promise<number> => (await fenced.lab.ws.downloads([number]))[0]?.bytes ?? 0
        const before = await bytes()
        return expect
          .poll(bytes, { timeout: 10_000 })
          .toBeGreaterThan(before)
          .then(
            () => true,
            () => false,
          )
      }
      /** Whoever is refused learns of it when it sends, and the end may be some milliseconds after the time it was set for. */
      const ended = async (number: number): Promise<void> => {
        const state = async (): Promise<string | undefined> => {
          await fenced.lab.ws.poke(number)
          return (await fenced.lab.ws.downloads([number]))[0]?.state
        }
        await expect.poll(state, { timeout: 30_000, interval: 100 }).toBe('reset')
      }
      const download = async (): Promise<number> =>
        (await fenced.lab.ws.download({ host: OUT.unlisted, port: 443, rate: 200_000 })).number

      it('goes on under a plan with the same clause, and is cut with its clause', async () => {
        const untilMs = Date.now() + 3_600_000
        await fenced.apply(observed(untilMs))
        const number = await download()
        await fenced.apply(observed(untilMs, [egress('registry', [OUT.registry], 'tcp', ['80'])]))
        expect(await flows(number)).toBe(true)
        await fenced.apply(observed(untilMs + 1))
        await ended(number)
      })

      it('goes on without a cut where the next plan grants it', async () => {
        await fenced.apply(observed(Date.now() + 3_600_000))
        const number = await download()
        await fenced.apply(labPlan([egress('seen', [OUT.unlisted], 'tcp', ['443'])]))
        expect(await flows(number)).toBe(true)
        await fenced.lab.ws.stopDownload([number])
        expect(await tcp(OUT.registry, 8000)).toMatchObject({ outcome: 'reset' })
      })

      it('ends by itself with nobody there', async () => {
        const untilMs = Date.now() + 4_000
        await fenced.apply(observed(untilMs))
        const number = await download()
        await fenced.leave()
        while (Date.now() <= untilMs) await wait(50)
        await ended(number)
        expect(await tcp(OUT.registry, 8000)).toMatchObject({ outcome: 'reset' })
        expect(await tcp(OUT.git, 80)).toMatchObject({ outcome: 'connected' })
        await fenced.come()
        const { live, drift } = await fenced.observe()
        expect([live?.workspaces.includes(ONE), drift]).toEqual([true, []])
      })
    })
})
