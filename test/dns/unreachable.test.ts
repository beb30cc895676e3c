// Upstreams that this machine has no way to: the system refuses to connect the socket, before anything is sent. The question is told
// so, the next upstream is asked, and the process goes on: an agent starts before its default route does.

import { describe, expect, it } from 'vitest'
import { newCounters } from '../../src/dns/upstream/counters.js'
import { askDatagram } from '../../src/dns/upstream/datagram.js'
import { command } from '../support/lab/command.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'

/** To connect to it takes a right that no socket here has, whatever routes there are. */
const FORBIDDEN = { transport: 'udp', address: '255.255.255.255', port: 53, pins: [] } as const
const QUERY = { id: 1, name: 'git.lab.example', type: 'A' } as const

describe('a socket that cannot be connected', () => {
  it('is a fault of the link, and nothing was sent', async () => {
    const counters = newCounters()
    const wait = { timeoutMs: 30_000, signal: new AbortController().signal }
    await expect(askDatagram(FORBIDDEN, QUERY, wait, counters)).rejects.toMatchObject({
      code: 'DNS_UPSTREAM_LINK',
      cause: { syscall: 'connect' },
    })
    expect(counters.sentUdp).toBe(0)
  })
  it('whoever leaves before that is known gets the reason, and the socket is closed once', async () => {
    const gone = new AbortController()
    const wait = { timeoutMs: 30_000, signal: gone.signal }
    const asking = askDatagram(FORBIDDEN, QUERY, wait, newCounters())
    // The refusal waits for the next tick: closing twice would throw there.
    gone.abort(new TypeError('gone'))
    await expect(asking).rejects.toThrow('gone')
    await new Promise((resolve) => setImmediate(resolve))
  })
})

labSuite('a namespace without a route', () => {
  const far = ['45.76.9.1', '2a05:9:9::1']
  const ask = async (prepare: string) => {
    const asker = [process.execPath, repositoryPath('test/support/dns/asker.mjs'), JSON.stringify(far)]
    const inside = ['sh', '-ec', `${prepare}; exec "$@"`, 'sh', ...asker]
    const { status, stdout, stderr } = await command(['unshare', '--net', ...inside])
    expect([status, stderr]).toEqual([0, ''])
    return JSON.parse(stdout) as unknown
  }
  const ROUTELESS = 'there is no route to it'
  const cannot = (to: string, why: string) => ({ code: 'DNS_UPSTREAM', cause: `udp://${to} cannot be used: ${why}` })

  it('every question there fails, both families, and the upstream that can be reached is asked next', async () => {
    expect(await ask('ip link set lo up')).toEqual({
      alone: [cannot('45.76.9.1', ROUTELESS), cannot('[2a05:9:9::1]', ROUTELESS)],
      beside: { address: '45.76.10.10', failures: [1, 1, 0] },
    })
  })
  it('so where there is no IPv6', async () => {
    const no = 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
    expect(await ask(`${no}; ip link set lo up`)).toEqual({
      alone: [cannot('45.76.9.1', ROUTELESS), cannot('[2a05:9:9::1]', 'this node has no address to reach it from')],
      beside: { address: '45.76.10.10', failures: [1, 1, 0] },
    })
  })
})
