// The files that a machine boots from, opened once: what is hashed is what QEMU gets, because it gets the very descriptor. They lie in
// a store that only root writes; a file that others may write, a symbolic link, a device or another size is refused before a byte of
// it is read, and a digest that differs before QEMU exists (MACHINE_IMAGE).

import { createHash } from 'node:crypto'
import { closeSync, constants, createReadStream, fstatSync, openSync, read, readSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { companionFault } from '../errors.js'
import type { VerifiedFile } from './driver.js'
import { QCOW2_HEADER_BYTES, readQcow2 } from './qcow2.js'

const CHUNK_BYTES = 1 << 20
const readSome = promisify(read)

const no = (file: string, why: string, cause?: unknown) => companionFault('MACHINE_IMAGE', { file, why }, { cause })

/** A descriptor at offset 0, for reading. Throws MACHINE_IMAGE. The caller closes it. */
export async function openVerified({ path, digest, bytes }: VerifiedFile): Promise<number> {
  const file = openRegular(path, constants.O_RDONLY)
  try {
    const { size } = fstatSync(file)
    if (size !== bytes) throw no(path, `it has ${size} octets, and ${bytes} were signed`)
    const found = await digestOfDescriptor(file)
    if (found !== digest) throw no(path, `its digest is ${found}, and ${digest} was signed`)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/**
 * A copy, for whoever takes a name and no descriptor: readable to all, writable to nobody, in a folder that only root writes. What was
 * copied is what was signed, and what stood there is replaced. It waits for the disk without keeping anybody else waiting; `stop` throws
 * when nobody wants it any more. Throws MACHINE_IMAGE, and what the disk says. */
export async function copyVerified(file: VerifiedFile, to: string, stop: () => void = () => undefined): Promise<void> {
  const from = await openVerified(file)
  try {
    const beside = `${to}.new`
    // Of a copy that ended in the middle.
    await rm(beside, { force: true })
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const out = await open(beside, flags, 0o600)
    try {
      const chunk = Buffer.alloc(CHUNK_BYTES)
      for (let at = 0; ; ) {
        stop()
        const { bytesRead } = await readSome(from, chunk, 0, chunk.length, at)
        if (bytesRead === 0) break
        for (let put = 0; put < bytesRead; ) put += (await out.write(chunk, put, bytesRead - put)).bytesWritten
        at += bytesRead
      }
      await out.chmod(0o444)
    } finally {
      await out.close()
    }
    const copy = openRegular(beside, constants.O_RDONLY)
    try {
      if ((await digestOfDescriptor(copy)) !== file.digest) throw no(file.path, 'it changed while it was copied')
    } finally {
      closeSync(copy)
    }
    await rename(beside, to)
  } finally {
    closeSync(from)
  }
}

/** A descriptor for reading and writing a machine's own layer. Throws MACHINE_IMAGE. The caller closes it. */
export function openLayer(path: string): number {
  const file = openRegular(path, constants.O_RDWR)
  try {
    requireQcow2(path, file)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** Throws MACHINE_IMAGE for a header that leads out of the file. */
export function requireQcow2(path: string, file: number): { readonly virtualBytes: number } {
  const header = new Uint8Array(QCOW2_HEADER_BYTES)
  const got = readSync(file, header, 0, header.length, 0)
  const found = readQcow2(header.subarray(0, got))
  if (typeof found === 'string') throw no(path, found)
  return found
}

export async function digestOfDescriptor(file: number): Promise<`sha256:${string}`> {
  const hash = createHash('sha256')
  const stream = createReadStream('', { fd: file, autoClose: false, start: 0, highWaterMark: CHUNK_BYTES })
  for await (const chunk of stream) hash.update(chunk as Buffer)
  return `sha256:${hash.digest('hex')}`
}

function openRegular(path: string, flags: number): number {
  let file: number
  try {
    file = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    throw no(path, `it cannot be opened (${(cause as NodeJS.ErrnoException).code ?? 'no reason given'})`, cause)
  }
  const { mode, uid } = fstatSync(file)
  const why =
    (mode & constants.S_IFMT) !== constants.S_IFREG
      ? 'it is not a regular file'
      : uid !== (process.getuid?.() ?? 0)
        ? 'it belongs to somebody else'
        : (mode & 0o022) !== 0
          ? 'others may write it'
          : undefined
  if (why === undefined) return file
  closeSync(file)
  throw no(path, why)
}
