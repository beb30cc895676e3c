// The sockets of the mediator: one of each kind on every address of the fence that the plan names as its DNS service. An
// address that is not there yet (its interface has not come) is tried again at every look; one that the plan names no more
// is closed. Who asks is told from both ends of the packet: the address that was asked and the address that asks, which the
// fence has proved to be the workspace's own.

import { formatIp, linkLocalOf, parseIp } from '../base/ip.js'
import type { Plan, WorkspaceId } from '../plan/model.js'
import type { CounterSet } from './counters.js'
import { listenTcp } from './tcp.js'
import { type Listener, listenUdp, type Place, type Serve, scoped } from './udp.js'

/** Every address and port that the plan names, each once. */
export function placesOf(plan: Plan): Place[] {
  const places = new Map<string, Place>()
  for (const { slot, network } of plan.workspaces)
    for (const { name, address, port } of network.services) {
      if (name !== 'dns') continue
      const place = isLinkLocal(address) ? { address, port, scope: slot.interface } : { address, port }
      places.set(keyOf(place), place)
    }
  return [...places.values()]
}

const isLinkLocal = (address: string): boolean => {
  const ip = parseIp(address)
  return ip?.family === 6 && ip.value >> 118n === 0x3fan
}

const keyOf = (place: Place): string => `${scoped(place)} ${place.port}`

/**
 * The workspace behind a question. A cgroup has no addresses of its own: there the address that was asked must belong to one
 * workspace alone. undefined when nobody, or more than one, fits.
 */
export function whose(plan: Plan, place: Place, client: string): WorkspaceId | undefined {
  const [text = '', scope] = client.split('%')
  const ip = parseIp(text)
  const address = ip ? formatIp(ip) : text
  const asked = plan.workspaces.filter(
    ({ slot, network }) =>
      (place.scope === undefined || place.scope === slot.interface) &&
      network.services.some((service) => service.name === 'dns' && service.address === place.address),
  )
  const [alone] = asked
  if (alone?.slot.kind === 'cgroup') return asked.length === 1 ? alone.workspace : undefined
  const owners = asked.filter(({ slot }) =>
    isLinkLocal(address)
      ? (scope === undefined || scope === slot.interface) &&
        slot.mac !== '' &&
        formatIp(linkLocalOf(slot.mac)) === address
      : slot.addresses.includes(address),
  )
  return owners.length === 1 ? owners[0]?.workspace : undefined
}

const PORT_TRIES = 10

export class Listeners {
  private readonly open = new Map<string, readonly Listener[]>()
  private working: Promise<void> = Promise.resolve()
  /** Why an address is not listened on, by address. */
  private readonly missing = new Map<string, string>()

  constructor(
    private readonly serveAt: (place: Place) => Serve,
    private readonly counters: CounterSet,
  ) {}

  /** Opens what is wanted and not open, closes the rest. One at a time; never throws. */
  follow(plan: Plan | undefined): Promise<void> {
    this.working = this.working.then(() => this.change(plan ? placesOf(plan) : []))
    return this.working
  }

  private async change(wanted: readonly Place[]): Promise<void> {
    const keys = new Set(wanted.map(keyOf))
    for (const [key, listeners] of this.open)
      if (!keys.has(key)) {
        this.open.delete(key)
        for (const listener of listeners) await listener.close()
      }
    this.missing.clear()
    for (const place of wanted) {
      const key = keyOf(place)
      if (this.open.has(key)) continue
      try {
        this.open.set(key, await this.listen(place))
      } catch (error) {
        // EADDRNOTAVAIL until the interface is there: tried again at the next look, and reported until then.
        this.missing.set(scoped(place), (error as NodeJS.ErrnoException).code ?? String(error))
      }
    }
  }

  /** A port that the system chose for UDP may be somebody's for TCP: then it is asked for another. */
  private async listen(place: Place, left = PORT_TRIES): Promise<readonly Listener[]> {
    const serve = this.serveAt(place)
    const udp = await listenUdp(place, serve, this.counters)
    try {
      return [udp, await listenTcp({ ...place, port: udp.port }, serve, this.counters)]
    } catch (error) {
      await udp.close()
      const isTaken = place.port === 0 && (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      if (isTaken && left > 1) return this.listen(place, left - 1)
      throw error
    }
  }

  /** Addresses that are answered on, and why others are not. */
  status(): { readonly open: readonly string[]; readonly missing: Readonly<Record<string, string>> } {
    const open = [...this.open.values()].flatMap(([udp]) => (udp ? [`${scoped(udp.place)} port ${udp.port}`] : []))
    return { open: open.sort(), missing: Object.fromEntries(this.missing) }
  }

  /** The port that is listened on at an address, where the plan left it to the system. */
  portAt(address: string): number | undefined {
    for (const [udp] of this.open.values()) if (udp?.place.address === address) return udp.port
    return undefined
  }

  async close(): Promise<void> {
    await this.follow(undefined)
  }
}
