// Explanations: the clause that allowed a packet, or the reason it was denied and what would allow it.

import { describe, expect, it } from 'vitest'
import { explain, parsePacketQuestion } from '../../../src/plan/explain.js'
import { withFlag } from '../../../src/plan/flow.js'
import { EMPTY_STATE, EXACT_ENV, type State } from '../../../src/plan/state.js'
import { egress, ingress, planOf, WS } from '../../support/plans.js'

const PLAN = planOf([
  egress('web', ['93.184.216.34', '2a05:9:9::10'], 'tcp', ['443']),
  ingress('broker', ['10.60.0.1/32'], 'tcp', ['22']),
])
const ask = (text: string, state: State = EMPTY_STATE) =>
  explain(PLAN, state, WS, parsePacketQuestion(text), 0, EXACT_ENV)

describe('explain', () => {
  it('names the clause that allowed it', () => {
    const answer = ask('tcp 10.9.0.2:40000 > 93.184.216.34:443')
    expect(answer).toMatchObject({ direction: 'from', say: 'allowed by web (fence.yaml:1)', ways: [] })
    expect(answer.grant?.prefix).toBe('93.184.216.34/32')
  })

  it('reads IPv6 and ingress', () => {
    expect(ask('tcp [fd09:0:0:1::2]:40000 > [2a05:9:9::10]:443').say).toBe('allowed by web (fence.yaml:1)')
    expect(ask('tcp 10.60.0.1:50000 > 10.9.0.2:22')).toMatchObject({
      direction: 'to',
      say: 'allowed by broker (fence.yaml:1)',
    })
  })

  it('says why not, and what would', () => {
    expect(ask('tcp 10.9.0.2:40000 > 93.184.216.34:80')).toMatchObject({
      say: 'denied: no clause grants this destination, protocol and port',
      ways: [
        'granted nearby: egress tcp 93.184.216.34/32 443',
        'add to egress of the FencePolicy: { name: NAME, cidrs: [93.184.216.34/32], protocol: tcp, ports: [80] }',
      ],
    })
    expect(ask('tcp 10.9.0.2:40000 > 169.254.169.254:80')).toMatchObject({
      say: 'denied: 169.254.169.254 lies in 169.254.0.0/16 (link-local and cloud metadata) that nothing may open',
      ways: [],
    })
    expect(ask('udp 10.9.0.2:40000 > 8.8.8.8:53').say).toBe(
      "denied: port 53 is another resolver; names are asked of the fence's own",
    )
    expect(ask('icmp-echo 10.9.0.2 > 10.1.1.1').say).toContain('lies in 10.0.0.0/8 (private)')
    expect(ask('tcp 10.9.0.9:1 > 93.184.216.34:443').say).toContain('10.9.0.9 is not an address of the workspace')
  })

  it('quarantine is stronger than every grant', () => {
    const held = withFlag(EMPTY_STATE, 'quarantined', WS, true)
    expect(ask('tcp 10.9.0.2:40000 > 93.184.216.34:443', held).say).toContain('quarantined')
  })

  it.each([
    ['tcp 10.9.0.2 > 1.1.1.1:443', '"10.9.0.2" is not an address with a port'],
    ['tcp host:1 > 1.1.1.1:443', '"host:1" is not an address with a port'],
    ['tcp 10.9.0.2:1 > 1.1.1.1:70000', '"1.1.1.1:70000" has no port from 1 to 65535'],
    ['tcp 10.9.0.2:1 > [2a05::1]:1', 'the two addresses are of different families'],
    ['what', 'not of the form PROTOCOL SOURCE > DESTINATION'],
  ])('%s is not a question', (text, why) => {
    expect(() => parsePacketQuestion(text)).toThrow(
      expect.objectContaining({
        code: 'PLAN_QUESTION_INVALID',
        message: `cannot read the packet ${JSON.stringify(text)}: ${why}`,
      }),
    )
  })
})
