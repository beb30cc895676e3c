// The list of upstreams in agent.yaml: what each spelling means, and what is said about the ones that mean nothing.

import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/base/bytes.js'
import { readYaml } from '../../../src/base/yaml.js'
import { isAuthenticated, parseUpstreams, parseUpstreamUrl, printUpstream } from '../../../src/dns/upstream/parse.js'

const PIN = Buffer.alloc(32, 1).toString('base64')
const read = (text: string) => {
  const { root, notes } = readYaml(utf8(text), 'agent.yaml', { bytes: 10_000, nodes: 1_000 })
  if (!root) throw new Error(JSON.stringify(notes))
  return parseUpstreams(root, 'agent.yaml', 'dns.upstreams')
}
const said = (text: string): string[] =>
  read(text).notes.map(({ path, line, column, say }) => `${line}:${column} ${path}: ${say}`)

describe('addresses', () => {
  const good: readonly (readonly [string, object, string?])[] = [
    ['udp://192.0.2.1', { transport: 'udp', address: '192.0.2.1', port: 53 }],
    ['udp://192.0.2.1:53', { transport: 'udp', address: '192.0.2.1', port: 53 }, 'udp://192.0.2.1'],
    ['tcp://[2001:DB8::1]:5353', { transport: 'tcp', address: '2001:db8::1', port: 5353 }, 'tcp://[2001:db8::1]:5353'],
    [
      'dot://192.0.2.1#DNS.example',
      { transport: 'dot', address: '192.0.2.1', port: 853, name: 'dns.example' },
      'dot://192.0.2.1#dns.example',
    ],
  ]
  for (const [text, expected, printed] of good)
    it(`${text} is read, and printed as ${printed ?? 'it is'}`, () => {
      const address = parseUpstreamUrl(text)
      expect(address).toEqual({ pins: [], ...expected })
      expect(typeof address === 'string' ? '' : printUpstream(address)).toBe(printed ?? text)
    })
  const bad: readonly (readonly [string, RegExp])[] = [
    ['192.0.2.1', /^expected udp:\/\/ADDRESS/],
    ['udp:/192.0.2.1', /^expected/],
    ['udp://192.0.2.1/path', /^expected/],
    ['udp://user@192.0.2.1', /is no address/],
    ['udp://dns.example', /^"dns\.example" is no address/],
    ['udp://192.0.2.01', /is no address/],
    ['udp://[192.0.2.1]', /is no address/],
    ['udp://2001:db8::1', /^expected/],
    ['udp://192.0.2.1:0', /^0 is no port$/],
    ['udp://192.0.2.1:65536', /^65536 is no port$/],
    ['udp://192.0.2.1:053', /^053 is no port$/],
    ['dott://192.0.2.1#dns.example', /^"dott" is none of udp, tcp and dot; did you mean dot\?$/],
    ['https://192.0.2.1', /^"https" is none of udp, tcp and dot$/],
    ['udp://192.0.2.1#dns.example', /^only dot has a name to check/],
    ['dot://192.0.2.1#', /^"" is no host name$/],
    ['dot://192.0.2.1#192.0.2.1', /is no host name$/],
    ['dot://192.0.2.1#a..b', /is no host name$/],
  ]
  for (const [text, why] of bad) it(`${text} is refused`, () => expect(parseUpstreamUrl(text)).toMatch(why))
})

describe('whose word of validation counts', () => {
  const cases: readonly (readonly [string, boolean])[] = [
    ['dot://192.0.2.1#dns.example', true],
    ['udp://127.0.0.53', true],
    ['tcp://[::1]:5353', true],
    ['udp://192.0.2.1', false],
    ['tcp://10.0.0.1', false],
    ['udp://[2001:db8::1]', false],
    ['udp://[::ffff:127.0.0.1]', false],
  ]
  for (const [text, counts] of cases)
    it(`${text}: ${counts}`, () => {
      const address = parseUpstreamUrl(text)
      expect(typeof address === 'string' ? address : isAuthenticated(address)).toBe(counts)
    })
})

describe('the list', () => {
  it('has addresses and mappings, in order', () => {
    const { upstreams, notes } = read(
      [
        '- udp://127.0.0.1',
        '- url: dot://192.0.2.1#dns.example',
        `  pins: [${PIN}]`,
        '  ca_file: ca.pem',
        `- { url: 'dot://192.0.2.2', pins: [${PIN}] }`,
      ].join('\n'),
    )
    expect(notes).toEqual([])
    expect(upstreams).toEqual([
      { transport: 'udp', address: '127.0.0.1', port: 53, pins: [] },
      { transport: 'dot', address: '192.0.2.1', port: 853, name: 'dns.example', pins: [PIN], caFile: 'ca.pem' },
      { transport: 'dot', address: '192.0.2.2', port: 853, pins: [PIN] },
    ])
  })
  const refused: readonly (readonly [string, readonly string[]])[] = [
    ['{}', ['1:1 dns.upstreams: expected a list of one to 8 resolvers']],
    ['[]', ['1:1 dns.upstreams: expected a list of one to 8 resolvers']],
    ['- 5', ['1:3 dns.upstreams[0]: the address is missing: url: dot://ADDRESS#NAME']],
    ['- [udp://192.0.2.1]', ['1:3 dns.upstreams[0]: expected an address, or a mapping with url']],
    ['- dot://192.0.2.1', ['1:3 dns.upstreams[0]: whom to expect is missing: dot://ADDRESS#NAME, or pins']],
    ['- udp://192.0.2.1\n- udp://192.0.2.1:53', ['2:3 dns.upstreams[1]: it is listed twice']],
    [
      `- { url: udp://192.0.2.1, pins: [${PIN}] }`,
      ['1:3 dns.upstreams[0]: pins and ca_file belong to dot; udp proves nothing'],
    ],
    [
      `- { url: dot://192.0.2.1, pins: [${PIN}], ca_file: x }`,
      [`1:90 dns.upstreams[0].ca_file: without a name the certificate is judged by its key alone: leave ca_file out`],
    ],
    [
      '- { url: "dot://192.0.2.1#a.example", pins: [abc] }',
      ['1:46 dns.upstreams[0].pins: expected base64 of the SHA-256 of a SubjectPublicKeyInfo (44 characters)'],
    ],
    [
      '- { url: "dot://192.0.2.1#a.example", pin: [] }\n- udp://x',
      [
        '1:44 dns.upstreams[0].pin: unknown key "pin"; did you mean pins?',
        '2:3 dns.upstreams[1]: "x" is no address (IPv6 stands in brackets; a name would have to be resolved first)',
      ],
    ],
  ]
  for (const [text, expected] of refused)
    it(`${text.replace('\n', ' | ')}`, () => {
      expect(said(text)).toEqual(expected)
      expect(read(text).upstreams).toBeUndefined()
    })
  it('has at most eight', () => {
    const list = (count: number) => Array.from({ length: count }, (_, i) => `- udp://192.0.2.${i + 1}`).join('\n')
    expect(read(list(8)).upstreams).toHaveLength(8)
    expect(said(list(9))).toEqual(['1:1 dns.upstreams: expected a list of one to 8 resolvers'])
  })
})
