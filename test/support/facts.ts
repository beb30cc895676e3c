// Facts for tests: one plain fact of every kind, and arbitrary ones whose texts and numbers are as hostile as a packet or a
// forged document can make them.

import fc from 'fast-check'
import type { Fact, FactOf, PolicyContext, WorkspaceContext } from '../../src/audit/fact.js'
import { OCSF_VERSION, type OcsfContext } from '../../src/audit/ocsf/event.js'
import { digestOfText } from '../../src/base/digest.js'

export const NOW = 1_775_014_138_811

export const POLICY: PolicyContext = {
  bundleId: 'acme-agents',
  bundleDigest: digestOfText('bundle'),
  policyRevision: '18446744073709551615',
  generation: 31,
}
export const WORKSPACE: WorkspaceContext = {
  workspace: 'spiffe://acme.example/ws/coding',
  attachmentId: 'att-3',
  interface: 'ws0',
}
export const CONTEXT: OcsfContext = {
  version: OCSF_VERSION,
  eventUids: ['0198c5a1-7b00-7000-8000-000000000001', '0198c5a1-7b00-7000-8000-000000000002'],
  sequence: 41,
  product: { name: 'Sluice', version: '0.1.0' },
  reporter: { uid: 'spiffe://acme.example/node/7', hostname: 'node-7' },
}

const FLOW = {
  direction: 'egress',
  protocol: 6,
  source: '10.9.0.2',
  sourcePort: 40000,
  destination: '93.184.216.34',
  destinationPort: 443,
} as const
const ASKED = { source: '10.9.0.2', sourcePort: 53111, destination: '10.9.0.1', transport: 'udp' } as const
const HELD: PolicyContext = { ...POLICY, policyRevision: '7', generation: 30 }

const STREAM = { stream: 'idp', heardAtMs: NOW - 301_000 } as const
const COUNTS = { sink: 'siem', sequence: 3_880, lag: 21, discarded: 0, dead: 1 } as const

