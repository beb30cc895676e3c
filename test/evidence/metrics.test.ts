// Metrics, health and logs of a running agent: names and units by convention, labels that stay bounded, a dashboard that asks
// only for what there is, pages that change nothing, and no secret anywhere.

import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { apply } from '../../src/agent/enforce.js'
import { type HttpServer, startHttp } from '../../src/agent/http.js'
import { openLog } from '../../src/agent/log.js'
import { createMetrics, isReady } from '../../src/agent/metrics.js'
import { decisionMetrics } from '../../src/agent/metrics-decisions.js'
import { revocationMetrics } from '../../src/agent/metrics-revocation.js'
import { status } from '../../src/agent/status.js'
import type { JournalStatus } from '../../src/audit/journal.js'
import { FACTS } from '../support/facts.js'
import { repositoryPath } from '../support/lab/repository.js'
import { makeNode, NOW, offer } from '../unit/agent/fixture.js'

const JOURNAL: JournalStatus = { sequence: 41, written: 40, lost: 2, queued: 3, tornBytes: 0 }
async function rig(journal: JournalStatus | undefined = JOURNAL) {
  const node = makeNode()
  const metrics = createMetrics({
    version: '0.1.0',
    status: () => status(node),
    journal: () => journal,
    channelAnsweredAtMs: () => NOW - 90_000,
    nowMs: () => NOW,
  })
  decisionMetrics(metrics.registry)
  /** The value of one line, or undefined when it is not there. */
  const value = async (line: string): Promise<number | undefined> => {
    const text = await metrics.registry.metrics()
    const found = text.split('\n').find((one) => one.startsWith(`${line} `))
    return found === undefined ? undefined : Number(found.slice(line.length + 1))
  }
  return { node, metrics, value }
}

