// A gRPC server as the agent runs it, on loopback, in front of a small agent that answers from a table and notes who asked
// for what. Clients by role, each with a certificate of its own.

import { AgentClient } from '../../src/api/grpc-client.js'
import type { AgentPorts } from '../../src/api/ports.js'
import type { Role } from '../../src/api/roles.js'
import { type ApiServer, serveApi } from '../../src/api/server.js'
import { Mtls, type Pair } from '../support/mtls.js'

export const WS = 'spiffe://fleet.example/ws/ws0'
export const IDS = {
  operator: 'spiffe://fleet.example/operator/ann',
  companion: 'spiffe://fleet.example/companion/n1',
  runtime: `${WS}/runtime`,
  auditor: 'spiffe://fleet.example/auditor/a1',
  broker: 'spiffe://fleet.example/broker/b1',
} as const satisfies Record<Role, string>
export const CHAIN = '01900000-0000-7000-8000-000000000001'
export const STRANGER = 'spiffe://fleet.example/nobody'

export class Scene {
  readonly mtls = new Mtls()
  readonly asked: string[] = []
  readonly failures: unknown[] = []
  readonly refused: string[] = []
  /** How far the server's clock is ahead of this machine's. */
  aheadMs = 0
  monotonicMs = 0
  ports: AgentPorts
  server!: ApiServer
  private readonly clients: AgentClient[] = []
  private readonly known = new Map<string, AgentClient>()

  private constructor(change: Partial<AgentPorts>) {
    this.ports = { ...answers(this.asked), ...change }
  }

  static async open(change: Partial<AgentPorts> = {}, listen = '127.0.0.1:0'): Promise<Scene> {
    const scene = new Scene(change)
    const { mtls } = scene
    scene.server = await serveApi(
      scene.ports,
      {
        listen,
        files: { certificate: mtls.path('server.pem'), key: mtls.path('server.key'), clientCa: mtls.path('ca.pem') },
        callers: {
          operator: ['spiffe://fleet.example/operator/*'],
          companion: [IDS.companion],
          runtime: ['spiffe://fleet.example/ws/*'],
          auditor: [IDS.auditor],
          broker: [IDS.broker],
        },
      },
      {
        nowMs: () => Date.now() + scene.aheadMs,
        monotonicMs: () => scene.monotonicMs,
        failed: (error) => scene.failures.push(error),
        refused: (caller, method) => scene.refused.push(`${caller} ${method}`),
      },
    )
    return scene
  }

  /** The client with this identity. */
  client(id: string): AgentClient {
    const client = this.known.get(id) ?? this.clientWith(this.mtls.client([`URI:${id}`]))
    this.known.set(id, client)
    return client
  }
  clientWith({ certificate, key }: Pair, ca: Buffer = this.mtls.ca): AgentClient {
    const address = `127.0.0.1:${this.server.port}`
    const client = new AgentClient({ address, serverName: 'localhost', ca, certificate, key })
    this.clients.push(client)
    return client
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.close()
    await this.server.close()
    this.mtls.remove()
  }
}

