// A transmitter of security events as a process of its own, so that it can stand in the agent's network namespace: it pushes what it is
// told to push, answers polls from a queue until they are acknowledged, and sends the verification events that it is asked for.
// Its words come as lines of JSON on standard input; each is answered by one on standard output.

import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:https'
import { createInterface } from 'node:readline'
import { importJWK, SignJWT } from 'jose'

const terms = JSON.parse(process.argv[2])
const { certFile, keyFile, caFile, port, pushUrl, token, issuer, audience, jwk, kid } = terms
const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
const ca = readFileSync(caFile)
const signing = await importJWK(jwk, jwk.alg)

/** Waits for an acknowledgement, by jti. */
const queue = new Map()
const polls = []
const errors = []
const held = []
let muted = false
let made = 0
let verifications = 0

const sign = (claims, key = signing, header = { alg: jwk.alg, kid }) =>
  new SignJWT(claims).setProtectedHeader({ typ: 'secevent+jwt', ...header }).sign(key)

const push = (set, bearer = token, url = pushUrl) =>
  new Promise((resolve) => {
    const began = performance.now()
    const sent = request(
      url,
      {
        method: 'POST',
        ca,
        agent: false,
        headers: {
          'content-type': 'application/secevent+jwt',
          accept: 'application/json',
          authorization: `Bearer ${bearer}`,
        },
      },
      (answer) => {
        let body = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk) => {
          body += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode, body, ms: performance.now() - began }))
        answer.on('error', (error) => resolve({ status: 0, body: error.message, ms: 0 }))
      },
    )
    sent.on('error', (error) => resolve({ status: 0, body: error.message, ms: 0 }))
    sent.end(set)
  })

const verify = async (state, mode) => {
  const jti = `v-${process.pid}-${++made}`
  const claims = {
    ...{ iss: issuer, aud: audience, jti, iat: Date.now() / 1000 },
    sub_id: { format: 'opaque', id: 'stream-1' },
    events: { 'https://schemas.openid.net/secevent/ssf/event-type/verification': { state } },
  }
  const set = await sign(claims)
  if (mode === 'push') await push(set)
  else enqueue(jti, set)
}

const enqueue = (jti, set) => {
  queue.set(jti, set)
  for (const wake of held.splice(0)) wake()
}

const asks = async (body, response) => {
  for (const jti of body.ack ?? []) queue.delete(jti)
  for (const [jti, error] of Object.entries(body.setErrs ?? {})) {
    queue.delete(jti)
    errors.push({ jti, ...error })
  }
  polls.push(body)
  if (body.returnImmediately !== true && queue.size === 0)
    await new Promise((resolve) => {
      held.push(resolve)
      setTimeout(resolve, 5_000).unref()
    })
  const sets = Object.fromEntries([...queue].slice(0, body.maxEvents ?? 100))
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ sets, moreAvailable: queue.size > Object.keys(sets).length }))
}

const server = createServer(tls, (asked, response) => {
  let text = ''
  asked.setEncoding('utf8')
  asked.on('data', (chunk) => {
    text += chunk
  })
  asked.on('end', async () => {
    const body = text === '' ? {} : JSON.parse(text)
    if (asked.headers.authorization !== `Bearer ${token}`) return response.writeHead(401).end()
    if (asked.url === '/poll') return asks(body, response)
    const [, mode] = /^\/verify\/(push|poll)$/.exec(asked.url) ?? []
    if (mode === undefined) return response.writeHead(404).end()
    response.writeHead(204).end()
    verifications++
    if (!muted) await verify(body.state, mode)
    return undefined
  })
})
await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))

const COMMANDS = {
  push: ({ set, bearer, url }) => push(set, bearer, url),
  queue: ({ jti, set }) => enqueue(jti, set),
  mute: ({ on }) => {
    muted = on
  },
  seen: () => ({ waiting: [...queue.keys()], errors, polls: polls.length, verifications }),
}
for await (const line of createInterface({ input: process.stdin })) {
  const { id, name, ...given } = JSON.parse(line)
  // Answers come in the order in which they are ready.
  void Promise.resolve(COMMANDS[name](given)).then((answer) => {
    process.stdout.write(`${JSON.stringify({ id, answer: answer ?? null })}\n`)
  })
}
process.exit(0)
