// The header of a qcow2 image (docs/interop/qcow2 of QEMU), as far as it can lead somewhere else: a backing file, an external data
// file, encryption. None of them is accepted, in a golden image or in a layer: what lies under a layer is said to QEMU by us, as a
// descriptor, and a name in a header would be a way around the signed manifest.

const MAGIC = 0x514649fb
/** Octets that `readQcow2` needs. */
export const QCOW2_HEADER_BYTES = 104
/** Incompatible features that only concern how the image itself is laid out: dirty refcounts, compression type, extended L2. */
const HARMLESS = 0x1n | 0x8n | 0x10n

export interface Qcow2 {
  /** Of the disk that it shows. */
  readonly virtualBytes: number
}

/** The reason for which it is not accepted, as text. */
export function readQcow2(header: Uint8Array): Qcow2 | string {
  if (header.length < QCOW2_HEADER_BYTES) return 'it is too short for a qcow2 header'
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  if (view.getUint32(0) !== MAGIC) return 'it is not a qcow2 image'
  const version = view.getUint32(4)
  if (version !== 3) return `it is qcow2 version ${version}, and 3 is expected`
  if (view.getBigUint64(8) !== 0n || view.getUint32(16) !== 0) return 'it names a backing file'
  if (view.getUint32(32) !== 0) return 'it is encrypted'
  const features = view.getBigUint64(72)
  if ((features & 0x4n) !== 0n) return 'it names an external data file'
  if ((features & 0x2n) !== 0n) return 'it says that it is corrupt'
  if ((features & ~HARMLESS) !== 0n) return `it has the unknown features 0x${features.toString(16)}`
  const bytes = view.getBigUint64(24)
  if (bytes === 0n || bytes > 1n << 46n) return `it shows a disk of ${bytes} octets`
  return { virtualBytes: Number(bytes) }
}
