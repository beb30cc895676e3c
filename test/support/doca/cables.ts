// A software BlueField with cables: a workspace and an outside world in network namespaces of their own, and between them this
// process, in a third, with the card's ports on veth ends. Needs root; `close` takes everything away again.

import { execFileSync } from 'node:child_process'
import { enter, remember } from '../ebpf/seclusion.js'
import { GATEWAY_MAC, WS_MAC } from '../plans.js'

export const WEB = '93.184.216.34'
const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

export interface Cables {
  readonly ws: string
  readonly out: string
  /** For the emulator: port 0 on the outside cable, port 1 (the slot `ws0`) on the workspace's. */
  readonly topology: string
  close(): void
}

/** `stacks`: both ends have addresses and speak; without, they are silent and only frames of a test are on the cables. */
export function layCables(stacks: boolean): Cables {
  const back = remember()
  const name = (role: string): string => `sldoca-${role}-${process.pid}`
  const roles = ['ws', 'dpu', 'out']
  for (const role of roles) ip('netns', 'add', name(role))
  const close = (): void => {
    back()
    for (const role of roles) ip('netns', 'delete', name(role))
  }
  try {
    for (const [role, cable, mac] of [
      ['ws', 'cable0', WS_MAC],
      ['out', 'cablew', GATEWAY_MAC],
    ] as const) {
      const make = `link add ${cable} netns ${name('dpu')} type veth peer name eth0 netns ${name(role)} address ${mac}`
      ip(...make.split(' '))
    }
    enter(name('dpu'))
    for (const cable of ['cable0', 'cablew']) quiet(cable)
    for (const role of ['ws', 'out']) {
      const inside = (...args: string[]): void => ip('-n', name(role), ...args)
      if (stacks) address(role, inside)
      else inside('link', 'set', 'eth0', 'arp', 'off', 'addrgenmode', 'none', 'up')
      inside('link', 'set', 'lo', 'up')
    }
  } catch (error) {
    close()
    throw error
  }
  return {
    ws: name('ws'),
    out: name('out'),
    topology: 'dev 0000:03:00.0 p0 cablew\nrep 0000:03:00.0 pf0vf0 ws0 cable0',
    close,
  }
}

/** The card's end of a cable says nothing by itself. */
const quiet = (cable: string): void => ip('link', 'set', cable, 'arp', 'off', 'addrgenmode', 'none', 'up')

function address(role: string, inside: (...args: string[]) => void): void {
  inside('link', 'set', 'eth0', 'up')
  if (role === 'ws') {
    inside('addr', 'add', '10.9.0.2/24', 'dev', 'eth0')
    inside('route', 'add', 'default', 'via', '10.9.0.1')
    return
  }
  // What a router behind the card knows: the workspace is on this cable.
  inside('addr', 'add', `${WEB}/32`, 'dev', 'eth0')
  inside('route', 'add', '10.9.0.2/32', 'dev', 'eth0', 'src', WEB)
  inside('neigh', 'add', '10.9.0.2', 'lladdr', WS_MAC, 'dev', 'eth0', 'nud', 'permanent')
}
