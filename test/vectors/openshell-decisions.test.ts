// Decisions over the OpenShell corpus. First a table: files of the corpus with questions about them, the answer, and the words
// of the sheet (section) that decide. Then every accepted file, question by question from what stands in it: each host, program,
// path and user that it names, and their neighbours that it does not.

import { describe, expect, it } from 'vitest'
import { corpusBytes, corpusRows, wrapped } from '../../scripts/corpus-rows.mjs'
import { decide } from '../../src/decide/decide.js'
import type { Action } from '../../src/decide/model.js'
import type { SandboxEndpoint, SandboxPolicy, SandboxRule } from '../../src/policy/sandbox-policy/model.js'
import { policyOf, programOf } from '../support/decide/program.js'
import { print, question } from '../support/decide/question.js'
import { WS } from '../support/plans.js'

const NOW = 1_800_000_000_000
const folder = process.env.SLUICE_POLICIES

const OPA = '_extracted-from-rust-tests/crates__openshell-supervisor-network__src__opa.rs'
const RELAY = '_extracted-from-rust-tests/crates__openshell-supervisor-network__src__l7__relay.rs'
const PARSER = '_extracted-from-rust-tests/crates__openshell-policy__src__lib.rs'
const L7 = '_extracted-from-rust-tests/crates__openshell-supervisor-network__src__l7'
const DATA = 'OpenShell/crates/openshell-supervisor-network/testdata/sandbox-policy.yaml'

interface Table {
  readonly file: string
  /** The words of the sheet. */
  readonly sheet: string
  readonly rows: readonly (readonly [string, string])[]
}