export const FACTS: { readonly [K in Fact['kind']]: FactOf<K> } = {
  'bundle-verified': {
    kind: 'bundle-verified',
    atMs: NOW,
    policy: { bundleId: POLICY.bundleId, bundleDigest: POLICY.bundleDigest, policyRevision: POLICY.policyRevision },
    channel: 'stable',
    signers: ['release-1', 'release-2'],
  },
  'bundle-refused': {
    kind: 'bundle-refused',
    atMs: NOW,
    code: 'BUNDLE_ROLLBACK',
    say: 'revision 5 is older than 7',
    offered: { bundleId: 'acme-agents', policyRevision: '5' },
    held: HELD,
    attack: true,
  },
  'bundle-activated': { kind: 'bundle-activated', atMs: NOW, policy: POLICY, replaced: HELD, backend: 'nftables' },
  'flow-allowed': {
    kind: 'flow-allowed',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    flow: FLOW,
    clause: digestOfText('clause'),
    clauseName: 'github',
    grant: 'g-0123456789abcdef',
    backend: 'nftables',
  },
  'drift-found': {
    kind: 'drift-found',
    atMs: NOW,
    policy: POLICY,
    findings: ['nftables: nothing is live'],
    live: [
      { backend: 'nftables', generation: null },
      { backend: 'ebpf', generation: 31 },
    ],
  },
  'drift-repaired': { kind: 'drift-repaired', atMs: NOW, policy: POLICY, replaced: HELD, elapsedMs: 12 },
  'workspace-attached': {
    kind: 'workspace-attached',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    by: 'user:root',
    leaseGeneration: 3,
    elapsedMs: 4,
  },
  'workspace-detached': {
    kind: 'workspace-detached',
    atMs: NOW,
    workspace: WORKSPACE,
    by: 'spiffe://acme.example/companion/7',
    leaseGeneration: 3,
    elapsedMs: 4,
  },
  'flow-denied': {
    kind: 'flow-denied',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    flow: { ...FLOW, destinationPort: 22 },
    reason: 'no-grant',
    backend: 'nftables',
    refusal: 'reset',
    count: 12,
    firstAtMs: NOW - 900,
  },
  'process-suspected': {
    kind: 'process-suspected',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    backend: 'exec-sensor',
    suspicion: 'digest',
    clause: digestOfText('process'),
    said: 'process created',
    refused: false,
    process: {
      pid: 4711,
      parentPid: 4700,
      name: 'git',
      path: '/usr/bin/git',
      arguments: 'git fetch',
      digest: digestOfText('git'),
      uid: 1000,
      startedAtMs: NOW - 5,
    },
    peer: { address: '198.51.100.7', port: 4444 },
    boundBy: 'interfaces',
    count: 3,
  },
  'action-denied': {
    kind: 'action-denied',
    atMs: NOW,
    firstAtMs: NOW - 900,
    policy: POLICY,
    workspace: WORKSPACE,
    action: 'request',
    operation: 'GET',
    resource: 'https://api.example.com:443/v1',
    reason: 'not-delegated',
    clause: 'sha256:0a',
    agent: 'agent-aide',
    task: 'task-7',
    executable: '/usr/bin/curl',
    traceIds: ['4bf92f35', '77aa'],
    count: 12,
    mixed: true,
  },
  'file-denied': {
    kind: 'file-denied',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    backend: 'vaultfs',
    volume: 'work',
    operation: 'open-write',
    path: '/project/main.c',
    reason: 'read-only',
    clause: 'sha256:0d2f',
    uid: 1000,
    pid: 4211,
    count: 3,
  },
  'quarantine-set': {
    kind: 'quarantine-set',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    by: 'ops@acme.example',
    reason: 'leaked token',
    commandId: 'cmd-1',
    elapsedMs: 3.7,
  },
  'quarantine-lifted': {
    kind: 'quarantine-lifted',
    atMs: NOW,
    workspace: WORKSPACE,
    by: 'ops@acme.example',
    reason: 'token replaced',
    commandId: 'cmd-2',
    elapsedMs: 2,
  },
  'workspace-suspended': {
    kind: 'workspace-suspended',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    reason: 'stale',
  },
  'workspace-resumed': {
    kind: 'workspace-resumed',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    reason: 'confirmed',
  },
  'breakglass-used': {
    kind: 'breakglass-used',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    action: 'lift',
    signers: ['breakglass-1', 'breakglass-2'],
    reason: 'the broker is down',
    untilMs: NOW + 3_600_000,
  },
  'node-recovered': { kind: 'node-recovered', atMs: NOW, what: 'state', by: 'user:ops', reason: 'disk replaced' },
  finding: {
    kind: 'finding',
    atMs: NOW,
    finding: 'dns-entropy',
    uid: 'fnd-0123456789abcdef0123456789abcdef',
    news: 'created',
    title: 'Names that a workspace asks for look like a channel',
    severity: 'high',
    confidence: 'medium',
    remedy: 'Look at the names.',
    say: '26 different names under exfil.example within 600 s, 4200 bits in their labels',
    policy: POLICY,
    workspace: WORKSPACE,
    firstAtMs: NOW - 20_000,
    count: 26,
    afterSequence: 3_880,
    evidence: { reason: 'labels', parent: 'exfil.example', names: 26, last_names: ['k7.exfil.example'] },
    technique: {
      tactic: { uid: 'TA0011', name: 'Command and Control' },
      technique: { uid: 'T1071', name: 'Application Layer Protocol' },
      subTechnique: { uid: 'T1071.004', name: 'DNS' },
    },
    reaction: 'quarantine',
    outcome: 'done',
    commandIds: ['cmd-1'],
  },
  'name-refused': {
    kind: 'name-refused',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    name: 'k7.exfil.example',
    type: 'A',
    ends: ASKED,
    reason: 'not-granted',
    rcode: 'REFUSED',
    withheld: [],
    count: 40,
    firstAtMs: NOW - 900,
    mixed: true,
  },
  'name-granted': {
    kind: 'name-granted',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    name: 'files.example.com',
    type: 'A',
    ends: ASKED,
    clauses: [digestOfText('clause')],
    addresses: [{ address: '45.76.10.10', ttlSeconds: 60 }],
    sharedWith: [],
    upstream: 'udp://45.76.9.1',
    validated: false,
    heldMs: 0.7,
    count: 1,
    firstAtMs: NOW,
  },
  'name-evicted': {
    kind: 'name-evicted',
    atMs: NOW,
    policy: POLICY,
    workspace: WORKSPACE,
    name: 'files.example.com',
    clauses: [digestOfText('clause')],
    address: '45.76.10.10',
    count: 1,
    firstAtMs: NOW,
  },
  'signal-taken': {
    kind: 'signal-taken',
    atMs: NOW,
    policy: POLICY,
    stream: 'idp',
    issuer: 'https://idp.example.com/',
    jti: '24c63fb5',
    type: 'https://schemas.openid.net/secevent/caep/event-type/session-revoked',
    outcome: 'fenced',
    subject: '{"email":"jane@example.com","format":"email"}',
    from: '192.0.2.7',
    workspaces: [WORKSPACE.workspace],
    agents: [],
    delegations: [],
    issuedAtMs: NOW - 900,
    elapsedMs: 12,
    late: false,
  },
  'signal-refused': {
    kind: 'signal-refused',
    atMs: NOW,
    stream: 'idp',
    from: '192.0.2.7',
    code: 'invalid_key',
    why: 'no key of this issuer verifies the signature',
    count: 3,
  },
  'stream-silent': { kind: 'stream-silent', atMs: NOW, ...STREAM, standing: 'silent', denies: true },
  'stream-heard': { kind: 'stream-heard', atMs: NOW, ...STREAM, standing: 'heard', denies: false },
  'audit-lost': { kind: 'audit-lost', atMs: NOW, cause: 'unwritten', lost: 17 },
  'journal-closed': {
    kind: 'journal-closed',
    atMs: NOW,
    segment: 4,
    events: 900,
    firstSequence: 3_001,
    lastSequence: 3_900,
    fingerprint: '5f'.repeat(32),
  },
  'journal-damaged': { kind: 'journal-damaged', atMs: NOW, segment: 4, line: 17, sequence: 3_017 },
  'journal-retired': { kind: 'journal-retired', atMs: NOW, fromSegment: 1, toSegment: 3, lastSequence: 3_000 },
  heartbeat: { kind: 'heartbeat', atMs: NOW, lastSequence: 3_901, lost: 0, policy: POLICY, sinks: [COUNTS] },
  'sink-failing': { kind: 'sink-failing', atMs: NOW, ...COUNTS, type: 'http', elapsedMs: 5_000, why: 'HTTP 503' },
  'sink-recovered': { kind: 'sink-recovered', atMs: NOW, ...COUNTS, type: 'http', elapsedMs: 61_000, why: '' },
}

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', '\0', '\n', '\u2028', '\ud800', '\u202e', '__proto__', 'constructor', '"}', 'x'.repeat(5_000)),
  fc.constant('\ud83d\ude00'.repeat(2_000)),
)
const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(0, -1, 1.5, 65535, 65536, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY),
)
const address = fc.oneof(
  text,
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom('02:00:00:00:09:02', '::ffff:10.0.0.1', '10x0y0z1', '010.0.0.1'),
)
const policy = fc.record({
  bundleId: text,
  bundleDigest: text,
  policyRevision: text,
  generation: number,
})
const workspace = fc.record({ workspace: text, attachmentId: text, interface: text })
const flow = fc.record(
  {
    direction: fc.constantFrom('egress', 'ingress'),
    protocol: number,
    source: address,
    sourcePort: number,
    destination: address,
    destinationPort: number,
  },
  { requiredKeys: ['direction', 'protocol', 'source', 'destination'] },
)
const at = { atMs: number }
const quarantine = (kind: 'quarantine-set' | 'quarantine-lifted') =>
  fc.record(
    {
      kind: fc.constant(kind),
      ...at,
      policy,
      workspace,
      by: text,
      reason: text,
      commandId: text,
      elapsedMs: number,
    },
    { requiredKeys: ['kind', 'atMs', 'workspace', 'by', 'reason', 'commandId', 'elapsedMs'] },
  )
