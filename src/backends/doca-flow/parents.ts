// The entries that lead into a workspace's chains: one for its port, one for each of its addresses. Pointing them elsewhere is
// the commit, taking them away is a quarantine: what has no parent is dropped. Where the release has no call to update an
// entry, it is taken away first and added after, closed in between.

import type { Chains } from './chains.js'
import type { Handle, Native, NewEntry, Target } from './native.js'
import { joined, u16, u32 } from './octets.js'
import type { Begins, Forward } from './program.js'
import type { Scaffold, Tracking } from './scaffold.js'

interface Parent {
  readonly pipe: Handle
  readonly key: Uint8Array
  readonly target: Target
}

const textOf = (target: Target): string =>
  `${target.kind} ${'port' in target ? target.port : 'pipe' in target ? target.pipe : ''}`
const nameOf = ({ pipe, key }: Parent): string => `${pipe} ${Buffer.from(key).toString('hex')}`

/** What the shim says of an entry that is there no more. */
const GONE = 0

export class Parents {
  /** What is in force, by pipe and key. */
  private readonly held = new Map<string, Handle>()
  /** Where each of them leads: what stays is not touched. */
  private readonly leads = new Map<string, string>()

  constructor(
    private readonly native: Native,
    private readonly scaffold: Scaffold,
    private readonly updates: boolean,
  ) {}

  handles(): readonly Handle[] {
    return [...this.held.values()]
  }

  /** Makes exactly these chains reachable, and nothing else. `open` says which workspaces are; settles once. */
  point(chains: readonly Chains[], waitMs: number): void {
    const { native, held } = this
    const wanted = new Map(chains.flatMap((one) => this.parentsOf(one)).map((parent) => [nameOf(parent), parent]))
    // Narrowing goes first.
    const gone = [...held].filter(([name]) => !wanted.has(name) || !this.updates)
    this.take(
      gone.map(([name]) => name),
      waitMs,
    )
    for (const [name, parent] of wanted) {
      const handle = held.get(name)
      if (handle === undefined || this.leads.get(name) === textOf(parent.target)) continue
      this.leads.delete(name)
      native.update('pointing a parent', handle, parent.target)
    }
    this.put([...wanted].filter(([name]) => !held.has(name)))
    native.settle('pointing the parents', waitMs)
    // Not before: after a fault nobody knows where they lead.
    for (const [name, { target }] of wanted) this.leads.set(name, textOf(target))
  }

  /** Closes one workspace, or opens it again. */
  close(chains: Chains, waitMs: number): void {
    this.take(this.parentsOf(chains).map(nameOf), waitMs)
  }

  open(chains: Chains, waitMs: number): void {
    const missing = this.parentsOf(chains).filter((parent) => !this.held.has(nameOf(parent)))
    this.put(missing.map((parent) => [nameOf(parent), parent] as const))
    this.native.settle('opening a workspace', waitMs)
  }

  /** The entries that lead into these chains and that the device says are in force. */
  inForce(chains: Chains): { readonly hook: string; readonly handle: Handle }[] {
    return this.parentsOf(chains).flatMap((parent) => {
      const handle = this.held.get(nameOf(parent))
      if (handle === undefined || !this.native.inForce([handle])) return []
      return [{ hook: parent.pipe === this.scaffold.root ? 'from port' : 'to address', handle }]
    })
  }

  private take(names: readonly string[], waitMs: number): void {
    const handles = names.flatMap((name) => this.held.get(name) ?? [])
    const gone = (name: string): void => {
      this.held.delete(name)
      this.leads.delete(name)
    }
    try {
      this.native.remove('taking parents away', handles)
      this.native.settle('taking parents away', waitMs)
    } catch (error) {
      // The device may have let go of some: the next attempt is about what is left.
      for (const name of names) {
        const handle = this.held.get(name)
        if (handle !== undefined && this.native.states([handle])[0] === GONE) gone(name)
      }
      throw error
    }
    names.forEach(gone)
  }

  private put(parents: readonly (readonly [string, Parent])[]): void {
    const byPipe = new Map<Handle, (readonly [string, Parent])[]>()
    for (const one of parents) {
      const list = byPipe.get(one[1].pipe)
      if (list) list.push(one)
      else byPipe.set(one[1].pipe, [one])
    }
    for (const [pipe, list] of byPipe) {
      const entries = list.map(([, { key, target }]): NewEntry => ({ key, target }))
      const handles = this.native.add('adding parents', pipe, entries)
      for (const [i, [name]] of list.entries()) this.held.set(name, handles[i] as Handle)
    }
  }

  private parentsOf({ at, pipes, port }: Chains): Parent[] {
    const { root, to4, to6, tracked, refused } = this.scaffold
    const into = (number: number): Target => {
      const first = pipes[number]
      if (!first) throw new TypeError('a chain has no first pipe')
      return { kind: 'pipe', pipe: first.handle }
    }
    return [
      { pipe: root, key: u16(port), target: into(at.from) },
      ...at.addresses4.map((key): Parent => ({ pipe: to4, key, target: into(at.to4) })),
      ...at.addresses6.map((key): Parent => ({ pipe: to6, key, target: into(at.to6) })),
      ...(tracked && at.begins
        ? trackedParents(tracked, at.begins, port, (to) => (to.kind === 'pipe' ? into(to.pipe) : refused))
        : []),
    ]
  }
}

const IP4 = u16(0x0800)
const IP6 = u16(0x86dd)
const WIRE = u16(0)

/** What belongs to a connection passes; the rest is asked whether it begins one. The zone is the workspace's port, both ways. */
function trackedParents(
  { belongs, begins }: Tracking,
  at: Begins,
  port: number,
  into: (forward: Forward) => Target,
): Parent[] {
  const [own, zone] = [u16(port), u32(port)]
  return [
    { pipe: belongs, key: joined(own, zone), target: { kind: 'port', port: 0 } },
    { pipe: belongs, key: joined(WIRE, zone), target: { kind: 'port', port } },
    { pipe: begins, key: joined(own, zone, IP4), target: into(at.from4) },
    { pipe: begins, key: joined(own, zone, IP6), target: into(at.from6) },
    { pipe: begins, key: joined(WIRE, zone, IP4), target: into(at.to4) },
    { pipe: begins, key: joined(WIRE, zone, IP6), target: into(at.to6) },
  ]
}
