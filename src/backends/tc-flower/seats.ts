// Which interface, MAC and number each workspace has. A number tells the workspaces behind one uplink apart, in handles and chains,
// and stays with its interface while anything of it is left.

import type { Seat } from './post.js'
import type { FlowerProgram } from './program.js'
import type { Closed, HeldWorkspace } from './record.js'

/** In the order of the program's workspaces. */
export function seatsOf(program: FlowerProgram, held: readonly Seat[]): Seat[] {
  const taken = new Set(held.map(({ number }) => number))
  return program.workspaces.map((at) => {
    const known = held.find((one) => one.interface === at.interface && one.mac === at.mac)
    let number = known?.number ?? 0
    if (!known) while (taken.has(number)) number++
    taken.add(number)
    return { interface: at.interface, mac: at.mac, number }
  })
}

/** Interfaces that a plan let go of stay closed until uninstall, or until a workspace is on them again. */
export function closedAfter(
  closed: readonly Closed[],
  before: readonly HeldWorkspace[],
  now: readonly HeldWorkspace[],
): readonly Closed[] {
  const seats = [...closed, ...before.map(({ interface: name, mac, number }) => ({ interface: name, mac, number }))]
  const left = seats.filter((seat) => !now.some((at) => at.interface === seat.interface))
  return [...new Map(left.map((seat) => [seat.interface, seat])).values()]
}
