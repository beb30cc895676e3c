// What the tools of a BlueField print, as values. Every parser takes the whole output and gives undefined, or an empty list, for
// what it does not find in it: a tool of another release that says it differently is "could not tell", never a guess. The
// formats are those that NVIDIA's, Open vSwitch's and iproute2's manuals show; none was recorded on a card (doca-shims/README.md).

export type CpuModel = 'EMBEDDED_CPU' | 'SEPARATED_HOST'

/** `mlxconfig -e -d DEVICE q`: the value that is in force now, where the output tells it from the next boot's. */
export function configValue(text: string, name: string): string | undefined {
  const line = new RegExp(`^\\*?\\s*${name}\\s+(.+)$`, 'm').exec(text)?.[1]
  const values = [...(line ?? '').matchAll(/([A-Za-z_]+)\(\d+\)/g)].map((match) => match[1])
  // Default, current, next boot; without -e only the next boot.
  return values.length >= 3 ? values[1] : values.at(-1)
}

/** `mlxprivhost -d DEVICE q`. */
export function privilege(text: string): { readonly level: string; readonly disabled: readonly string[] } | undefined {
  const level = /^\s*level\s*:\s*(\w+)/m.exec(text)?.[1]
  if (level === undefined) return undefined
  return { level, disabled: [...text.matchAll(/^\s*(disable_\w+)\s*:\s*TRUE/gm)].map((match) => match[1] ?? '') }
}

/** `flint -d DEVICE q`. */
export function firmware(text: string): { readonly version: string; readonly psid?: string } | undefined {
  const version = /^\s*FW Version:\s*(\S+)/m.exec(text)?.[1]
  const psid = /^\s*PSID:\s*(\S+)/m.exec(text)?.[1]
  return version === undefined ? undefined : { version, ...(psid === undefined ? {} : { psid }) }
}

/** `devlink dev eswitch show DEVICE`. */
export const eswitchMode = (text: string): string | undefined => /\bmode (\S+)/.exec(text)?.[1]

export interface DevlinkPort {
  readonly netdev: string
  /** `physical`, `pcipf`, `pcivf`, `pcisf`. */
  readonly flavour: string
}
/** `devlink port show`. */
export const devlinkPorts = (text: string): DevlinkPort[] =>
  [...text.matchAll(/^\S+: type eth netdev (\S+) flavour (\S+)/gm)].map(([, netdev = '', flavour = '']) => ({
    netdev,
    flavour,
  }))

/** HugePages_Free of /proc/meminfo, and Hugepagesize in KiB. */
export function hugepages(text: string): { readonly free: number; readonly sizeKiB: number } | undefined {
  const free = /^HugePages_Free:\s*(\d+)/m.exec(text)?.[1]
  const size = /^Hugepagesize:\s*(\d+) kB/m.exec(text)?.[1]
  return free === undefined || size === undefined ? undefined : { free: Number(free), sizeKiB: Number(size) }
}

export interface Flow {
  readonly table: number
  readonly priority: number
  /** Port of the match; undefined: any. */
  readonly inPort?: string
  /** The match says something besides the port. */
  readonly narrow: boolean
  readonly actions: string
}

const NOT_A_MATCH =
  /^(cookie|duration|table|n_packets|n_bytes|idle_timeout|hard_timeout|idle_age|hard_age|send_flow_rem|reset_counts|priority|in_port|importance|no_packet_counts|no_byte_counts)\b/

/** `ovs-ofctl dump-flows BRIDGE`, with names or numbers of ports. undefined: this is no such output. */
export function flows(text: string): Flow[] | undefined {
  const out: Flow[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '' || /^\S*(NXST|OFPST)\w* reply/.test(line.trim())) continue
    const at = line.indexOf(' actions=')
    if (at < 0) return undefined
    const words = line
      .slice(0, at)
      .split(',')
      .flatMap((part) => part.trim().split(/\s+/))
      .filter(Boolean)
    const value = (name: string): string | undefined =>
      words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1)
    const inPort = value('in_port')?.replaceAll('"', '')
    out.push({
      table: Number(value('table') ?? 0),
      // OpenFlow's default.
      priority: Number(value('priority') ?? 32_768),
      ...(inPort === undefined ? {} : { inPort }),
      narrow: words.some((word) => !NOT_A_MATCH.test(word)),
      actions: line.slice(at + ' actions='.length).trim(),
    })
  }
  return out
}

/** One name a line: `ovs-vsctl list-br`, `ovs-vsctl list-ports BRIDGE`. */
export const names = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
