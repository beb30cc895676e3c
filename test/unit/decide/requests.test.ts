// Decisions about requests: a table of policies, each with questions and the answer that the sheet gives (sections 3 to 8).
// `allow REASON` or `deny REASON`; obligations stand behind it in brackets.

import { describe, expect, it } from 'vitest'
import { decide } from '../../../src/decide/decide.js'
import { programOf } from '../../support/decide/program.js'
import { print, question } from '../../support/decide/question.js'

const NOW = 1_800_000_000_000

/** One inspected endpoint of api.example.com for curl; `more` are lines of it. */
const endpoint = (more: string, host = 'api.example.com'): string => `
network_policies:
  api:
    endpoints:
      - host: "${host}"
        port: 443
${more.replace(/^(?=.)/gm, '        ')}
    binaries: [{ path: /usr/bin/curl }]
`

interface Table {
  readonly says: string
  readonly sandbox?: string
  readonly fence?: string
  readonly rows: readonly (readonly [question: string, answer: string])[]
}

const TABLES: readonly Table[] = [
  {
    says: 'methods and paths; HEAD satisfies GET; nothing else is allowed',
    sandbox: endpoint(`protocol: rest
enforcement: enforce
rules:
  - allow: { method: GET, path: "/repos/**" }
  - allow: { method: post, path: "/repos/*/issues" }`),
    rows: [
      ['GET https://api.example.com/repos/a', 'allow rule'],
      ['HEAD https://api.example.com/repos/a/b', 'allow rule'],
      ['POST https://api.example.com/repos/a/issues', 'allow rule'],
      ['GET https://API.Example.com./repos/a', 'allow rule'],
      ['GET https://api.example.com/repos', 'deny no-request-rule'],
      ['POST https://api.example.com/repos/a/b/issues', 'deny no-request-rule'],
      ['DELETE https://api.example.com/repos/a', 'deny no-request-rule'],
      ['GET https://api.example.com/Repos/a', 'deny no-request-rule'],
      ['GET https://api.example.com:8443/repos/a', 'deny no-grant'],
      ['GET https://www.example.com/repos/a', 'deny no-grant'],
      ['GET https://api.example.com/repos/a by /usr/bin/wget', 'deny binary'],
      ['connect tcp api.example.com:443', 'allow grant [inspect rest]'],
      ['connect udp api.example.com:443', 'deny no-grant'],
    ],
  },
  {
    says: 'paths that are not canonical are read by nobody',
    sandbox: endpoint(`protocol: rest
enforcement: enforce
access: full`),
    rows: [
      ['GET https://api.example.com/a/b', 'allow rule'],
      ['GET https://api.example.com/a%20b', 'allow rule'],
      ['GET https://api.example.com/a/.well-known/x', 'allow rule'],
      ['GET https://api.example.com/a/../b', 'deny malformed'],
      ['GET https://api.example.com/a/.', 'deny malformed'],
      ['GET https://api.example.com//a', 'deny malformed'],
      ['GET https://api.example.com/a;b=c', 'deny malformed'],
      ['GET https://api.example.com/a%2e%2E/b', 'deny malformed'],
      ['GET https://api.example.com/a%2Fb', 'deny malformed'],
      ['GET https://api.example.com/a\\b', 'deny malformed'],
      [`GET https://api.example.com/${'a'.repeat(8_191)}`, 'allow rule'],
      [`GET https://api.example.com/${'a'.repeat(8_192)}`, 'deny malformed'],
    ],
  },
  {
    says: 'allow_encoded_slash keeps %2F',
    sandbox: endpoint(`protocol: rest
enforcement: enforce
allow_encoded_slash: true
access: read-only`),
    rows: [['GET https://api.example.com/a%2Fb', 'allow rule']],
  },
  {
    says: 'access presets: read-write has no DELETE (section 4)',
    sandbox: endpoint(`protocol: rest
enforcement: enforce
access: read-write`),
    rows: [
      ['OPTIONS https://api.example.com/', 'allow rule'],
      ['PATCH https://api.example.com/x/y', 'allow rule'],
      ['DELETE https://api.example.com/x', 'deny no-request-rule'],
    ],
  },
  {
    says: 'read-only is GET, HEAD and OPTIONS',
    sandbox: endpoint(`protocol: rest
enforcement: enforce
access: read-only`),
    rows: [
      ['GET https://api.example.com/', 'allow rule'],
      ['HEAD https://api.example.com/', 'allow rule'],
      ['OPTIONS https://api.example.com/', 'allow rule'],
      ['POST https://api.example.com/', 'deny no-request-rule'],
    ],
  },
  {
    says: 'deny beats allow; a deny query needs all of its keys and one value of each',
    sandbox: endpoint(`protocol: rest
enforcement: enforce
access: full
deny_rules:
  - { method: POST, path: "/repos/*/reviews" }
  - { method: DELETE, path: "/repos/*", query: { force: "true", why: { any: ["a-*", "b"] } } }
  - { method: GET, path: "/secret/**" }`),
    rows: [
      ['POST https://api.example.com/repos/a/reviews', 'deny deny-rule'],
      ['PUT https://api.example.com/repos/a/reviews', 'allow rule'],
      ['DELETE https://api.example.com/repos/a', 'allow rule'],
      ['DELETE https://api.example.com/repos/a?force=true', 'allow rule'],
      ['DELETE https://api.example.com/repos/a?force=true&why=b', 'deny deny-rule'],
      ['DELETE https://api.example.com/repos/a?force=false&force=true&why=x&why=a-1', 'deny deny-rule'],
      ['DELETE https://api.example.com/repos/a?force=false&why=b', 'allow rule'],
      ['HEAD https://api.example.com/secret/x', 'deny deny-rule'],
    ],
  },
  {
    says: 'an allow query needs every value of each key; other keys do not matter',
    sandbox: endpoint(`protocol: rest
enforcement: enforce
rules:
  - allow: { method: GET, path: "/dl", query: { slug: "skill-*", version: { any: ["1.*", "2.*"] } } }`),
    rows: [
      ['GET https://api.example.com/dl?slug=skill-a&version=1.2', 'allow rule'],
      ['GET https://api.example.com/dl?slug=skill-a&version=2.0&x=y', 'allow rule'],
      ['GET https://api.example.com/dl?slug=skill-a', 'deny no-request-rule'],
      ['GET https://api.example.com/dl?slug=skill-a&version=1.2.3', 'deny no-request-rule'],
      ['GET https://api.example.com/dl?slug=skill-a&slug=other&version=1.2', 'deny no-request-rule'],
      ['GET https://api.example.com/dl', 'deny no-request-rule'],
    ],
  },
  {
    says: 'without enforcement: enforce the rules only audit (section 3)',
    sandbox: endpoint(`protocol: rest
rules:
  - allow: { method: GET, path: "/a" }
deny_rules:
  - { method: GET, path: "/b" }`),
    rows: [
      ['GET https://api.example.com/a', 'allow rule'],
      ['GET https://api.example.com/b', 'allow audit [log deny-rule]'],
      ['GET https://api.example.com/c', 'allow audit [log no-request-rule]'],
      ['GET https://api.example.com/../c', 'deny malformed'],
      ['GET https://api.example.com/a by /bin/sh', 'deny binary'],
    ],
  },
  {
    says: 'what a rule leaves out is read narrowly: an allow without a path allows nothing, a deny without one denies all',
    sandbox: endpoint(`protocol: rest
enforcement: enforce
rules:
  - allow: { method: GET }
  - allow: { method: PUT, path: "/a[" }
  - allow: { method: POST, path: "/**" }
  - allow: { method: PATCH, path: "/**" }
deny_rules:
  - { method: POST }
  - { path: "/x[", query: { q: "1" } }`),
    rows: [
      ['GET https://api.example.com/a', 'deny no-request-rule'],
      ['PUT https://api.example.com/a[', 'deny no-request-rule'],
      ['POST https://api.example.com/a', 'deny deny-rule'],
      ['PATCH https://api.example.com/a', 'allow rule'],
      ['PATCH https://api.example.com/a?q=1', 'deny deny-rule'],
    ],
  },
  {
    says: 'the endpoint path selects by one dialect and authorizes by the other (section 6)',
    sandbox: `
network_policies:
  api:
    endpoints:
      - { host: api.example.com, port: 443, path: "/v1/**", protocol: rest, enforcement: enforce, access: full }
      - { host: api.example.com, port: 443, path: "/v1/admin/**", protocol: rest, enforcement: enforce, access: read-only }
      - host: api.example.com
        port: 443
        path: /graphql
        protocol: graphql
        enforcement: enforce
        rules: [{ allow: { operation_type: query } }]
    binaries: [{ path: /usr/bin/curl }]
`,
    rows: [
      ['POST https://api.example.com/v1/a', 'allow rule'],
      ['GET https://api.example.com/v1', 'deny no-request-rule'],
      ['GET https://api.example.com/v2/a', 'deny no-route'],
      ['POST https://api.example.com/graphql graphql query viewer', 'allow rule'],
      ['POST https://api.example.com/graphql graphql mutation x', 'deny no-request-rule'],
      ['POST https://api.example.com/graphql', 'deny protocol'],
    ],
  },
  {
    says: 'GraphQL: every field of an allow, any field of a deny, all operations of a request',
    sandbox: endpoint(`protocol: graphql
enforcement: enforce
persisted_queries: allow_registered
graphql_persisted_queries:
  abc: { operation_type: query, operation_name: Viewer, fields: [viewer] }
  evil: { operation_type: mutation, operation_name: Gone, fields: [deleteRepository] }
rules:
  - allow: { operation_type: query, fields: [viewer, "repo*"] }
  - allow: { operation_type: mutation, operation_name: "Issue*", fields: [createIssue, deleteRepository] }
deny_rules:
  - { operation_type: mutation, fields: [deleteRepository] }`),
    rows: [
      ['POST https://api.example.com/g graphql query viewer', 'allow rule'],
      ['POST https://api.example.com/g graphql query viewer,repository', 'allow rule'],
      ['POST https://api.example.com/g graphql query viewer,secrets', 'deny no-request-rule'],
      ['POST https://api.example.com/g graphql query', 'deny no-request-rule'],
      ['POST https://api.example.com/g graphql mutation:IssueNew createIssue', 'allow rule'],
      ['POST https://api.example.com/g graphql mutation:Other createIssue', 'deny no-request-rule'],
      ['POST https://api.example.com/g graphql mutation:Issue createIssue,deleteRepository', 'deny deny-rule'],
      ['POST https://api.example.com/g graphql query viewer graphql subscription x', 'deny no-request-rule'],
      ['POST https://api.example.com/g persisted abc', 'allow rule'],
      ['POST https://api.example.com/g persisted evil', 'deny deny-rule'],
      ['POST https://api.example.com/g persisted unknown', 'deny persisted-query'],
    ],
  },
  {
    says: 'GraphQL without a registry takes no persisted query; full takes every operation',
    sandbox: endpoint(`protocol: graphql
enforcement: enforce
access: full`),
    rows: [
      ['POST https://api.example.com/g graphql subscription anything', 'allow rule'],
      ['POST https://api.example.com/g persisted abc', 'deny persisted-query'],
    ],
  },
  {
    says: 'WebSocket: the upgrade is a GET, messages are WEBSOCKET_TEXT, and GraphQL in them has the last word',
    sandbox: endpoint(`protocol: websocket
enforcement: enforce
path: /ws
rules:
  - allow: { method: GET, path: /ws }
  - allow: { operation_type: query, fields: [viewer] }`),
    rows: [
      ['GET wss://api.example.com/ws upgrade', 'allow rule'],
      ['GET wss://api.example.com/ws', 'deny protocol'],
      ['WEBSOCKET_TEXT wss://api.example.com/ws', 'deny no-request-rule'],
      ['WEBSOCKET_TEXT wss://api.example.com/ws graphql query viewer', 'allow rule'],
      ['WEBSOCKET_TEXT wss://api.example.com/ws graphql query secrets', 'deny no-request-rule'],
    ],
  },
  {
    says: 'WebSocket read-write adds messages',
    sandbox: endpoint(`protocol: websocket
enforcement: enforce
access: read-write`),
    rows: [
      ['GET wss://api.example.com/ws upgrade', 'allow rule'],
      ['WEBSOCKET_TEXT wss://api.example.com/ws', 'allow rule'],
      ['POST wss://api.example.com/ws upgrade', 'deny no-request-rule'],
    ],
  },
  {
    says: 'json-rpc: exact methods, every call of a batch, no answers from the client, no stream',
    sandbox: endpoint(`protocol: json-rpc
enforcement: enforce
path: /rpc
rules:
  - allow: { method: reports.list }
  - allow: { method: reports.search }
deny_rules:
  - { method: reports.delete }`),
    rows: [
      ['POST https://api.example.com/rpc call reports.list', 'allow rule'],
      ['POST https://api.example.com/rpc call reports.list call reports.search', 'allow rule'],
      ['POST https://api.example.com/rpc call reports.list call reports.delete', 'deny deny-rule'],
      ['POST https://api.example.com/rpc call reports.lis', 'deny no-request-rule'],
      ['POST https://api.example.com/rpc', 'deny protocol'],
      ['GET https://api.example.com/rpc', 'deny no-request-rule'],
      ['POST https://api.example.com/rpc response', 'deny response-frame'],
      ['POST https://api.example.com/other call reports.list', 'deny no-route'],
    ],
  },
  {
    says: 'json-rpc under audit still refuses an answer',
    sandbox: endpoint(`protocol: json-rpc
rules: [{ allow: { method: "*" } }]`),
    rows: [
      ['POST https://api.example.com/ call anything.at.all', 'allow rule'],
      ['POST https://api.example.com/ response', 'deny response-frame'],
    ],
  },
  {
    says: 'mcp: tools by name, answers and the receive stream pass, strict names',
    sandbox: endpoint(`protocol: mcp
enforcement: enforce
path: /mcp
rules:
  - allow: { method: initialize }
  - allow: { method: tools/list }
  - allow: { method: tools/call, tool: { any: ["search_*", list_tools] } }
  - allow: { method: tools/call, params: { name: by.name } }
deny_rules:
  - { method: tools/call, tool: search_secret }`),
    rows: [
      ['POST https://api.example.com/mcp call initialize', 'allow rule'],
      ['POST https://api.example.com/mcp call tools/call:search_web', 'allow rule'],
      ['POST https://api.example.com/mcp call tools/call:by.name', 'allow rule'],
      ['POST https://api.example.com/mcp call tools/call:search_secret', 'deny deny-rule'],
      ['POST https://api.example.com/mcp call tools/call:search.web', 'deny no-request-rule'],
      ['POST https://api.example.com/mcp call tools/call:send_email', 'deny no-request-rule'],
      ['POST https://api.example.com/mcp call tools/call:se/nd', 'deny malformed'],
      ['POST https://api.example.com/mcp call tools/call', 'deny malformed'],
      ['POST https://api.example.com/mcp call resources/read', 'deny no-request-rule'],
      ['POST https://api.example.com/mcp response', 'allow rule'],
      ['GET https://api.example.com/mcp', 'allow rule'],
      ['DELETE https://api.example.com/mcp', 'deny no-request-rule'],
    ],
  },
  {
    says: 'mcp method profile: known methods, and tools only as rules about single tools say',
    sandbox: endpoint(`protocol: mcp
enforcement: enforce
mcp: { allow_all_known_mcp_methods: true }
rules:
  - allow: { tool: read_status }`),
    rows: [
      ['POST https://api.example.com/mcp call resources/read', 'allow rule'],
      ['POST https://api.example.com/mcp call tools/call:read_status', 'allow rule'],
      ['POST https://api.example.com/mcp call tools/call:other', 'deny no-request-rule'],
      ['POST https://api.example.com/mcp call made/up', 'deny no-request-rule'],
    ],
  },
  {
    says: 'mcp method profile alone admits every tool',
    sandbox: endpoint(`protocol: mcp
enforcement: enforce
mcp: { allow_all_known_mcp_methods: true }`),
    rows: [['POST https://api.example.com/mcp call tools/call:other', 'allow rule']],
  },
  {
    says: 'hosts: one label for *, any number for ** (section 6)',
    sandbox: endpoint(
      `protocol: rest
enforcement: enforce
access: read-only`,
      '*.s3.*.example.com',
    ),
    rows: [
      ['GET https://bucket.s3.us-east-1.example.com/', 'allow rule'],
      ['GET https://s3.us-east-1.example.com/', 'deny no-grant'],
      ['GET https://bucket.s3.dualstack.us-east-1.example.com/', 'deny no-grant'],
      ['GET https://BUCKET.S3.us-east-1.Example.com/', 'allow rule'],
    ],
  },
  {
    says: 'programs: the one that acts, those that started it, globs that stop at slashes; argv never',
    sandbox: `
network_policies:
  a:
    endpoints: [{ host: a.example.com, port: 443 }]
    binaries: [{ path: /usr/bin/claude }, { path: "/home/*/bin/tool" }, { path: "/opt/**/run" }]
  b:
    endpoints: [{ host: b.example.com, port: 443 }]
`,
    rows: [
      ['connect tcp a.example.com:443 by /usr/bin/claude', 'allow grant'],
      ['connect tcp a.example.com:443 by /usr/bin/node under /usr/bin/claude', 'allow grant'],
      ['connect tcp a.example.com:443 by /home/u/bin/tool', 'allow grant'],
      ['connect tcp a.example.com:443 by /home/u/v/bin/tool', 'deny binary'],
      ['connect tcp a.example.com:443 by /opt/a/b/run', 'allow grant'],
      ['connect tcp a.example.com:443 by /usr/bin/node', 'deny binary'],
      // Section 7: a rule that lists no program allows nothing.
      ['connect tcp b.example.com:443 by /usr/bin/claude', 'deny no-grant'],
    ],
  },
  {
    says: 'addresses: allowed_ips narrows, reserved ones stay shut, some are never opened (section 8)',
    sandbox: `
network_policies:
  a:
    endpoints:
      - { host: a.example.com, port: 443, allowed_ips: ["45.0.0.0/8", "10.0.5.0/24"] }
      - { host: b.example.com, port: 443 }
      - { port: 9443, allowed_ips: ["172.16.0.0/12"] }
      - { host: 45.76.10.10, port: 8080 }
    binaries: [{ path: /usr/bin/curl }]
`,
    rows: [
      ['connect tcp a.example.com:443', 'allow grant [address-within 10.0.5.0/24 45.0.0.0/8]'],
      ['connect tcp a.example.com:443 at 45.1.2.3', 'allow grant'],
      ['connect tcp a.example.com:443 at 46.1.2.3', 'deny address-not-granted'],
      ['connect tcp a.example.com:443 at 10.0.5.1', 'deny reserved'],
      ['connect tcp b.example.com:443 at 10.0.5.1', 'deny reserved'],
      ['connect tcp b.example.com:443 at 169.254.169.254', 'deny never-address'],
      ['connect tcp b.example.com:443 at nonsense', 'deny malformed'],
      ['connect tcp any.thing.example:9443 at 172.16.3.4', 'allow grant'],
      ['connect tcp any.thing.example:9443', 'allow grant [address-within 172.16.0.0/12]'],
      ['connect tcp any.thing.example:9443 at 45.1.2.3', 'deny no-grant'],
      ['connect tcp 172.16.3.4:9443', 'allow grant'],
      ['connect tcp 45.76.10.10:8080', 'allow grant'],
      ['connect tcp 45.76.10.11:8080', 'deny no-grant'],
      ['connect tcp 127.0.0.1:8080', 'deny never-address'],
      ['connect tcp localhost:8080', 'deny blocked-name'],
    ],
  },
  {
    says: 'the FencePolicy grants to every program; pins open what they list; ranges leave out sensitive ports',
    fence: `egress:
  - { name: db, hosts: [db.example.com], protocol: tcp, ports: [5432] }
  - { name: ntp, hosts: ["*.pool.example.org"], protocol: udp, ports: [123] }
  - { name: wide, cidrs: [45.0.0.0/8], protocol: tcp, ports: ["1000-9999"] }
dns: { pins: { db.example.com: [10.1.2.3] } }`,
    rows: [
      ['connect tcp db.example.com:5432 by /any/thing', 'allow grant [address-within 10.1.2.3]'],
      ['connect tcp db.example.com:5432 at 10.1.2.3', 'allow grant'],
      ['connect tcp db.example.com:5432 at 46.1.2.3', 'deny address-not-granted'],
      ['connect udp a.pool.example.org:123', 'allow grant'],
      ['connect tcp a.pool.example.org:123', 'deny no-grant'],
      ['connect tcp 45.1.2.3:8000', 'allow grant'],
      ['connect tcp 45.1.2.3:2379', 'deny no-grant'],
      ['GET http://45.1.2.3:8000/x', 'allow grant'],
    ],
  },
  {
    says: 'a plain endpoint beside an inspected one takes nothing from its rules',
    sandbox: `
network_policies:
  a:
    endpoints: [{ host: a.example.com, port: 443, protocol: rest, enforcement: enforce, access: read-only }]
    binaries: [{ path: /usr/bin/curl }]
  b:
    endpoints: [{ host: a.example.com, port: 443 }]
    binaries: [{ path: /usr/bin/curl }, { path: /usr/bin/git }]
`,
    rows: [
      ['POST https://a.example.com/', 'deny no-request-rule'],
      ['GET https://a.example.com/', 'allow rule'],
      ['POST https://a.example.com/ by /usr/bin/git', 'allow grant'],
    ],
  },
  {
    says: 'deny of one rule holds for a request that another rule allows, for the same program only',
    sandbox: `
network_policies:
  a:
    endpoints: [{ host: a.example.com, port: 443, protocol: rest, enforcement: enforce, access: full }]
    binaries: [{ path: /usr/bin/curl }, { path: /usr/bin/git }]
  b:
    endpoints:
      - host: a.example.com
        port: 443
        protocol: rest
        enforcement: enforce
        access: read-only
        deny_rules: [{ method: "*", path: "/secret" }]
    binaries: [{ path: /usr/bin/curl }]
`,
    rows: [
      ['POST https://a.example.com/x', 'allow rule'],
      ['POST https://a.example.com/secret', 'deny deny-rule'],
      ['POST https://a.example.com/secret by /usr/bin/git', 'allow rule'],
    ],
  },
  {
    says: 'writes that are marked for review carry the obligation',
    fence: 'review: [requests, tools]',
    sandbox: `
network_policies:
  a:
    endpoints:
      - { host: a.example.com, port: 443, protocol: rest, enforcement: enforce, access: full }
      - { host: g.example.com, port: 443, protocol: graphql, enforcement: enforce, access: full }
      - host: m.example.com
        port: 443
        protocol: mcp
        enforcement: enforce
        mcp: { allow_all_known_mcp_methods: true }
    binaries: [{ path: /usr/bin/curl }]
`,
    rows: [
      ['GET https://a.example.com/', 'allow rule'],
      ['POST https://a.example.com/', 'allow rule [review requests]'],
      ['POST https://g.example.com/ graphql query x', 'allow rule'],
      ['POST https://g.example.com/ graphql query x graphql mutation y', 'allow rule [review requests]'],
      ['POST https://m.example.com/ call tools/list', 'allow rule'],
      ['POST https://m.example.com/ call tools/call:x', 'allow rule [review tools]'],
    ],
  },
]

describe.each(TABLES)('$says', ({ sandbox, fence, rows }) => {
  const program = programOf({
    ...(sandbox === undefined ? {} : { sandbox }),
    ...(fence === undefined ? {} : { fence }),
  })

  it.each(rows)('%s', (line, answer) => {
    const { asking, action } = question(line)
    expect(print(decide(program, asking, action, NOW))).toBe(answer)
  })
})
