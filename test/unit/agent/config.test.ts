// agent.yaml: every key by its rule, every finding with its place, nothing guessed.

import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/agent/config.js'
import { utf8 } from '../../../src/base/bytes.js'
import { FINDING_TERMS } from '../../../src/findings/terms.js'

const GOOD = `node: spiffe://fleet.example/node/n1
audience: fleet.example/dev
channel: stable
trust_root: root.json
state_directory: /var/lib/sluice
events_file: log/events.ndjson
backends: [nftables, memory]
attach_interfaces: ["ws*", tap0]
`
const read = (text: string) => parseConfig(utf8(text), 'agent.yaml', '/etc/sluice', ['nftables', 'memory'])
const problems = (text: string): string[] =>
  read(text).notes.map((note) => `${note.line}:${note.column} ${note.code} ${note.path}: ${note.say}`)
const changed = (from: string | RegExp, to: string): string => GOOD.replace(from, to)

describe('agent.yaml', () => {
  it('gives absolute paths and keeps the order of backends', () => {
    expect(read(GOOD)).toEqual({
      config: {
        node: 'spiffe://fleet.example/node/n1',
        audience: 'fleet.example/dev',
        channel: 'stable',
        trustRoot: '/etc/sluice/root.json',
        stateDirectory: '/var/lib/sluice',
        eventsFile: '/etc/sluice/log/events.ndjson',
        backends: ['nftables', 'memory'],
        attachInterfaces: ['ws*', 'tap0'],
      },
      notes: [],
    })
  })

  it('may leave out attach_interfaces alone', () => {
    expect(read(changed(/attach.*\n/, '')).config?.attachInterfaces).toEqual([])
    expect(problems(changed(/channel.*\n/, ''))).toEqual(['1:1 missing-key channel: the key channel is missing'])
  })

  it('reads what makes a finding; what is left out is as findings/terms.ts says', () => {
    const findings = `findings:
  cooldown_seconds: 60
  denial_burst: {reaction: quarantine, packets: 50}
  rollback_attempt: {reaction: off}
`
    expect(read(`${GOOD}${findings}`).config?.findings).toEqual({
      ...FINDING_TERMS,
      cooldownMs: 60_000,
      denialBurst: { ...FINDING_TERMS.denialBurst, reaction: 'quarantine', packets: 50 },
      rollbackAttempt: { reaction: 'off' },
    })
    expect(read(`${GOOD}findings: {}\n`).config?.findings).toEqual(FINDING_TERMS)
    expect(problems(`${GOOD}findings: {dns_entropie: {}, lifecycle_rate: {reaction: quarantin, calls: 0}}\n`)).toEqual([
      '9:12 unknown-key findings.dns_entropie: unknown key "dns_entropie"; did you mean dns_entropy?',
      '9:57 bad-value findings.lifecycle_rate.reaction: expected one of off, observe, quarantine, kill; did you mean quarantine?',
      '9:75 bad-value findings.lifecycle_rate.calls: expected a whole number from 1 to 1000000',
    ])
  })

  it('reads where releases come from, and what knows the place', () => {
    const source = `source:
  from: https://policy.example/published
  inventory: inventory.yaml
  interval_seconds: 5
  pins: [${'A'.repeat(43)}=]
socket: run/sluice.sock
`
    expect(read(`${GOOD}${source}`).config).toMatchObject({
      socket: '/etc/sluice/run/sluice.sock',
      source: {
        from: 'https://policy.example/published',
        inventory: '/etc/sluice/inventory.yaml',
        intervalMs: 5000,
        pins: [`${'A'.repeat(43)}=`],
      },
    })
    expect(read(`${GOOD}source: {from: pub, inventory: i.yaml}\n`).config?.source).toEqual({
      from: '/etc/sluice/pub',
      inventory: '/etc/sluice/i.yaml',
      intervalMs: 30_000,
      pins: [],
    })
  })

  it('reads the card of doca-vault, and refuses what is no address of one', () => {
    expect(read(`${GOOD}doca_vault: {card: "0000:03:00.0"}\n`).config?.vault).toEqual({ card: '0000:03:00.0' })
    expect(read(`${GOOD}doca_vault: {card: "03:00.0"}\n`).config?.vault).toEqual({ card: '03:00.0' })
    expect(problems(`${GOOD}doca_vault: {card: mlx5_0}\n`)).toEqual([
      '9:20 bad-value doca_vault.card: expected a PCI address such as 0000:03:00.0',
    ])
  })

  it('reads sinks by their kind, with bounds for what they leave out', () => {
    const sinks = `sinks:
  - {name: archive, kind: file, path: out/events.ndjson}
  - name: siem
    kind: http
    url: https://siem.example:8088/services/collector
    format: splunk-hec
    token_file: siem.token
    select: {classes: [4001, 2004], min_severity: 2}
    redact: [src_endpoint.ip, message]
retention: {keep_bytes: 1000000}
heartbeat_seconds: 15
`
    expect(read(`${GOOD}${sinks}`)).toMatchObject({
      notes: [],
      config: {
        retention: { keepBytes: 1_000_000 },
        heartbeatMs: 15_000,
        sinks: [
          {
            ...{ name: 'archive', kind: 'file', path: '/etc/sluice/out/events.ndjson', sync: 'batch' },
            ...{ rotateBytes: 67_108_864, rotateMs: 86_400_000, keepFiles: 30 },
          },
          {
            ...{ name: 'siem', kind: 'http', url: 'https://siem.example:8088/services/collector' },
            ...{ format: 'splunk-hec', gzip: true, tokenFile: '/etc/sluice/siem.token' },
            ...{ select: { classes: [4001, 2004], minSeverity: 2 }, redact: ['src_endpoint.ip', 'message'] },
          },
        ],
      },
    })
  })

  it('reads sinks for syslog and NATS', () => {
    const sinks = `sinks:
  - {name: log, kind: syslog, server: "siem.example:6514", ca: ca.pem}
  - {name: fleet, kind: nats, servers: ["tls://nats.example:4222"], stream: SLUICE, subject: sluice.n1, credentials: n1.creds}
`
    expect(read(`${GOOD}${sinks}`)).toMatchObject({
      notes: [],
      config: {
        sinks: [
          {
            ...{ name: 'log', kind: 'syslog', server: { host: 'siem.example', port: 6514 } },
            ...{ facility: 13, caFile: '/etc/sluice/ca.pem' },
          },
          {
            ...{ name: 'fleet', kind: 'nats', servers: ['tls://nats.example:4222'], stream: 'SLUICE' },
            ...{ subject: 'sluice.n1', credentialsFile: '/etc/sluice/n1.creds' },
          },
        ],
      },
    })
  })

  const cases: readonly (readonly [string, string, string])[] = [
    [
      'an unknown key',
      changed('channel:', 'chanel:'),
      '3:1 unknown-key chanel: unknown key "chanel"; did you mean channel?',
    ],
    [
      'a duplicate key',
      `${GOOD}channel: canary\n`,
      '9:1 duplicate-key channel: the key "channel" stands at line 3 already; keep one of them',
    ],
    [
      'a node that is no SPIFFE URI',
      changed('spiffe://fleet.example/node/n1', 'n1'),
      '1:7 bad-value node: expected a SPIFFE URI such as spiffe://fleet.example/node/n1',
    ],
    [
      'an unknown backend',
      changed('[nftables, memory]', '[nftable]'),
      '7:12 bad-value backends: expected a backend of this release (nftables, memory); did you mean nftables?',
    ],
    [
      'no backend',
      changed('[nftables, memory]', '[]'),
      '7:11 bad-value backends: expected a list with at least one backend',
    ],
    [
      'a backend twice',
      changed('[nftables, memory]', '[memory, memory]'),
      '7:20 bad-value backends: expected each value once',
    ],
    [
      'every interface of the node',
      changed('"ws*"', '"*"'),
      '8:21 bad-value attach_interfaces: expected an interface name or a pattern such as "ws*" (not every interface: the node has its own)',
    ],
    [
      'a section that is no mapping',
      `${GOOD}source: published\n`,
      '9:9 wrong-type source: expected a mapping of configuration keys',
    ],
    [
      'an unknown key of a section',
      `${GOOD}source: {from: pub, inventory: i.yaml, pin: []}\n`,
      '9:40 unknown-key source.pin: unknown key "pin"; did you mean pins?',
    ],
    [
      'a section without what it must have',
      `${GOOD}source: {from: pub}\n`,
      '9:9 missing-key source.inventory: the key source.inventory is missing',
    ],
    [
      'an address that no server binds',
      `${GOOD}http: localhost:80\n`,
      '9:7 bad-value http: expected an address and a port, such as 127.0.0.1:7443 or [::1]:7443',
    ],
    [
      'a flag that is a word',
      `${GOOD}attach_required: "yes"\n`,
      '9:18 bad-value attach_required: expected true or false',
    ],
    [
      'a caller that is no identity',
      `${GOOD}api: {listen: "127.0.0.1:1", certificate: c, key: k, client_ca: a, operators: ["*"]}\n`,
      '9:80 bad-value api.operators: expected a SPIFFE URI, or one that ends in /* for all below it',
    ],
    [
      'an API without its certificate',
      `${GOOD}api: {listen: "[::1]:7443", key: k, client_ca: a}\n`,
      '9:6 missing-key api.certificate: the key api.certificate is missing',
    ],
    [
      'an interval that is not in seconds',
      `${GOOD}source: {from: pub, inventory: i.yaml, interval_seconds: 0}\n`,
      '9:58 bad-value source.interval_seconds: expected a number of seconds from 1 to 86400',
    ],
    [
      'an interface name that is too long',
      changed('tap0', 'abcdefghijklmnop'),
      '8:28 bad-value attach_interfaces: expected an interface name or a pattern such as "ws*" (not every interface: the node has its own)',
    ],
    [
      'a number for a path',
      changed('/var/lib/sluice', '7'),
      '5:18 bad-value state_directory: expected a path (relative to this file, or absolute)',
    ],
    [
      'an empty channel',
      changed('stable', '""'),
      '3:10 bad-value channel: expected a name of letters, digits and . _ : @ / + -',
    ],
    [
      'sinks that are no list',
      `${GOOD}sinks: {name: a, kind: file, path: p}\n`,
      '9:8 wrong-type sinks: expected a list',
    ],
    [
      'a sink of an unknown kind',
      `${GOOD}sinks: [{name: a, kind: fil, path: p}]\n`,
      '9:25 bad-value sinks[0].kind: expected kind to be one of file, http, syslog, nats; did you mean file?',
    ],
    [
      'a key of another kind of sink',
      `${GOOD}sinks: [{name: a, kind: file, path: p, url: "https://a.example"}]\n`,
      '9:40 unknown-key sinks[0].url: unknown key "url"',
    ],
    [
      'two sinks with one name',
      `${GOOD}sinks: [{name: a, kind: file, path: p}, {name: a, kind: file, path: q}]\n`,
      '9:41 duplicate-name sinks[1].name: each name once',
    ],
    [
      'a sink whose name is part of a path',
      `${GOOD}sinks: [{name: ../a, kind: file, path: p}]\n`,
      '9:16 bad-value sinks[0].name: expected a name of up to 32 lower-case letters, digits and -',
    ],
    [
      'events in clear text to another machine',
      `${GOOD}sinks: [{name: a, kind: http, url: "http://siem.example/"}]\n`,
      '9:36 bad-value sinks[0].url: expected an https address, or an http address of loopback, without a user or password in it',
    ],
    [
      'NATS in clear text to another machine',
      `${GOOD}sinks: [{name: a, kind: nats, servers: ["nats://nats.example:4222"], stream: S, subject: s}]\n`,
      '9:41 bad-value sinks[0].servers: expected an address such as tls://nats.example:4222, or a nats address of loopback',
    ],
    [
      'a subject with a wildcard',
      `${GOOD}sinks: [{name: a, kind: nats, servers: ["tls://nats.example"], stream: S, subject: "s.>"}]\n`,
      '9:84 bad-value sinks[0].subject: expected a subject such as sluice.events.n1',
    ],
    [
      'a syslog server without a port',
      `${GOOD}sinks: [{name: a, kind: syslog, server: siem.example}]\n`,
      '9:41 bad-value sinks[0].server: expected a host and a port, such as siem.example:6514',
    ],
    [
      'a password in an address',
      `${GOOD}sinks: [{name: a, kind: http, url: "https://u:p@siem.example/"}]\n`,
      '9:36 bad-value sinks[0].url: expected an https address, or an http address of loopback, without a user or password in it',
    ],
    [
      'a sink that would not see which event it has',
      `${GOOD}sinks: [{name: a, kind: file, path: p, redact: [src_endpoint.ip, metadata.uid]}]\n`,
      '9:66 bad-value sinks[0].redact: expected a member of events such as src_endpoint.ip, and none that an event cannot be without',
    ],
    [
      'a filter that lets nothing through',
      `${GOOD}sinks: [{name: a, kind: file, path: p, select: {classes: []}}]\n`,
      '9:58 bad-value sinks[0].select.classes: expected a list of OCSF class numbers',
    ],
    ['a list', '- a\n', '1:1 wrong-type : expected a mapping of configuration keys'],
    [
      'an anchor',
      changed('stable', '&a stable'),
      '3:13 yaml-anchor channel: anchors and aliases are not accepted; write the value out',
    ],
  ]
  for (const [name, text, problem] of cases)
    it(`refuses ${name}`, () => {
      expect(problems(text)).toContain(problem)
      expect(read(text).config).toBeUndefined()
    })

  it('finds everything at once, in document order', () => {
    expect(
      problems('node: 1\nchanel: x\nbackends: [x]\n').map((line) => line.split(' ').slice(0, 3).join(' ')),
    ).toEqual([
      '1:1 missing-key attach'.replace('attach', 'audience:'),
      '1:1 missing-key channel:',
      '1:1 missing-key events_file:',
      '1:1 missing-key state_directory:',
      '1:1 missing-key trust_root:',
      '1:7 bad-value node:',
      '2:1 unknown-key chanel:',
      '3:12 bad-value backends:',
    ])
  })
})