const reason = fc.oneof(text, fc.constantFrom('spoof', 'fragment', 'malformed', 'link-layer', 'no-grant', 'reserved'))

const asked = fc.record({
  source: address,
  sourcePort: number,
  destination: address,
  transport: fc.constantFrom('udp', 'tcp'),
})
const told = { ...at, policy, workspace, name: text, count: number, firstAtMs: number, mixed: fc.constant(true) }
const TOLD = ['kind', 'atMs', 'workspace', 'name', 'count', 'firstAtMs'] as const
const nameFacts = [
  fc.record(
    {
      kind: fc.constant('name-refused'),
      ...told,
      ends: asked,
      type: text,
      reason,
      rcode: fc.constantFrom('REFUSED', 'SERVFAIL'),
      withheld: fc.array(address),
      other: text,
    },
    { requiredKeys: [...TOLD, 'ends', 'type', 'reason', 'rcode', 'withheld'] },
  ),
  fc.record(
    {
      kind: fc.constant('name-granted'),
      ...told,
      ends: asked,
      type: text,
      clauses: fc.array(text),
      addresses: fc.array(fc.record({ address, ttlSeconds: number })),
      sharedWith: fc.array(text),
      upstream: text,
      validated: fc.boolean(),
      heldMs: number,
    },
    {
      requiredKeys: [
        ...TOLD,
        ...(['ends', 'type', 'clauses', 'addresses', 'sharedWith', 'upstream', 'validated', 'heldMs'] as const),
      ],
    },
  ),
  fc.record(
    { kind: fc.constant('name-evicted'), ...told, clauses: fc.array(text), address },
    { requiredKeys: [...TOLD, 'clauses', 'address'] },
  ),
]

