// Questions as callers write them: what each resource means, and what is refused with its reason.

import { describe, expect, it } from 'vitest'
import { MAX_QUESTION, readQuestion } from '../../../src/decide/read-question.js'

const ask = (action: unknown, more: object = {}) => readQuestion(JSON.stringify({ action, ...more }))
const DIGEST = `sha256:${'a'.repeat(64)}`

describe('a question', () => {
  it.each([
    [
      { method: 'get', resource: 'https://api.example.com/v1/x?a=1&a=%32&b' },
      {
        kind: 'request',
        host: 'api.example.com',
        port: 443,
        method: 'GET',
        path: '/v1/x',
        query: { a: ['1', '2'], b: [''] },
      },
    ],
    [
      { method: 'POST', resource: 'http://[2a05::1]:8080', parameters: { address: '2a05::1', response: true } },
      {
        kind: 'request',
        host: '2a05::1',
        port: 8080,
        method: 'POST',
        path: '/',
        address: '2a05::1',
        rpcResponse: true,
      },
    ],
    [
      { method: 'POST', resource: 'https://m.example.com/mcp', tool: 'search' },
      {
        ...{ kind: 'request', host: 'm.example.com', port: 443, method: 'POST', path: '/mcp' },
        rpc: [{ method: 'tools/call', tool: 'search' }],
      },
    ],
    [
      {
        ...{ method: 'POST', resource: 'https://g.example.com/g' },
        parameters: { graphql: [{ type: 'Query', name: 'A', fields: ['x'] }, { persisted: 'abc' }] },
      },
      {
        ...{ kind: 'request', host: 'g.example.com', port: 443, method: 'POST', path: '/g' },
        graphql: [
          { type: 'query', name: 'A', fields: ['x'] },
          { type: '', name: '', fields: [], persisted: 'abc' },
        ],
      },
    ],
    [
      { method: 'GET', resource: 'ws://w.example.com/ws', parameters: { upgrade: true } },
      { kind: 'request', host: 'w.example.com', port: 80, method: 'GET', path: '/ws', upgrade: true },
    ],
    [
      { resource: 'udp://n.example.com:123', parameters: { address: '45.1.2.3' } },
      { kind: 'connect', protocol: 'udp', host: 'n.example.com', port: 123, address: '45.1.2.3' },
    ],
    [
      { resource: 'file:///etc/hosts', method: 'open' },
      { kind: 'file', operation: 'open', path: '/etc/hosts' },
    ],
    [
      { resource: 'volume://data/x', method: 'write' },
      { kind: 'file', operation: 'write', path: '/x', volume: 'data' },
    ],
    [
      { resource: 'exec:///usr/bin/git', parameters: { digest: DIGEST } },
      { kind: 'exec', path: '/usr/bin/git', digest: DIGEST },
    ],
    [
      { resource: 'process:run-as', parameters: { user: 'sandbox' } },
      { kind: 'run-as', user: 'sandbox' },
    ],
  ])('%j', (action, expected) => {
    expect(ask(action)).toEqual({ action: expected, traceId: '' })
  })

  it('says who acts', () => {
    const runtime = { executable: '/usr/bin/node', ancestors: ['/usr/bin/claude'] }
    const action = { resource: 'tcp://a.example.com:443' }
    expect(ask(action, { agent_runtime: runtime, request_trace_id: 't1' })).toMatchObject({ ...runtime, traceId: 't1' })
  })

  it('carries the agent that is named and its delegations as they came', () => {
    const action = { resource: 'tcp://a.example.com:443' }
    const delegation = [{ payload: 'x', signatures: [] }]
    const named = { agent_registration: { agent_id: 'agent-a' }, delegation }
    expect(ask(action, named)).toMatchObject({ agentId: 'agent-a', delegations: delegation })
    expect(ask(action, { agent_registration: { agent_id: 'agent-a' } })).not.toHaveProperty('delegations')
  })

  it.each([
    ['{"action":{},"delegation":[]}', 'delegation needs agent_registration: it is given to somebody'],
    ['{"action":{},"agent_registration":{}}', 'agent_id is not a text'],
    [
      '{"action":{},"agent_registration":{"agent_id":"a","state":"active"}}',
      'agent_registration has the unknown member "state"',
    ],
    ['{"action":{},"agent_registration":{"agent_id":"a"},"delegation":{}}', 'delegation is not a list of at most 64'],
    ['{', 'it is not strict JSON'],
    ['{"action":{},"action":{}}', 'it is not strict JSON'],
    [' '.repeat(MAX_QUESTION + 1), `it is longer than ${MAX_QUESTION} characters`],
    ['[]', 'the question is not an object'],
    ['{}', 'action is not an object'],
    ['{"action":{},"workspace":"x"}', 'the question has the unknown member "workspace"'],
    ['{"action":{"resource":"https://a/","method":"GET","limit":1}}', 'action has the unknown member "limit"'],
    ['{"action":{"resource":"gopher://a/"}}', 'resource has no scheme that a policy speaks of'],
    ['{"action":{"resource":"https://a.example/","method":1}}', 'method is not a text'],
    ['{"action":{"resource":"https://u@a.example:x/","method":"GET"}}', 'resource is not SCHEME://HOST/PATH'],
    ['{"action":{"resource":"https://a.example:70000/","method":"GET"}}', 'resource has no port from 1 to 65535'],
    ['{"action":{"resource":"tcp://a.example"}}', 'resource has no port from 1 to 65535'],
    ['{"action":{"resource":"tcp://a.example:1","method":"GET"}}', 'a tcp resource takes no such member'],
    ['{"action":{"resource":"https://a.example/?a=%","method":"GET"}}', 'the query is not percent-encoded UTF-8'],
    ['{"action":{"resource":"file:///x","method":"steal"}}', 'method is no operation on files'],
    ['{"action":{"resource":"file://host/x","method":"open"}}', 'resource is file:///PATH or volume://NAME/PATH'],
    ['{"action":{"resource":"exec:///x","parameters":{"digest":"x"}}}', 'digest is not sha256:...'],
    ['{"action":{"resource":"process:x"}}', 'resource is process:run-as'],
    [
      '{"action":{"resource":"https://a.example/","method":"POST","tool":"x","parameters":{"calls":[]}}}',
      'tool and parameters.calls say the same thing',
    ],
    [
      '{"action":{"resource":"https://a.example/","method":"GET","parameters":{"upgrade":"yes"}}}',
      'upgrade is not true or false',
    ],
  ])('%s: %s', (text, why) => {
    expect(readQuestion(text)).toBe(why)
  })
})
