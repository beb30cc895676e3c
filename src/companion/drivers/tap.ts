// The tap of a workspace: the node's end of its only link, with the name, MAC and gateway addresses of the signed inventory. It exists
// before the agent attaches it and before any machine has it, and belongs to root alone: QEMU gets a descriptor and never the right to
// open one. It carries a mark (its alias), so that nothing that others made is changed or taken away.
//
// Making and removing are idempotent: what a crash left half done is finished by the same call.

import { execFile } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { promisify } from 'node:util'
import koffi from 'koffi'
import { digestOfText } from '../../base/digest.js'
import { companionFault } from '../errors.js'

export interface TapSpec {
  readonly interface: string
  /** SPIFFE URI; part of the mark. */
  readonly workspace: string
  readonly gateway: { readonly mac: string; readonly addresses: readonly string[] }
  /** The machine's own; each gets a route. */
  readonly addresses: readonly string[]
}

const RUN_MS = 10_000
/** A host with thousands of interfaces says more of them than the 1 MiB that Node takes by default. */
const MOST_SAID = 256 << 20
const MARK = 'sluice: tap of '
/** IFALIASZ of linux/if.h, without its end: of a longer name the beginning, for people. */
const ALIAS_BYTES = 255
// linux/if_tun.h
const TUNSETIFF = 0x400454ca
const IFF_TAP = 0x0002
const IFF_NO_PI = 0x1000
const IFF_VNET_HDR = 0x4000
const IFREQ_BYTES = 40

const run = promisify(execFile)
const host = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`

const shortOf = (workspace: string): string => digestOfText(workspace).slice(7, 39)

/** The alias of a workspace's tap: compared as a whole, so that no name stands for one that begins like it. */
export const tapMark = (workspace: string): string =>
  Buffer.from(`${MARK}${shortOf(workspace)} ${workspace}`)
    .subarray(0, ALIAS_BYTES)
    .toString('latin1')

/** A name that was cut is none: then the digest stands for it. */
function workspaceOf(mark: string): string {
  const [short = ''] = mark.slice(MARK.length).split(' ')
  const workspace = mark.slice(MARK.length + short.length + 1)
  return shortOf(workspace) === short ? workspace : `tap:${short}`
}

/** What the kernel says of an interface, by netlink: sysfs would show those of the namespace that mounted it. */
interface Link {
  readonly ifindex: number
  readonly ifname: string
  readonly ifalias?: string
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: { readonly type?: string } }
}

async function links(...words: readonly string[]): Promise<readonly Link[]> {
  const { stdout } = await run('ip', ['-json', '-details', 'link', 'show', ...words], {
    timeout: RUN_MS,
    maxBuffer: MOST_SAID,
  })
  return JSON.parse(stdout) as readonly Link[]
}
async function linkOf(name: string): Promise<Link | undefined> {
  return (await links()).find(({ ifname }) => ifname === name)
}

/** Up, with its addresses and routes when this resolves. Throws TAP_TAKEN, TAP_FAILED. */
export async function ensureTap({ interface: name, workspace, gateway, addresses }: TapSpec): Promise<void> {
  const mark = tapMark(workspace)
  const there = await linkOf(name)
  if (there) {
    const why = notOurs(there, (alias) => alias === mark)
    if (why !== undefined) throw companionFault('TAP_TAKEN', { name, why })
  } else {
    await ip(name, 'tuntap', 'add', 'dev', name, 'mode', 'tap', 'vnet_hdr')
    await ip(name, 'link', 'set', name, 'alias', mark)
  }
  await ip(name, 'link', 'set', name, 'address', gateway.mac)
  for (const address of gateway.addresses)
    await ip(name, 'address', 'replace', host(address), 'dev', name, ...(address.includes(':') ? ['nodad'] : []))
  await ip(name, 'link', 'set', name, 'up')
  for (const address of addresses) await ip(name, 'route', 'replace', host(address), 'dev', name)
}

/** Nothing there is no fault. Throws TAP_TAKEN for what others made, TAP_FAILED. */
export async function removeTap(name: string): Promise<void> {
  const there = await linkOf(name)
  if (!there) return
  const why = notOurs(there)
  if (why !== undefined) throw companionFault('TAP_TAKEN', { name, why })
  await ip(name, 'link', 'delete', name)
}

export interface TapSeen {
  readonly interface: string
  readonly mark: string
  /** As the mark has it: `tap:` and a digest for a name that is too long for it. */
  readonly workspace: string
}

/** All taps that `ensureTap` made, sorted by name, with whose they are. */
export async function listTaps(): Promise<readonly TapSeen[]> {
  return (await links())
    .flatMap(({ ifname, ifalias = '' }) =>
      isOurs(ifalias) ? [{ interface: ifname, mark: ifalias, workspace: workspaceOf(ifalias) }] : [],
    )
    .sort((a, b) => (a.interface < b.interface ? -1 : 1))
}

/**
 * A descriptor bound to the tap, in the network namespace of this thread; whoever gets it is on the link. One at a time: MACHINE_NIC while
 * somebody has it, and for what is no tap. The caller closes it.
 */
export async function openTap(name: string): Promise<number> {
  const no = (why: string) => companionFault('MACHINE_NIC', { nic: name, why })
  // TUNSETIFF would make an interface of that name, and nobody has fenced it.
  const there = await linkOf(name)
  if (!there) throw no('there is none of that name')
  const why = notOurs(there)
  if (why !== undefined) throw no(why)
  const file = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK)
  try {
    const request = Buffer.alloc(IFREQ_BYTES)
    request.write(name, 0, 15, 'latin1')
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, 16)
    const ioctl = koffi.load('libc.so.6').func('int ioctl(int fd, unsigned long request, void *argument)')
    if (ioctl(file, TUNSETIFF, request) !== 0)
      throw no(`the kernel refuses (errno ${koffi.errno()}); does somebody hold it?`)
    if ((await linkOf(name))?.ifindex !== there.ifindex) throw no('it was replaced meanwhile')
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

const isOurs = (alias: string): boolean => alias.startsWith(MARK)

/** Why the interface is not one of `ensureTap`, or not the one that is meant. */
function notOurs({ linkinfo, ifalias = '' }: Link, isMeant = isOurs): string | undefined {
  if (linkinfo?.info_kind !== 'tun' || linkinfo.info_data?.type !== 'tap') return 'it is no tap'
  return isMeant(ifalias) ? undefined : ifalias === '' ? 'somebody else made it' : `it is marked ${ifalias}`
}

async function ip(name: string, ...words: readonly string[]): Promise<void> {
  try {
    await run('ip', words, { timeout: RUN_MS })
  } catch (cause) {
    const said = (cause as { stderr?: string }).stderr?.trim() ?? ''
    throw companionFault('TAP_FAILED', { name, step: `ip ${words.join(' ')}: ${said}` }, { cause })
  }
}