const TABLES: readonly Table[] = [
  {
    file: `${OPA}/042__wildcard_host_matches_subdomain.yaml`,
    sheet: '6: *.example.com yes api.example.com, no deep.sub.example.com, no example.com',
    rows: [
      ['connect tcp api.example.com:443', 'allow grant'],
      ['connect tcp deep.sub.example.com:443', 'deny no-grant'],
      ['connect tcp example.com:443', 'deny no-grant'],
    ],
  },
  {
    file: `${OPA}/043__wildcard_host_rejects_deep_subdomain.yaml`,
    sheet: '6: * does not cross a dot',
    rows: [['connect tcp deep.sub.example.com:443', 'deny no-grant']],
  },
  {
    file: `${OPA}/044__wildcard_host_rejects_exact_domain.yaml`,
    sheet: '6: *.example.com, no example.com',
    rows: [['connect tcp example.com:443', 'deny no-grant']],
  },
  {
    file: `${OPA}/045__wildcard_host_case_insensitive.yaml`,
    sheet: '6: *.EXAMPLE.COM yes api.example.com',
    rows: [['connect tcp api.example.com:443', 'allow grant']],
  },
  {
    file: `${OPA}/049__wildcard_host_middle_label_matches_one_region_label.yaml`,
    sheet: '6: *.s3.*.amazonaws.com yes my-bucket.s3.us-east-1.amazonaws.com',
    rows: [['connect tcp my-bucket.s3.us-east-1.amazonaws.com:443', 'allow grant']],
  },
  {
    file: `${OPA}/050__wildcard_host_middle_label_does_not_match_missing_bucket_label.yaml`,
    sheet: '6: no s3.us-east-1.amazonaws.com',
    rows: [['connect tcp s3.us-east-1.amazonaws.com:443', 'deny no-grant']],
  },
  {
    file: `${OPA}/051__wildcard_host_middle_label_does_not_skip_dualstack_label.yaml`,
    sheet: '6: no my-bucket.s3.dualstack.us-east-1.amazonaws.com',
    rows: [['connect tcp my-bucket.s3.dualstack.us-east-1.amazonaws.com:443', 'deny no-grant']],
  },
  {
    file: `${OPA}/002__glob_pattern_matches_binary.yaml`,
    sheet: '6: exact path, any ancestor exact path, or glob on executable or ancestors',
    rows: [
      ['connect tcp example.com:443 by /usr/bin/node', 'allow grant'],
      ['connect tcp example.com:443 by /usr/local/bin/node', 'deny binary'],
    ],
  },
  {
    file: `${OPA}/003__glob_pattern_matches_ancestor.yaml`,
    sheet: '6: any ancestor',
    rows: [['connect tcp example.com:443 by /usr/bin/python3 under /usr/local/bin/claude', 'allow grant']],
  },
  {
    file: `${OPA}/004__glob_pattern_no_cross_segment.yaml`,
    sheet: '6: binary path, separator /, * does not cross',
    rows: [
      ['connect tcp example.com:443 by /usr/bin/subdir/node', 'deny binary'],
      ['connect tcp example.com:443 by /usr/bin/node', 'allow grant'],
    ],
  },
  {
    file: `${OPA}/009__l7_websocket_graphql_not_bypassed_by_generic_text_rule.yaml`,
    sheet: '5: GraphQL rules beside WEBSOCKET_TEXT are refused, so this file has no decisions',
    rows: [],
  },
  {
    file: `${OPA}/010__l7_endpoint_path_scopes_rest_and_graphql_on_same_host.yaml`,
    sheet: "6: the endpoint path decides which endpoint's settings apply, and both dialects must match",
    rows: [
      ['GET https://api.github.test/repos/NVIDIA/OpenShell', 'allow rule'],
      ['POST https://api.github.test/graphql graphql query viewer', 'allow rule'],
      ['POST https://api.github.test/graphql graphql mutation createIssue', 'deny no-request-rule'],
      ['GET https://api.github.test/repos', 'deny no-request-rule'],
      ['GET https://api.github.test/user', 'deny no-route'],
    ],
  },
  {
    file: `${OPA}/014__l7_mcp_response_post_is_allowed_for_matching_endpoint.yaml`,
    sheet: '5: rules of mcp are about methods of calls',
    rows: [
      ['POST http://mcp.response.test:8000/mcp call initialize', 'allow rule'],
      ['POST http://mcp.response.test:8000/mcp response', 'allow rule'],
      ['POST http://mcp.response.test:8000/mcp call tools/list', 'deny no-request-rule'],
    ],
  },
  {
    file: `${OPA}/015__l7_jsonrpc_unlisted_method_is_denied.yaml`,
    sheet: '5: json-rpc: exact method or *',
    rows: [
      ['POST http://jsonrpc.methods.test:8000/rpc call initialize', 'allow rule'],
      ['POST http://jsonrpc.methods.test:8000/rpc call tools/list', 'deny no-request-rule'],
    ],
  },
  {
    file: `${OPA}/016__l7_method_rules_require_post.yaml`,
    sheet: '7: deny beats allow',
    rows: [
      ['POST http://jsonrpc.post.test:8000/rpc call initialize', 'allow rule'],
      ['GET http://jsonrpc.post.test:8000/rpc call initialize', 'deny no-request-rule'],
      ['POST http://jsonrpc.post.test:8000/rpc call reports.archive', 'deny deny-rule'],
    ],
  },
  {
    file: `${OPA}/019__l7_jsonrpc_allow_all_still_allows_any_method.yaml`,
    sheet: '5: json-rpc: exact method or *',
    rows: [['POST http://jsonrpc.allow-all.test:8000/rpc call reports.delete', 'allow rule']],
  },
  {
    file: `${OPA}/021__l7_mcp_method_profile_allows_all_tools.yaml`,
    sheet: '3: mcp.allow_all_known_mcp_methods',
    rows: [
      ['POST http://mcp.default.test:8000/mcp call tools/call:anything', 'allow rule'],
      ['POST http://mcp.default.test:8000/mcp call resources/list', 'allow rule'],
    ],
  },
  {
    file: `${OPA}/033__network_action_with_dev_policy.yaml`,
    sheet: '8: allowed_ips: every resolved address must be inside; 7: a hostless endpoint matches any name on its port',
    rows: [
      ['connect tcp api.github.com:443', 'allow grant'],
      ['connect tcp my-service.corp.net:8080', 'allow grant [address-within 10.0.5.0/24]'],
      ['connect tcp anything.example.com:9443 at 172.16.9.9', 'allow grant'],
      ['connect tcp anything.example.com:9443 at 192.168.1.2', 'deny no-grant'],
      ['connect tcp x.corp.net:443', 'allow grant'],
    ],
  },
  {
    file: `${OPA}/037__multi_port_endpoint_matches_first_port.yaml`,
    sheet: '7: L4 allow iff some rule has a matching endpoint (host and port) and a matching binary',
    rows: [['connect tcp api.example.com:443', 'allow grant']],
  },
  {
    file: `${OPA}/039__multi_port_endpoint_rejects_unlisted_port.yaml`,
    sheet: '7: L4 default: deny',
    rows: [['connect tcp api.example.com:80', 'deny no-grant']],
  },
  {
    file: `${OPA}/055__l7_multi_port_request_evaluation.yaml`,
    sheet: '7: endpoint by host and port',
    rows: [
      ['GET http://api.example.com:8080/anything', 'allow rule'],
      ['GET http://api.example.com:9090/anything', 'allow rule'],
      ['DELETE http://api.example.com:8080/anything', 'deny no-request-rule'],
      ['GET http://api.example.com:7070/anything', 'deny no-grant'],
    ],
  },
  {
    file: `${OPA}/054__wildcard_host_l7_endpoint_config_returned.yaml`,
    sheet: '6: hosts by wildcard, paths **',
    rows: [
      ['GET http://api.example.com:8080/x/y', 'allow rule'],
      ['POST http://api.example.com:8080/x', 'deny no-request-rule'],
    ],
  },
  {
    file: `${RELAY}/009__mcp_test_relay_context.yaml`,
    sheet: '5: rules of mcp',
    rows: [
      ['POST http://mcp.example.test:8000/mcp call initialize by /usr/bin/python3', 'allow rule'],
      ['POST http://mcp.example.test:8000/mcp call tools/call:x by /usr/bin/python3', 'deny no-request-rule'],
    ],
  },
  {
    file: `${RELAY}/010__graphql_test_relay_context.yaml`,
    sheet: '5: graphql fields',
    rows: [
      ['POST http://graphql.example.test:8000/graphql graphql query viewer by /usr/bin/python3', 'allow rule'],
      [
        'POST http://graphql.example.test:8000/graphql graphql query viewer,x by /usr/bin/python3',
        'deny no-request-rule',
      ],
    ],
  },
  {
    file: `${RELAY}/027__jsonrpc_batch_evaluates_each_call.yaml`,
    sheet: '7: deny beats allow, in every call of a batch',
    rows: [
      ['POST https://api.example.test/ call reports.list call reports.search by /usr/bin/node', 'allow rule'],
      ['POST https://api.example.test/ call reports.list call reports.delete by /usr/bin/node', 'deny deny-rule'],
      ['POST https://api.example.test/ call reports.list call reports.other by /usr/bin/node', 'deny no-request-rule'],
    ],
  },
  {
    file: `${RELAY}/031__route_selected_jsonrpc_response_frame_hard_denies_under_audit.yaml`,
    sheet: '3: allow_encoded_slash keeps %2F in paths of its own endpoint',
    rows: [
      ['GET https://gateway.example.test/repos/a%2Fb by /usr/bin/node', 'allow rule'],
      ['GET https://gateway.example.test/admin/a%2Fb by /usr/bin/node', 'deny malformed'],
      ['GET https://gateway.example.test/admin/a by /usr/bin/node', 'allow rule'],
    ],
  },
  {
    file: `${PARSER}/019__parse_deny_rules_from_yaml.yaml`,
    sheet: '3: enforcement defaults to audit; 4: read-write has no DELETE',
    rows: [
      ['POST https://api.github.com/repos/a/pulls', 'allow rule'],
      ['POST https://api.github.com/repos/a/pulls/1/reviews', 'allow audit [log deny-rule]'],
      ['DELETE https://api.github.com/repos/a', 'allow audit [log no-request-rule]'],
    ],
  },
  {
    file: `${PARSER}/021__parse_deny_rules_with_query_any.yaml`,
    sheet: '7: a deny query fires only if every configured key is present and one value of each matches',
    rows: [
      ['POST https://api.example.com/action?type=admin-x', 'allow audit [log deny-rule]'],
      ['POST https://api.example.com/action?type=user', 'allow rule'],
      ['POST https://api.example.com/action', 'allow rule'],
    ],
  },
  {
    file: `${PARSER}/022__round_trip_preserves_graphql_policy_fields.yaml`,
    sheet: '3: persisted_queries: allow_registered; 7: deny beats allow',
    rows: [
      ['POST https://api.github.com/graphql persisted abc123', 'allow rule'],
      ['POST https://api.github.com/graphql persisted other', 'deny persisted-query'],
      ['POST https://api.github.com/graphql graphql mutation:IssueCreate createIssue', 'allow rule'],
      ['POST https://api.github.com/graphql graphql mutation:Repo createIssue', 'deny no-request-rule'],
      ['POST https://api.github.com/graphql graphql mutation:IssueX deleteRepository', 'deny deny-rule'],
    ],
  },
  {
    file: `${PARSER}/024__parse_mcp_rules_to_runtime_fields.yaml`,
    sheet: '5: tool or params.name, any',
    rows: [
      ['POST https://mcp.example.com/mcp call tools/call:search_web', 'allow rule'],
      ['POST https://mcp.example.com/mcp call tools/call:send_email', 'deny deny-rule'],
      ['POST https://mcp.example.com/mcp call tools/call:other', 'deny no-request-rule'],
    ],
  },
  {
    file: `${L7}__graphql.rs/000__absolute_form_chunked_graphql_post_is_allowed_by_field_policy.yaml`,
    sheet: '5: graphql operation_type and fields',
    rows: [
      ['POST http://host.openshell.internal:8080/graphql graphql query viewer by /usr/bin/python3', 'allow rule'],
      [
        'POST http://host.openshell.internal:8080/g graphql mutation deleteRepository by /usr/bin/python3',
        'deny deny-rule',
      ],
    ],
  },
  {
    file: DATA,
    sheet: '6: programs and paths; 2: filesystem_policy and process',
    rows: [
      ['connect tcp api.anthropic.com:443 by /usr/local/bin/claude', 'allow grant'],
      ['connect tcp api.anthropic.com:443 by /usr/bin/python3 under /usr/local/bin/claude', 'allow grant'],
      ['connect tcp api.anthropic.com:443 by /usr/bin/python3', 'deny binary'],
      ['connect tcp gitlab.com:443 by /usr/bin/glab', 'allow grant'],
      ['connect tcp evil.example.com:443 by /usr/local/bin/claude', 'deny no-grant'],
      ['GET https://github.com/NVIDIA/x/info/refs by /usr/bin/git', 'allow rule'],
      ['POST https://github.com/NVIDIA/x/git-upload-pack by /usr/bin/git', 'allow rule'],
      ['POST https://github.com/NVIDIA/x/git-receive-pack by /usr/bin/git', 'deny no-request-rule'],
      ['connect tcp api.github.com:443 by /home/u/.local/bin/copilot', 'allow grant'],
      ['connect tcp api.github.com:443 by /home/u/v/.local/bin/copilot', 'deny binary'],
      ['file open /usr/bin/git', 'allow file'],
      ['file open-write /usr/bin/git', 'deny read-only'],
      ['file create /tmp/x', 'allow file'],
      ['file open /home/u/.ssh/id', 'deny no-rule'],
      ['run-as user:sandbox,group:sandbox', 'allow user'],
      ['run-as user:root', 'deny user-denied'],
    ],
  },
]

