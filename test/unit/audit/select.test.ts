// Filters and redaction: what a sink gets to see, and what it always does.

import { describe, expect, it } from 'vitest'
import { selection } from '../../../src/audit/sinks/select.js'
import { canonicalize, type Json } from '../../../src/base/canonical.js'

const event = (more: { readonly [name: string]: Json } = {}): string =>
  canonicalize({ class_uid: 4001, metadata: { sequence: 7, uid: 'u' }, severity_id: 3, time: 1, ...more })

describe('filters', () => {
  it('let the classes through that were asked for', () => {
    expect(selection({ classes: [4001, 2004], redact: [] })(event())).toBe(event())
    expect(selection({ classes: [2004], redact: [] })(event())).toBeUndefined()
  })
  it('let through what is severe enough', () => {
    expect(selection({ minSeverity: 3, redact: [] })(event())).toBe(event())
    expect(selection({ minSeverity: 4, redact: [] })(event())).toBeUndefined()
  })
  it('are not misled by what stands inside a text', () => {
    const told = event({ message: '"class_uid":2004,"severity_id":6,' })
    expect(selection({ classes: [2004], redact: [] })(told)).toBeUndefined()
    expect(selection({ minSeverity: 6, redact: [] })(told)).toBeUndefined()
  })
})

describe('redaction', () => {
  const redact = (path: string, text: string) => selection({ redact: [path] })(text)
  it('replaces texts, leaves the rest out, and leaves everything else as it is', () => {
    const full = event({ src_endpoint: { ip: '10.9.0.2', port: 40_000 }, message: 'x' })
    expect(redact('src_endpoint.ip', full)).toBe(
      event({
        src_endpoint: { ip: 'redacted', port: 40_000 },
        message: 'x',
        unmapped: { redacted: ['src_endpoint.ip'] },
      }),
    )
    expect(redact('src_endpoint.port', full)).toBe(
      event({ src_endpoint: { ip: '10.9.0.2' }, message: 'x', unmapped: { redacted: ['src_endpoint.port'] } }),
    )
    expect(redact('src_endpoint', full)).toBe(event({ message: 'x', unmapped: { redacted: ['src_endpoint'] } }))
    expect(redact('dst_endpoint.ip', full)).toBe(full)
  })
  it('reaches into every element of a list', () => {
    expect(redact('answers.rdata', event({ answers: [{ rdata: 'a', ttl: 1 }, { rdata: 'b' }, 'c'] }))).toBe(
      event({
        answers: [{ rdata: 'redacted', ttl: 1 }, { rdata: 'redacted' }, 'c'],
        unmapped: { redacted: ['answers.rdata'] },
      }),
    )
  })
  it('says what was kept back, beside what else is unmapped, and nothing of members that were not there', () => {
    const both = selection({ redact: ['dst_endpoint.ip', 'message', 'unmapped.reason'] })
    expect(both(event({ message: 'm', unmapped: { generation: 3, reason: 'r' } }))).toBe(
      event({
        message: 'redacted',
        unmapped: { generation: 3, reason: 'redacted', redacted: ['message', 'unmapped.reason'] },
      }),
    )
  })
  it('shows nothing of a line that it cannot read', () => {
    expect(redact('message', event().slice(0, -1))).toBeUndefined()
  })
})
