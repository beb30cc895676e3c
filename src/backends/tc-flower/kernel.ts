// What the driver does to the kernel, in its own words: hooks made, rules put and taken away in pieces, refusals told apart. The
// order within a batch is the order in which the kernel does it.

import { flowerFault } from './errors.js'
import type { Native, Refusal } from './native.js'
import { PRIO, type Station } from './place.js'
import { type Found, type Rule, writeNoQdisc, writeQdisc, writeRemoval, writeRule } from './rule.js'
import { Writer } from './wire.js'

/** A few milliseconds of work; between two pieces other things have their turn. */
const PIECE = 256
const EEXIST = 17
const EOPNOTSUPP = 95

/** Interface names by number, for what a refusal is told with. */
export type Names = (ifindex: number) => string

export class Kernel {
  constructor(
    readonly native: Native,
    private readonly names: Names,
  ) {}

  /** Throws FLOWER_KERNEL where filters cannot hang on the interface. */
  makeHooks(ifindex: number): void {
    const writer = new Writer()
    writeQdisc(writer, ifindex)
    const refused = this.native.change(writer)
    if (refused && refused.errno !== EEXIST)
      throw flowerFault('FLOWER_KERNEL', { what: `a clsact on ${this.names(ifindex)}`, why: refused.why })
  }

  /** Takes the clsact away when nothing hangs on it any more. */
  dropHooks(ifindex: number): void {
    const left = (['ingress', 'egress'] as const).some((hook) => this.native.list({ ifindex, hook }).length > 0)
    if (left) return
    const writer = new Writer()
    writeNoQdisc(writer, ifindex)
    // It is not there any more, or the interface is not: that is what was wanted.
    this.native.change(writer)
  }

  /** One after another in one system call; at most 512. Throws FLOWER_NOT_OFFLOADED, FLOWER_KERNEL. */
  put(rules: readonly Rule[], replace = false): void {
    const writer = new Writer()
    for (const rule of rules) writeRule(writer, rule, replace)
    const refused = this.native.change(writer)
    if (refused) throw this.fault(refused, rules[refused.at])
  }

  async load(rules: readonly Rule[]): Promise<void> {
    for (let from = 0; from < rules.length; from += PIECE) {
      if (from > 0) await breath()
      this.put(rules.slice(from, from + PIECE))
    }
  }

  /** Throws FLOWER_KERNEL. */
  take(removals: readonly Parameters<typeof writeRemoval>[1][]): void {
    const writer = new Writer()
    for (const removal of removals) writeRemoval(writer, removal)
    const refused = this.native.change(writer)
    if (refused) throw flowerFault('FLOWER_KERNEL', { what: 'taking filters away', why: refused.why })
  }

  /**
   * Empties a chain but for the refusal that it ends in, whole priorities at a time: what lets through first, so that a packet
   * that is still on its way there finds less and less, and never nothing.
   */
  async empty({ ifindex, hook }: Station, chain: number, found: readonly Found[]): Promise<void> {
    const weight = new Map<number, { readonly etherType: number; lets: boolean }>()
    for (const { priority, etherType, cookie } of found) {
      if (priority === PRIO.last) continue
      const lets = cookie?.kind === 'grant' || cookie?.kind === 'learned' || cookie?.kind === 'plain'
      const there = weight.get(priority)
      if (there) there.lets ||= lets
      else weight.set(priority, { etherType, lets })
    }
    const order = [...weight].sort(([, a], [, b]) => Number(b.lets) - Number(a.lets))
    for (const [priority, { etherType }] of order) {
      await breath()
      this.take([{ ifindex, hook, chain, priority, etherType: TYPES[etherType] }])
    }
  }

  private fault({ errno, why }: Refusal, rule: Rule | undefined): Error {
    const filter = rule ? `the filter of chain ${rule.chain}, priority ${rule.priority}` : 'a filter'
    const name = this.names(rule?.ifindex ?? 0)
    if (rule && rule.place !== 'software' && errno === EOPNOTSUPP)
      return flowerFault('FLOWER_NOT_OFFLOADED', { interface: name, filter, why })
    return flowerFault('FLOWER_KERNEL', { what: `${filter} on ${name}`, why })
  }
}

const TYPES: Readonly<Record<number, 'ip' | 'ipv6' | 'arp'>> = { 2048: 'ip', 34525: 'ipv6', 2054: 'arp' }

/** Lets a quarantine, say, have its turn. */
export const breath = (): Promise<void> => new Promise((done) => setImmediate(done))
