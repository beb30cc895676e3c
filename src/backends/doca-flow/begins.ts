// What belongs to no tracked connection: only what may begin one is asked about, and what a grant allows goes to the agent, which
// adds the connection and sends the packet on. Sources and soundness were judged before.

import { ask, type Chain, each } from './chain.js'
import { byFlags, question, type Site, withLearned } from './lower.js'
import { u8 } from './octets.js'
import { type Begins, type Entry, type Forward, REFUSE } from './program.js'

/** As the parser numbers them. */
const PARSED = { tcp: 1, udp: 2 } as const

/** By direction and family. */
export const beginnings = (chain: Chain, at: Site): Begins => ({
  from4: split(chain, 'from begins4', from(chain, at, 4)),
  from6: split(chain, 'from begins6', from(chain, at, 6)),
  to4: split(chain, 'to begins4', to(chain, at, 4)),
  to6: split(chain, 'to begins6', to(chain, at, 6)),
})

interface Ways {
  readonly tcp: Forward
  readonly udp: Forward
}

function from(chain: Chain, at: Site, family: 4 | 6): Ways {
  const egress = (protocol: 'tcp' | 'udp', name: string): Forward => {
    const asked = question(at, family, protocol, 'from egress', REFUSE)
    return withLearned(chain, at, { ...asked, miss: ask(chain, asked) }, name)
  }
  return { tcp: byFlags(chain, `from flags${family}`, egress('tcp', 'from opens'), REFUSE), udp: egress('udp', 'from') }
}

function to(chain: Chain, at: Site, family: 4 | 6): Ways {
  const ingress = (protocol: 'tcp' | 'udp'): Forward => ask(chain, question(at, family, protocol, 'to ingress', REFUSE))
  return { tcp: byFlags(chain, `to flags${family}`, ingress('tcp'), REFUSE), udp: ingress('udp') }
}

/** Nothing else is ever tracked. */
function split(chain: Chain, name: string, ways: Ways): Forward {
  if (ways.tcp.kind !== 'pipe' && ways.udp.kind !== 'pipe') return REFUSE
  const entries = (['tcp', 'udp'] as const).map((way): Entry => ({ key: u8(PARSED[way]), forward: ways[way] }))
  return chain.add({ name, kind: 'basic', transport: 'none', fields: [each('l4')], miss: REFUSE, entries })
}
