// A node that follows a channel, end to end: a server, a new root, a release, a refusal; and what stands afterwards.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { Fleet } from '../support/fleet.js'

let fleet: Fleet
beforeEach(async () => {
  fleet = await Fleet.make({ freshness: true })
})
afterEach(() => fleet.close())

/** Follows until `until` passes were told, or for five seconds. */
async function followed(until: number): Promise<{ kind: string; [key: string]: unknown }[]> {
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), 5_000)
  const line = `follow ${fleet.source} --inventory inventory.yaml --interval 1 --json`
  const said = await fleet.operator.sluice(line, (host) => ({
    ...host,
    interrupted: () => stop.signal,
    follow: (config, request) => {
      let told = 0
      const tell: typeof request.tell = (one) => {
        request.tell(one)
        if (++told >= until) stop.abort()
      }
      return host.follow(config, { ...request, tell })
    },
  }))
  clearTimeout(timer)
  expect(said.exit).toBe(0)
  return (JSON.parse(said.out) as { passes: { kind: string }[] }).passes
}

test('takes the root, then the bundle', async () => {
  await fleet.sign('bundle', 7)
  await fleet.publish('bundle')
  await fleet.publishFreshness('bundle')
  await fleet.ok('publish rotate root.json --key keys/root-1.key,keys/root-2.key --out 2.jws.json')
  fleet.published.set('roots/2.jws.json', fleet.read('2.jws.json'))
  expect(await followed(2)).toEqual([
    { kind: 'root', version: 2 },
    { kind: 'active', generation: 2, revision: '7' },
  ])
  expect(await fleet.live()).toBe('7')
  expect(fleet.json('root.json')).toMatchObject({ version: 2 })
})

test('says why it refuses, keeps what is live, and stays with it when the source is gone', async () => {
  await fleet.sign('bundle', 7)
  await fleet.publish('bundle')
  await fleet.publishFreshness('bundle')
  expect((await fleet.take()).code).toBe('active')
  await fleet.sign('bundle', 8, ['release-1'])
  await fleet.publish('bundle')
  expect(await followed(1)).toMatchObject([{ kind: 'failed', code: 'BUNDLE_THRESHOLD' }])
  fleet.published.clear()
  expect(await followed(1)).toMatchObject([{ kind: 'failed', code: 'TRANSPORT_NOT_FOUND' }])
  expect(await fleet.live()).toBe('7')
})
