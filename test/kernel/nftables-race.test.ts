// Two processes at one fence: one commits plans that know a name and plans that do not, the other learns for it and sets and
// lifts a quarantine, as fast as they can, and then what must always hold is looked at. No step waits for the other side.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { clauseOf, ID, ID2, sliceOf } from '../support/nftables/slices.js'

const ROUNDS = 8
const NAMED = { egress: [`tcp ${OUT.registry} 80`], names: ['git.example'] }
const UNNAMED = { egress: [`tcp ${OUT.registry} 80`] }

labSuite('nftables, two processes at once', () => {
  let lab: Lab
  let committer: NftHarness
  let other: NftHarness
  let generation = 0
  const state = stateDirectory()
  const learned = (over: object = {}) => ({
    workspace: ID,
    clause: clauseOf('git.example'),
    name: 'git.example',
    protocol: 'tcp' as const,
    address: OUT.git,
    port: 443,
    generation,
    expiresAtMs: Date.now() + 60_000,
    ...over,
  })
  const learnedElements = async (): Promise<string> =>
    (await lab.exec('node', ['nft', 'list', 'map', 'inet', 'sluice', 'learned4'])).stdout
  const reopen = async (): Promise<void> => {
    await other.end()
    other = await NftHarness.start(lab.namespace('node'), state.path)
  }

  beforeAll(async () => {
    lab = await openLab()
    committer = await NftHarness.start(lab.namespace('node'), state.path)
    await committer.apply(sliceOf(++generation, NAMED))
    other = await NftHarness.start(lab.namespace('node'), state.path)
  })
  afterAll(async () => {
    await committer?.end()
    await other?.end()
    await lab?.close()
    state.remove()
  })

  it('learning for a generation that another process has replaced is refused, and leaves nothing', async () => {
    const stale = generation
    await committer.apply(sliceOf(++generation, UNNAMED))
    expect(await other.learn(stale, [learned()])).toBe(false)
    expect(await learnedElements()).not.toContain(OUT.git)
    await committer.apply(sliceOf(++generation, NAMED))
    expect(await lab.ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'reset' })
    await reopen()
    expect(await other.learn(generation, [learned()])).toBe(true)
    expect(await lab.ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'connected' })
  })

  it('learns that race with commits are in force or refused, and none outlives its clause', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await committer.apply(sliceOf(++generation, NAMED))
      await reopen()
      const at = generation
      const grants = Array.from({ length: 20 }, (_, i) => learned({ port: 2_000 + i, generation: at }))
      const [answers] = await Promise.all([
        Promise.all(grants.map((grant) => other.learn(at, [grant]))),
        committer.apply(sliceOf(++generation, round % 2 === 0 ? UNNAMED : NAMED)),
      ])
      expect(answers.every((answer) => typeof answer === 'boolean')).toBe(true)
      expect(await other.learn(at, [learned({ generation: at })])).toBe(false)
    }
    // A plan without the name, then one with it: what the old clause learnt is not there.
    await committer.end()
    committer = await NftHarness.start(lab.namespace('node'), state.path)
    await committer.apply(sliceOf(++generation, UNNAMED))
    expect(await learnedElements()).not.toContain(OUT.git)
    await committer.apply(sliceOf(++generation, NAMED))
    expect((await committer.observe()).drift).toEqual([])
    expect(await lab.ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'reset' })
  })

  it('orders about one flag given in one breath take effect in that order', async () => {
    await committer.apply(sliceOf(++generation, NAMED, UNNAMED))
    for (let round = 0; round < ROUNDS; round++) {
      const on = round % 2 === 0
      const orders = Array.from({ length: 6 }, (_, i) => (i % 2 === 1 ? on : !on))
      await Promise.all(orders.map((order) => other.flag(ID, 'quarantined', order)))
      const elements = await lab.exec('node', ['nft', 'list', 'set', 'inet', 'sluice', 'quarantined'])
      expect(elements.stdout.includes('elements'), `round ${round}`).toBe(on)
      expect((await committer.observe()).live).toMatchObject({ quarantined: on ? [ID] : [] })
    }
  })

  it('the last word of a flag is what stands, whatever is committed meanwhile and wherever the workspace went', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const on = round % 2 === 0
      // The other process still believes in the plan before; in every third one the workspace is not attached at all.
      const slice = sliceOf(++generation, NAMED, UNNAMED)
      const without = { ...slice, workspaces: slice.workspaces.filter(({ workspace }) => workspace === ID2) }
      await Promise.all([
        committer.apply(round % 3 === 2 ? without : slice),
        other.flag(ID, 'quarantined', !on),
        other.flag(ID, 'quarantined', on),
      ])
      await committer.apply(sliceOf(++generation, NAMED, UNNAMED))
      expect((await committer.observe()).live).toMatchObject({ generation, quarantined: on ? [ID] : [] })
    }
    expect(await lab.ws.tcp({ host: OUT.registry, port: 80 })).toMatchObject({ outcome: 'connected' })
    expect((await committer.observe()).drift).toEqual([])
  })
})
