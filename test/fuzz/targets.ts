// What is fuzzed: every parser that reads octets which somebody delivered. Each target knows good inputs, words of its format,
// and rules that hold for every input (laws.ts).

import type { Target } from './engine.js'
import { argus } from './targets-argus.js'
import { archive, gzip, oci } from './targets-delivery.js'
import { dnsQuery, dnsReply, dnsStream } from './targets-dns.js'
import { json, jws, statement } from './targets-json.js'
import { certificate, keyFile, root } from './targets-keys.js'
import { envelope, manifest } from './targets-sigil.js'

export const TARGETS: readonly Target[] = [
  ...[envelope, manifest, archive, gzip, json, statement, jws, root, keyFile, oci, certificate],
  ...[dnsQuery, dnsReply, dnsStream, argus],
]
