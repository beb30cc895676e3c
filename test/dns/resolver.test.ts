// The lab itself, before anything is concluded from it: what the resolver says of its zones, by every way, asked with `dig`.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { RESOLVER_NAME, type Resolver } from '../support/dns/resolver.js'
import { resolverSuite } from '../support/dns/suite.js'
import { CHAIN, MANY } from '../support/dns/zones.js'
import { command } from '../support/lab/command.js'

resolverSuite('the resolver of the lab', (start) => {
  let resolver: Resolver
  beforeAll(async () => {
    resolver = await start()
  })
  afterAll(() => resolver.close())

  const dig = async (...argv: string[]): Promise<string> => {
    const { stdout } = await command(['dig', `@${resolver.address}`, '+time=5', '+tries=1', ...argv])
    return stdout
  }
  const plain = (...argv: string[]): Promise<string> => dig('-p', `${resolver.port}`, ...argv)

  it('answers over UDP, TCP and TLS', async () => {
    for (const way of [[], ['+tcp']]) expect(await plain('+short', 'git.lab.example', ...way)).toBe('45.76.10.10\n')
    const tls = [`+tls-ca=${resolver.tls.caFile}`, `+tls-hostname=${RESOLVER_NAME}`, '-p', `${resolver.dotPort}`]
    expect(await dig('+short', 'AAAA', 'git.lab.example', ...tls)).toBe('2a05:9:9::10\n')
  })
  it('validates the signed zone only', async () => {
    expect(await plain('www.signed.example')).toMatch(/flags: qr rd ra ad;/)
    expect(await plain('git.lab.example')).toMatch(/flags: qr rd ra;/)
  })
  it('truncates what does not fit, and gives all of it over TCP', async () => {
    expect(await plain('+ignore', '+bufsize=1232', 'many.lab.example')).toMatch(/flags: qr tc rd ra;/)
    expect((await plain('+short', 'many.lab.example')).trim().split('\n')).toHaveLength(MANY)
  })
  it('follows a chain to its end', async () => {
    const lines = (await plain('+short', 'chain0.lab.example')).trim().split('\n')
    expect(lines).toHaveLength(CHAIN + 1)
    expect(lines.at(-1)).toBe('45.76.10.10')
  })
  it('keeps the times of its zones', async () => {
    const ttl = async (name: string) => /\n[a-z0-9.]+\s+(\d+)\s+IN\s+A\s/.exec(await plain(`${name}.lab.example`))?.[1]
    expect(await ttl('second')).toBe('1')
    expect(await ttl('zero')).toBe('0')
    expect(await ttl('registry')).toBe('60')
  })
  it('says what is not there, and asks nobody about other names', async () => {
    expect(await plain('nowhere.lab.example')).toMatch(/status: NXDOMAIN[\s\S]*hostmaster\.lab\.example\./)
    expect(await plain('www.example.com')).toMatch(/status: REFUSED/)
  })
  it('forwards the live zone to its authority, which answers anew every time', async () => {
    expect(await plain('+short', 'rotate.live.example')).toBe('45.78.0.1\n')
    expect(await plain('+short', 'rotate.live.example')).toBe('45.78.0.2\n')
    expect(resolver.asked.filter((line) => /rotate/i.test(line))).toHaveLength(2)
  })
})