describe('section decisions', () => {
  it('names the folder of registrations, and whether every question has to name an agent', () => {
    const decisions = 'decisions: { registrations: reg, require_registration: true }\n'
    expect(read(`${GOOD}${decisions}`).config?.decisions).toEqual({
      registrations: '/etc/sluice/reg',
      required: true,
    })
    expect(read(`${GOOD}decisions: {}\n`).config?.decisions).toEqual({ required: false })
    expect(read(GOOD).config).not.toHaveProperty('decisions')
    expect(problems(`${GOOD}decisions: { require_registrations: true }\n`)).toEqual([
      '9:14 unknown-key decisions.require_registrations: unknown key "require_registrations"; did you mean require_registration?',
    ])
    expect(problems(`${GOOD}decisions: { require_registration: always }\n`)).toEqual([
      '9:36 bad-value decisions.require_registration: expected true or false',
    ])
  })
})

describe('section revocation', () => {
  const STREAM =
    '{name: idp, kind: push, issuer: "https://idp.example.com/", audience: [us], keys: k.json, token_file: t}'
  const section = (streams: string, more = 'listen: "127.0.0.1:1", certificate: c, key: k, '): string =>
    `${GOOD}revocation: {${more}streams: [${streams}]}\n`
  const POLL = STREAM.replace('kind: push', 'kind: poll, url: "https://idp.example.com/poll"')

  it('has the narrow choice wherever it says nothing', () => {
    expect(read(section(STREAM)).config?.revocation).toMatchObject({
      ...{ listen: '127.0.0.1:1', certificate: '/etc/sluice/c', latencyMs: 5_000, silence: 'deny' },
      streams: [
        {
          ...{ name: 'idp', keys: '/etc/sluice/k.json', algorithms: ['RS256'], criticalMembers: [] },
          ...{ riskLevel: 'high', credentialChange: 'quarantine', silenceMs: 300_000 },
        },
      ],
    })
    expect(read(section(POLL, '')).config?.revocation?.streams[0]).toMatchObject({ longPoll: true, intervalMs: 5_000 })
    expect(read(GOOD).config).not.toHaveProperty('revocation')
  })

  const with_ = (more: string, stream = STREAM): string => stream.replace('}', `, ${more}}`)
  it.each([
    ['no stream', section(''), 'revocation.streams: at least one stream is expected'],
    [
      'nobody who listens',
      section(STREAM, ''),
      'revocation.streams[0]: a push stream needs revocation.listen, revocation.certificate and revocation.key',
    ],
    ['nobody to listen for', section(POLL), 'revocation.listen: there is no push stream to listen for'],
    [
      'a transmitter that nobody knows',
      section(STREAM.replace(', token_file: t', '')),
      'revocation.streams[0]: a push stream needs token_file, client, or both: how else would its transmitter be known?',
    ],
    [
      'a certificate that nobody can judge',
      section(with_('client: a')),
      'revocation.streams[0]: client needs revocation.client_ca',
    ],
    [
      'half a certificate',
      section(with_('certificate: c')),
      'revocation.streams[0]: certificate and key come together',
    ],
    [
      'verification that is slower than silence',
      section(with_('silence_seconds: 60, verification: {url: "https://idp.example.com/v", stream_id: s}')),
      'revocation.streams[0]: silence_seconds must be at least twice the interval of verification, or every delay is silence',
    ],
    ['two streams of a name', section(`${STREAM}, ${STREAM}`), 'revocation.streams[1].name: each name once'],
    [
      'a secret for an algorithm',
      section(with_('algorithms: [HS256]')),
      'revocation.streams[0].algorithms: expected one of RS256, PS256, ES256, ES384, Ed25519, EdDSA; did you mean',
    ],
    [
      'an event that is none',
      section(with_('events: [session-revked]')),
      'revocation.streams[0].events: expected one of session-revoked',
    ],
    [
      'a reaction that is too weak',
      section(with_('credential_change: ignore')),
      'revocation.streams[0].credential_change: expected one of quarantine, alarm',
    ],
    [
      'a level that is none',
      section(with_('risk_level: none')),
      'revocation.streams[0].risk_level: expected one of low, medium, high',
    ],
    [
      'polling in clear text',
      section(POLL.replace('"https:', '"http:'), ''),
      'revocation.streams[0].url: expected an address such as https://idp.example/ssf/poll',
    ],
    [
      'a key of the other kind',
      section(with_('long_poll: true')),
      'revocation.streams[0].long_poll: unknown key "long_poll"',
    ],
  ])('refuses %s', (_name, text, problem) => {
    expect(problems(text).join('\n')).toContain(problem)
    expect(read(text).config).toBeUndefined()
  })
})
