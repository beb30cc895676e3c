// Ports and inclusive port ranges. Port 0 is not a port anybody can be granted.

export interface PortRange {
  readonly from: number
  readonly to: number
}

export const isPort = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= 65535

/** `443` or `8000-8100`, decimal without leading zeros, 1 to 65535, not reversed; undefined for anything else. */
export function parsePorts(text: string): PortRange | undefined {
  const match = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text)
  if (!match) return undefined
  const from = Number(match[1])
  const to = match[2] === undefined ? from : Number(match[2])
  return isPort(from) && isPort(to) && from <= to ? { from, to } : undefined
}

export const formatPorts = (range: PortRange): string =>
  range.from === range.to ? String(range.from) : `${range.from}-${range.to}`

/** Sorted, with overlapping and adjacent ranges joined. */
export function mergePorts(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = []
  for (const range of [...ranges].sort((a, b) => a.from - b.from || a.to - b.to)) {
    const last = merged.at(-1)
    if (last && range.from <= last.to + 1)
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
    else merged.push(range)
  }
  return merged
}
