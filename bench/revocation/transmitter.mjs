// An identity provider: `transmitter.mjs TERMS` (JSON) revokes the user's session by an event with the jti that a line of its input
// names, signed before the clock starts and pushed over a connection of its own. Prints the moments before that connection was opened and
// after the whole answer, in nanoseconds of CLOCK_MONOTONIC, and the first also in milliseconds since 1970. Ends with its input.

import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { createInterface } from 'node:readline'
import { SignJWT } from 'jose'

const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const { port, caFile, keyFile, kid, token, issuer, audience, user } = JSON.parse(process.argv[2])
const key = createPrivateKey(readFileSync(keyFile))
const ca = readFileSync(caFile)
const now = () => Number(process.hrtime.bigint())

const sign = (jti) =>
  new SignJWT({ iss: issuer, aud: audience, jti, sub_id: user, events: { [SESSION_REVOKED]: {} } })
    .setIssuedAt()
    .setProtectedHeader({ alg: 'RS256', kid, typ: 'secevent+jwt' })
    .sign(key)

const push = (set) =>
  new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/secevent+jwt',
      accept: 'application/json',
      authorization: `Bearer ${token}`,
    }
    const [sentAtMs, began] = [Date.now(), now()]
    const asked = request(`https://localhost:${port}/idp`, { method: 'POST', ca, agent: false, headers }, (answer) => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text) => {
        body += text
      })
      answer.on('error', reject).on('end', () => {
        if (answer.statusCode === 202) resolve({ sentAtMs, began, ended: now() })
        else reject(new Error(`answered ${answer.statusCode}: ${body}`))
      })
    })
    asked.on('error', reject).end(set)
  })

createInterface({ input: process.stdin })
  .on('line', async (jti) => {
    try {
      console.log(JSON.stringify(await push(await sign(jti))))
    } catch (error) {
      console.log(JSON.stringify({ failed: error.message }))
    }
  })
  .on('close', () => process.exit())
