// The OCI transport against a registry of our own that lies: digests, sizes, paths, referrers, redirects, broken uploads.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ociTransport } from '../../src/agent/transports/oci.js'
import {
  ARTIFACT,
  describe as descriptorOf,
  INDEX_TYPE,
  LAYER,
  MANIFEST_TYPE,
  TITLE,
  writeArtifact,
} from '../../src/agent/transports/oci-model.js'
import { utf8 } from '../../src/base/bytes.js'
import { digestOf } from '../../src/base/digest.js'
import { LIMITS } from '../../src/base/limits.js'
import { makeTls, type Tls } from '../support/tls.js'
import { type Answer, serve, type Web } from '../support/web.js'
import { noise } from '../unit/bundle/tarball.js'

const SINCE = { rootVersion: 1 }
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail('it was accepted'),
    (error: { code: string; message: string; detail: unknown }) => error,
  )

let tls: Tls
beforeAll(() => {
  tls = makeTls()
})
afterAll(() => tls.remove())

describe('a registry that lies', () => {
  let web: Web
  afterEach(() => web.close())
  const release = utf8('{"release":1}')
  const member = utf8('member')
  const manifest = utf8('manifest')
  /** Of an answer that comes when the body has. */
  const LATER = 'later'

  /** A registry in one map: path after /v2/x/ to body, and answers that a test puts in front. */
  async function lie(
    change: (content: Map<string, Uint8Array>, artifact: Uint8Array) => void = () => undefined,
    first?: (...exchange: Parameters<Answer>) => unknown,
  ) {
    const content = new Map<string, Uint8Array>()
    const layers = [
      descriptorOf(LAYER.manifest, manifest, { [TITLE]: 'bundle.yaml' }),
      descriptorOf(LAYER.member, member, { [TITLE]: 'a.yaml' }),
    ]
    const artifact = writeArtifact({ artifactType: ARTIFACT.bundle, layers, annotations: {} })
    place(content, artifact)
    for (const blob of [release, member, manifest]) content.set(`blobs/${digestOf(blob)}`, blob)
    change(content, artifact)
    web = await serve(tls, (request, response) => {
      if (first?.(request, response) === LATER || response.headersSent) return
      const body = content.get((request.url ?? '').replace('/v2/x/', '').replace(/\?.*/, ''))
      response.writeHead(body ? 200 : 404).end(body)
    })
    return ociTransport({ origin: web.url, name: 'x', ca: tls.ca, authorization: 'Basic c2VjcmV0' })
  }
  function place(content: Map<string, Uint8Array>, artifact: Uint8Array, subject = artifact) {
    const annotations = { 'dev.sluice.channel': 'stable', 'dev.sluice.policy-revision': '7' }
    const beside = writeArtifact({
      artifactType: ARTIFACT.release,
      layers: [descriptorOf(LAYER.release, release)],
      subject: descriptorOf(MANIFEST_TYPE, subject),
      annotations,
    })
    const listed = { ...descriptorOf(MANIFEST_TYPE, beside, annotations), artifactType: ARTIFACT.release }
    content.set('manifests/channel.stable', artifact)
    content.set(`manifests/${digestOf(artifact)}`, artifact)
    content.set(`manifests/${digestOf(beside)}`, beside)
    content.set(
      `referrers/${digestOf(artifact)}`,
      utf8(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [listed] })),
    )
  }
  const withLayers = (layers: Parameters<typeof writeArtifact>[0]['layers']) => (content: Map<string, Uint8Array>) =>
    place(content, writeArtifact({ artifactType: ARTIFACT.bundle, layers, annotations: {} }))

  test('an honest one is believed, and its referrers need no fallback', async () => {
    const transport = await lie()
    const fetched = await transport.fetch('stable', SINCE)
    expect(fetched.kind === 'delivered' && Buffer.from(fetched.bundle.members.get('a.yaml') ?? []).toString()).toBe(
      'member',
    )
    expect(web.asked.filter((line) => line.includes('sha256-'))).toEqual([])
  })

  test('an empty list of referrers is a refusal', async () => {
    const transport = await lie((content, artifact) =>
      content.set(`referrers/${digestOf(artifact)}`, utf8('{"manifests":[],"schemaVersion":2}')),
    )
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_NO_RELEASE' })
  })

  test('a release that refers to another artifact', async () => {
    const transport = await lie((content, artifact) => place(content, artifact, utf8('another')))
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_PROTOCOL',
      message: `the answer of "localhost:${web.port}" cannot be used: the release refers to another artifact`,
    })
  })

  test('a manifest by digest that is another one', async () => {
    const transport = await lie((content) => {
      for (const path of content.keys())
        if (path.startsWith('manifests/sha256:'))
          content.set(path, Buffer.concat([content.get(path) ?? manifest, manifest]))
    })
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_DIGEST' })
  })

  test('a blob of the right size and other octets; one that is longer than it said', async () => {
    const swapped = await lie((content) => content.set(`blobs/${digestOf(member)}`, utf8('rebmem')))
    expect(await refusal(swapped.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_DIGEST' })
    await web.close()
    const longer = await lie((content) => content.set(`blobs/${digestOf(member)}`, utf8('member and more')))
    expect(await refusal(longer.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_TOO_LARGE' })
  })

  const layer = (content: Uint8Array, path: string) => descriptorOf(LAYER.member, content, { [TITLE]: path })
  const yaml = descriptorOf(LAYER.manifest, manifest)
  test.each([
    ['a member outside the bundle', [yaml, layer(member, '../../etc/passwd')], 'TRANSPORT_ENTRY'],
    ['one path twice', [yaml, layer(member, 'a'), layer(manifest, 'a')], 'TRANSPORT_ENTRY'],
    ['paths that differ in case', [yaml, layer(member, 'a'), layer(manifest, 'A')], 'TRANSPORT_ENTRY'],
    ['a member that takes the place of the release', [yaml, layer(member, 'release.jws.json')], 'TRANSPORT_PROTOCOL'],
    ['no manifest', [layer(member, 'a')], 'TRANSPORT_NO_MANIFEST'],
    ['a layer without a name', [yaml, descriptorOf(LAYER.member, member)], 'TRANSPORT_PROTOCOL'],
    [
      'a layer of another type',
      [descriptorOf('application/octet-stream', member, { [TITLE]: 'a' })],
      'TRANSPORT_PROTOCOL',
    ],
    [
      'a member that says it is too large',
      [yaml, { ...layer(member, 'a'), size: LIMITS.memberBytes + 1 }],
      'TRANSPORT_TOO_LARGE',
    ],
    [
      'members that are too large together',
      [yaml, ...Array.from({ length: 9 }, (_, i) => ({ ...layer(member, `m${i}`), size: LIMITS.memberBytes }))],
      'TRANSPORT_TOO_LARGE',
    ],
    [
      'more members than a bundle has',
      [yaml, ...Array.from({ length: 2_100 }, (_, i) => layer(member, `m${i}`))],
      'TRANSPORT_TOO_MANY',
    ],
  ])('%s', async (_what, layers, code) => {
    const transport = await lie(withLayers(layers))
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code })
  })

  test('a manifest without end', async () => {
    const transport = await lie(undefined, (request, response) => {
      if (!request.url?.includes('/manifests/channel.')) return
      response.writeHead(200)
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, ' ')));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({
      code: 'TRANSPORT_TOO_LARGE',
      detail: { limit: 4 << 20 },
    })
  })

  test('nothing is fetched of a bundle that is too large', async () => {
    const transport = await lie(withLayers([yaml, { ...layer(member, 'a'), size: LIMITS.memberBytes + 1 }]))
    await refusal(transport.fetch('stable', SINCE))
    expect(web.asked.filter((line) => line.includes('/blobs/'))).toEqual([])
  })

  test.each(['{', '[]', '{"schemaVersion":2,"schemaVersion":2}', '{"mediaType":"text/plain"}', '\ufeff{}'])(
    'the manifest %j',
    async (text) => {
      const transport = await lie((content) => place(content, utf8(text)))
      expect(await refusal(transport.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_PROTOCOL' })
    },
  )

  test('a redirect of a blob is followed without the credential', async () => {
    const seen: (string | undefined)[] = []
    const store = await serve(tls, (request, response) => {
      seen.push(request.headers.authorization)
      response.end(member)
    })
    const transport = await lie(undefined, (request, response) => {
      if (request.url?.includes(digestOf(member)))
        response.writeHead(307, { location: new URL('/elsewhere', store.url).href }).end()
    })
    expect((await transport.fetch('stable', SINCE)).kind).toBe('delivered')
    expect(seen).toEqual([undefined])
    expect(web.headers.every((headers) => headers.authorization === 'Basic c2VjcmV0')).toBe(true)
    await store.close()
  })

  test('redirects in a circle, and to plain http', async () => {
    const round = await lie(undefined, (request, response) => {
      if (request.url?.includes('/blobs/')) response.writeHead(307, { location: request.url }).end()
    })
    expect(await refusal(round.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_REDIRECT' })
    await web.close()
    const plain = await lie(undefined, (request, response) => {
      if (request.url?.includes('/blobs/')) response.writeHead(307, { location: 'http://store.example/x' }).end()
    })
    expect(await refusal(plain.fetch('stable', SINCE))).toMatchObject({ code: 'TRANSPORT_SOURCE' })
  })

  test('an upload that is sent to another host', async () => {
    const transport = await lie(undefined, (request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end()
      else if (request.method === 'POST') response.writeHead(202, { location: 'https://evil.example/upload' }).end()
    })
    expect(await refusal(transport.push('stable', { freshness: utf8('fresh') }))).toMatchObject({
      code: 'TRANSPORT_REDIRECT',
      detail: { to: 'https://evil.example/upload' },
    })
  })

  test('an upload whose line breaks goes on where the registry stopped', async () => {
    const big = noise(2_500_000)
    const got: Buffer[] = []
    let cut = false
    const transport = await lie(undefined, (request, response) => {
      if (request.method === 'HEAD' && request.url?.includes(digestOf(big))) response.writeHead(404).end()
      else if (request.method === 'HEAD') response.writeHead(200).end()
      else if (request.method === 'POST') response.writeHead(202, { location: '/v2/x/blobs/uploads/1' }).end()
      else if (request.method === 'GET' && request.url?.includes('/uploads/1'))
        response
          .writeHead(204, { range: `0-${Buffer.concat(got).length - 1}`, location: '/v2/x/blobs/uploads/1' })
          .end()
      else if (request.method === 'PATCH') {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => {
          const [from = ''] = String(request.headers['content-range']).split('-')
          expect(Number(from)).toBe(Buffer.concat(got).length)
          const body = Buffer.concat(chunks)
          if (!cut && got.length === 1) {
            cut = true
            got.push(body.subarray(0, 300_000))
            response.destroy()
            return
          }
          got.push(body)
          response.writeHead(202, { location: '/v2/x/blobs/uploads/1' }).end()
        })
        return LATER
      } else if (request.method === 'PUT') response.writeHead(201).end()
      return undefined
    })
    await transport.push('stable', { freshness: big })
    expect(cut).toBe(true)
    expect(digestOf(Buffer.concat(got))).toBe(digestOf(big))
  })

  test.each(['Fleet/policies', '../x', 'a//b', '', 'a b', '-a'])('the repository %j', (name) => {
    web = { close: () => Promise.resolve() } as Web
    expect(() => ociTransport({ origin: new URL('https://registry.example'), name })).toThrow(
      expect.objectContaining({ code: 'TRANSPORT_SOURCE' }),
    )
  })
})
