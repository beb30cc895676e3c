// One POST of JSON to a transmitter, over TLS and under limits: what polling and asking for verification have in common. Files are
// read for every request, so that a renewed token, certificate or authority needs no restart. No redirects: the address that was
// configured is the one that is meant.

import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import type { Json } from '../base/canonical.js'

export interface Asked {
  readonly url: string
  readonly tokenFile?: string
  /** Instead of the system's authorities. */
  readonly caFile?: string
  readonly certificateFile?: string
  readonly keyFile?: string
}
export interface Answer {
  readonly status: number
  readonly body: string
}

const ANSWER_BYTES = 4 << 20

/** Throws whatever keeps an answer from coming: the network, TLS, a file, time, or an answer that is too long. */
export function ask(to: Asked, body: Json, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
  const [ca, cert, key] = [read(to.caFile), read(to.certificateFile), read(to.keyFile)]
  const token = read(to.tokenFile)?.toString('utf8').trim()
  const text = JSON.stringify(body)
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  return new Promise((resolve, reject) => {
    const sent = request(
      to.url,
      {
        method: 'POST',
        agent: false,
        signal: bounded,
        minVersion: 'TLSv1.2',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'content-length': Buffer.byteLength(text),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(ca ? { ca } : {}),
        ...(cert && key ? { cert, key } : {}),
      },
      (answer) => {
        let got = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => {
          got += chunk
          if (got.length > ANSWER_BYTES) sent.destroy(new RangeError('the answer is too long'))
        })
        answer.on('end', () => {
          if (answer.complete) resolve({ status: answer.statusCode ?? 0, body: got })
          else reject(new TypeError('the answer was cut off'))
        })
        answer.on('error', reject)
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}