function answers(asked: string[]): AgentPorts {
  const say = <T>(what: string, value: T): Promise<T> => {
    asked.push(what)
    return Promise.resolve(value)
  }
  const tenure = {
    ...{ workspace: WS, attachmentId: 'att-1', leaseGeneration: 4, kind: 'veth' as const, interface: 'ws0' },
    ...{ by: IDS.companion, atMs: 5, attached: true },
  }
  const session = {
    ...{ workspace: WS, sessionId: 's-1', user: 'ana', peer: '10.60.0.1', by: IDS.broker },
    ...{ openedAtMs: 5, expiresAtMs: 60_005 },
  }
  const explained = { allowed: false, reason: 'no-grant', say: 'nothing allows it', clause: '', grant: '' }
  return {
    node: 'spiffe://fleet.example/node/n1',
    status: () =>
      say('status', {
        live: {
          generation: 7,
          planDigest: 'sha256:00',
          source: {
            ...{ bundleId: 'sample', bundleDigest: 'sha256:01', policyRevision: '18446744073709551615' },
            ...{ epoch: 1, channel: 'stable', expiresAtMs: 9_000 },
          },
          decidedAtMs: 1_000,
        },
        state: 'active',
        drift: [],
        unfinished: false,
        sinks: [
          {
            ...{ name: 'siem', kind: 'http', state: 'failing', sequence: 40, lag: 2, delivered: 38, dead: 2 },
            ...{ leftOut: 0, discarded: 1, failures: 5, error: 'it answered 503' },
          },
        ],
        workspaces: [
          {
            ...{ workspace: WS, interface: 'ws0', backend: 'nftables', domain: 'host' },
            ...{ policy: null, grants: 3, flags: ['quarantined'] },
          },
        ],
        quarantines: [{ workspace: WS, reason: 'x', by: 'user:root', atMs: 3 }],
        drops: { spoof: '12' },
      }),
    plan: () => say('plan', { generation: 7, digest: 'sha256:00', encoded: Uint8Array.of(123, 125) }),
    explain: (workspace, packet) => say(`explain ${workspace} ${packet}`, { ...explained, ways: ['a'], generation: 7 }),
    checkFlow: (workspace) => say(`check ${workspace}`, { ...explained, ways: [], generation: 7 }),
    checkAction: (workspace, { text, audience, nonce }) =>
      say(`action ${workspace} ${text} for ${audience} ${nonce.length}`, {
        ...{ allowed: true, reason: 'rule', clause: 'sha256:02', place: 'sandbox.yaml rules[0]', generation: 7 },
        obligations: [{ kind: 'address-within', values: ['45.0.0.0/8'] }],
        bundleDigest: 'sha256:01',
        attestation: Uint8Array.of(audience === '' ? 0 : 1),
      }),
    quarantine: ({ id }, kind, workspace, reason) =>
      say(`${kind} ${workspace} by ${id}: ${reason}`, { changed: true, generation: 7, elapsedMs: 1.5 }),
    drift: () => say('drift', { asPlanned: false, drift: ['nothing is live'], repairs: 2 }),
    attach: ({ id }, { workspace }) => say(`attach ${workspace} by ${id}`, { tenure, generation: 7, elapsedMs: 2 }),
    detach: ({ id }, { workspace, leaseGeneration }) =>
      say(`detach ${workspace} ${leaseGeneration} by ${id}`, { generation: 7, elapsedMs: 2 }),
    attachments: () => say('attachments', [tenure]),
    openSession: ({ id }, { sessionId, user, peer, lifetimeMs }) =>
      say(`open ${sessionId} of ${user} from ${peer} for ${lifetimeMs} by ${id}`, {
        ...{ session, grants: ['ingress/tcp/10.60.0.0/24/22'], generation: 7, changed: true, elapsedMs: 2 },
      }),
    closeSession: ({ id }, { sessionId }) =>
      say(`close ${sessionId} by ${id}`, {
        ...{ session: { ...session, ended: { reason: 'closed', atMs: 9 } }, changed: true, elapsedMs: 2 },
      }),
    sessions: (workspace) => say(`sessions ${workspace}`, [session]),
    evidence: (_asker, nonce, audience) => say(`evidence ${nonce.length} ${audience}`, Uint8Array.of(1)),
    trail: () => say('trail', { chain: CHAIN, first: 2, last: 44, fingerprint: '0a', lost: 1 }),
    events: async function* (after, chain, signal) {
      asked.push(`events ${after}${chain}`)
      for (let sequence = after + 1; !signal.aborted && sequence <= after + 3; sequence++)
        yield await Promise.resolve({ sequence, line: Buffer.from(`{"n":${sequence}}`) })
    },
  }
}
