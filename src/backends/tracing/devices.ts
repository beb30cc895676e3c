// Devices by the kernel's own numbers: the same for a file, whoever asks and however that was asked.

/** What `stat` says of a device, as the kernel has it (include/linux/kdev_t.h). */
export function kernelDevice(device: bigint): number {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn)
  return Number(((major << 20n) | (minor & 0xfffffn)) & 0xffffffffn)
}

/** Of a mount by its number, out of mountinfo (Documentation/filesystems/proc.rst, section 3.5); undefined: it is not there. */
export function mountDevice(mountinfo: string, id: number): number | undefined {
  const line = mountinfo.split('\n').find((one) => one.startsWith(`${id} `))
  const [major, minor] = line?.split(' ')[2]?.split(':').map(Number) ?? []
  return major === undefined || minor === undefined ? undefined : ((major << 20) | minor) >>> 0
}
