// What one would write without us: nothing at all, a ruleset of nftables, and iptables with ipset. The rulesets do the same for the
// first packet of a flow (one set of address, protocol and port, shared by all workspaces, since all have the same grants) and let
// established flows pass first, as everybody does; they look at sources, and at nothing of the link layer.

import { execFileSync } from 'node:child_process'
import { kernelMiB } from '../machine.js'
import { type Allowed, allowedBy, type Setting, slotOf } from '../setting.js'
import type { Placed, Variant } from './variant.js'

const run = (file: string, words: readonly string[], input = ''): string =>
  execFileSync(file, words, { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 1 << 28 })

export const nothing: Variant = {
  name: 'none',
  say: 'nothing attached',
  role: 'baseline',
  emulated: false,
  absent: () => Promise.resolve(undefined),
  put: () => Promise.resolve({ lift: () => Promise.resolve() }),
}

export const handWritten: Variant = {
  name: 'hand',
  say: 'a ruleset of nftables, written by hand',
  role: 'peer',
  emulated: false,
  absent: () => answered('nft', ['list', 'tables']),
  put: (setting) => {
    const text = ruleset(setting)
    return Promise.resolve(
      timed(
        ['nft -f - < hand.nft'],
        () => run('nft', ['-f', '-'], text),
        () => run('nft', ['delete', 'table', 'inet', 'hand']),
      ),
    )
  },
}

export const ipset: Variant = {
  name: 'ipset',
  say: 'iptables with ipset',
  role: 'peer',
  emulated: false,
  // Programs, their extensions and modules of the kernel: only making it tells that all of them are there.
  absent: async () =>
    (await answered('ipset', ['list', '-name'])) ??
    (await ipset.put({ grants: 0, workspaces: 1 }).then(
      (placed) => placed.lift().then(() => undefined),
      (error: unknown) => whyNot('iptables with a set', error),
    )),
  put: async (setting) => {
    const [elements, rules4, rules6] = [sets(setting), tables(setting, 'ipv4'), tables(setting, 'ipv6')]
    return Promise.resolve(
      timed(
        ['ipset restore < sets', 'iptables-restore --noflush < rules4', 'ip6tables-restore --noflush < rules6'],
        () => {
          run('ipset', ['restore'], elements)
          run('iptables-restore', ['--noflush'], rules4)
          run('ip6tables-restore', ['--noflush'], rules6)
        },
        () => {
          const failed: unknown[] = []
          const each = (program: string, ...words: string[]): void => {
            try {
              run(program, words)
            } catch (error) {
              failed.push(error)
            }
          }
          for (const program of ['iptables', 'ip6tables']) {
            each(program, '-D', 'FORWARD', '-j', 'BENCH')
            each(program, '-F', 'BENCH')
            each(program, '-X', 'BENCH')
          }
          for (const name of ['bench4', 'bench6']) each('ipset', 'destroy', name)
          if (failed.length > 0) throw failed[0]
        },
      ),
    )
  },
}

/** The texts are built before: what is timed is loading them. */
function timed(commands: readonly string[], load: () => unknown, lift: () => unknown): Placed {
  const before = kernelMiB()
  const began = performance.now()
  try {
    load()
  } catch (error) {
    try {
      lift()
    } catch {
      // Not all of it is there to be taken away; why it is not is what was thrown first.
    }
    throw error
  }
  const stageMs = performance.now() - began
  return {
    stageMs,
    kernelMiB: Math.max(0, kernelMiB() - before),
    commands,
    lift: () => {
      lift()
      return Promise.resolve()
    },
  }
}

function answered(file: string, words: readonly string[]): Promise<string | undefined> {
  try {
    run(file, words)
    return Promise.resolve(undefined)
  } catch (error) {
    return Promise.resolve(whyNot(`${file} ${words.join(' ')}`, error))
  }
}

function whyNot(what: string, error: unknown): string {
  const { code, path, stderr } = error as { code?: string; path?: string; stderr?: string }
  if (code === 'ENOENT') return `${path ?? what} is not installed`
  return `${what}: ${stderr?.trim().split('\n')[0] ?? 'failed'}`
}

const every = (setting: Setting) => Array.from({ length: setting.workspaces }, (_, n) => slotOf(n))
const of = (family: 'ipv4' | 'ipv6', all: readonly Allowed[]): Allowed[] => all.filter((one) => one.family === family)

/** What all else is compared with: results carry it, for few grants. */
export function ruleset(setting: Setting): string {
  const all = allowedBy(setting)
  const elements = (family: 'ipv4' | 'ipv6'): string =>
    of(family, all)
      .map(({ address, protocol, port }) => `${address} . ${protocol} . ${port}`)
      .join(', ')
  const slots = every(setting)
  const sources = (i: number): string => slots.map((slot) => `"${slot.interface}" . ${slot.addresses[i]}`).join(', ')
  const names = slots.map((slot) => `"${slot.interface}"`).join(', ')
  return `table inet hand {
  set slots { type ifname; elements = { ${names} }
  }
  set sources4 { type ifname . ipv4_addr; elements = { ${sources(0)} }
  }
  set sources6 { type ifname . ipv6_addr; elements = { ${sources(1)} }
  }
  set grants4 { type ipv4_addr . inet_proto . inet_service; elements = { ${elements('ipv4')} }
  }
  set grants6 { type ipv6_addr . inet_proto . inet_service; elements = { ${elements('ipv6')} }
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
    iifname . ip saddr @sources4 ip daddr . meta l4proto . th dport @grants4 accept
    iifname . ip6 saddr @sources6 ip6 daddr . meta l4proto . th dport @grants6 accept
    iifname @slots reject with icmpx type admin-prohibited
    oifname @slots drop
  }
}
`
}

/** A machine without /etc/protocols knows no names. */
const NUMBER = { tcp: 6, udp: 17 } as const

function sets(setting: Setting): string {
  const all = allowedBy(setting)
  const size = Math.max(65_536, all.length * 2)
  return (['ipv4', 'ipv6'] as const)
    .map((family) => {
      const name = family === 'ipv4' ? 'bench4' : 'bench6'
      const kind = family === 'ipv4' ? 'inet' : 'inet6'
      const lines = of(family, all).map(
        ({ address, protocol, port }) => `add ${name} ${address},${NUMBER[protocol]}:${port}\n`,
      )
      return `create ${name} hash:ip,port family ${kind} hashsize ${size} maxelem ${size}\n${lines.join('')}`
    })
    .join('')
}

function tables(setting: Setting, family: 'ipv4' | 'ipv6'): string {
  const set = family === 'ipv4' ? 'bench4' : 'bench6'
  const rules = every(setting).flatMap(({ interface: name, addresses }) => [
    `-A BENCH -i ${name} -s ${addresses[family === 'ipv4' ? 0 : 1]} -m set --match-set ${set} dst,dst -j ACCEPT`,
    `-A BENCH -i ${name} -j REJECT`,
    `-A BENCH -o ${name} -j DROP`,
  ])
  return `*filter
:BENCH - [0:0]
-I FORWARD -j BENCH
-A BENCH -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
${rules.join('\n')}
COMMIT
`
}