const texts = fc.array(text)
const revocationFacts = [
  fc.record(
    {
      kind: fc.constant('signal-taken'),
      ...{ ...at, policy, stream: text, issuer: text, jti: text, subject: text, from: address },
      type: fc.oneof(text, fc.webUrl()),
      outcome: fc.oneof(text, fc.constantFrom('fenced', 'revoked', 'unmapped')),
      ...{ workspaces: texts, agents: texts, delegations: texts, issuedAtMs: number, elapsedMs: number },
      late: fc.boolean(),
    },
    {
      requiredKeys: [
        ...(['kind', 'atMs', 'stream', 'issuer', 'jti', 'subject', 'from', 'type', 'outcome'] as const),
        ...(['workspaces', 'agents', 'delegations', 'issuedAtMs', 'elapsedMs', 'late'] as const),
      ],
    },
  ),
  fc.record({
    kind: fc.constant('signal-refused'),
    ...{ ...at, stream: text, from: address, code: text, why: text, count: number },
  }),
  fc.record({
    kind: fc.constantFrom('stream-silent', 'stream-heard'),
    ...{ ...at, stream: text, standing: text, heardAtMs: number, denies: fc.boolean() },
  }),
]

/** Any fact, with values that the types promise and the world does not. */
export const anyFact: fc.Arbitrary<Fact> = fc.oneof(
  ...revocationFacts,
  ...nameFacts,
  fc.record({ kind: fc.constant('bundle-verified'), ...at, policy, channel: text, signers: fc.array(text) }),
  fc.record(
    {
      kind: fc.constant('bundle-refused'),
      ...at,
      code: text,
      say: text,
      offered: fc.record({ bundleId: text, digest: text, policyRevision: text }, { requiredKeys: [] }),
      held: policy,
      attack: fc.boolean(),
    },
    { requiredKeys: ['kind', 'atMs', 'code', 'say', 'offered', 'attack'] },
  ),
  fc.record(
    { kind: fc.constant('bundle-activated'), ...at, policy, replaced: policy, backend: text },
    { requiredKeys: ['kind', 'atMs', 'policy', 'backend'] },
  ),
  fc.record(
    {
      kind: fc.constant('flow-allowed'),
      ...at,
      policy,
      workspace,
      flow,
      clause: text,
      clauseName: text,
      grant: text,
      backend: text,
      traffic: fc.record({ packets: number, bytes: number }),
    },
    {
      requiredKeys: ['kind', 'atMs', 'policy', 'workspace', 'flow', 'clause', 'clauseName', 'grant', 'backend'],
    },
  ),
  fc.record(
    {
      kind: fc.constant('flow-denied'),
      ...at,
      policy,
      workspace,
      flow,
      reason,
      backend: text,
      refusal: fc.constantFrom('dropped', 'reset'),
      count: number,
      firstAtMs: number,
      mixed: fc.constant(true),
    },
    {
      requiredKeys: ['kind', 'atMs', 'workspace', 'flow', 'reason', 'backend', 'refusal', 'count', 'firstAtMs'],
    },
  ),
  fc.record(
    {
      kind: fc.constant('action-denied'),
      ...at,
      ...{ policy, workspace, operation: text, resource: text, reason: text, clause: text, agent: text, task: text },
      action: fc.constantFrom('request', 'connect', 'file', 'exec', 'run-as'),
      ...{ executable: text, traceIds: fc.array(text), count: number, firstAtMs: number, mixed: fc.constant(true) },
    },
    {
      requiredKeys: [
        ...(['kind', 'atMs', 'policy', 'workspace', 'action', 'operation', 'resource', 'reason'] as const),
        ...(['traceIds', 'count', 'firstAtMs'] as const),
      ],
    },
  ),
  fc.record(
    {
      kind: fc.constant('file-denied'),
      ...at,
      policy,
      workspace,
      ...{ backend: text, volume: text, path: text, reason: text, clause: text },
      operation: fc.oneof(fc.constantFrom('open', 'rename-to', 'ioctl'), text),
      ...{ uid: number, pid: number, count: number },
    },
    {
      requiredKeys: [
        'kind',
        'atMs',
        'workspace',
        'backend',
        'volume',
        'operation',
        'path',
        'reason',
        'uid',
        'pid',
        'count',
      ],
    },
  ),
  fc.record({
    kind: fc.constant('process-suspected' as const),
    ...at,
    policy,
    workspace,
    ...{ backend: text, suspicion: text, clause: text, said: text, count: number, refused: fc.boolean() },
    process: fc.record({ pid: number, parentPid: number, name: text, path: text, arguments: text, uid: number }),
    peer: fc.record({ address: text, port: number }),
    boundBy: fc.constantFrom('identifier' as const, 'interfaces' as const),
  }),
  quarantine('quarantine-set'),
  quarantine('quarantine-lifted'),
  fc.record({
    kind: fc.constantFrom('workspace-suspended', 'workspace-resumed'),
    ...at,
    policy,
    workspace,
    reason: text,
  }),
  fc.record(
    {
      kind: fc.constant('breakglass-used'),
      ...at,
      policy,
      workspace,
      action: fc.constantFrom('quarantine', 'lift'),
      signers: fc.array(text),
      reason: text,
      untilMs: number,
    },
    { requiredKeys: ['kind', 'atMs', 'workspace', 'action', 'signers', 'reason', 'untilMs'] },
  ),
  fc.record({
    kind: fc.constant('drift-found'),
    ...at,
    policy,
    findings: fc.array(text),
    live: fc.array(fc.record({ backend: text, generation: fc.option(number) })),
  }),
  fc.record({ kind: fc.constant('drift-repaired'), ...at, policy, replaced: policy, elapsedMs: number }),
  fc.record(
    {
      kind: fc.constantFrom('workspace-attached', 'workspace-detached'),
      ...at,
      policy,
      workspace,
      by: text,
      leaseGeneration: number,
      elapsedMs: number,
    },
    { requiredKeys: ['kind', 'atMs', 'workspace', 'by', 'leaseGeneration', 'elapsedMs'] },
  ),
  fc.record(
    {
      kind: fc.constant('finding'),
      ...{ ...at, finding: text, uid: text, title: text, remedy: text, say: text, policy, workspace, caller: text },
      news: fc.constantFrom('created', 'updated'),
      severity: fc.constantFrom('low', 'medium', 'high', 'critical'),
      confidence: fc.constantFrom('low', 'medium', 'high'),
      ...{ firstAtMs: number, count: number, afterSequence: number },
      evidence: fc.dictionary(text, fc.oneof(text, number, fc.array(text))),
      technique: fc.constant(FACTS.finding.technique),
      reaction: fc.constantFrom('observe', 'quarantine', 'kill'),
      outcome: fc.constantFrom('observed', 'done', 'fenced', 'failed'),
      commandIds: fc.array(text),
    },
    {
      requiredKeys: [
        ...(['kind', 'atMs', 'finding', 'uid', 'title', 'remedy', 'say', 'news', 'severity', 'confidence'] as const),
        ...(['firstAtMs', 'count', 'afterSequence', 'evidence', 'reaction', 'outcome', 'commandIds'] as const),
      ],
    },
  ),
  fc.record({ kind: fc.constant('node-recovered'), ...at, what: text, by: text, reason: text }),
  fc.record({
    kind: fc.constant('audit-lost'),
    ...at,
    cause: fc.constantFrom('torn-tail', 'unwritten', 'unreported', 'removed', 'undelivered'),
    lost: number,
    sink: text,
  }),
  fc.record({
    kind: fc.constantFrom('sink-failing', 'sink-recovered'),
    ...at,
    ...{ sink: text, sequence: number, lag: number, discarded: number, dead: number },
    ...{ type: text, elapsedMs: number, why: text },
  }),
  fc.record({
    kind: fc.constant('journal-closed'),
    ...at,
    segment: number,
    events: number,
    firstSequence: number,
    lastSequence: number,
    fingerprint: text,
  }),
  fc.record({ kind: fc.constant('journal-damaged'), ...at, segment: number, line: number, sequence: number }),
  fc.record({
    kind: fc.constant('journal-retired'),
    ...at,
    fromSegment: number,
    toSegment: number,
    lastSequence: number,
  }),
  fc.record(
    {
      kind: fc.constant('heartbeat'),
      ...{ ...at, lastSequence: number, lost: number, policy },
      sinks: fc.array(fc.record({ sink: text, sequence: number, lag: number, discarded: number, dead: number })),
    },
    { requiredKeys: ['kind', 'atMs', 'lastSequence', 'lost'] },
  ),
) as fc.Arbitrary<Fact>
