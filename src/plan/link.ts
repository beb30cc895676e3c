// Steps 2 and 3 of the meaning of a plan (design section 5): the link layer, the sources, and frames that cannot be read in
// full. Gives the verdict, or undefined when the packet is to be judged by its addresses and ports.

import { formatIp, type Ip, linkLocalOf, parseIp } from '../base/ip.js'
import type { Slot } from './inventory.js'
import type { Arp, Neighbour, Packet } from './packet.js'
import type { DropReason, Env, Verdict } from './state.js'

const ALLOW: Verdict = { kind: 'allow', reason: 'neighbour' }
const drop = (reason: DropReason): Verdict => ({ kind: 'drop', reason, refusal: 'silent' })

export function judgeLink(slot: Slot, packet: Packet, env: Env): Verdict | undefined {
  return packet.direction === 'from' ? judgeFrom(slot, packet, env) : judgeTo(slot, packet)
}

function judgeFrom(slot: Slot, packet: Packet, env: Env): Verdict | undefined {
  const { body, link } = packet
  const macIsOurs = !env.linkLayer || link?.source === slot.mac
  if (body.kind === 'arp') return macIsOurs && arpIsProper(slot, body) ? ALLOW : drop('link-layer')
  if (body.kind === 'unreadable' && (body.why === 'not-ip' || body.source === undefined)) return drop('link-layer')
  if (isNoise(packet)) return drop('noise')
  if (!macIsOurs) return drop('spoof')
  const source = body.source
  if (body.kind === 'ip' && body.transport.kind === 'neighbour') {
    // RFC 4861 section 7.1: hop limit 255 proves that it was not forwarded.
    const proper = body.hopLimit === 255 && neighbourIsProper(slot, body.source, body.transport.message)
    return env.linkLayer && proper ? ALLOW : drop('link-layer')
  }
  if (!source || !ownAddresses(slot).has(formatIp(source))) return drop('spoof')
  return body.kind === 'unreadable' ? drop(body.why === 'fragment' ? 'fragment' : 'malformed') : undefined
}

function judgeTo(slot: Slot, packet: Packet): Verdict | undefined {
  const { body, origin } = packet
  // ARP, neighbour discovery and router advertisements towards the workspace can only be the fence's own.
  const neighbourly =
    body.kind === 'arp' ||
    (body.kind === 'ip' &&
      (body.transport.kind === 'neighbour' ||
        (body.transport.kind === 'icmp' && body.transport.type === ROUTER_ADVERT)))
  if (neighbourly) return origin === 'fence' ? ALLOW : drop('link-layer')
  if (body.kind === 'unreadable') {
    if (body.why === 'not-ip' || body.source === undefined) return drop('link-layer')
    return drop(body.why === 'fragment' ? 'fragment' : 'malformed')
  }
  if (!slot.addresses.includes(formatIp(body.destination))) return drop('spoof')
  return undefined
}

/** The workspace's own addresses, its EUI-64 link-local included. */
function ownAddresses(slot: Slot): Set<string> {
  const own = new Set(slot.addresses)
  if (slot.mac !== '' && slot.addresses.some((address) => address.includes(':')))
    own.add(formatIp(linkLocalOf(slot.mac)))
  return own
}

/** The gateway's addresses as a neighbour may ask for them: its own and its link-local. */
function gatewayAddresses(slot: Slot): Set<string> {
  const gateway = new Set(slot.gateway.addresses)
  if (slot.gateway.mac !== '') gateway.add(formatIp(linkLocalOf(slot.gateway.mac)))
  return gateway
}

/** ARP with the gateway only: sender fields ours (or a probe from 0.0.0.0), target the gateway or ourselves (announcement). */
function arpIsProper(slot: Slot, arp: Arp): boolean {
  const own = slot.addresses.filter((address) => !address.includes(':'))
  const sender = formatIp(arp.senderIp)
  const target = formatIp(arp.targetIp)
  if (arp.senderMac !== slot.mac || !(sender === '0.0.0.0' || own.includes(sender))) return false
  return own.includes(target) || slot.gateway.addresses.includes(target)
}

/** Solicitations for the gateway, duplicate address detection and advertisements of own addresses (RFC 4861, 4862). */
function neighbourIsProper(slot: Slot, source: Ip, message: Neighbour): boolean {
  const own = ownAddresses(slot)
  const from = formatIp(source)
  const target = formatIp(message.target)
  if (message.code !== 0 || message.options.length > 1) return false
  const [option] = message.options
  if (message.type === 136)
    return own.has(from) && own.has(target) && (!option || (option.type === 2 && option.mac === slot.mac))
  // Duplicate address detection comes from the unspecified address and may carry only a nonce (RFC 7527).
  if (source.value === 0n) return own.has(target) && (!option || option.type === 14)
  return (
    own.has(from) && gatewayAddresses(slot).has(target) && (!option || (option.type === 1 && option.mac === slot.mac))
  )
}

const ROUTER_ADVERT = 134

const MLD_AND_SOLICITATION: ReadonlySet<number> = new Set([130, 131, 132, 133, 143])

/** What every host says on a new link and nobody here answers: DHCP, router solicitation, MLD. Dropped without noise. */
function isNoise({ body }: Packet): boolean {
  if (body.kind === 'ip') {
    const { transport } = body
    if (transport.kind === 'udp') return transport.destinationPort === 67 || transport.destinationPort === 547
    return transport.kind === 'icmp' && body.destination.family === 6 && MLD_AND_SOLICITATION.has(transport.type)
  }
  // MLD stands behind a hop-by-hop header (RFC 3810 section 5): recognised by where it goes.
  const allRouters = parseIp('ff02::16')?.value
  return body.kind === 'unreadable' && body.protocol === 0 && body.destination?.value === allRouters
}