describe('decisions over the OpenShell corpus', () => {
  if (folder === undefined) {
    it.skip('skipped: SLUICE_POLICIES does not name the folder of policies', () => {})
    return
  }
  const rows = corpusRows(folder).filter(({ wrap }) => !['template', 'profile'].includes(wrap))
  const accepted = rows.filter(({ compat, wrap }) => compat === 'accept' && wrap !== 'preset')
  const documents = (row: (typeof rows)[number]) => ({
    sandbox: wrapped(corpusBytes(folder, row), row.wrap).toString('utf8'),
    profile: 'compat' as const,
    role: row.role,
  })

  for (const { file, sheet, rows: cases } of TABLES) {
    const row = rows.find((one) => one.file === file)
    it(`${file} is in the corpus`, () => {
      expect(row?.file).toBe(file)
    })
    for (const [line, answer] of cases)
      it(`${file}: ${line} (${sheet})`, () => {
        if (!row) throw new Error(`${file} is not in the corpus`)
        const { asking, action } = question(line)
        expect(print(decide(programOf(documents(row)), asking, action, NOW))).toBe(answer)
      })
    if (cases.length === 0)
      it(`${file}: ${sheet}`, () => {
        expect(row?.compat).toBe('reject')
      })
  }

  it.each(accepted.map((row) => [`${row.file} ${row.role}`, row] as const))('every word of %s', (_name, row) => {
    const policy = policyOf(documents(row)).sandbox
    if (!policy) throw new Error('the file has no policy')
    const program = programOf(documents(row))
    for (const [action, by, expected] of questionsOf(policy)) {
      const asking = {
        workspace: WS,
        quarantined: false,
        suspended: false,
        ...(by === undefined ? {} : { executable: by }),
      }
      const { decision, reason } = decide(program, asking, action, NOW)
      expect(`${decision} ${reason}`, `${JSON.stringify(action)} by ${by}`).toMatch(expected)
    }
  })
})

