// Ethernet addresses: `02:00:00:00:09:02`, lower case, colons.

/** Six octets, either case, colons only; undefined for anything else. */
export function parseMac(text: string): string | undefined {
  return /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text) ? text.toLowerCase() : undefined
}

export const macBytes = (mac: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(mac.split(':'), (octet) => Number.parseInt(octet, 16))

/** True for a group address (the multicast bit), which no interface may own. */
export const isGroupMac = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1