describe('metrics', () => {
  it('are named by convention: a prefix, a unit in the name, _total for what only grows', async () => {
    const { metrics } = await rig()
    const own = (await metrics.registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('sluice_'))
    expect(own.length).toBeGreaterThan(15)
    for (const { name, type, help } of own) {
      expect(name).toMatch(/^sluice_[a-z]+(_[a-z]+)*$/)
      expect(name.endsWith('_total')).toBe(String(type) === 'counter')
      if (String(type) === 'histogram') expect(name).toMatch(/_seconds$/)
      expect(help).toMatch(/^[A-Z].*\.$|: 1 or 0\.$/)
      expect(name).not.toMatch(/_(ms|milliseconds|kb|minutes)(_|$)/)
    }
  })

  it('count what is told to the trail', async () => {
    const { metrics, value } = await rig()
    metrics.told([FACTS['flow-denied'], FACTS['flow-denied'], FACTS['bundle-activated'], FACTS['quarantine-set']])
    metrics.told([{ ...FACTS['flow-allowed'], traffic: { packets: 7, bytes: 900 } }, FACTS['drift-repaired']])
    const { workspace, reason, backend, count } = FACTS['flow-denied']
    const labels = `workspace="${workspace.workspace}",reason="${reason}",backend="${backend}"`
    expect(await value(`sluice_denied_packets_total{${labels}}`)).toBe(2 * count)
    expect(
      await value(
        `sluice_allowed_bytes_total{workspace="${workspace.workspace}",backend="${FACTS['flow-allowed'].backend}"}`,
      ),
    ).toBe(900)
    expect(await value('sluice_activations_total{backend="nftables"}')).toBe(1)
    expect(await value('sluice_drift_repairs_total')).toBe(1)
    expect(await value('sluice_quarantine_duration_seconds_count')).toBe(1)
  })

  it('take what is live from the record and the kernel at each scrape', async () => {
    const { node, value } = await rig()
    expect(await value('sluice_fence_read_back')).toBe(0)
    expect(await value('sluice_generation')).toBeUndefined()
    await apply(node, await offer())
    expect(await value('sluice_fence_read_back')).toBe(1)
    expect(await value('sluice_generation')).toBe(1)
    expect(await value('sluice_workspaces{standing="planned"}')).toBe(1)
    expect(await value('sluice_channel_staleness_seconds')).toBe(90)
    expect(await value('sluice_journal_lost_events_total')).toBe(2)
    expect(await value('sluice_journal_events_total')).toBe(40)
    expect(await value('sluice_journal_events_total')).toBe(40)
    expect(await value('sluice_journal_sequence')).toBe(41)
  })

  it('leave out what cannot be told, and say that the fence is not read back', async () => {
    const node = makeNode()
    const metrics = createMetrics({
      version: '0',
      status: () => Promise.reject(new TypeError('damaged')),
      journal: () => undefined,
      nowMs: () => node.now,
    })
    const text = await metrics.registry.metrics()
    expect(text).toContain('sluice_fence_read_back 0')
    expect(text).not.toMatch(/^sluice_(generation|journal_sequence|channel_staleness_seconds) /m)
  })

  it('do not grow without bound, whatever workspaces and codes are called', async () => {
    const { metrics } = await rig()
    for (let i = 0; i < 700; i++)
      metrics.told([
        { ...FACTS['flow-denied'], workspace: { ...FACTS['flow-denied'].workspace, workspace: `ws-${i}` } },
        { ...FACTS['bundle-refused'], code: `CODE_${i}` },
      ])
    const text = await metrics.registry.metrics()
    expect(text.match(/^sluice_denied_packets_total\{/gm)).toHaveLength(501)
    expect(text).toMatch(/^sluice_denied_packets_total\{workspace="other",.*\} 2400$/m)
    expect(text.match(/^sluice_bundle_refusals_total\{/gm)).toHaveLength(101)
  })

  it('are what the dashboard asks for', async () => {
    const { metrics } = await rig()
    revocationMetrics(metrics.registry).show(
      () => [],
      () => NOW,
      5_000,
    )
    const known = new Set((await metrics.registry.getMetricsAsJSON()).map(({ name }) => name))
    const text = readFileSync(repositoryPath('deploy/grafana/sluice.json'), 'utf8')
    const board = JSON.parse(text) as { panels: { title: string; targets: { expr: string }[] }[] }
    const asked = board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    const names = asked.flatMap((expr) => expr.match(/\b(?:sluice|process)_[a-z_]+/g) ?? [])
    expect(names.length).toBeGreaterThanOrEqual(board.panels.length)
    expect(names.filter((name) => !known.has(name.replace(/_bucket$/, '')))).toEqual([])
  })

  it('stand on panels of their own, none over another', () => {
    const text = readFileSync(repositoryPath('deploy/grafana/sluice.json'), 'utf8')
    const { panels } = JSON.parse(text) as {
      panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[]
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(Math.max(...panels.map(({ gridPos }) => gridPos.x + gridPos.w))).toBeLessThanOrEqual(24)
  })
})

describe('health', () => {
  let server: HttpServer | undefined
  afterEach(async () => {
    await server?.close()
    server = undefined
  })
  const ask = (path: string, method = 'GET'): Promise<{ status: number; body: string; type: string }> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: server?.port ?? 0, path, method, agent: false }, (answer) => {
        let body = ''
        answer.setEncoding('utf8')
        answer.on('data', (part: string) => {
          body += part
        })
        answer.on('end', () => {
          resolve({ status: answer.statusCode ?? 0, body, type: answer.headers['content-type'] ?? '' })
        })
      })
      sent.on('error', reject)
      sent.end()
    })

  it('is live at once, and ready when the fence is read back', async () => {
    const { node, metrics } = await rig()
    const ready = async () => {
      const { state } = await status(node)
      return { ready: isReady(state), state }
    }
    server = await startHttp({ registry: metrics.registry, ready }, { host: '127.0.0.1', port: 0 })
    expect(await ask('/livez')).toMatchObject({ status: 200, body: 'ok\n' })
    expect(await ask('/readyz')).toMatchObject({ status: 503, body: 'nothing\n' })
    await apply(node, await offer())
    expect(await ask('/readyz')).toMatchObject({ status: 200, body: 'active\n' })
    const page = await ask('/metrics?x=1')
    expect(page.type).toContain('text/plain; version=0.0.4')
    expect(page.body).toContain('sluice_generation 1')
  })

  it('answers nothing else, and says nothing about why it failed', async () => {
    const { metrics } = await rig()
    const ready = () => Promise.reject(new TypeError('/secret/path'))
    server = await startHttp({ registry: metrics.registry, ready }, { host: '127.0.0.1', port: 0 })
    expect(await ask('/readyz')).toEqual({ status: 503, body: 'unreadable\n', type: 'text/plain; charset=utf-8' })
    expect((await ask('/metrics', 'POST')).status).toBe(405)
    expect((await ask('/metrics/../etc')).status).toBe(404)
    expect(await ask('/livez', 'HEAD')).toMatchObject({ status: 200, body: '' })
  })

  it.each(['0.0.0.0', '10.0.0.1', '::', 'localhost', '127.0.0.1.example'])('does not listen on %s', async (host) => {
    const { metrics } = await rig()
    const attempt = startHttp(
      { registry: metrics.registry, ready: async () => ({ ready: true, state: '' }) },
      { host, port: 0 },
    )
    await expect(attempt).rejects.toMatchObject({ code: 'AGENT_HTTP_ADDRESS' })
  })

  it('says which port it could not have', async () => {
    const { metrics } = await rig()
    const sources = { registry: metrics.registry, ready: async () => ({ ready: true, state: '' }) }
    server = await startHttp(sources, { host: '127.0.0.1', port: 0 })
    await expect(startHttp(sources, { host: '127.0.0.1', port: server.port })).rejects.toMatchObject({
      message: `cannot serve health and metrics on 127.0.0.1 port ${server.port}: it cannot be listened on`,
    })
  })
})

describe('logs', () => {
  it('are JSON lines with time, level and event', () => {
    const lines: string[] = []
    const log = openLog('spiffe://fleet.example/node/n1', (line) => lines.push(line))
    log({ atMs: NOW, level: 'warning', event: 'drift', detail: { findings: ['a', 'b'] } })
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'warning',
      time: '2026-06-01T00:00:00.000Z',
      node: 'spiffe://fleet.example/node/n1',
      detail: { findings: ['a', 'b'] },
      event: 'drift',
    })
    expect(lines[0]?.endsWith('\n')).toBe(true)
  })

  it('hold no secret, and no text without end', () => {
    const lines: string[] = []
    const log = openLog('n', (line) => lines.push(line))
    const detail = { token: 'hunter2', privateKey: 'hunter2', Authorization: 'hunter2', why: `x${'y'.repeat(9_999)}` }
    log({ atMs: NOW, level: 'error', event: 'failed', detail })
    expect(lines[0]).not.toContain('hunter2')
    expect(lines[0]?.length).toBeLessThan(2_300)
  })
})
