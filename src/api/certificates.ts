// The server's certificate, its key and the authority of the callers, read again while the agent runs. New connections get
// what the files say now; files that do not fit together (a rotation that is half way) change nothing until they do. The seam
// of grpc-js for this is experimental, so that it is wrapped here and used nowhere else.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { experimental, type ServerCredentials } from '@grpc/grpc-js'
import { apiFault } from './errors.js'

export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
  readonly clientCa: string
}
interface Loaded {
  readonly certificate: Buffer
  readonly key: Buffer
  readonly clientCa: Buffer
}

const READ_AGAIN_MS = 1_000

type Provider = experimental.FileWatcherCertificateProvider
type Listener<K extends 'addCaCertificateListener' | 'addIdentityCertificateListener'> = Parameters<Provider[K]>[0]

export interface Certificates {
  readonly credentials: ServerCredentials
  /** Reads the files now; true when they are news. Throws API_CERTIFICATE, and then the old ones stay. */
  reload(): boolean
  close(): void
}

/** `failed`: what keeps changed files from being used, once for each change. Throws API_CERTIFICATE. */
export function watchCertificates(files: CertificateFiles, failed: (error: unknown) => void): Certificates {
  let held = load(files)
  let complained = ''
  const authorities = new Set<Listener<'addCaCertificateListener'>>()
  const identities = new Set<Listener<'addIdentityCertificateListener'>>()
  const authority = () => ({ caCertificate: held.clientCa })
  const identity = () => ({ certificate: held.certificate, privateKey: held.key })
  const provider = {
    addCaCertificateListener: (listener: Listener<'addCaCertificateListener'>) => {
      authorities.add(listener)
      later(() => {
        listener(authority())
      })
    },
    removeCaCertificateListener: (listener: Listener<'addCaCertificateListener'>) => void authorities.delete(listener),
    addIdentityCertificateListener: (listener: Listener<'addIdentityCertificateListener'>) => {
      identities.add(listener)
      later(() => {
        listener(identity())
      })
    },
    removeIdentityCertificateListener: (listener: Listener<'addIdentityCertificateListener'>) =>
      void identities.delete(listener),
  }
  const reload = (): boolean => {
    const next = load(files)
    if (same(held, next)) return false
    held = next
    for (const listener of authorities) listener(authority())
    for (const listener of identities) listener(identity())
    return true
  }
  const timer = setInterval(() => {
    try {
      reload()
      complained = ''
    } catch (error) {
      const said = error instanceof Error ? error.message : ''
      if (said !== complained) failed(error)
      complained = said
    }
  }, READ_AGAIN_MS)
  timer.unref()
  return {
    credentials: experimental.createCertificateProviderServerCredentials(provider, provider, true),
    reload,
    close: () => {
      clearInterval(timer)
    },
  }
}

/** grpc-js adds the one that it tells only after it has asked to be told. */
const later = queueMicrotask

function load({ certificate, key, clientCa }: CertificateFiles): Loaded {
  const loaded = { certificate: read(certificate), key: read(key), clientCa: read(clientCa) }
  const leaf = parsed(certificate, loaded.certificate)
  parsed(clientCa, loaded.clientCa)
  let fits: boolean
  try {
    fits = leaf.checkPrivateKey(createPrivateKey(loaded.key))
  } catch (cause) {
    throw apiFault('API_CERTIFICATE', { file: key, why: 'it is no private key in PEM' }, { cause })
  }
  if (!fits) throw apiFault('API_CERTIFICATE', { file: key, why: 'it is not the key of the certificate' })
  return loaded
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw apiFault('API_CERTIFICATE', { file, why: 'it cannot be read' }, { cause })
  }
}

function parsed(file: string, pem: Buffer): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw apiFault('API_CERTIFICATE', { file, why: 'it is no certificate in PEM' }, { cause })
  }
}

const same = (a: Loaded, b: Loaded): boolean =>
  a.certificate.equals(b.certificate) && a.key.equals(b.key) && a.clientCa.equals(b.clientCa)
