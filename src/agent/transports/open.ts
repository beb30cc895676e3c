// One door for sources, as an operator writes them: https://, git+https://, git+ssh://, git+file://, oci://, or the path of
// a published folder. The kind is in the word, never guessed from what answers.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { folderBlobs } from './blobs.js'
import { transportFault } from './errors.js'
import { folderTransport } from './folder.js'
import { gitTransport } from './git.js'
import { httpsTransport } from './https.js'
import { ociTransport } from './oci.js'
import type { OnProgress, Transport } from './transport.js'

/** Paths are absolute or relative to `cwd`. */
export interface SourceTerms {
  readonly cwd: string
  /** PEM; replaces the system's CAs. */
  readonly caFile?: string
  readonly pins?: readonly string[]
  /** One line: a bearer token for https and git, `user:password` or a bearer token for oci. */
  readonly tokenFile?: string
  readonly sshKey?: string
  readonly knownHosts?: string
  /** Where parts of a pull are kept until it is whole. */
  readonly partFolder?: string
  readonly onProgress?: OnProgress
}

/** Throws TRANSPORT_SOURCE, and TRANSPORT_READ for a file that cannot be read. */
export function openTransport(source: string, terms: SourceTerms): Transport {
  const kind = /^([a-z+]+):\/\//.exec(source)?.[1]
  if (kind === undefined) return folderTransport(resolve(terms.cwd, source))
  const caFile = terms.caFile === undefined ? undefined : resolve(terms.cwd, terms.caFile)
  const token = terms.tokenFile === undefined ? undefined : readLine(resolve(terms.cwd, terms.tokenFile))
  const trust = {
    ...(caFile === undefined ? {} : { ca: readText(caFile) }),
    ...(terms.pins === undefined ? {} : { pins: terms.pins.map((pin) => requirePin(pin, source)) }),
    ...(terms.onProgress === undefined ? {} : { onProgress: terms.onProgress }),
  }
  switch (kind) {
    case 'https':
      return httpsTransport({ base: urlOf(source, source), ...trust, ...(token === undefined ? {} : { token }) })
    case 'oci': {
      const [, host = '', name = ''] = /^oci:\/\/([^/]+)\/(.+)$/.exec(source) ?? []
      return ociTransport({
        origin: urlOf(`https://${host}`, source),
        name,
        ...trust,
        ...(token === undefined ? {} : { authorization: authorizationOf(token) }),
        ...(terms.partFolder === undefined ? {} : { blobs: folderBlobs(resolve(terms.cwd, terms.partFolder)) }),
      })
    }
    case 'git+https':
    case 'git+ssh':
    case 'git+file': {
      const { sshKey, knownHosts } = terms
      const ssh =
        sshKey === undefined || knownHosts === undefined
          ? {}
          : { ssh: { keyFile: resolve(terms.cwd, sshKey), knownHostsFile: resolve(terms.cwd, knownHosts) } }
      const url = urlOf(source.slice('git+'.length), source)
      return gitTransport({
        url,
        ...trust,
        ...ssh,
        ...(caFile === undefined ? {} : { caFile }),
        ...(token === undefined ? {} : { token }),
      })
    }
    default:
      throw transportFault('TRANSPORT_SOURCE', {
        source,
        why: `${kind} is none of https, git+https, git+ssh, git+file, oci`,
      })
  }
}

function urlOf(text: string, source: string): URL {
  try {
    return new URL(text)
  } catch (cause) {
    throw transportFault('TRANSPORT_SOURCE', { source, why: 'it is not an address' }, { cause })
  }
}

/** A pin that could never match would look like protection. */
function requirePin(pin: string, source: string): string {
  if (!/^[A-Za-z0-9+/]{43}=$/.test(pin))
    throw transportFault('TRANSPORT_SOURCE', { source, why: 'a pin is the base64 of a SHA-256, 44 characters' })
  return pin
}

const authorizationOf = (token: string): string =>
  token.includes(':') ? `Basic ${Buffer.from(token).toString('base64')}` : `Bearer ${token}`

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw transportFault('TRANSPORT_READ', { path }, { cause })
  }
}

function readLine(path: string): string {
  const line = readText(path).trimEnd()
  if (!/^[\x21-\x7e]{1,8192}$/.test(line))
    throw transportFault('TRANSPORT_SOURCE', { source: path, why: 'the file of the credential does not hold one line' })
  return line
}
