// `sluice publish registration`, `delegation` and `images`: sign what the registry of agents, somebody who hands work on, or whoever builds
// images has written as JSON. The document is checked as the node will check it, so that nothing is signed that would be refused there.

import { decodeUtf8 } from '../../base/bytes.js'
import { canonicalize } from '../../base/canonical.js'
import { digestOfText } from '../../base/digest.js'
import { isObject, JsonError, parseJson } from '../../base/json.js'
import { LIMITS } from '../../base/limits.js'
import { signDelegation } from '../../bundle/delegation.js'
import { parseImages, signImages } from '../../bundle/images.js'
import { signRegistration } from '../../bundle/registration.js'
import type { Signer } from '../../bundle/sign.js'
import { type JsonObject, STATEMENTS } from '../../bundle/statement.js'
import { cliFault } from '../errors.js'
import { readFile, writeFile } from '../files.js'
import { collect, type Declared } from '../frame.js'
import type { Host } from '../host.js'
import { facts } from '../print.js'
import { progressFacts, progressUnder, signWith } from '../signing.js'

const RECORDS = {
  registration: {
    summary: 'sign the registration record of a logical agent',
    example:
      'sluice publish registration agent-a.json --key keys/registration.key --out registrations/agent-a.jws.json',
    sign: signRegistration,
    maxBytes: LIMITS.registrationBytes,
  },
  delegation: {
    summary: 'sign one hop of a delegation, at its root or by a key of the agent that hands on',
    example: 'sluice publish delegation task-7.json --key keys/delegation.key --out task-7.jws.json',
    sign: signDelegation,
    maxBytes: LIMITS.delegationBytes,
  },
  images: {
    summary: 'sign the list of images that machines may boot',
    example: 'sluice publish images images.json --key keys/image.key --out published/images.jws.json',
    sign: (statement: JsonObject, signer: Signer, before?: Uint8Array) =>
      signImages(parseImages(statement), signer, before),
    maxBytes: LIMITS.envelopeBytes,
  },
} as const

const declared = (kind: keyof typeof RECORDS): Declared => ({
  usage: kind === 'images' ? 'images <list>' : `${kind} <record>`,
  summary: RECORDS[kind].summary,
  examples: [RECORDS[kind].example],
  declare: (command) =>
    command
      .requiredOption('--key <key...>', `private keys of role ${STATEMENTS[kind].role}`, collect)
      .requiredOption('--out <file>', 'the signed record; replaced when it is there')
      .option('--trust <file>', 'trust root, to count the signatures'),
  run: async ({ host }, [path = ''], options) => {
    const { key, out, trust } = options as { key: string[]; out: string; trust?: string }
    const statement = readRecord(host, path, kind)
    const signed = await signWith(host, key, (signer, before) => RECORDS[kind].sign(statement, signer, before))
    writeFile(host, out, signed, { replace: true })
    const progress = await progressUnder(host, trust, kind, signed)
    const digest = digestOfText(canonicalize(statement))
    return {
      json: { file: out, digest, record: statement, progress },
      text: `wrote ${out}\n${facts([['digest', digest], ...progressFacts(progress)])}`,
    }
  },
})

function readRecord(host: Host, path: string, kind: keyof typeof RECORDS): JsonObject {
  const no = (why: string) => cliFault('CLI_RECORD', { path, why })
  const text = decodeUtf8(readFile(host, path, `${kind} record`, RECORDS[kind].maxBytes))
  if (text === undefined) throw no('it is not UTF-8')
  try {
    const document = parseJson(text)
    if (!isObject(document)) throw no('it is not an object')
    return { format: STATEMENTS[kind].format, ...document }
  } catch (error) {
    if (error instanceof JsonError) throw no(error.message)
    throw error
  }
}

export const publishRegistration = declared('registration')
export const publishDelegation = declared('delegation')
export const publishImages = declared('images')