type Case = readonly [action: Action, by: string | undefined, expected: RegExp]

const STRANGER = '/nonexistent/stranger'

/** What a document says of itself, in questions: each expectation is a sentence of the sheet, not a reading of our code. */
function questionsOf(policy: SandboxPolicy): Case[] {
  return [
    ...policy.rules.flatMap((rule) => rule.endpoints.flatMap((endpoint) => ofEndpoint(rule, endpoint))),
    ...ofFiles(policy),
    ...ofUsers(policy),
  ]
}

/** A name that the pattern admits, by writing something plain for each star. */
const named = (pattern: string): string => pattern.replaceAll('**', 'a.b').replaceAll('*', 'x')
const program = (glob: string): string => glob.replaceAll('**', 'a/b').replaceAll('*', 'x')

function ofEndpoint(rule: SandboxRule, endpoint: SandboxEndpoint): Case[] {
  const [port = 0] = endpoint.ports
  const host =
    endpoint.host.kind === 'address'
      ? (endpoint.host.prefix.split('/')[0] ?? '')
      : 'name' in endpoint.host
        ? named(endpoint.host.name)
        : 'any.example.com'
  const connect: Action = { kind: 'connect', protocol: 'tcp', host, port }
  // Section 7: L4 allow iff a matching endpoint and a matching binary; a rule with an empty list matches no binary.
  if (rule.binaries.length === 0 || endpoint.blocked)
    return [[connect, STRANGER, /^deny (no-grant|binary|never-address|blocked-name)$/]]
  const by = program(rule.binaries[0] ?? '')
  const cases: Case[] = [
    [connect, by, /^allow grant$/],
    [connect, undefined, /^deny binary$/],
    // Trap 1 of the transport: anything but TCP is not said by the schema at all (section 15).
    [{ ...connect, protocol: 'udp' }, by, /^deny no-grant$/],
    [{ ...connect, port: 1 }, by, /^deny (no-grant|binary)$/],
  ]
  if (endpoint.host.kind !== 'address')
    cases.push([{ ...connect, address: '169.254.169.254' }, by, /^deny never-address$/])
  const terms = endpoint.requests
  if (!terms) return cases
  const request: Action = { kind: 'request', host, port, method: 'GET', path: '/%2e%2e/etc' }
  // What is not canonical is refused before any rule is read (section 6, row `rule path`), audit or not.
  cases.push([request, by, /^deny malformed$/])
  const isPlain = endpoint.protocol === 'rest' && terms.path === '' && terms.deny.length === 0
  if (
    isPlain &&
    terms.allow.every(({ method, pathGlob, query }) => method !== undefined && pathGlob === '**' && query.length === 0)
  )
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
      const listed = terms.allow.some(
        (one) => one.method === '*' || one.method === method || (one.method === 'GET' && method === 'HEAD'),
      )
      // Section 3: not `enforce` is audit: log and allow.
      const expected = listed
        ? /^allow rule$/
        : terms.enforce
          ? /^(deny no-request-rule|allow rule)$/
          : /^allow (audit|rule)$/
      cases.push([{ ...request, method, path: '/a/b' }, by, expected])
    }
  return cases
}

