// The section `export` of companion.yaml, and what sinks become for each agent.

import { describe, expect, it } from 'vitest'
import { readKeys } from '../../../src/agent/config.js'
import { utf8 } from '../../../src/base/bytes.js'
import { EXPORT_KEYS, type ExportSection } from '../../../src/companion/config-export.js'
import { forAgent } from '../../../src/companion/export-deliver.js'

const AGENT = `agents:
  - {name: n1, kind: grpc, node: "spiffe://fleet.example/node/n1", address: "10.0.0.1:7443", server_name: n1.example,
     ca: ca.pem, certificate: c.pem, key: c.key}
`
const SINKS = `sinks:
  - {name: archive, kind: file, path: "archive/{agent}.ndjson"}
  - {name: fleet, kind: nats, servers: ["tls://nats.example:4222"], stream: SLUICE, subject: "sluice.{agent}"}
`
function read(text: string) {
  const { found, notes } = readKeys(utf8(text), 'companion.yaml', '/etc/sluice', EXPORT_KEYS)
  return { section: found as unknown as ExportSection, said: notes.map(({ path, say }) => `${path}: ${say}`) }
}

describe('the section export', () => {
  it('names agents, sinks and bounds; what is left out has a bound all the same', () => {
    const { section, said } = read(AGENT + SINKS)
    expect(said).toEqual([])
    expect(section).toMatchObject({ spoolBytes: 256 << 20, maxLagMs: 60_000 })
    expect(section.agents).toEqual([
      {
        ...{ name: 'n1', kind: 'grpc', node: 'spiffe://fleet.example/node/n1', address: '10.0.0.1:7443' },
        ...{ serverName: 'n1.example', ca: '/etc/sluice/ca.pem' },
        ...{ certificate: '/etc/sluice/c.pem', key: '/etc/sluice/c.key' },
      },
    ])
    expect(section.sinks.map((sink) => forAgent(sink, 'n1'))).toMatchObject([
      { kind: 'file', path: '/etc/sluice/archive/n1.ndjson' },
      { kind: 'nats', stream: 'SLUICE', subject: 'sluice.n1' },
    ])
  })

  it("does not let an agent have the name of the companion's own trail", () => {
    expect(read(AGENT.replace('name: n1', 'name: companion') + SINKS).said).toEqual([
      "agents[0].name: expected another name than companion, which is that of the companion's own trail",
    ])
  })

  it('has no default for whose trails, and where to', () => {
    expect(read('spool_bytes: 1048576\n').said).toEqual([
      'agents: the key agents is missing',
      'sinks: the key sinks is missing',
    ])
  })
})
