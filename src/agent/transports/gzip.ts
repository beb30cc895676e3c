// One gzip member (RFC 1952), unpacked under caps: output, ratio, and nothing after the end. Node's gunzip goes on with a
// second member and forgets trailing octets, so the frame is read here and only the deflate stream goes to zlib.

import { crc32, createInflateRaw } from 'node:zlib'
import { LIMITS } from '../../base/limits.js'
import { transportFault } from './errors.js'

const malformed = (why: string, cause?: unknown) => transportFault('TRANSPORT_ARCHIVE', { why }, { cause })

/** The 10 octets of the fixed header, and a name and comment that are skipped. Flags: RFC 1952 section 2.3.1. */
function headerLength(file: Uint8Array): number {
  if (file[0] !== 0x1f || file[1] !== 0x8b || file[2] !== 8) throw malformed('it is not gzip')
  const flags = file[3] ?? 0
  if ((flags & ~0x18) !== 0) throw malformed('the gzip header uses flags other than name and comment')
  let at = 10
  for (const flag of [0x08, 0x10]) {
    if ((flags & flag) === 0) continue
    const end = file.indexOf(0, at)
    if (end < 0) throw malformed('the gzip header is cut off')
    at = end + 1
  }
  return at
}

/** Unpacks one member. Throws TRANSPORT_TOO_LARGE, TRANSPORT_RATIO or TRANSPORT_ARCHIVE. */
export async function gunzip(file: Uint8Array): Promise<Uint8Array> {
  if (file.length > LIMITS.archiveBytes)
    throw transportFault('TRANSPORT_TOO_LARGE', { what: 'the archive', limit: LIMITS.archiveBytes })
  const start = headerLength(file)
  const { output, consumed } = await inflate(file.subarray(start), file.length)
  const trailer = file.subarray(start + consumed)
  if (trailer.length < 8) throw malformed('it is cut off')
  if (trailer.length > 8) throw malformed('there is data after the end of the gzip member')
  const view = new DataView(trailer.buffer, trailer.byteOffset, 8)
  if (view.getUint32(0, true) !== crc32(output) || view.getUint32(4, true) !== output.length)
    throw malformed('the gzip checksum is wrong')
  return output
}

async function inflate(deflated: Uint8Array, fileSize: number): Promise<{ output: Uint8Array; consumed: number }> {
  const engine = createInflateRaw()
  const chunks: Uint8Array[] = []
  let total = 0
  engine.end(deflated)
  try {
    for await (const chunk of engine as AsyncIterable<Uint8Array>) {
      total += chunk.length
      if (total > LIMITS.unpackedBytes)
        throw transportFault('TRANSPORT_TOO_LARGE', { what: 'the unpacked archive', limit: LIMITS.unpackedBytes })
      if (total > fileSize * LIMITS.archiveRatio)
        throw transportFault('TRANSPORT_RATIO', { limit: LIMITS.archiveRatio })
      chunks.push(chunk)
    }
  } catch (cause) {
    const isZlib = cause instanceof Error && 'errno' in cause
    throw isZlib ? malformed('the compressed data is broken', cause) : cause
  } finally {
    engine.destroy()
  }
  return { output: Buffer.concat(chunks), consumed: engine.bytesWritten }
}
