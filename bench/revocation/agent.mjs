// A real agent that hears an identity provider, which pushes to it on its loopback (transmitter.mjs). The plan, the flows that talk and
// the operator who lifts are those of ../quarantine/agent.mjs.

import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastBytes } from '../dataplane/lastbyte.mjs'
import { beside, withAgent } from '../quarantine/agent.mjs'

const TRANSMITTER = new URL('./transmitter.mjs', import.meta.url).pathname
const PATIENCE_MS = 30_000
const ISSUER = 'https://idp.example.com/'
const AUDIENCE = 'https://sluice.example/ssf'
const USER = { format: 'iss_sub', iss: ISSUER, sub: 'jane' }
const TOKEN = 'a-token-of-the-transmitter'
const KID = 'k1'

/** The stream counts as heard for longer than the run takes, so that nothing but its events fences. */
const streamOf = (at) => `revocation:
  listen: 127.0.0.1:0
  certificate: ${at('server.pem')}
  key: ${at('server.key')}
  streams:
    - {name: idp, kind: push, issuer: "${ISSUER}", audience: ["${AUDIENCE}"], keys: idp.jwks.json, token_file: idp.token, silence_seconds: 3600}
`

/** Milliseconds of each event from before its connection was opened: to the last packet of the workspace (`last`), to the fence read
 * back as the receipt has it (`fenced`), to both (`took`), to the answer (`answered`); and what left after that. */
export const overPush = (backend, rounds, mostMs) =>
  withAgent(
    backend,
    async ({ node, pid, operator, certs }) => {
      const port = await heard(node)
      const terms = { port, caFile: certs.path('ca.pem'), keyFile: node.path('idp.key') }
      const said = { ...terms, kid: KID, token: TOKEN, issuer: ISSUER, audience: AUDIENCE, user: USER }
      const transmitter = beside(node, TRANSMITTER, JSON.stringify(said))
      const sent = []
      try {
        const act = async (closed) => {
          if (!closed) return operator.act(false)
          const jti = `e-${sent.length}`
          const { sentAtMs, ...moments } = await transmitter.ask(jti)
          sent.push({ jti, sentAtMs })
          return moments
        }
        const { done, last, late } = await lastBytes({ talkIn: pid, watchIn: pid, rounds, mostMs, act })
        const read = await receipts(node, sent.length)
        const fenced = sent.map(({ jti, sentAtMs }) => read.get(jti) - sentAtMs)
        return { took: last.map((ms, n) => Math.max(ms, fenced[n])), last, fenced, answered: done, late }
      } finally {
        transmitter.end()
      }
    },
    { before: subscribed, more: streamOf },
  )

/** Whose the workspace is, and whom the agent believes that it is no longer. */
function subscribed(node) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: KID, alg: 'RS256', use: 'sig' }
  writeFileSync(node.path('idp.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  writeFileSync(node.path('idp.jwks.json'), JSON.stringify({ keys: [jwk] }))
  writeFileSync(node.path('idp.token'), `${TOKEN}\n`, { mode: 0o600 })
  // Behind its only workspace.
  appendFileSync(node.path('inventory.yaml'), `    subjects: {user: [${JSON.stringify(USER)}]}\n`)
}

/** The port, once it is listened on: the agent is active without it. */
async function heard(node) {
  for (const until = performance.now() + PATIENCE_MS; ; await sleep(10)) {
    const line = node.lines.find(({ event }) => event === 'revocation')
    if (line) return line.detail.port
    if (performance.now() > until) throw new Error('nobody listens for events')
  }
}

/** When each event's fence was read back, by its jti: a receipt is made behind the answer. */
async function receipts(node, wanted) {
  const folder = node.path('state/receipts')
  for (const until = performance.now() + PATIENCE_MS; ; await sleep(50)) {
    const names = readdirSync(folder).filter((name) => name.includes('quarantine-set') && name.endsWith('.jws'))
    if (names.length >= wanted) return new Map(names.map((name) => told(readFileSync(`${folder}/${name}`, 'utf8'))))
    if (performance.now() > until) throw new Error(`${names.length} receipts of ${wanted} events`)
  }
}

function told(token) {
  const { reason, fencedAtMs } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
  return [/, jti ([^,]+),/.exec(reason)[1], fencedAtMs]
}