function ofFiles({ filesystem }: SandboxPolicy): Case[] {
  const file = (operation: 'open' | 'open-write', path: string): Action => ({ kind: 'file', operation, path })
  const clean = (path: string): string => path.replace(/(?!^)\/+$/, '')
  return [
    ...(filesystem?.readWrite ?? []).map(clean).flatMap((path): Case[] => [
      [file('open', path), undefined, /^allow file$/],
      [file('open-write', `${path}/x`), undefined, /^allow file$/],
    ]),
    ...(filesystem?.readOnly ?? []).map(clean).flatMap((path): Case[] => [
      [file('open', path), undefined, /^allow file$/],
      // Rights add up: what lies under a read_write path too is writable.
      [file('open-write', path), undefined, /^(deny read-only|allow file)$/],
    ]),
    [
      file('open', '/nonexistent/stranger'),
      undefined,
      filesystem?.readOnly.includes('/') ? /^allow file$/ : /^deny no-rule$/,
    ],
  ]
}

function ofUsers({ process }: SandboxPolicy): Case[] {
  const cases: Case[] = [[{ kind: 'run-as', user: 'root' }, undefined, /^deny user-denied$/]]
  if (process?.user !== undefined) cases.push([{ kind: 'run-as', user: process.user }, undefined, /^allow user$/])
  if (process?.group !== undefined) cases.push([{ kind: 'run-as', group: process.group }, undefined, /^allow user$/])
  return cases
}
